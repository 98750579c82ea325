//! What is in line and will not be sent.

use chat_protocol::ids::Username;
use chat_protocol::rpc::types::FailReason;

use crate::model::error::EngineError;
use crate::queue::{device_backlog, outbox};
use crate::records::changes;
use crate::records::history;
use crate::records::timers;
use crate::rows::TIMES;
use crate::rows::outbox::Item;
use crate::rows::state::{Due, Timer};
use crate::store::RowsError;
use crate::txn::Txn;

/// Ends every message that still waits for `to`.
pub(crate) fn fail_all(txn: &mut Txn<'_>, to: &Username, reason: FailReason) -> Result<(), RowsError> {
    for item in outbox::waiting(txn, to, usize::MAX)? {
        outbox::forget(txn, &item)?;
        give_up(txn, &item, reason)?;
    }
    device_backlog::forget_all(txn, to)
}

/// Ends every message for `to` that has no number yet. One that has may be with them, and is told to the end.
pub(crate) fn fail_unsealed(txn: &mut Txn<'_>, to: &Username, reason: FailReason) -> Result<(), RowsError> {
    for item in outbox::waiting(txn, to, usize::MAX)?.into_iter().filter(|item| item.number.is_none()) {
        outbox::forget(txn, &item)?;
        give_up(txn, &item, reason)?;
    }
    Ok(())
}

/// A message, or a change, will not be sent.
pub(crate) fn give_up(txn: &mut Txn<'_>, item: &Item, reason: FailReason) -> Result<(), RowsError> {
    if changes::failed(txn, &item.id, reason)? {
        return Ok(());
    }
    history::fail(txn, &item.id, reason)
}

/// Ends every message for `user` whose time has not come.
pub(crate) fn fail_scheduled(txn: &mut Txn<'_>, user: &Username, reason: FailReason) -> Result<(), EngineError> {
    let chat = history::private(user);
    for Timer { due, id } in TIMES.all(txn.rows)? {
        let here = due == Due::Send && history::get(txn.rows, &id)?.is_some_and(|(_, message)| message.chat == chat);
        if here {
            timers::clear(txn, due, &id)?;
            history::fail(txn, &id, reason)?;
        }
    }
    Ok(())
}
