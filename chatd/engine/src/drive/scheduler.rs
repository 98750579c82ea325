//! Does what is due at a time by itself: messages to be sent later, to expire, or overdue.

use chat_protocol::ids::MessageId;
use chat_protocol::rpc::types::MessageState;
use chat_protocol::time::Timestamp;

use crate::commands::messages;
use crate::exchange::amendments;
use crate::model::error::EngineError;
use crate::records::events;
use crate::records::history::{self, ROOM};
use crate::records::timers::{self, Measure};
use crate::rows::state::{Due, Timer};
use crate::store::{Direction, RowsError};
use crate::txn::Txn;

/// Most timers of one transaction; the rest follow in the next.
const MOST: usize = 256;

/// Does what is due and asks to be woken for what is next.
pub(crate) fn run_timers(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    [Measure::Clock, Measure::Span].into_iter().try_for_each(|measure| sweep_by(txn, measure))
}

fn sweep_by(txn: &mut Txn<'_>, measure: Measure) -> Result<(), RowsError> {
    let now = measure.time(txn).as_millis();
    for (_, Timer { due, id }) in measure.timers().scan(txn.rows, 0..=now, Direction::Ascending, MOST)? {
        timers::clear(txn, due, &id)?;
        match fire(txn, due, &id) {
            Ok(()) => {}
            Err(EngineError::Rows(error)) => return Err(error),
            // it would be as wrong the next time
            Err(error) => tracing::error!(%error, ?due, "a timer had no effect"),
        }
    }
    if let Some((at, _)) = measure.timers().first(txn.rows)? {
        measure.wake(txn, Timestamp::from_millis(at));
    }
    Ok(())
}

fn fire(txn: &mut Txn<'_>, due: Due, id: &MessageId) -> Result<(), EngineError> {
    match due {
        Due::Send => messages::release(txn, id),
        Due::Expire => amendments::expire(txn, id),
        Due::Overdue => Ok(overdue(txn, id)?),
    }
}

/// Tells that a message was not delivered in time; nobody confirms a post in the room but the server.
fn overdue(txn: &mut Txn<'_>, id: &MessageId) -> Result<(), RowsError> {
    let Some((_, message)) = history::get(txn.rows, id)? else { return Ok(()) };
    match message.state {
        Some(MessageState::Queued | MessageState::NotReceived) => events::overdue(txn, &message),
        Some(MessageState::Accepted) if message.chat != ROOM => events::overdue(txn, &message),
        _ => Ok(()),
    }
}
