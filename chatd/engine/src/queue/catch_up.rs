//! Sends devices what they lacked, once they can be written to.

use std::time::Duration;

use chat_protocol::ids::{DeviceId, Username};

use crate::model::error::EngineError;
use crate::peers::{self, Recipients};
use crate::queue::device_backlog::{self, DEVICES};
use crate::queue::item::Item;
use crate::queue::{mailbox_full, pending_submits, sending};
use crate::sessions::{self, Readiness};
use crate::store::{Place, Table};
use crate::turn::Turn;

/// As long as a mailbox keeps what nobody fetches.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Sends those that are ready by now what they lack; whether one of them lacks nothing any more.
pub(crate) fn pump(turn: &mut Turn<'_>) -> Result<bool, EngineError> {
    let mut caught_up = false;
    for device in device_backlog::devices(turn)? {
        while pending_submits::has_room(turn)? {
            let Some(item) = device_backlog::next(turn, &device)? else {
                turn.rows.delete(Place::new(Table::Outbox, DEVICES, device.as_bytes()))?;
                caught_up = true;
                break;
            };
            if !follow(turn, item, &device)? {
                break;
            }
        }
    }
    Ok(caught_up)
}

/// Seals the first thing a device lacks; false if it has to wait on.
fn follow(turn: &mut Turn<'_>, item: Item, device: &DeviceId) -> Result<bool, EngineError> {
    if !turn.is_time(item.after) {
        turn.wake(item.after);
        return Ok(false);
    }
    let Recipients::Devices(devices) = recipients(turn, &item.to, device)? else { return Ok(false) };
    let Some((user, cert)) = devices.into_iter().find(|(_, cert)| cert.id() == *device) else {
        return revoked(turn, &item, device);
    };
    if sessions::readiness(turn, &user, device)? != Readiness::Ready || mailbox_full::is_full(turn, device)? {
        return Ok(false);
    }
    let said = sending::letter(turn, &item)?.filter(|said| turn.now.since(said.kept()) < KEPT);
    device_backlog::drop_item(turn, &item, device)?;
    if let (Some(said), Some(number)) = (said, item.number) {
        sending::seal_for(turn, &[(user, cert)], (&said, number), item)?;
    }
    Ok(true)
}

/// Who may be written to now. What an own device lacks was said already: whatever becomes of the one it was said to does
/// not keep it back.
fn recipients(turn: &mut Turn<'_>, to: &Username, device: &DeviceId) -> Result<Recipients, EngineError> {
    let me = turn.me.user.clone();
    let own = peers::device(turn, &me, device)?.is_some();
    peers::recipients(turn, if own { &me } else { to })
}

/// Nothing goes to a device that is gone; one that a policy leaves out waits on.
fn revoked(turn: &mut Turn<'_>, item: &Item, device: &DeviceId) -> Result<bool, EngineError> {
    let me = turn.me.user.clone();
    if peers::device(turn, &item.to, device)?.is_some() || peers::device(turn, &me, device)?.is_some() {
        return Ok(false);
    }
    turn.rows.delete_range(Table::Outbox, &device_backlog::scope(device), 0..=u64::MAX)?;
    Ok(true)
}
