//! Pending receipts for the devices of peers: acknowledgements, what was read, signs of life.
//!
//! A pending receipt is a row, so it survives a crash; it goes with the next content that goes to the device
//! anyway, or by a receipt of its own: at once, then at most every 100 ms.

use std::time::Duration;

use chat_protocol::ids::{DeviceId, Username};

use crate::rows::RECEIPTS;
use crate::rows::outbox::{Number, PendingReceipt};
use crate::store::RowsError;
use crate::txn::Txn;

/// Receipts to one device are gathered this long after the last one.
pub(super) const COALESCE: Duration = Duration::from_millis(100);

/// Notes that a device is to hear what arrived from it.
pub(crate) fn schedule(txn: &mut Txn<'_>, user: &Username, device: &DeviceId) -> Result<(), RowsError> {
    if !RECEIPTS.has(txn.rows, device)? {
        note(txn, user, device, None)?;
    }
    Ok(())
}

/// The same, for when it was told in vain.
pub(crate) fn schedule_later(
    txn: &mut Txn<'_>,
    user: &Username,
    device: &DeviceId,
    (read, pause): (Option<Number>, Duration),
) -> Result<(), RowsError> {
    let due = txn.now + pause;
    txn.wake(due);
    let read = RECEIPTS.get(txn.rows, device)?.and_then(|pending| pending.read).max(read);
    let pending = PendingReceipt { user: user.clone(), device: *device, due, read };
    RECEIPTS.put(txn.rows, device, due.as_millis(), &pending)
}

/// Notes that a device is to hear what was read.
pub(crate) fn schedule_read(
    txn: &mut Txn<'_>,
    user: &Username,
    device: &DeviceId,
    read: Number,
) -> Result<(), RowsError> {
    note(txn, user, device, Some(read))
}

fn note(txn: &mut Txn<'_>, user: &Username, device: &DeviceId, read: Option<Number>) -> Result<(), RowsError> {
    let due = txn.live.receipts.get(device).map_or(txn.now, |last| (*last + COALESCE).max(txn.now));
    let known = RECEIPTS.get(txn.rows, device)?;
    // one that was told in vain waits out its time
    let due = known.as_ref().map_or(due, |known| known.due.max(due));
    // of what was read the highest number is told, in whatever order it was read
    let read = known.and_then(|pending| pending.read).max(read);
    let pending = PendingReceipt { user: user.clone(), device: *device, due, read };
    txn.wake(due);
    RECEIPTS.put(txn.rows, device, due.as_millis(), &pending)
}

/// The receipt pending for a device, which the content being written will tell; it is pending no longer.
pub(crate) fn take(txn: &mut Txn<'_>, device: &DeviceId) -> Result<Option<PendingReceipt>, RowsError> {
    let pending = RECEIPTS.get(txn.rows, device)?;
    if pending.is_some() {
        RECEIPTS.delete(txn.rows, device)?;
        txn.live.receipts.insert(*device, txn.now);
    }
    Ok(pending)
}
