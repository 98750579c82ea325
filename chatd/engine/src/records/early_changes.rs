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

use crate::records::settings::Settings;
use crate::rows::messages::{EarlyNote, InChat};
use crate::rows::outbox::{Change, ChangeKind};
use crate::rows::{EARLY_AUTHORS, EARLY_CHANGES, EARLY_NOTES};
use crate::store::{Direction, Rows, RowsError};
use crate::txn::Txn;

/// Most of one user in one chat …
const MOST: usize = 256;
/// … and most bytes of those.
const MOST_BYTES: u64 = 1024 * 1024;
/// As long as an honest server keeps messages for somebody, in days.
const MOST_DAYS: u32 = 30;

/// Kinds of changes, in keys.
const EDIT: u8 = 0;
const REACT: u8 = 2;

/// Keeps an edit or a sign for when its message comes. Deletions are none of them.
pub(crate) fn keep(rows: &mut dyn Rows, change: &Change) -> Result<(), RowsError> {
    let kind = match change.kind {
        ChangeKind::Edit(_) => EDIT,
        ChangeKind::React(_) => REACT,
        ChangeKind::Delete => return Ok(()),
    };
    let (chat, by, order) = (change.chat.as_str(), &change.by, change.kept.as_millis());
    let noted: EarlyNote = (change.target, kind, cbor::encode(change).len() as u64);
    // a later one is put last, whatever it takes the place of
    remove(rows, (chat, by), (&change.target, kind))?;
    EARLY_CHANGES.of(&(change.target, chat.to_owned())).put(rows, &(kind, by.clone()), order, change)?;
    let author = InChat(by.clone(), chat.to_owned());
    EARLY_NOTES.of(&author).put(rows, &(change.target, kind), order, &noted)?;
    EARLY_AUTHORS.put(rows, &author, 0, &(chat.to_owned(), by.clone()))?;
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
) -> Result<Vec<EarlyNote>, RowsError> {
    let found = EARLY_NOTES.of(&InChat(by.clone(), chat.to_owned())).scan(rows, range, direction, usize::MAX)?;
    Ok(found.into_iter().map(|(_, note)| note).collect())
}

fn remove(
    rows: &mut dyn Rows,
    (chat, by): (&str, &Username),
    (target, kind): (&MessageId, u8),
) -> Result<(), RowsError> {
    EARLY_CHANGES.of(&(*target, chat.to_owned())).delete(rows, &(kind, by.clone()))?;
    EARLY_NOTES.of(&InChat(by.clone(), chat.to_owned())).delete(rows, &(*target, kind)).map(drop)
}

/// Takes the changes of a message out, in the order in which they came: it is here, or will not be shown.
pub(crate) fn take(rows: &mut dyn Rows, chat: &str, target: &MessageId) -> Result<Vec<Change>, RowsError> {
    let changes = EARLY_CHANGES.of(&(*target, chat.to_owned())).all(rows)?;
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
pub(crate) fn expire_early_changes(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    let days = match Settings::get(txn.rows)?.history_days {
        0 => MOST_DAYS,
        days => days.min(MOST_DAYS),
    };
    let old = (txn.now - Duration::from_secs(u64::from(days) * 24 * 60 * 60)).as_millis();
    for (chat, by) in EARLY_AUTHORS.all(txn.rows)? {
        for (target, kind, _) in noted(txn.rows, (&chat, &by), 0..=old, Direction::Ascending)? {
            remove(txn.rows, (&chat, &by), (&target, kind))?;
        }
        let author = InChat(by, chat);
        if EARLY_NOTES.of(&author).is_empty(txn.rows)? {
            EARLY_AUTHORS.delete(txn.rows, &author)?;
        }
    }
    Ok(())
}
