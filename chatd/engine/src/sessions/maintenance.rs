//! What sessions send without being asked: signs of life, resets, another beginning.
//!
//! All of it is in rows. What is kept beside them says where to look, so that nothing is searched in vain.

use std::time::Duration;

use chat_protocol::ids::{DeviceId, Username};

use crate::rows::RESETS;
use crate::sessions::{heartbeats, restarts};
use crate::store::RowsError;
use crate::txn::Txn;
use crate::txn::live::{SessionMaintenance, Subject};

/// What is known to be due; read from the rows at first.
pub(crate) fn known<'t>(txn: &'t mut Txn<'_>) -> Result<&'t mut SessionMaintenance, RowsError> {
    if txn.live.maintenance.is_none() {
        let maintenance = SessionMaintenance {
            heartbeats: heartbeats::load(txn.rows)?,
            resets: RESETS.all(txn.rows)?.into_iter().collect(),
            unconfirmed: restarts::load(txn.rows)?,
        };
        txn.live.maintenance = Some(maintenance);
    }
    Ok(txn.live.maintenance.get_or_insert_default())
}

/// The next session with a device begins with the reset marker, whatever happens before.
pub(crate) fn schedule_reset(txn: &mut Txn<'_>, user: &Username, device: &DeviceId) -> Result<(), RowsError> {
    RESETS.put(txn.rows, device, 0, &(*device, user.clone()))?;
    known(txn)?.resets.insert(*device, user.clone());
    Ok(())
}

/// A reset was refused: another session begins with it, after a pause.
pub(crate) fn reset_again(
    txn: &mut Txn<'_>,
    user: &Username,
    device: &DeviceId,
    pause: Duration,
) -> Result<(), RowsError> {
    schedule_reset(txn, user, device)?;
    txn.pause(Subject::Bundle(*device), pause);
    Ok(())
}

pub(crate) fn is_reset_scheduled(txn: &mut Txn<'_>, device: &DeviceId) -> Result<bool, RowsError> {
    Ok(known(txn)?.resets.contains_key(device))
}

/// The marker was sent, or has nobody to go to any more.
pub(crate) fn forget_reset(txn: &mut Txn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    if known(txn)?.resets.remove(device).is_some() {
        RESETS.delete(txn.rows, device)?;
    }
    Ok(())
}

/// Nothing is due to a device that is no longer trusted.
pub(crate) fn forget(txn: &mut Txn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    known(txn)?.heartbeats.remove(device);
    forget_reset(txn, device)?;
    restarts::forget(txn, device)
}
