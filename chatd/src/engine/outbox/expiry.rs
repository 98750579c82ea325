//! What waited too long to be sent ends openly: better told as failed than sent a month late.
//!
//! Only what was never under way: of a message that has a number, or is a flight, nobody here knows whether the server
//! has it.

use std::time::Duration;

use chat_protocol::ids::{MessageId, Username};
use chat_protocol::time::Timestamp;

use super::{destinations, forget, give_up, posts, tails, waiting};
use crate::engine::settings::Settings;
use crate::engine::turn::Turn;
use crate::engine::{changes, history};
use crate::store::RowsError;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// Most messages of one line that end at once; the rest follow in transactions of their own.
pub(super) const STEP: usize = 256;
/// What they end with.
pub(super) const ERROR: &str = "expired";

/// Ends what has waited longer than the user wants, and tells what was never acknowledged.
pub(crate) fn sweep(turn: &mut Turn<'_>) -> Result<(), RowsError> {
    if turn.live.expired.is_some_and(|last| turn.now.since(last) < EVERY) {
        return Ok(());
    }
    turn.live.expired = Some(turn.now);
    if expire_all(turn)?.max(tails::sweep(turn)?) >= STEP {
        turn.live.expired = None;
        turn.wake(turn.now + Duration::from_millis(1));
    } else {
        turn.wake(turn.now + EVERY);
    }
    Ok(())
}

/// Ends the old messages of every line; the most that were in one.
fn expire_all(turn: &mut Turn<'_>) -> Result<usize, RowsError> {
    let days = Settings::get(turn.rows)?.outbox_days;
    if days == 0 {
        return Ok(0);
    }
    let before = turn.now - Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    let mut most = posts::expire(turn, before)?;
    for to in destinations(turn)? {
        most = most.max(expire(turn, &to, before)?);
    }
    Ok(most)
}

/// Ends the old messages of one line; how many that were.
fn expire(turn: &mut Turn<'_>, to: &Username, before: Timestamp) -> Result<usize, RowsError> {
    let mut ended = 0;
    for item in waiting(turn, to, STEP)? {
        if joined(turn, &item.id)? >= before {
            break;
        }
        if item.number.is_none() {
            forget(turn, &item)?;
            give_up(turn, &item, ERROR)?;
            ended += 1;
        }
    }
    Ok(ended)
}

/// When a message, or a change of one, joined the line. What is in neither place has nothing to be sent any more.
pub(super) fn joined(turn: &Turn<'_>, id: &MessageId) -> Result<Timestamp, RowsError> {
    if let Some((_, message)) = history::get(turn.rows, id)? {
        return Ok(message.kept);
    }
    Ok(changes::submitted(turn, id)?.map_or(turn.now, |change| change.kept))
}
