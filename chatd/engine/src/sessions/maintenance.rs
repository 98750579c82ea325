//! What sessions owe without being asked: signs of life, resets, another beginning.
//!
//! All of it is in rows. What is kept beside them says where to look, so that nothing is searched in vain.

use std::collections::BTreeMap;
use std::time::Duration;

use chat_protocol::ids::{DeviceId, Username};

use crate::model::rows::{decode, save};
use crate::sessions::{heartbeats, restarts};
use crate::store::{Direction, Place, Rows, RowsError, Table};
use crate::turn::Turn;
use crate::turn::live::{SessionMaintenance, Subject};

const RESETS: &[u8] = b"resets";

/// What is known to be owed; read from the rows at first.
pub(crate) fn known<'t>(turn: &'t mut Turn<'_>) -> Result<&'t mut SessionMaintenance, RowsError> {
    if turn.live.maintenance.is_none() {
        let maintenance = SessionMaintenance {
            heartbeats: heartbeats::load(turn.rows)?,
            resets: load_resets(turn.rows)?,
            unconfirmed: restarts::load(turn.rows)?,
        };
        turn.live.maintenance = Some(maintenance);
    }
    Ok(turn.live.maintenance.get_or_insert_default())
}

fn load_resets(rows: &dyn Rows) -> Result<BTreeMap<DeviceId, Username>, RowsError> {
    let found = rows.scan(Table::Sessions, RESETS, 0..=u64::MAX, Direction::Ascending, usize::MAX)?;
    found.iter().map(|(_, bytes)| decode(Table::Sessions, bytes)).collect()
}

/// The next session with a device begins with the reset marker, whatever happens before.
pub(crate) fn schedule_reset(turn: &mut Turn<'_>, user: &Username, device: &DeviceId) -> Result<(), RowsError> {
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
    schedule_reset(turn, user, device)?;
    turn.pause(Subject::Bundle(*device), pause);
    Ok(())
}

pub(crate) fn is_reset_scheduled(turn: &mut Turn<'_>, device: &DeviceId) -> Result<bool, RowsError> {
    Ok(known(turn)?.resets.contains_key(device))
}

/// The marker was sent, or has nobody to go to any more.
pub(crate) fn forget_reset(turn: &mut Turn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    if known(turn)?.resets.remove(device).is_some() {
        turn.rows.delete(Place::new(Table::Sessions, RESETS, device.as_bytes()))?;
    }
    Ok(())
}

/// Nothing is owed to a device that is no longer trusted.
pub(crate) fn forget(turn: &mut Turn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    known(turn)?.heartbeats.remove(device);
    forget_reset(turn, device)?;
    restarts::forget(turn, device)
}
