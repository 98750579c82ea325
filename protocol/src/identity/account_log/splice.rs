//! How somebody else says that a log goes on.

use super::entry::SignedEntry;
use super::{AccountLog, Checks, Extension, LogError};

impl AccountLog {
    /// This log up to the first of `entries` that it does not know, and then those: a valid log too, to be compared with
    /// this one. Entries known already cost no signature check.
    ///
    /// # Errors
    /// [`LogError`]; [`LogError::Gap`] if they begin behind the end of this log, or are none.
    pub fn spliced<E: AsRef<[u8]>>(&self, entries: &[E]) -> Result<Self, LogError> {
        let entries = entries.iter().map(|entry| SignedEntry::read(entry.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let wanted = self.head().seq.saturating_add(1);
        let known = |entry: &SignedEntry| self.head_at(entry.body.seq).is_some_and(|head| head.hash == entry.hash);
        let new = entries.iter().position(|entry| !known(entry)).unwrap_or(entries.len());
        let (known, new) = entries.split_at(new);
        let (mut log, rest) = match (known.last(), new.split_first()) {
            (_, Some((first, rest))) if first.body.seq == 0 => {
                (Self::from_genesis(self.user(), first, Checks::All)?, rest)
            }
            (_, Some((first, _))) if first.body.seq > wanted => {
                return Err(LogError::Gap { wanted, got: first.body.seq });
            }
            (_, Some((first, _))) => (self.prefix(first.body.seq)?, new),
            (Some(last), None) => (self.prefix(last.body.seq.saturating_add(1))?, new),
            (None, None) => return Err(LogError::Gap { wanted, got: wanted }),
        };
        rest.iter().try_for_each(|entry| log.apply(entry, &mut Extension::default(), Checks::All))?;
        Ok(log)
    }
}
