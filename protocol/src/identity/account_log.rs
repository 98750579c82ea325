//! The signed log of an account's devices: which there are, who added them, which are revoked.
//!
//! A log is valid from its genesis on or not at all; this type holds only valid ones. It grows by
//! valid entries only, tells a fork from garbage, and never changes when it refuses. Which devices
//! are trusted is what it says; whether the *account* is the right one is its fingerprint.
//!
//! ```text
//! genesis ──add──▶ add ──▶ revoke ──▶ …      fingerprint = head of the genesis entry
//!    ╰───── each names the head before it and is signed by a device active there
//! ```

mod build;
mod devices;
mod entry;
mod splice;
mod stored;

use std::fmt;

use thiserror::Error;

pub use self::build::Author;
use self::entry::{Entry, Op, SignedEntry};
use super::device::DeviceCert;
use crate::ids::{DeviceId, Fingerprint, Head, HeadHash, Username};
use crate::limits::{MAX_DEVICES, MAX_LOG_ENTRIES};
use crate::time::Timestamp;

/// Why entries were refused. The log that refused them is unchanged.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LogError {
    /// Not a signed entry, an unknown operation, or a broken rule: never a reason to distrust the account.
    #[error("invalid account-log entry {seq}: {why}")]
    Invalid {
        /// Sequence it stood at, as far as known.
        seq: u64,
        /// Which rule.
        why: &'static str,
    },
    /// Entries are missing before this one.
    #[error("the account log continues at {wanted}, got {got}")]
    Gap {
        /// Next sequence.
        wanted: u64,
        /// Sequence offered.
        got: u64,
    },
    /// A second valid entry where one is known: the account, or a thief, signed two histories.
    #[error("the account log forks at {}", .0.seq)]
    Fork(Box<Fork>),
    /// There can be no more entries or active devices.
    #[error("the account log is full")]
    Full,
}

/// A valid entry that contradicts a known one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// Where.
    pub seq: u64,
    /// The other entry, to be kept as evidence.
    pub entry: Vec<u8>,
    /// Who signed it.
    pub by: DeviceId,
    /// The pinned branch revokes the signer: evidence of a stolen device, and no reason to distrust the account.
    pub by_revoked: bool,
}

/// What new entries changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extension {
    /// Devices that became active.
    pub added: Vec<DeviceId>,
    /// Devices that were revoked: wipe their sessions, hold what they send later.
    pub revoked: Vec<DeviceId>,
}

impl Extension {
    /// Whether nothing was new.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.revoked.is_empty()
    }
}

/// How another valid log of the same name stands to a pinned one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same entries.
    Same,
    /// The other is a valid continuation.
    Ahead,
    /// The other is a beginning of this one.
    Behind,
    /// The histories part.
    Forked(Box<Fork>),
    /// Another genesis: another identity.
    OtherAccount,
}

/// A device as the log knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDevice {
    /// Its certificate.
    pub cert: DeviceCert,
    /// Sequence of the entry that added it.
    pub added: u64,
    /// The device that added it; itself in the genesis entry.
    pub added_by: DeviceId,
    /// When, as its author claims; display only.
    pub added_at: Timestamp,
    /// Sequence of the entry that revoked it.
    pub revoked: Option<u64>,
    /// The device that revoked it.
    pub revoked_by: Option<DeviceId>,
}

/// A valid account log. Stored as its user and entries.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountLog {
    user: Username,
    replaces: Option<HeadHash>,
    entries: Vec<Vec<u8>>,
    hashes: Vec<HeadHash>,
    fingerprint: Fingerprint,
    head: Head,
    devices: Vec<LogDevice>,
}

impl AccountLog {
    /// Verifies a whole log of `user`, from its genesis on.
    ///
    /// # Errors
    /// [`LogError`]; [`LogError::Gap`] if it does not begin with a genesis.
    pub fn verify<E: AsRef<[u8]>>(user: &Username, entries: &[E]) -> Result<Self, LogError> {
        let Some((genesis, rest)) = entries.split_first() else { return Err(LogError::Gap { wanted: 0, got: 0 }) };
        let mut log = Self::from_genesis(user, &SignedEntry::read(genesis.as_ref())?, Checks::All)?;
        log.extend(rest)?;
        Ok(log)
    }

    /// Takes in entries, each either known already or the next one.
    ///
    /// # Errors
    /// [`LogError`]; the log is then as it was before.
    pub fn extend<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<Extension, LogError> {
        let (mut grown, mut extension) = (self.clone(), Extension::default());
        for entry in entries {
            grown.take(&SignedEntry::read(entry.as_ref())?, &mut extension)?;
        }
        *self = grown;
        Ok(extension)
    }

