//! Sessions nobody answered: begun again after 1, 7 and 25 days, with what is not acknowledged.
//!
//! The peer may have lost the prekeys an INIT names; it drops such an INIT in silence, so only trying again helps.
//! One whose bundle had run out when the server took it is begun again at once: the peer may forget those prekeys.

use std::collections::BTreeMap;

use chat_protocol::cbor;
use chat_protocol::ids::DeviceId;
use chat_protocol::message::client::Submit;
use chat_protocol::time::Timestamp;

use crate::rows::UNCONFIRMED;
use crate::rows::sessions::Unconfirmed;
use crate::sessions::session_store::Stored;
use crate::sessions::{maintenance, server_clock};
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

pub(crate) fn load(rows: &dyn Rows) -> Result<BTreeMap<DeviceId, Unconfirmed>, RowsError> {
    Ok(UNCONFIRMED.all(rows)?.into_iter().map(|waits| (waits.device, waits)).collect())
}

fn put(txn: &mut Txn<'_>, waits: Unconfirmed) -> Result<(), RowsError> {
    UNCONFIRMED.put(txn.rows, &waits.device, 0, &waits)?;
    maintenance::known(txn)?.unconfirmed.insert(waits.device, waits);
    Ok(())
}

/// A session was begun from a bundle that runs out at `expires`.
pub(crate) fn begun(txn: &mut Txn<'_>, stored: &Stored, expires: Timestamp) -> Result<(), RowsError> {
    let now = txn.now;
    let before = maintenance::known(txn)?.unconfirmed.get(&stored.device).cloned();
    // one that ran out is no try that went unanswered
    let tried = before.as_ref().is_some_and(|before| !before.ran_out && before.is_due(now));
    let (accepted, times) = before.map_or((None, 0), |before| (before.accepted, before.times));
    let waits = Unconfirmed {
        user: stored.user.clone(),
        device: stored.device,
        session: stored.session.id(),
        expires,
        accepted,
        times: times + u64::from(tried),
        ran_out: false,
    };
    put(txn, waits)
}

/// The server has a submit: from now on its INITs wait for an answer.
pub(crate) fn accepted(txn: &mut Txn<'_>, submit: &[u8], full: &[DeviceId]) -> Result<(), RowsError> {
    // most submits change nothing of what is known, and are not read for it
    let now = server_clock::agreed(txn)?;
    if !maintenance::known(txn)?.unconfirmed.values().any(|waits| waits.heeds_acceptance(now)) {
        return Ok(());
    }
    let Ok(submit) = cbor::decode::<Submit>(submit) else { return Ok(()) };
    for to in submit.to.iter().filter(|to| to.envelope.init.is_some() && !full.contains(&to.device)) {
        let known = maintenance::known(txn)?.unconfirmed.get(&to.device).cloned();
        let Some(mut waits) = known.filter(|waits| waits.session == to.envelope.sid) else { continue };
        let before = waits.clone();
        waits.ran_out |= now.is_some_and(|now| now >= waits.expires);
        waits.accepted.get_or_insert(txn.now);
        if waits != before {
            put(txn, waits)?;
        }
    }
    Ok(())
}

/// Whether the session with a device is to be begun again.
pub(crate) fn is_due(txn: &mut Txn<'_>, device: &DeviceId) -> Result<bool, RowsError> {
    let now = txn.now;
    Ok(maintenance::known(txn)?.unconfirmed.get(device).is_some_and(|waits| waits.is_due(now)))
}

/// The device was heard on a session, or is no longer trusted.
pub(crate) fn forget(txn: &mut Txn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    if maintenance::known(txn)?.unconfirmed.remove(device).is_some() {
        UNCONFIRMED.delete(txn.rows, device)?;
    }
    Ok(())
}
