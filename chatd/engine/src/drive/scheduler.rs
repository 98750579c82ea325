//! Does what is due at a time by itself: messages to be sent later, to go again, or overdue.

use chat_protocol::ids::MessageId;
use chat_protocol::time::Timestamp;

use crate::commands::messages;
use crate::exchange::amendments;
use crate::model::error::EngineError;
use crate::model::rows::decode;
use crate::records::events;
use crate::records::history::{self, ROOM, State};
use crate::records::timers::{self, Due, SPANS, TIMES, Timer};
use crate::store::{Direction, RowsError, Table};
use crate::turn::Turn;

/// Most timers of one transaction; the rest follow in the next.
const MOST: usize = 256;

/// Does what is due and asks to be woken for what is next.
pub(crate) fn sweep(turn: &mut Turn<'_>) -> Result<(), RowsError> {
    [TIMES, SPANS].into_iter().try_for_each(|scope| sweep_scope(turn, scope))
}

fn sweep_scope(turn: &mut Turn<'_>, scope: &[u8]) -> Result<(), RowsError> {
    let now = timers::time(turn, scope).as_millis();
    for (_, bytes) in turn.rows.scan(Table::State, scope, 0..=now, Direction::Ascending, MOST)? {
        let Timer { due, id } = decode(Table::State, &bytes)?;
        timers::clear(turn, due, &id)?;
        match fire(turn, due, &id) {
            Ok(()) => {}
            Err(EngineError::Rows(error)) => return Err(error),
            // it would be as wrong the next time
            Err(error) => tracing::error!(%error, ?due, "a timer had no effect"),
        }
    }
    let next = turn.rows.scan(Table::State, scope, 0..=u64::MAX, Direction::Ascending, 1)?;
    if let Some((at, _)) = next.first() {
        timers::wake(turn, scope, Timestamp::from_millis(*at));
    }
    Ok(())
}

fn fire(turn: &mut Turn<'_>, due: Due, id: &MessageId) -> Result<(), EngineError> {
    match due {
        Due::Send => messages::release(turn, id),
        Due::Expire => amendments::expire(turn, id),
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
