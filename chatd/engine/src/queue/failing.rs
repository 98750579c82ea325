//! What is in line and will not be sent.

use chat_protocol::ids::Username;

use crate::model::error::EngineError;
use crate::model::rows::decode;
use crate::queue::item::Item;
use crate::queue::{device_backlog, outbox};
use crate::records::changes;
use crate::records::history::{self, State};
use crate::records::timers::{self, Due, TIMES, Timer};
use crate::store::{Direction, RowsError, Table};
use crate::turn::Turn;

/// Ends every message that still waits for `to`.
pub(crate) fn fail_all(turn: &mut Turn<'_>, to: &Username, error: &str) -> Result<(), RowsError> {
    for item in outbox::waiting(turn, to, usize::MAX)? {
        outbox::forget(turn, &item)?;
        give_up(turn, &item, error)?;
    }
    device_backlog::forget_all(turn, to)
}

/// Ends every message for `to` that has no number yet. One that has may be with them, and is told to the end.
pub(crate) fn fail_unsealed(turn: &mut Turn<'_>, to: &Username, error: &str) -> Result<(), RowsError> {
    for item in outbox::waiting(turn, to, usize::MAX)?.into_iter().filter(|item| item.number.is_none()) {
        outbox::forget(turn, &item)?;
        give_up(turn, &item, error)?;
    }
    Ok(())
}

/// A message, or a change, will not be sent.
pub(crate) fn give_up(turn: &mut Turn<'_>, item: &Item, error: &str) -> Result<(), RowsError> {
    if changes::failed(turn, &item.id, error)? {
        return Ok(());
    }
    history::end(turn, &item.id, State::Failed, Some(error))
}

/// Ends every message for `user` whose time has not come.
pub(crate) fn fail_scheduled(turn: &mut Turn<'_>, user: &Username, error: &str) -> Result<(), EngineError> {
    let chat = history::private(user);
    for (_, bytes) in turn.rows.scan(Table::State, TIMES, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let Timer { due, id } = decode(Table::State, &bytes)?;
        let here = due == Due::Send && history::get(turn.rows, &id)?.is_some_and(|(_, message)| message.chat == chat);
        if here {
            timers::clear(turn, due, &id)?;
            history::end(turn, &id, State::Failed, Some(error))?;
        }
    }
    Ok(())
}
