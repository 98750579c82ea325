//! Time as retention counts it: never back, and never more than a day at once.
//!
//! A clock that was set wrong for a moment must not cost keys that peers still use. So what is kept for weeks is kept
//! for weeks of this time, which begins as the clock's and then follows it in bounded steps. While the daemon is
//! off it stands still but for a day.

use std::time::Duration;

use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use super::state::{load, save};
use super::turn::Turn;
use crate::store::{Place, RowsError, Table};

/// A step of the clock beyond this counts as this much.
const LONGEST_STEP: Duration = Duration::from_secs(24 * 60 * 60);
/// The rows are written at most this often.
const RESOLUTION: Duration = Duration::from_secs(60);
/// An idle daemon looks at the clock this often, so that its days count.
const LONGEST_IDLE: Duration = Duration::from_secs(12 * 60 * 60);

const PLACE: Place<'static> = Place::new(Table::State, b"", b"age");

/// How far this time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Age {
    #[n(0)]
    time: Timestamp,
    /// The clock when it came so far.
    #[n(1)]
    clock: Timestamp,
}

/// The time things are kept by.
pub(crate) fn now(turn: &mut Turn<'_>) -> Result<Timestamp, RowsError> {
    known(turn).map(|age| age.time)
}

fn known(turn: &mut Turn<'_>) -> Result<Age, RowsError> {
    if let Some(age) = turn.live.age {
        return Ok(age);
    }
    let stored = load(turn.rows, PLACE)?;
    let age = stored.unwrap_or(Age { time: turn.now, clock: turn.now });
    turn.live.age = Some(age);
    if stored.is_none() {
        save(turn.rows, PLACE, 0, &age)?;
    }
    Ok(age)
}

/// Follows the clock.
pub(crate) fn pump(turn: &mut Turn<'_>) -> Result<(), RowsError> {
    let age = known(turn)?;
    turn.wake(turn.now + LONGEST_IDLE);
    let back = turn.now < age.clock;
    let step = turn.now.since(age.clock).min(LONGEST_STEP);
    if step < RESOLUTION && !back {
        return Ok(());
    }
    let age = Age { time: age.time + step, clock: turn.now };
    turn.live.age = Some(age);
    save(turn.rows, PLACE, 0, &age)
}
