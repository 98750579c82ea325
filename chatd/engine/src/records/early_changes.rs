//! Changes that came before their message: it may be late, or was never sent.
//!
//! Of one user's edits of a message the last is kept, and so of the signs; so much of each user in a chat, the newest
//! first, and not for ever.

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::ids::MessageId;
use chat_protocol::time::Timestamp;

use crate::model::rows::{decode, save};
use crate::records::changes::{Change, ChangeKind};
use crate::store::{Direction, Place, Rows, RowsError, Table};

/// Chats in which any waits.
const CHATS: &[u8] = b"early-chats";
/// Most of one user in one chat …
const MOST: usize = 256;
/// … and most bytes of those.
const MOST_BYTES: usize = 1024 * 1024;
/// As long as a server keeps messages for somebody.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn scope(chat: &str) -> Vec<u8> {
    [b"early:", chat.as_bytes()].concat()
}

/// Kinds of changes, in keys.
const EDIT: u8 = 0;
const DELETE: u8 = 1;
const REACT: u8 = 2;

fn key(change: &Change) -> Vec<u8> {
    let kind = match change.kind {
        ChangeKind::Edit(_) => EDIT,
        ChangeKind::Delete => DELETE,
        ChangeKind::React(_) => REACT,
    };
    key_of(change, kind)
}

fn key_of(change: &Change, kind: u8) -> Vec<u8> {
    [change.target.as_bytes().as_slice(), &[kind], change.by.as_str().as_bytes()].concat()
}

/// Keeps a change for when its message comes.
pub(crate) fn keep(rows: &mut dyn Rows, change: &Change) -> Result<(), RowsError> {
    let scope = scope(&change.chat);
    let place = Place::new(Table::Messages, CHATS, change.chat.as_bytes());
    save(rows, place, 0, &change.chat)?;
    let key = key(change);
    let deletion = key_of(change, DELETE);
    if rows.get(Place::new(Table::Messages, &scope, &deletion))?.is_some() {
        return Ok(());
    }
    if key == deletion {
        rows.delete(Place::new(Table::Messages, &scope, &key_of(change, EDIT)))?;
    }
    // a later one is put last, whatever it takes the place of
    rows.delete(Place::new(Table::Messages, &scope, &key))?;
    save(rows, Place::new(Table::Messages, &scope, &key), change.kept.as_millis(), change)?;
    let mut bytes = 0;
    let of_them = all(rows, &change.chat, Direction::Descending)?.into_iter().filter(|kept| kept.by == change.by);
    for (nth, kept) in of_them.enumerate() {
        bytes += cbor::encode(&kept).len();
        if nth >= MOST || bytes > MOST_BYTES {
            rows.delete(Place::new(Table::Messages, &scope, &self::key(&kept)))?;
        }
    }
    Ok(())
}

fn all(rows: &dyn Rows, chat: &str, direction: Direction) -> Result<Vec<Change>, RowsError> {
    let found = rows.scan(Table::Messages, &scope(chat), 0..=u64::MAX, direction, usize::MAX)?;
    found.iter().map(|(_, bytes)| decode(Table::Messages, bytes)).collect()
}

/// The changes of a message, in the order in which they came.
pub(crate) fn of(rows: &dyn Rows, chat: &str, target: &MessageId) -> Result<Vec<Change>, RowsError> {
    let mut changes = all(rows, chat, Direction::Ascending)?;
    changes.retain(|change| change.target == *target);
    Ok(changes)
}

/// A change has had its message.
pub(crate) fn forget(rows: &mut dyn Rows, change: &Change) -> Result<(), RowsError> {
    rows.delete(Place::new(Table::Messages, &scope(&change.chat), &key(change))).map(drop)
}

/// Lets go of changes whose message comes no more.
pub(crate) fn sweep(rows: &mut dyn Rows, now: Timestamp) -> Result<(), RowsError> {
    let old = (now - KEPT).as_millis();
    for (_, chat) in rows.scan(Table::Messages, CHATS, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let chat: String = decode(Table::Messages, &chat)?;
        let scope = scope(&chat);
        rows.delete_range(Table::Messages, &scope, 0..=old)?;
        if rows.last_order(Table::Messages, &scope)?.is_none() {
            rows.delete(Place::new(Table::Messages, CHATS, chat.as_bytes()))?;
        }
    }
    Ok(())
}
