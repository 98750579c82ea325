//! What waited too long to be sent ends openly: better told as failed than sent a month late.
//!
//! Only what was never under way: of a message that has a number, or is a pending submit, nobody here knows whether the
//! server has it.

use std::time::Duration;

use chat_protocol::ids::Username;
use chat_protocol::time::Timestamp;

use crate::queue::queue_len;
use crate::queue::unacked_timeout::{self, STEP};
use crate::queue::{failing, outbox};
use crate::records::history::{self, State};
use crate::records::settings::Settings;
use crate::rows::POSTS;
use crate::rows::outbox::SubmitKind;
use crate::store::{Direction, RowsError};
use crate::txn::Txn;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// What they end with.
const ERROR: &str = "expired";

/// Ends what has waited longer than the user wants, and tells what was never acknowledged.
pub(crate) fn sweep(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    if txn.live.expired.is_some_and(|last| txn.now.since(last) < EVERY) {
        return Ok(());
    }
    txn.live.expired = Some(txn.now);
    if expire_all(txn)?.max(unacked_timeout::sweep(txn)?) >= STEP {
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
            failing::give_up(txn, &item, ERROR)?;
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
        history::end(txn, &id, State::Failed, Some(ERROR))?;
        ended += 1;
    }
    Ok(ended)
}
