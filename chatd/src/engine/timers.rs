//! What is due at a time by itself: messages to be sent later, to go again, or overdue.
//!
//! A timer is a row, ordered by its time, so it survives restarts and a pump looks at two rows only.
//! Setting one anew replaces it. A message is sent when the clock says so; a span is over when so much time was seen
//! to pass.

use std::time::Duration;

use chat_protocol::ids::{MessageId, Username};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use super::history::{self, ROOM, State};
use super::state::{decode, save};
use super::turn::Turn;
use super::{EngineError, changes, commands, events};
use crate::store::{Direction, Place, RowsError, Table};

/// By the clock.
const TIMES: &[u8] = b"timers";
/// By the time that was seen to pass.
const SPANS: &[u8] = b"spans";
/// As long as anything goes by the clock it is looked at this often: nobody says when it is set.
const CLOCK_LOOKED_AT: Duration = Duration::from_secs(60);
/// Most timers of one transaction; the rest follow in the next.
const MOST: usize = 256;

/// What happens when the time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Due {
    /// A message is put in line.
    #[n(0)]
    Send,
    /// A message goes.
    #[n(1)]
    Expire,
    /// Somebody wants to know that it was not delivered.
    #[n(2)]
    Overdue,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Timer {
    #[n(0)]
    due: Due,
    #[n(1)]
    id: MessageId,
}

fn key(due: Due, id: &MessageId) -> Vec<u8> {
    [[due as u8].as_slice(), id.as_bytes()].concat()
}

impl Due {
    const fn scope(self) -> &'static [u8] {
        match self {
            Self::Send => TIMES,
            Self::Expire | Self::Overdue => SPANS,
        }
    }
}

/// Sets the timer of a message; `at` is a time of the clock for [`Due::Send`], and of [`Turn::now`] for the others.
pub(crate) fn set(turn: &mut Turn<'_>, due: Due, id: MessageId, at: Timestamp) -> Result<(), RowsError> {
    wake(turn, due.scope(), at);
    save(turn.rows, Place::new(Table::State, due.scope(), &key(due, &id)), at.as_millis(), &Timer { due, id })
}

fn time(turn: &Turn<'_>, scope: &[u8]) -> Timestamp {
    if scope == TIMES { turn.clock } else { turn.now }
}

fn wake(turn: &mut Turn<'_>, scope: &[u8], at: Timestamp) {
    let left = at.since(time(turn, scope));
    turn.wake(turn.now + if scope == TIMES { left.min(CLOCK_LOOKED_AT) } else { left });
}

/// Takes it back, if there is one.
pub(crate) fn clear(turn: &mut Turn<'_>, due: Due, id: &MessageId) -> Result<(), RowsError> {
    turn.rows.delete(Place::new(Table::State, due.scope(), &key(due, id))).map(drop)
}

/// Does what is due and asks to be woken for what is next.
pub(crate) fn sweep(turn: &mut Turn<'_>) -> Result<(), RowsError> {
    [TIMES, SPANS].into_iter().try_for_each(|scope| sweep_scope(turn, scope))
}

fn sweep_scope(turn: &mut Turn<'_>, scope: &[u8]) -> Result<(), RowsError> {
    let now = time(turn, scope).as_millis();
    for (_, bytes) in turn.rows.scan(Table::State, scope, 0..=now, Direction::Ascending, MOST)? {
        let Timer { due, id } = decode(Table::State, &bytes)?;
        clear(turn, due, &id)?;
        match fire(turn, due, &id) {
            Ok(()) => {}
            Err(EngineError::Rows(error)) => return Err(error),
            // it would be as wrong the next time
            Err(error) => tracing::error!(%error, ?due, "a timer had no effect"),
        }
    }
    let next = turn.rows.scan(Table::State, scope, 0..=u64::MAX, Direction::Ascending, 1)?;
    if let Some((at, _)) = next.first() {
        wake(turn, scope, Timestamp::from_millis(*at));
    }
    Ok(())
}

/// Ends every message for `user` whose time has not come.
pub(crate) fn fail_scheduled(turn: &mut Turn<'_>, user: &Username, error: &str) -> Result<(), EngineError> {
    let chat = history::private(user);
    for (_, bytes) in turn.rows.scan(Table::State, TIMES, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let Timer { due, id } = decode(Table::State, &bytes)?;
        let here = due == Due::Send && history::get(turn.rows, &id)?.is_some_and(|(_, message)| message.chat == chat);
        if here {
            clear(turn, due, &id)?;
            history::end(turn, &id, State::Failed, Some(error))?;
        }
    }
    Ok(())
}

fn fire(turn: &mut Turn<'_>, due: Due, id: &MessageId) -> Result<(), EngineError> {
    match due {
        Due::Send => commands::release(turn, id),
        Due::Expire => changes::expire(turn, id),
        Due::Overdue => Ok(overdue(turn, id)?),
    }
}

/// Tells that a message was not delivered in time; nobody confirms a post in the room but the server.
fn overdue(turn: &mut Turn<'_>, id: &MessageId) -> Result<(), RowsError> {
    let Some((_, message)) = history::get(turn.rows, id)? else { return Ok(()) };
    match message.state {
        State::Queued | State::NotReceived => events::overdue(turn, &message),
        State::Accepted if message.chat != ROOM => events::overdue(turn, &message),
        _ => Ok(()),
    }
}
