//! What sessions owe without being asked: signs of life, resets, another beginning.
//!
//! All of it is in rows. What is kept beside them says where to look, so that nothing is searched in vain.

use std::collections::BTreeMap;
use std::time::Duration;

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::time::Timestamp;

use super::begin::ask_bundle;
use super::restarts::Unconfirmed;
use super::{heartbeats, restarts};
use crate::engine::state::{decode, save};
use crate::engine::turn::{Subject, Turn};
use crate::engine::{EngineError, peers};
use crate::store::{Direction, Place, Rows, RowsError, Table};

const RESETS: &[u8] = b"resets";

/// Where something is owed.
#[derive(Debug, Default)]
pub(crate) struct Duties {
    /// When the session with a device wants a heartbeat.
    pub(super) heartbeats: BTreeMap<DeviceId, Timestamp>,
    /// Devices whose next bundle begins a session with reset marker.
    pub(super) resets: BTreeMap<DeviceId, Username>,
    /// Devices that were not heard on the session begun with them.
    pub(super) unconfirmed: BTreeMap<DeviceId, Unconfirmed>,
}

/// What is known to be owed; read from the rows at first.
pub(super) fn known<'t>(turn: &'t mut Turn<'_>) -> Result<&'t mut Duties, RowsError> {
    if turn.live.duties.is_none() {
        let duties = Duties {
            heartbeats: heartbeats::load(turn.rows)?,
            resets: load_resets(turn.rows)?,
            unconfirmed: restarts::load(turn.rows)?,
        };
        turn.live.duties = Some(duties);
    }
    Ok(turn.live.duties.get_or_insert_default())
}

fn load_resets(rows: &dyn Rows) -> Result<BTreeMap<DeviceId, Username>, RowsError> {
    let found = rows.scan(Table::Sessions, RESETS, 0..=u64::MAX, Direction::Ascending, usize::MAX)?;
    found.iter().map(|(_, bytes)| decode(Table::Sessions, bytes)).collect()
}

/// The next session with a device begins with the reset marker, whatever happens before.
pub(super) fn owe_reset(turn: &mut Turn<'_>, user: &Username, device: &DeviceId) -> Result<(), RowsError> {
    save(turn.rows, Place::new(Table::Sessions, RESETS, device.as_bytes()), 0, &(*device, user.clone()))?;
    known(turn)?.resets.insert(*device, user.clone());
    Ok(())
}

/// A reset was refused: another session begins with it, after a pause.
pub(crate) fn reset_again(
    turn: &mut Turn<'_>,
    user: &Username,
    device: &DeviceId,
    pause: Duration,
) -> Result<(), RowsError> {
    owe_reset(turn, user, device)?;
    turn.pause(Subject::Bundle(*device), pause);
    Ok(())
}

pub(super) fn owes_reset(turn: &mut Turn<'_>, device: &DeviceId) -> Result<bool, RowsError> {
    Ok(known(turn)?.resets.contains_key(device))
}

/// The marker was sent, or has nobody to go to any more.
pub(super) fn forget_reset(turn: &mut Turn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    if known(turn)?.resets.remove(device).is_some() {
        turn.rows.delete(Place::new(Table::Sessions, RESETS, device.as_bytes()))?;
    }
    Ok(())
}

/// Nothing is owed to a device that is no longer trusted.
pub(super) fn forget(turn: &mut Turn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    known(turn)?.heartbeats.remove(device);
    forget_reset(turn, device)?;
    restarts::forget(turn, device)
}

/// Does what is due.
pub(super) fn pump(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    for (device, user) in known(turn)?.resets.clone() {
        match peers::device(turn, &user, &device)? {
            Some(_) => ask_bundle(turn, &user, &device),
            None => forget_reset(turn, &device)?,
        }
    }
    restarts::pump(turn)?;
    heartbeats::pump(turn)
}
