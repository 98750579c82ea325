//! What sessions send without being asked: signs of life, resets, another beginning.
//!
//! A heartbeat turns the ratchet of whoever only listens. It asks for none in return, so two daemons that have nothing to
//! say fall silent after one.
//!
//! All of it is in rows. What is kept beside them says where to look, so that nothing is searched in vain.

use std::collections::BTreeMap;
use std::time::Duration;

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::session::manager::{Standing, Standings};
use chat_protocol::time::Timestamp;

use crate::rows::{RESETS, STANDINGS};
use crate::sessions::{restarts, session_store};
use crate::store::{Rows, RowsError};
use crate::txn::Txn;
use crate::txn::live::{SessionMaintenance, Subject};

/// What is known to be due; read from the rows at first.
pub(crate) fn known<'t>(txn: &'t mut Txn<'_>) -> Result<&'t mut SessionMaintenance, RowsError> {
    if txn.live.maintenance.is_none() {
        let maintenance = SessionMaintenance {
            heartbeats: load_heartbeats(txn.rows)?,
            resets: RESETS.all(txn.rows)?.into_iter().collect(),
            unconfirmed: restarts::load(txn.rows)?,
        };
        txn.live.maintenance = Some(maintenance);
    }
    Ok(txn.live.maintenance.get_or_insert_default())
}

fn load_heartbeats(rows: &dyn Rows) -> Result<BTreeMap<DeviceId, Timestamp>, RowsError> {
    let mut due = BTreeMap::new();
    for standings in STANDINGS.all(rows)? {
        let Some((at, id)) = standings.sending().and_then(|sending| sending.heartbeat_at().zip(Some(sending.id)))
        else {
            continue;
        };
        due.extend(session_store::find(rows, &id)?.map(|stored| (stored.device, at)));
    }
    Ok(due)
}

/// What is sent on with a device has changed, or moved on.
pub(crate) fn track_heartbeat(txn: &mut Txn<'_>, device: &DeviceId, standings: &Standings) -> Result<(), RowsError> {
    let due = standings.sending().and_then(Standing::heartbeat_at);
    let heartbeats = &mut known(txn)?.heartbeats;
    match due {
        Some(at) => drop(heartbeats.insert(*device, at)),
        None => drop(heartbeats.remove(device)),
    }
    Ok(())
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
