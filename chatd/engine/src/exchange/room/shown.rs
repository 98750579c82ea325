//! Which posts were taken, under whatever number; and as what the own ones were sent.
//!
//! That is known of the last [`REMEMBERED`] at least, or until more than [`MOST`] came; whatever is forgotten is not read
//! again, since what a server shows again must not come as new.

use std::time::Duration;

use chat_protocol::ids::{MessageId, SubmitId};
use chat_protocol::limits::PREKEY_RETENTION;
use chat_protocol::rpc::types::MessageState;

use crate::records::history;
use crate::rows::counter::Counter;
use crate::rows::state::RoomMark;
use crate::rows::{POSTS_SENT, POSTS_SHOWN, ROOM_BEGUN, ROOM_MARK};
use crate::store::{Direction, Rows, RowsError};
use crate::txn::Txn;

/// At least so long, and at most twice: longer than a server keeps posts unless it is told to.
const REMEMBERED: Duration = PREKEY_RETENTION;
/// Unless there are more: then what was taken before the last look that moved the beginning goes at once.
const MOST: u64 = 100_000;
/// How often it is looked for what may be forgotten.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// A post is taken.
pub(super) fn mark_shown(txn: &mut Txn<'_>, id: &MessageId) -> Result<(), RowsError> {
    POSTS_SHOWN.put(txn.rows, id, txn.now.as_millis(), &())
}

/// Whether it was taken before.
pub(super) fn is_known(rows: &dyn Rows, id: &MessageId) -> Result<bool, RowsError> {
    POSTS_SHOWN.has(rows, id)
}

/// An own message goes to the room under a submit.
pub(super) fn sent(txn: &mut Txn<'_>, submit: &SubmitId, id: &MessageId) -> Result<(), RowsError> {
    POSTS_SENT.put(txn.rows, submit, txn.now.as_millis(), id)
}

/// The message that a submit of this device carried, which was taken.
pub(super) fn sent_as(rows: &mut dyn Rows, submit: &SubmitId) -> Result<Option<MessageId>, RowsError> {
    let sent = POSTS_SENT.get(rows, submit)?;
    POSTS_SENT.delete(rows, submit)?;
    Ok(sent)
}

/// Forgets as what old posts were sent, up to the first that still waits: its echo has to be known.
fn forget_unsent(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    let mut until = (txn.now - REMEMBERED).as_millis();
    for (at, id) in POSTS_SENT.scan(txn.rows, 0..=until, Direction::Ascending, usize::MAX)? {
        if history::get(txn.rows, &id)?.is_some_and(|(_, post)| post.state == Some(MessageState::Queued)) {
            let Some(before) = at.checked_sub(1) else { return Ok(()) };
            until = before;
            break;
        }
    }
    POSTS_SENT.delete_range(txn.rows, 0..=until)
}

/// Forgets what was taken before the beginning, and moves that on.
pub(crate) fn forget_old(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    if txn.live.room_swept.is_some_and(|last| txn.now.since(last) < EVERY) {
        return Ok(());
    }
    txn.live.room_swept = Some(txn.now);
    forget_unsent(txn)?;
    let here = RoomMark { at: txn.now, cursor: Counter::Room.get(txn.rows)? };
    let Some(mark) = ROOM_MARK.get(txn.rows)? else { return ROOM_MARK.put(txn.rows, &here) };
    if txn.now.since(mark.at) < REMEMBERED && POSTS_SHOWN.count(txn.rows)? <= MOST {
        return Ok(());
    }
    POSTS_SHOWN.delete_range(txn.rows, 0..=mark.at.as_millis())?;
    if let Some(begun) = ROOM_BEGUN.get(txn.rows)? {
        ROOM_BEGUN.put(txn.rows, &begun.max(mark.cursor.min(here.cursor)))?;
    }
    ROOM_MARK.put(txn.rows, &here)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{DAY, Harness, bob};
    use crate::records::history::{Message, ROOM};

    #[test]
    fn as_what_an_old_post_was_sent_is_forgotten_but_for_one_that_waits_and_its_contemporaries() {
        let mut alice = Harness::new();
        let ids = [1u8, 2, 3].map(|n| (SubmitId::new(n.into(), [n; 8]), MessageId::new([n; 16])));
        let states = [MessageState::Accepted, MessageState::Accepted, MessageState::Queued];
        for ((submit, id), state) in ids.iter().zip(states) {
            alice.step(|txn| {
                let message = Message::text(*id, ROOM.to_owned(), bob(), "words".to_owned(), txn);
                history::append(txn, Message { mine: true, state: Some(state), ..message })?;
                sent(txn, submit, id)
            });
            if *id == ids[0].1 {
                alice.passes(DAY);
            }
        }
        alice.passes(REMEMBERED + DAY);
        alice.step(forget_old);
        let left = ids.map(|(submit, _)| alice.step(|txn| sent_as(txn.rows, &submit)));
        assert_eq!(left, [None, Some(ids[1].1), Some(ids[2].1)]);
    }
}
