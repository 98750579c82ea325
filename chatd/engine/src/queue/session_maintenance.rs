//! What sessions send without being asked, and goes through the queue: signs of life, resets, another beginning.
//!
//! A heartbeat asks for none in return, so two daemons that have nothing to say fall silent after one.

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::server::{Bundle, Refusal};

use crate::model::error::EngineError;
use crate::peers::{self, Recipients};
use crate::queue::{pending_submits, retransmit, sealing};
use crate::records::contacts;
use crate::rows::outbox::SubmitKind;
use crate::sessions::{begin, maintenance, restarts, session_store};
use crate::store::RowsError;
use crate::txn::Txn;

/// A bundle came, or did not: what is to go first on the session begun from it goes.
pub(crate) fn bundle(
    txn: &mut Txn<'_>,
    user: &Username,
    device: &DeviceId,
    answer: Result<Bundle, Refusal>,
) -> Result<(), EngineError> {
    let Some(begun) = begin::bundle(txn, user, device, answer)? else { return Ok(()) };
    if begun.resetting {
        sealing::send_reset(txn, user, &begun.stored)?;
        maintenance::forget_reset(txn, device)?;
    }
    if begun.restarting { retransmit::send_unacknowledged(txn, device) } else { Ok(()) }
}

/// Begins and repairs what is to be begun and repaired.
pub(crate) fn send_session_maintenance(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    begin::begin_wanted(txn)?;
    repair(txn)
}

/// Does what is due.
pub(crate) fn repair(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    for (device, user) in maintenance::known(txn)?.resets.clone() {
        if peers::is_active(txn, &user, &device)? {
            begin::ask_bundle(txn, &user, &device);
        } else {
            maintenance::forget_reset(txn, &device)?;
        }
    }
    ask_for_restarts(txn)?;
    send_heartbeats(txn)
}

/// Asks for a fresh bundle where it is time, as long as there is something the peer did not acknowledge.
pub(crate) fn ask_for_restarts(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    for (device, waits) in maintenance::known(txn)?.unconfirmed.clone() {
        if !waits.is_due(txn.now) {
            waits.next().into_iter().for_each(|at| txn.wake(at));
        } else if !peers::is_active(txn, &waits.user, &device)? {
            restarts::forget(txn, &device)?;
        } else if retransmit::is_unacknowledged(txn, &device)? {
            begin::ask_bundle(txn, &waits.user, &device);
        }
    }
    Ok(())
}

/// Sends the heartbeats that are due.
pub(crate) fn send_heartbeats(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    let heartbeats = maintenance::known(txn)?.heartbeats.clone();
    for (device, at) in heartbeats {
        if at > txn.now {
            txn.wake(at);
        } else if pending_submits::has_room(txn)? {
            beat(txn, &device)?;
        }
    }
    Ok(())
}

fn beat(txn: &mut Txn<'_>, device: &DeviceId) -> Result<(), EngineError> {
    let Some(user) = user_of(txn, device)? else {
        maintenance::known(txn)?.heartbeats.remove(device);
        return Ok(());
    };
    let Recipients::Devices(devices) = peers::recipients(txn, &user)? else { return Ok(()) };
    if !devices.iter().any(|(_, active)| active == device) || !begin::ready(txn, &user, device)? {
        return Ok(());
    }
    let sealed = sealing::seal_heartbeat(txn, &user, device)?;
    Ok(pending_submits::submit_envelopes(txn, sealed.heads, sealed.to, SubmitKind::Receipt(user, *device, None))?)
}

/// Who has the device, if there is a session with it and its user is to hear anything: no sign of life goes to who is blocked
/// or not known.
fn user_of(txn: &mut Txn<'_>, device: &DeviceId) -> Result<Option<Username>, RowsError> {
    let sending = session_store::standings(txn.rows, device)?.sending().map(|sending| sending.id);
    let stored = sending.map(|id| session_store::find(txn.rows, &id)).transpose()?.flatten();
    match stored {
        Some(stored) if contacts::is_heard(txn, &stored.user)? => Ok(Some(stored.user)),
        _ => Ok(None),
    }
}
