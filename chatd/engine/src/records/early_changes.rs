//! Edits and signs that came before their message: it may be late, or was never sent. Deletions wait elsewhere, in
//! [`early_deletions`](super::early_deletions).
//!
//! Of one user's edits of a message the last is kept, and so of the signs; so much of each user in a chat, the newest
//! first, and no longer than the user wants a history.
//!
//! ```text
//! early-changes:TARGET CHAT   KIND BY       a change, found by its message
//! early-by:BY 0 CHAT          TARGET KIND   how many bytes it has: what the bounds and the age look at
//! early-authors               BY 0 CHAT     whose changes wait
//! ```

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::ids::{MessageId, Username};

use crate::model::rows::{decode, save};
use crate::records::changes::{Change, ChangeKind};
use crate::records::settings::Settings;
use crate::store::{Direction, Place, Rows, RowsError, Table};
use crate::txn::Txn;

/// Whose changes wait, and in which chats.
const AUTHORS: &[u8] = b"early-authors";
/// Most of one user in one chat …
const MOST: usize = 256;
/// … and most bytes of those.
const MOST_BYTES: u64 = 1024 * 1024;
/// As long as an honest server keeps messages for somebody, in days.
const MOST_DAYS: u32 = 30;

/// Kinds of changes, in keys.
const EDIT: u8 = 0;
const REACT: u8 = 2;

/// Where a change is noted under its author: its target, its kind, and how many bytes it has.
type Noted = (MessageId, u8, u64);

/// The changes of one message.
fn scope(chat: &str, target: &MessageId) -> Vec<u8> {
    [b"early-changes:", target.as_bytes().as_slice(), chat.as_bytes()].concat()
}

fn key(kind: u8, by: &Username) -> Vec<u8> {
    [&[kind], by.as_str().as_bytes()].concat()
}

/// The changes of one user in a chat, without what they say.
fn noted_scope(chat: &str, by: &Username) -> Vec<u8> {
    [b"early-by:", author_key(chat, by).as_slice()].concat()
}

fn noted_key(target: &MessageId, kind: u8) -> Vec<u8> {
    [target.as_bytes().as_slice(), &[kind]].concat()
}

fn author_key(chat: &str, by: &Username) -> Vec<u8> {
    [by.as_str().as_bytes(), &[0], chat.as_bytes()].concat()
}

/// Keeps an edit or a sign for when its message comes. Deletions are none of them.
pub(crate) fn keep(rows: &mut dyn Rows, change: &Change) -> Result<(), RowsError> {
    let kind = match change.kind {
        ChangeKind::Edit(_) => EDIT,
        ChangeKind::React(_) => REACT,
        ChangeKind::Delete => return Ok(()),
    };
    let (chat, by, order) = (change.chat.as_str(), &change.by, change.kept.as_millis());
    let bytes = cbor::encode(change);
    let noted: Noted = (change.target, kind, bytes.len() as u64);
    // a later one is put last, whatever it takes the place of
    remove(rows, (chat, by), (&change.target, kind))?;
    rows.put(Place::new(Table::Messages, &scope(chat, &change.target), &key(kind, by)), order, &bytes)?;
    let place = (noted_scope(chat, by), noted_key(&change.target, kind));
    save(rows, Place::new(Table::Messages, &place.0, &place.1), order, &noted)?;
    save(rows, Place::new(Table::Messages, AUTHORS, &author_key(chat, by)), 0, &(chat, by))?;
    bound(rows, (chat, by))
}

/// Lets go of the oldest of one user in a chat beyond the bounds.
fn bound(rows: &mut dyn Rows, of: (&str, &Username)) -> Result<(), RowsError> {
    let mut sum = 0;
    for (nth, (target, kind, bytes)) in noted(rows, of, 0..=u64::MAX, Direction::Descending)?.into_iter().enumerate() {
        sum += bytes;
        if nth >= MOST || sum > MOST_BYTES {
            remove(rows, of, (&target, kind))?;
        }
    }
    Ok(())
}

fn noted(
    rows: &dyn Rows,
    (chat, by): (&str, &Username),
    range: std::ops::RangeInclusive<u64>,
    direction: Direction,
) -> Result<Vec<Noted>, RowsError> {
    let found = rows.scan(Table::Messages, &noted_scope(chat, by), range, direction, usize::MAX)?;
    found.iter().map(|(_, bytes)| decode(Table::Messages, bytes)).collect()
}

fn remove(
    rows: &mut dyn Rows,
    (chat, by): (&str, &Username),
    (target, kind): (&MessageId, u8),
) -> Result<(), RowsError> {
    rows.delete(Place::new(Table::Messages, &scope(chat, target), &key(kind, by)))?;
    rows.delete(Place::new(Table::Messages, &noted_scope(chat, by), &noted_key(target, kind))).map(drop)
}

/// Takes the changes of a message out, in the order in which they came: it is here, or will not be shown.
pub(crate) fn take(rows: &mut dyn Rows, chat: &str, target: &MessageId) -> Result<Vec<Change>, RowsError> {
    let found = rows.scan(Table::Messages, &scope(chat, target), 0..=u64::MAX, Direction::Ascending, usize::MAX)?;
    let changes: Vec<Change> =
        found.iter().map(|(_, bytes)| decode(Table::Messages, bytes)).collect::<Result<_, _>>()?;
    for change in &changes {
        forget(rows, chat, &change.by, target)?;
    }
    Ok(changes)
}

/// Forgets what one user changed of a message.
pub(crate) fn forget(rows: &mut dyn Rows, chat: &str, by: &Username, target: &MessageId) -> Result<(), RowsError> {
    [EDIT, REACT].into_iter().try_for_each(|kind| remove(rows, (chat, by), (target, kind)))
}

/// Lets go of changes whose message comes no more, or would be older than the user wants.
pub(crate) fn sweep(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    let days = match Settings::get(txn.rows)?.history_days {
        0 => MOST_DAYS,
        days => days.min(MOST_DAYS),
    };
    let old = (txn.now - Duration::from_secs(u64::from(days) * 24 * 60 * 60)).as_millis();
    for (_, author) in txn.rows.scan(Table::Messages, AUTHORS, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let (chat, by): (String, Username) = decode(Table::Messages, &author)?;
        for (target, kind, _) in noted(txn.rows, (&chat, &by), 0..=old, Direction::Ascending)? {
            remove(txn.rows, (&chat, &by), (&target, kind))?;
        }
        if txn.rows.last_order(Table::Messages, &noted_scope(&chat, &by))?.is_none() {
            txn.rows.delete(Place::new(Table::Messages, AUTHORS, &author_key(&chat, &by)))?;
        }
    }
    Ok(())
}
