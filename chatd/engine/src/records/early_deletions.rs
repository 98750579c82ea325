//! Deletions that came before their message.
//!
//! A server may keep a message back for as long as it likes and let its deletion through. So no edit or sign takes the
//! place of a deletion, and none is too old: it goes when its message comes. It says nothing but whose it is.

use chat_protocol::ids::{Fingerprint, MessageId};

use crate::store::{Place, Rows, RowsError, Table};

/// Most of one author in one chat, the newest: as many as one mailbox keeps messages.
const MOST: u64 = 100_000;

fn scope(chat: &str, author: &Fingerprint) -> Vec<u8> {
    [b"early-deletions:", author.as_bytes().as_slice(), chat.as_bytes()].concat()
}

/// Remembers that a message is deleted by an identity, its author if it ever comes.
pub(crate) fn keep(rows: &mut dyn Rows, chat: &str, author: &Fingerprint, target: &MessageId) -> Result<(), RowsError> {
    if has(rows, chat, author, target)? {
        return Ok(());
    }
    let scope = scope(chat, author);
    // in the order in which they came, from 1
    let order = rows.last_order(Table::Messages, &scope)?.unwrap_or(0).saturating_add(1);
    rows.put(Place::new(Table::Messages, &scope, target.as_bytes()), order, &[])?;
    rows.delete_range(Table::Messages, &scope, 0..=order.saturating_sub(MOST)).map(drop)
}

/// Whether a message that is not here was deleted by an identity.
pub(crate) fn has(rows: &dyn Rows, chat: &str, author: &Fingerprint, target: &MessageId) -> Result<bool, RowsError> {
    Ok(rows.get(Place::new(Table::Messages, &scope(chat, author), target.as_bytes()))?.is_some())
}

/// The message has come, which happens once: says whether its author deleted it, and forgets that.
pub(crate) fn take(
    rows: &mut dyn Rows,
    chat: &str,
    author: &Fingerprint,
    target: &MessageId,
) -> Result<bool, RowsError> {
    rows.delete(Place::new(Table::Messages, &scope(chat, author), target.as_bytes()))
}
