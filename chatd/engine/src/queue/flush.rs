//! Sends the receipts that are due.

use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::model::error::EngineError;
use crate::peers::{self, Recipients};
use crate::queue::own_receipts;
use crate::queue::pending_submits;
use crate::queue::sealing::{self, Sealed};
use crate::rows::codec::Cbor;
use crate::rows::family::Family;
use crate::rows::key::Key;
use crate::rows::outbox::{PendingOwnReceipt, PendingReceipt, SubmitKind};
use crate::rows::{OWN_RECEIPTS, RECEIPTS};
use crate::sessions;
use crate::store::Direction;
use crate::txn::Txn;

/// Sends the receipts that are due.
pub(crate) fn flush_receipts(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    flush_due(txn, &RECEIPTS, send_receipt)
}

/// Sends pending receipts, which are ordered by when they are due, while there is room.
fn flush_due<K: Key, D: Encode<()> + for<'b> Decode<'b, ()>>(
    txn: &mut Txn<'_>,
    pending: &Family<K, Cbor<D>>,
    send: impl Fn(&mut Txn<'_>, &D) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    for (due, receipt) in pending.scan(txn.rows, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let due = Timestamp::from_millis(due);
        if !txn.is_time(due) {
            txn.wake(due);
            break;
        }
        if !pending_submits::has_room(txn)? {
            break;
        }
        send(txn, &receipt)?;
    }
    Ok(())
}

fn send_receipt(txn: &mut Txn<'_>, pending: &PendingReceipt) -> Result<(), EngineError> {
    let Recipients::Devices(devices) = peers::recipients(txn, &pending.user)? else { return Ok(()) };
    let PendingReceipt { device, read, .. } = *pending;
    let Some((user, _)) = devices.into_iter().find(|(_, active)| *active == device) else {
        RECEIPTS.delete(txn.rows, &device)?;
        return Ok(());
    };
    if !sessions::ready(txn, &user, &device)? {
        return Ok(());
    }
    let Sealed { heads, to } = sealing::seal_receipt(txn, &user, &device)?;
    Ok(pending_submits::submit_envelopes(txn, heads, to, SubmitKind::Receipt(user, device, read))?)
}

/// Sends the receipts that are due.
pub(crate) fn flush_own_receipts(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    flush_due(txn, &OWN_RECEIPTS, send_own_receipt)
}

fn send_own_receipt(txn: &mut Txn<'_>, pending: &PendingOwnReceipt) -> Result<(), EngineError> {
    let me = txn.me.user.clone();
    let key = (pending.device, pending.peer.clone());
    let Recipients::Devices(devices) = peers::recipients(txn, &me)? else { return Ok(()) };
    if !devices.iter().any(|(_, active)| *active == pending.device) {
        OWN_RECEIPTS.delete(txn.rows, &key)?;
        return Ok(());
    }
    if !sessions::ready(txn, &me, &pending.device)? {
        return Ok(());
    }
    let (told, later) = pending.parts();
    let Sealed { heads, to } = sealing::seal_own_receipt(txn, &told)?;
    OWN_RECEIPTS.delete(txn.rows, &key)?;
    if let Some(later) = later {
        own_receipts::schedule_again(txn, &later)?;
    }
    Ok(pending_submits::submit_envelopes(txn, heads, to, SubmitKind::OwnDevice(told))?)
}
