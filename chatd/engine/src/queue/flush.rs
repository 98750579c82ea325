//! Sends the receipts that are due.

use chat_protocol::time::Timestamp;
use minicbor::Decode;

use crate::model::error::EngineError;
use crate::model::rows::decode;
use crate::peers::{self, Recipients};
use crate::queue::own_receipts::{self, OWED, PendingOwnReceipt};
use crate::queue::pending_submits;
use crate::queue::receipts::{self, PendingReceipt};
use crate::queue::sealing::{self, Sealed};
use crate::queue::submit_kind::SubmitKind;
use crate::sessions;
use crate::store::{Direction, Place, Table};
use crate::txn::Txn;

/// Sends the receipts that are due.
pub(crate) fn flush_receipts(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    flush_due(txn, b"owed", send_receipt)
}

/// Sends the pending receipts of a scope, which are ordered by when they are due, while there is room.
fn flush_due<D: for<'b> Decode<'b, ()>>(
    txn: &mut Txn<'_>,
    scope: &[u8],
    send: impl Fn(&mut Txn<'_>, &D) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    for (due, bytes) in txn.rows.scan(Table::Outbox, scope, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let due = Timestamp::from_millis(due);
        if !txn.is_time(due) {
            txn.wake(due);
            break;
        }
        if !pending_submits::has_room(txn)? {
            break;
        }
        send(txn, &decode(Table::Outbox, &bytes)?)?;
    }
    Ok(())
}

fn send_receipt(txn: &mut Txn<'_>, pending: &PendingReceipt) -> Result<(), EngineError> {
    let Recipients::Devices(devices) = peers::recipients(txn, &pending.user)? else { return Ok(()) };
    let Some((user, cert)) = devices.into_iter().find(|(_, cert)| cert.id() == pending.device) else {
        txn.rows.delete(receipts::place(&pending.device))?;
        return Ok(());
    };
    if !sessions::ready(txn, &[(user.clone(), cert.clone())])? {
        return Ok(());
    }
    let Sealed { heads, to } = sealing::seal_receipt(txn, &user, &cert)?;
    Ok(pending_submits::submit_envelopes(txn, heads, to, SubmitKind::Receipt(user, pending.device, pending.read))?)
}

/// Sends the receipts that are due.
pub(crate) fn flush_own_receipts(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    flush_due(txn, OWED, send_own_receipt)
}

fn send_own_receipt(txn: &mut Txn<'_>, owed: &PendingOwnReceipt) -> Result<(), EngineError> {
    let me = txn.me.user.clone();
    let key = own_receipts::key_of(&owed.device, &owed.peer);
    let Recipients::Devices(devices) = peers::recipients(txn, &me)? else { return Ok(()) };
    let Some((user, cert)) = devices.into_iter().find(|(_, cert)| cert.id() == owed.device) else {
        txn.rows.delete(Place::new(Table::Outbox, OWED, &key))?;
        return Ok(());
    };
    if !sessions::ready(txn, &[(user, cert.clone())])? {
        return Ok(());
    }
    let (told, later) = owed.parts();
    let Sealed { heads, to } = sealing::seal_own_receipt(txn, &cert, &told)?;
    txn.rows.delete(Place::new(Table::Outbox, OWED, &key))?;
    if let Some(later) = later {
        own_receipts::schedule_again(txn, &later)?;
    }
    Ok(pending_submits::submit_envelopes(txn, heads, to, SubmitKind::OwnDevice(told))?)
}
