//! What is owed to a peer's device besides messages: acknowledgements, what was read, signs of life.
//!
//! A pending receipt is a row, so it survives a crash; it goes with the next content that goes to the device
//! anyway, or by a receipt of its own: at once, then at most every 100 ms.

use std::time::Duration;

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::model::rows::{load, save};
use crate::queue::item::Number;
use crate::store::{Place, RowsError, Table};
use crate::txn::Txn;

/// Receipts to one device are gathered this long after the last one.
const COALESCE: Duration = Duration::from_millis(100);

/// What is owed to one device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct PendingReceipt {
    #[n(0)]
    pub(crate) user: Username,
    #[n(1)]
    pub(crate) device: DeviceId,
    /// When it is due.
    #[n(2)]
    pub(crate) due: Timestamp,
    /// Number of the newest message of the device that was read, if that is to be told.
    #[n(3)]
    pub(crate) read: Option<Number>,
}

pub(crate) fn place(device: &DeviceId) -> Place<'_> {
    Place::new(Table::Outbox, b"owed", device.as_bytes())
}

/// Notes that a device is to hear what arrived from it.
pub(crate) fn schedule(txn: &mut Txn<'_>, user: &Username, device: &DeviceId) -> Result<(), RowsError> {
    if load::<PendingReceipt>(txn.rows, place(device))?.is_none() {
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
    let read = load::<PendingReceipt>(txn.rows, place(device))?.and_then(|pending| pending.read).max(read);
    let pending = PendingReceipt { user: user.clone(), device: *device, due, read };
    save(txn.rows, place(device), due.as_millis(), &pending)
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
    let known = load::<PendingReceipt>(txn.rows, place(device))?;
    // one that was told in vain waits out its time
    let due = known.as_ref().map_or(due, |known| known.due.max(due));
    // of what was read the highest number is told, in whatever order it was read
    let read = known.and_then(|pending| pending.read).max(read);
    let pending = PendingReceipt { user: user.clone(), device: *device, due, read };
    txn.wake(due);
    save(txn.rows, place(device), due.as_millis(), &pending)
}

/// What is owed to a device, which the content being written will tell; it is pending no longer.
pub(crate) fn take(txn: &mut Txn<'_>, device: &DeviceId) -> Result<Option<PendingReceipt>, RowsError> {
    let pending = load(txn.rows, place(device))?;
    if pending.is_some() {
        txn.rows.delete(place(device))?;
        txn.live.receipts.insert(*device, txn.now);
    }
    Ok(pending)
}