    /// Compares with another valid log under the same name.
    #[must_use]
    pub fn relation(&self, other: &Self) -> Relation {
        if self.fingerprint != other.fingerprint {
            return Relation::OtherAccount;
        }
        let mut both = self.hashes.iter().zip(&other.hashes).zip(&other.entries);
        if let Some((_, entry)) = both.find(|((mine, theirs), _)| mine != theirs) {
            let fork = SignedEntry::read(entry).map(|entry| self.describe_fork(&entry));
            return fork.map_or(Relation::OtherAccount, Relation::Forked);
        }
        match self.hashes.len().cmp(&other.hashes.len()) {
            std::cmp::Ordering::Less => Relation::Ahead,
            std::cmp::Ordering::Equal => Relation::Same,
            std::cmp::Ordering::Greater => Relation::Behind,
        }
    }

    /// Whose log it is.
    #[must_use]
    pub fn user(&self) -> &Username {
        &self.user
    }

    /// Who the account is: the head of its genesis entry.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Sequence and hash of the last entry.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// The head as it was at `seq`.
    #[must_use]
    pub fn head_at(&self, seq: u64) -> Option<Head> {
        let hash = *self.hashes.get(usize::try_from(seq).ok()?)?;
        Some(Head { seq, hash })
    }

    /// Whether `head` lies on this log.
    #[must_use]
    pub fn contains(&self, head: Head) -> bool {
        self.head_at(head.seq) == Some(head)
    }

    /// Head of the log this one replaces after a reset.
    #[must_use]
    pub fn replaces(&self) -> Option<HeadHash> {
        self.replaces
    }

