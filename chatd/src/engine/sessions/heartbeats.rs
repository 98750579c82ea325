//! Heartbeats: whoever only listens turns the ratchet now and then.
//!
//! A heartbeat asks for none in return, so two daemons that have nothing to say fall silent after one.

use std::collections::BTreeMap;

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::session::manager::{Standing, Standings};
use chat_protocol::time::Timestamp;

use super::kept::find;
use super::seal::seal_heartbeat;
use super::{duties, ready, standings};
use crate::engine::outbox::{self, Cargo};
use crate::engine::peers::{self, Recipients};
use crate::engine::state::decode;
use crate::engine::turn::Turn;
use crate::engine::{EngineError, contacts};
use crate::store::{Direction, Rows, RowsError, Table};

pub(super) fn load(rows: &dyn Rows) -> Result<BTreeMap<DeviceId, Timestamp>, RowsError> {
    let mut due = BTreeMap::new();
    for (_, bytes) in rows.scan(Table::Sessions, b"standings", 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let known: Standings = decode(Table::Sessions, &bytes)?;
        let Some((at, id)) = known.sending().and_then(|sending| sending.heartbeat_at().zip(Some(sending.id))) else {
            continue;
        };
        due.extend(find(rows, &id)?.map(|stored| (stored.device, at)));
    }
    Ok(due)
}

/// What is sent on with a device has changed, or moved on.
pub(super) fn note(turn: &mut Turn<'_>, device: &DeviceId, known: &Standings) -> Result<(), RowsError> {
    let due = known.sending().and_then(Standing::heartbeat_at);
    let heartbeats = &mut duties::known(turn)?.heartbeats;
    match due {
        Some(at) => drop(heartbeats.insert(*device, at)),
        None => drop(heartbeats.remove(device)),
    }
    Ok(())
}

/// Sends the heartbeats that are due.
pub(super) fn pump(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    let heartbeats = duties::known(turn)?.heartbeats.clone();
    for (device, at) in heartbeats {
        if at > turn.now {
            turn.wake(at);
        } else if outbox::has_room(turn)? {
            beat(turn, &device)?;
        }
    }
    Ok(())
}

fn beat(turn: &mut Turn<'_>, device: &DeviceId) -> Result<(), EngineError> {
    let Some(user) = user_of(turn, device)? else {
        duties::known(turn)?.heartbeats.remove(device);
        return Ok(());
    };
    let Recipients::Devices(devices) = peers::recipients(turn, &user)? else { return Ok(()) };
    let Some((user, cert)) = devices.into_iter().find(|(_, cert)| cert.id() == *device) else { return Ok(()) };
    if !ready(turn, &[(user.clone(), cert.clone())])? {
        return Ok(());
    }
    let sealed = seal_heartbeat(turn, &user, &cert)?;
    Ok(outbox::submit(turn, sealed.heads, sealed.to, Cargo::Receipt(user, *device, None))?)
}

/// Who has the device, if there is a session with it and its user is to hear anything.
fn user_of(turn: &mut Turn<'_>, device: &DeviceId) -> Result<Option<Username>, RowsError> {
    let sending = standings(turn.rows, device)?.sending().map(|sending| sending.id);
    let stored = sending.map(|id| find(turn.rows, &id)).transpose()?.flatten();
    match stored {
        Some(stored) if !contacts::is_blocked(turn.rows, &stored.user)? => Ok(Some(stored.user)),
        _ => Ok(None),
    }
}
