//! What waited too long to be sent ends openly: better told as failed than sent a month late.
//!
//! Only what was never under way: of a message that has a number, or is a pending submit, nobody here knows whether the
//! server has it.

use chat_protocol::rpc::types::FailReason;
use std::time::Duration;

use chat_protocol::ids::Username;
use chat_protocol::time::Timestamp;

use crate::queue::queue_len;
use crate::queue::unacked_timeout::{self, STEP};
use crate::queue::{failing, outbox};
use crate::records::history;
use crate::records::settings::Settings;
use crate::rows::POSTS;
use crate::rows::outbox::SubmitKind;
use crate::store::{Direction, RowsError};
use crate::txn::Txn;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// Ends what has waited longer than the user wants, and tells what was never acknowledged.
pub(crate) fn expire_outbox(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    if txn.live.expired.is_some_and(|last| txn.now.since(last) < EVERY) {
        return Ok(());
    }
    txn.live.expired = Some(txn.now);
    if expire_all(txn)?.max(unacked_timeout::time_out_unacked(txn)?) >= STEP {
        txn.live.expired = None;
        txn.wake(txn.now + Duration::from_millis(1));
    } else {
        txn.wake(txn.now + EVERY);
    }
    Ok(())
}

/// Ends the old messages of every line; the most that were in one.
fn expire_all(txn: &mut Txn<'_>) -> Result<usize, RowsError> {
    let days = Settings::get(txn.rows)?.outbox_days;
    if days == 0 {
        return Ok(0);
    }
    let before = txn.now - Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    let mut most = expire_posts(txn, before)?;
    for to in outbox::destinations(txn)? {
        most = most.max(expire(txn, &to, before)?);
    }
    Ok(most)
}

/// Ends the old messages of one line; how many that were.
fn expire(txn: &mut Txn<'_>, to: &Username, before: Timestamp) -> Result<usize, RowsError> {
    let mut ended = 0;
    for item in outbox::waiting(txn, to, STEP)? {
        if outbox::joined(txn, &item.id)? >= before {
            break;
        }
        if item.number.is_none() {
            outbox::forget(txn, &item)?;
            failing::give_up(txn, &item, FailReason::Expired)?;
            ended += 1;
        }
    }
    Ok(ended)
}

/// Ends the posts that joined the line before a time, the one under way excepted; how many that were.
pub(crate) fn expire_posts(txn: &mut Txn<'_>, before: Timestamp) -> Result<usize, RowsError> {
    let found = POSTS.scan(txn.rows, 0..=u64::MAX, Direction::Ascending, unacked_timeout::STEP + 1)?;
    let mut ended = 0;
    for (_, pending) in found.into_iter().skip(1) {
        let SubmitKind::Post(id) = pending.kind else { continue };
        if outbox::joined(txn, &id)? >= before {
            break;
        }
        queue_len::leave(txn, &POSTS, &pending.submit_id)?;
        history::fail(txn, &id, FailReason::Expired)?;
        ended += 1;
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use chat_protocol::rpc::types::MessageState;

    use super::*;
    use crate::harness::{BEGIN, DAY, Harness, bob};
    use crate::queue::numbers;

    const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    #[test]
    fn what_waited_longer_than_the_user_wants_ends_openly() {
        let mut alice = Harness::new();
        let old = alice.sends("@bob", "old");
        alice.passes(DAY);
        let young = alice.sends("@bob", "young");
        alice.passes(MONTH - DAY);
        alice.step(expire_outbox);
        assert_eq!(alice.state(&old).0, MessageState::Queued, "not a moment before");
        alice.passes(EVERY);
        alice.step(expire_outbox);
        assert_eq!(alice.state(&old), (MessageState::Failed, Some(FailReason::Expired)));
        assert_eq!(alice.state(&young).0, MessageState::Queued);
    }

    #[test]
    fn what_has_a_number_may_be_with_the_server_and_does_not_end() {
        let mut alice = Harness::new();
        let id = alice.sends("@bob", "under way");
        alice.step(|txn| {
            let mut item = outbox::first(txn, &bob())?.unwrap();
            item.number = Some(numbers::number_next(txn, &item)?);
            outbox::put_back(txn, &item)
        });
        alice.passes(MONTH + EVERY);
        alice.step(expire_outbox);
        assert_eq!(alice.state(&id).0, MessageState::Queued);
    }

    #[test]
    fn of_posts_the_one_under_way_is_excepted() {
        let mut alice = Harness::new();
        let posts = ["first", "second", "third"].map(|text| alice.sends("room:public", text));
        alice.passes(MONTH + EVERY);
        alice.step(expire_outbox);
        let states = posts.map(|id| alice.state(&id).0);
        assert_eq!(states, [MessageState::Queued, MessageState::Failed, MessageState::Failed]);
    }

    #[test]
    fn a_clock_that_is_set_ahead_ends_nothing() {
        let mut alice = Harness::new();
        let id = alice.sends("@bob", "hi");
        alice.sets_clock(BEGIN + 2 * MONTH);
        alice.step(expire_outbox);
        assert_eq!(alice.state(&id).0, MessageState::Queued);
    }
}