    /// The signed entries from `seq` on, to be stored or sent.
    pub fn entries_from(&self, seq: u64) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().skip(usize::try_from(seq).unwrap_or(usize::MAX)).map(Vec::as_slice)
    }

    fn from_genesis(user: &Username, entry: &SignedEntry, checks: Checks) -> Result<Self, LogError> {
        let Entry { seq: 0, op: Op::Add { cert, acceptance: None }, by, .. } = &entry.body else {
            return Err(entry.invalid("not a genesis"));
        };
        let cert = entry::read_cert(entry, cert, user)?;
        if entry.body.prev != HeadHash::new([0; 32]) || *by != cert.id() {
            return Err(entry.invalid("not a genesis"));
        }
        entry.check_signature(&cert, checks)?;
        let mut log = Self {
            user: user.clone(),
            replaces: entry.body.replaces,
            entries: vec![],
            hashes: vec![],
            fingerprint: Fingerprint::new(*entry.hash.as_bytes()),
            head: Head { seq: 0, hash: entry.hash },
            devices: vec![],
        };
        log.add(entry, cert);
        log.advance(entry);
        Ok(log)
    }

    /// Takes one entry: a known one changes nothing, the next one is applied, others are refused.
    fn take(&mut self, entry: &SignedEntry, extension: &mut Extension) -> Result<(), LogError> {
        let (seq, next) = (entry.body.seq, self.head.seq.saturating_add(1));
        match self.head_at(seq) {
            Some(known) if known.hash == entry.hash => Ok(()),
            Some(_) => Err(self.contradiction(entry)),
            None if seq == next => self.apply(entry, extension, Checks::All),
            None => Err(LogError::Gap { wanted: next, got: seq }),
        }
    }

    /// A different entry at a known sequence: a fork if it is valid there, otherwise nothing.
    fn contradiction(&self, entry: &SignedEntry) -> LogError {
        let verdict = match entry.body.seq {
            0 => Self::from_genesis(&self.user, entry, Checks::All).map(|_| ()),
            seq => self.prefix(seq).and_then(|mut log| log.apply(entry, &mut Extension::default(), Checks::All)),
        };
        verdict.err().unwrap_or_else(|| LogError::Fork(self.describe_fork(entry)))
    }

    fn describe_fork(&self, entry: &SignedEntry) -> Box<Fork> {
        let by = entry.body.by;
        let by_revoked = self.device(&by).is_some_and(|device| device.revoked.is_some());
        Box::new(Fork { seq: entry.body.seq, entry: entry.bytes.clone(), by, by_revoked })
    }

    /// This log as it was before the entry at `seq`, which is at least 1.
    fn prefix(&self, seq: u64) -> Result<Self, LogError> {
        let known = self.entries.get(..usize::try_from(seq).unwrap_or(usize::MAX)).unwrap_or(&self.entries);
        Self::replay(&self.user, known)
    }

    /// Rebuilds a log from entries that were verified when they were taken in.
    fn replay<E: AsRef<[u8]>>(user: &Username, entries: &[E]) -> Result<Self, LogError> {
        #[cfg(feature = "fixtures")]
        crate::fixtures::counts::read::<Self>();
        let Some((genesis, rest)) = entries.split_first() else { return Err(LogError::Gap { wanted: 0, got: 0 }) };
        let mut log = Self::from_genesis(user, &SignedEntry::read(genesis.as_ref())?, Checks::SkipSignatures)?;
        for entry in rest {
            log.apply(&SignedEntry::read(entry.as_ref())?, &mut Extension::default(), Checks::SkipSignatures)?;
        }
        Ok(log)
    }

    /// Applies the next entry, or changes nothing.
    fn apply(&mut self, entry: &SignedEntry, extension: &mut Extension, checks: Checks) -> Result<(), LogError> {
        if self.entries.len() >= MAX_LOG_ENTRIES {
            return Err(LogError::Full);
        }
        if entry.body.seq != self.head.seq.saturating_add(1) || entry.body.prev != self.head.hash {
            return Err(entry.invalid("does not follow the entry before it"));
        }
        let author = self.active(&entry.body.by).ok_or(entry.invalid("not signed by an active device"))?;
        if entry.body.replaces.is_some() {
            return Err(entry.invalid("only a genesis replaces a log"));
        }
        entry.check_signature(author, checks)?;
        match &entry.body.op {
            Op::Add { cert, acceptance } => {
                let cert = self.check_add(entry, cert, acceptance.as_deref(), checks)?;
                extension.added.push(cert.id());
                self.add(entry, cert);
            }
            Op::Revoke { devices } => {
                self.check_revoke(entry, devices)?;
                extension.added.retain(|added| !devices.contains(added));
                extension.revoked.extend(devices);
                self.revoke(entry, devices);
            }
        }
        self.advance(entry);
        Ok(())
    }

    fn check_add(
        &self,
        entry: &SignedEntry,
        cert: &[u8],
        acceptance: Option<&[u8]>,
        checks: Checks,
    ) -> Result<DeviceCert, LogError> {
        let cert = entry::read_cert(entry, cert, &self.user)?;
        if self.device(&cert.id()).is_some() {
            return Err(entry.invalid("a device is added once and never returns"));
        }
        if self.active_devices().count() >= MAX_DEVICES {
            return Err(LogError::Full);
        }
        let acceptance = acceptance.ok_or(entry.invalid("the new device has not accepted"))?;
        if checks == Checks::All {
            let verdict = cert.verify_acceptance(&self.fingerprint, acceptance);
            verdict.map_err(|_| entry.invalid("the new device has not accepted"))?;
        }
        Ok(cert)
    }

    fn check_revoke(&self, entry: &SignedEntry, devices: &[DeviceId]) -> Result<(), LogError> {
        let distinct = devices.iter().enumerate().all(|(i, id)| !devices.iter().take(i).any(|other| other == id));
        if devices.is_empty() || !distinct || !devices.iter().all(|id| self.active(id).is_some()) {
            return Err(entry.invalid("revokes what is not active"));
        }
        Ok(())
    }

    fn add(&mut self, entry: &SignedEntry, cert: DeviceCert) {
        let Entry { seq, by, time, .. } = entry.body;
        self.devices.push(LogDevice {
            cert,
            added: seq,
            added_by: by,
            added_at: time,
            revoked: None,
            revoked_by: None,
        });
    }

    fn revoke(&mut self, entry: &SignedEntry, revoked: &[DeviceId]) {
        let hit = self.devices.iter_mut().filter(|device| revoked.contains(&device.cert.id()));
        hit.for_each(|device| (device.revoked, device.revoked_by) = (Some(entry.body.seq), Some(entry.body.by)));
    }

    fn advance(&mut self, entry: &SignedEntry) {
        self.head = Head { seq: entry.body.seq, hash: entry.hash };
        self.hashes.push(entry.hash);
        self.entries.push(entry.bytes.clone());
    }
}

/// Signatures are verified, but for entries that were when they were taken in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Checks {
    All,
    SkipSignatures,
}

impl fmt::Debug for AccountLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountLog({} at {})", self.user, self.head.seq)
    }
}
