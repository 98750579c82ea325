//! Deletions that came before their message.
//!
//! A server may keep a message back for as long as it likes and let its deletion through. So no edit or sign takes the
//! place of a deletion, and none is too old: it goes when its message comes. It says nothing but whose it is.

use chat_protocol::ids::{Fingerprint, MessageId};

use crate::rows::codec::Mark;
use crate::rows::family::Family;
use crate::rows::{EARLY_DELETIONS, FORMER_DELETIONS};
use crate::store::{Rows, RowsError};

/// Most of one author in one chat, the newest: as many as one mailbox keeps messages.
const MOST: u64 = 100_000;

fn of(chat: &str, author: &Fingerprint) -> Family<MessageId, Mark> {
    EARLY_DELETIONS.of(&(*author, chat.to_owned()))
}

/// Remembers that a message is deleted by an identity, its author if it ever comes.
pub(crate) fn keep(rows: &mut dyn Rows, chat: &str, author: &Fingerprint, target: &MessageId) -> Result<(), RowsError> {
    if has(rows, chat, author, target)? {
        return Ok(());
    }
    let deletions = of(chat, author);
    // in the order in which they came, from 1
    let order = deletions.last_order(rows)?.unwrap_or(0).saturating_add(1);
    deletions.put(rows, target, order, &())?;
    deletions.delete_range(rows, 0..=order.saturating_sub(MOST))
}

/// Whether a message that is not here was deleted by an identity.
pub(crate) fn has(rows: &dyn Rows, chat: &str, author: &Fingerprint, target: &MessageId) -> Result<bool, RowsError> {
    Ok(of(chat, author).has(rows, target)? || FORMER_DELETIONS.of(author).has(rows, target)?)
}

/// The message has come, which happens once: says whether its author deleted it, and forgets that.
pub(crate) fn take(
    rows: &mut dyn Rows,
    chat: &str,
    author: &Fingerprint,
    target: &MessageId,
) -> Result<bool, RowsError> {
    let former = FORMER_DELETIONS.of(author).delete(rows, target)?;
    Ok(of(chat, author).delete(rows, target)? || former)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryRows;

    #[test]
    fn a_deletion_that_an_older_program_kept_counts_until_its_message_comes() {
        let (mut rows, author, target) = (MemoryRows::new(), Fingerprint::new([1; 32]), MessageId::new([2; 16]));
        FORMER_DELETIONS.of(&author).put(&mut rows, &target, 9, &()).unwrap();
        assert!(has(&rows, "@bob", &author, &target).unwrap());
        assert!(take(&mut rows, "@bob", &author, &target).unwrap());
        assert!(!has(&rows, "@bob", &author, &target).unwrap() && !take(&mut rows, "@bob", &author, &target).unwrap());
    }
}
