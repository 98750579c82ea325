//! What a device lacks that cannot be written to yet, while the others of its account can: it never published keys, they
//! expired while it was off for weeks, the server holds them back, or its mailbox is full.
//!
//! It waits apart, in order, for each device, so that it holds up nobody else, and follows when the device is ready.
//! Whatever comes after it goes the same way as long as anything waits. What is older than a mailbox keeps, or
//! beyond the bound, goes: the device will miss it, and say so.

use chat_protocol::ids::{DeviceId, Username};

use crate::model::error::EngineError;
use crate::queue::{mailbox_full, numbers};
use crate::rows::outbox::Item;
use crate::rows::{LAGGING, LAGGING_DEVICES};
use crate::sessions::{self, Readiness};
use crate::store::RowsError;
use crate::txn::Txn;

/// Most messages that wait for one device.
const MOST: u64 = 10_000;

/// Devices that can be written to now, and those that cannot, or lack what comes before.
#[derive(Default)]
pub(crate) struct Split {
    pub(crate) ready: Vec<(Username, DeviceId)>,
    pub(crate) lacking: Vec<DeviceId>,
}

/// Parts the devices a message is for; `None` while an answer that is on its way decides it.
pub(crate) fn split(txn: &mut Txn<'_>, devices: Vec<(Username, DeviceId)>) -> Result<Option<Split>, EngineError> {
    let (mut split, mut decided) = (Split::default(), true);
    for (user, device) in devices {
        match sessions::readiness(txn, &user, &device)? {
            _ if lacks(txn, &device)? => split.lacking.push(device),
            Readiness::Ready => split.ready.push((user, device)),
            Readiness::Lacking => split.lacking.push(device),
            Readiness::Asked => decided = false,
        }
    }
    Ok(decided.then_some(split))
}

/// Whether something waits for a device that has to come first.
fn lacks(txn: &Txn<'_>, device: &DeviceId) -> Result<bool, RowsError> {
    Ok(!LAGGING.of(device).is_empty(txn.rows)? || mailbox_full::is_full(txn, device)?)
}

/// Keeps what a device lacks.
pub(crate) fn keep(txn: &mut Txn<'_>, item: &Item, device: &DeviceId) -> Result<(), RowsError> {
    if let Some(number) = item.number {
        numbers::begin_for(txn, device, &item.to, number)?;
    }
    let lacked = LAGGING.of(device);
    let item = Item { only: Some(*device), ..item.clone() };
    lacked.put(txn.rows, &item.position, item.position, &item)?;
    LAGGING_DEVICES.put(txn.rows, device, 0, device)?;
    if lacked.count(txn.rows)? > MOST
        && let Some((oldest, _)) = lacked.first(txn.rows)?
    {
        lacked.delete_range(txn.rows, 0..=oldest)?;
    }
    Ok(())
}

pub(crate) fn next(txn: &Txn<'_>, device: &DeviceId) -> Result<Option<Item>, RowsError> {
    Ok(LAGGING.of(device).first(txn.rows)?.map(|(_, item)| item))
}

/// What was stored for nobody is not lacking anywhere: it goes again as a whole, or not at all.
pub(crate) fn take_back(txn: &mut Txn<'_>, item: &Item) -> Result<(), RowsError> {
    devices(txn)?.iter().try_for_each(|device| drop_item(txn, item, device))
}

/// Devices for which something waits.
pub(crate) fn devices(txn: &Txn<'_>) -> Result<Vec<DeviceId>, RowsError> {
    LAGGING_DEVICES.all(txn.rows)
}

/// Nothing that was written for `to` goes any more.
pub(crate) fn forget_all(txn: &mut Txn<'_>, to: &Username) -> Result<(), RowsError> {
    for device in devices(txn)? {
        for item in LAGGING.of(&device).all(txn.rows)? {
            if item.to == *to {
                drop_item(txn, &item, &device)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn drop_item(txn: &mut Txn<'_>, item: &Item, device: &DeviceId) -> Result<(), RowsError> {
    LAGGING.of(device).delete(txn.rows, &item.position).map(drop)
}
