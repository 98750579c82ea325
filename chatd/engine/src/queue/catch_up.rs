//! Sends devices what they lacked, once they can be written to.

use std::time::Duration;

use chat_protocol::ids::{DeviceId, Username};

use crate::model::error::EngineError;
use crate::peers::{self, Recipients};
use crate::queue::{device_backlog, mailbox_full, pending_submits, sending};
use crate::rows::outbox::Item;
use crate::rows::{LAGGING, LAGGING_DEVICES};
use crate::sessions::{self, Readiness};
use crate::txn::Txn;

/// As long as a mailbox keeps what nobody fetches.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Sends those that are ready by now what they lack; whether one of them lacks nothing any more.
pub(crate) fn send_backlogs(txn: &mut Txn<'_>) -> Result<bool, EngineError> {
    let mut caught_up = false;
    for device in device_backlog::devices(txn)? {
        while pending_submits::has_room(txn)? {
            let Some(item) = device_backlog::next(txn, &device)? else {
                LAGGING_DEVICES.delete(txn.rows, &device)?;
                caught_up = true;
                break;
            };
            if !follow(txn, item, &device)? {
                break;
            }
        }
    }
    Ok(caught_up)
}

/// Seals the first thing a device lacks; false if it has to wait on.
fn follow(txn: &mut Txn<'_>, item: Item, device: &DeviceId) -> Result<bool, EngineError> {
    if !txn.is_time(item.after) {
        txn.wake(item.after);
        return Ok(false);
    }
    let Recipients::Devices(devices) = recipients(txn, &item.to, device)? else { return Ok(false) };
    let Some((user, _)) = devices.into_iter().find(|(_, active)| active == device) else {
        return revoked(txn, &item, device);
    };
    if sessions::readiness(txn, &user, device)? != Readiness::Ready || mailbox_full::is_full(txn, device)? {
        return Ok(false);
    }
    let outgoing = sending::outgoing_content(txn, &item)?.filter(|outgoing| txn.now.since(outgoing.kept()) < KEPT);
    device_backlog::drop_item(txn, &item, device)?;
    if let (Some(outgoing), Some(number)) = (outgoing, item.number) {
        sending::seal_for(txn, &[(user, *device)], (&outgoing, number), item)?;
    }
    Ok(true)
}

/// Who may be written to now. What an own device lacks was said already: whatever becomes of the one it was said to does
/// not keep it back.
fn recipients(txn: &mut Txn<'_>, to: &Username, device: &DeviceId) -> Result<Recipients, EngineError> {
    let me = txn.me.user.clone();
    let own = peers::is_active(txn, &me, device)?;
    peers::recipients(txn, if own { &me } else { to })
}

/// Nothing goes to a device that is gone; one that a policy leaves out waits on.
fn revoked(txn: &mut Txn<'_>, item: &Item, device: &DeviceId) -> Result<bool, EngineError> {
    let me = txn.me.user.clone();
    if peers::is_active(txn, &item.to, device)? || peers::is_active(txn, &me, device)? {
        return Ok(false);
    }
    LAGGING.of(device).clear(txn.rows)?;
    Ok(true)
}
