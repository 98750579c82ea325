//! Sessions and their standings as rows.

use chat_protocol::ids::{DeviceId, SessionId};
use chat_protocol::session::manager::Standings;

pub use crate::rows::sessions::Stored;
use crate::rows::{SESSION_DEVICES, SESSIONS, SKIPPED_KEYS, STANDINGS};
use crate::sessions::maintenance;
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// The session with this id.
pub(crate) fn find(rows: &dyn Rows, sid: &SessionId) -> Result<Option<Stored>, RowsError> {
    let Some(device) = SESSION_DEVICES.get(rows, sid)? else { return Ok(None) };
    SESSIONS.of(&device).get(rows, sid)
}

/// Any session with a device.
pub(crate) fn find_with(rows: &dyn Rows, device: &DeviceId) -> Result<Option<Stored>, RowsError> {
    Ok(SESSIONS.of(device).all(rows)?.into_iter().next())
}

/// What decides which session with a device is sent on.
///
/// # Errors
/// [`RowsError`].
pub fn standings(rows: &dyn Rows, device: &DeviceId) -> Result<Standings, RowsError> {
    Ok(STANDINGS.get(rows, device)?.unwrap_or_default())
}

pub(crate) fn put_standings(txn: &mut Txn<'_>, device: &DeviceId, standings: &Standings) -> Result<(), RowsError> {
    STANDINGS.put(txn.rows, device, 0, standings)?;
    maintenance::track_heartbeat(txn, device, standings)
}

pub(crate) fn put(rows: &mut dyn Rows, stored: &Stored) -> Result<(), RowsError> {
    let sid = stored.session.id();
    SESSION_DEVICES.put(rows, &sid, 0, &stored.device)?;
    SESSIONS.of(&stored.device).put(rows, &sid, 0, stored)
}

fn delete(rows: &mut dyn Rows, device: &DeviceId, sid: &SessionId) -> Result<(), RowsError> {
    SESSION_DEVICES.delete(rows, sid)?;
    SESSIONS.of(device).delete(rows, sid)?;
    SKIPPED_KEYS.of(sid).clear(rows)
}

/// Deletes every session with a device that is no longer trusted. What waits to be sent to it again is on a floor above:
/// `queue::retransmit::forget_device` has to follow, as it does in `exchange::pin_change::apply`, which alone calls either.
pub(crate) fn wipe(txn: &mut Txn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    maintenance::forget(txn, device)?;
    STANDINGS.delete(txn.rows, device)?;
    SESSIONS.of(device).all(txn.rows)?.iter().try_for_each(|stored| delete(txn.rows, device, &stored.session.id()))
}

/// Writes the standings back and deletes what is receive-only beyond the bound.
pub(crate) fn keep_few(txn: &mut Txn<'_>, device: &DeviceId, mut known: Standings) -> Result<(), RowsError> {
    for sid in known.drop_surplus() {
        delete(txn.rows, device, &sid)?;
    }
    put_standings(txn, device, &known)
}
