//! Which messages and changes have come, so that none is shown twice: remembered for as long as one can come again, and
//! by the history for as long as that keeps it.

use std::time::Duration;

use chat_protocol::ids::{Fingerprint, MessageId};
use chat_protocol::limits::PREKEY_RETENTION;

use crate::records::history;
use crate::rows::{DEVICE_TABLES, SEEN};
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// What was not acknowledged is said again for 25 days at most, and waits in a mailbox for 30: as long as anything that an
/// INIT begins. Whoever says it once more later has said it anew.
const REMEMBERED: Duration = PREKEY_RETENTION;
/// How often it is looked for what may be forgotten.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a message of this author is stored already; remembers it if not.
pub(crate) fn seen_before(txn: &mut Txn<'_>, author: &Fingerprint, id: &MessageId) -> Result<bool, RowsError> {
    if was_seen(txn.rows, author, id)? {
        return Ok(true);
    }
    SEEN.of(author).put(txn.rows, id, txn.now.as_millis(), &())?;
    Ok(false)
}

/// Whether a message or a change of this author has come, stored or not: it never comes again.
pub(crate) fn was_seen(rows: &dyn Rows, author: &Fingerprint, id: &MessageId) -> Result<bool, RowsError> {
    Ok(SEEN.of(author).has(rows, id)?
        || history::get(rows, id)?.is_some_and(|(_, message)| message.author.as_ref() == Some(author)))
}

/// Forgets what cannot come again.
pub(crate) fn forget_old(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    if txn.live.seen_swept.is_some_and(|last| txn.now.since(last) < EVERY) {
        return Ok(());
    }
    txn.live.seen_swept = Some(txn.now);
    let old = 0..=(txn.now - REMEMBERED).as_millis();
    for table in DEVICE_TABLES.all(txn.rows)? {
        for author in table.refused.iter().chain([&table.fingerprint]) {
            SEEN.of(author).delete_range(txn.rows, old.clone())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{DAY, Harness, bob};
    use crate::peers;
    use crate::records::history::{Message, private};

    const ID: MessageId = MessageId::new([7; 16]);
    const KEPT: MessageId = MessageId::new([8; 16]);

    #[test]
    fn what_came_is_remembered_for_61_days_and_while_the_history_has_it() {
        let mut alice = Harness::new();
        let author = alice.step(peers::own).pinned.log.fingerprint();
        for id in [ID, KEPT] {
            assert!(!alice.step(|txn| seen_before(txn, &author, &id)));
        }
        alice.step(|txn| {
            let message = Message::text(KEPT, private(&bob()), bob(), "words".to_owned(), txn);
            history::append(txn, Message { author: Some(author), ..message })
        });
        for days in [60, 2] {
            alice.step(forget_old);
            for id in [ID, KEPT] {
                assert!(was_seen(&alice.rows, &author, &id).unwrap(), "{days} days to go");
            }
            alice.passes(DAY * days);
        }
        alice.step(forget_old);
        assert_eq!([ID, KEPT].map(|id| was_seen(&alice.rows, &author, &id).unwrap()), [false, true]);
        assert!(SEEN.of(&author).is_empty(&alice.rows).unwrap());
        assert!(!was_seen(&alice.rows, &Fingerprint::new([9; 32]), &KEPT).unwrap(), "nobody else's");
    }
}
