//! What sessions owe without being asked, and goes through the queue: signs of life, resets, another beginning.
//!
//! A heartbeat asks for none in return, so two daemons that have nothing to say fall silent after one.

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::server::{Bundle, Refusal};

use crate::model::error::EngineError;
use crate::peers::{self, Recipients};
use crate::queue::submit_kind::SubmitKind;
use crate::queue::{pending_submits, retransmit, sealing};
use crate::records::contacts;
use crate::sessions::{begin, maintenance, restarts, session_store};
use crate::store::RowsError;
use crate::turn::Turn;

/// A bundle came, or did not: what is to go first on the session begun from it goes.
pub(crate) fn bundle(
    turn: &mut Turn<'_>,
    user: &Username,
    device: &DeviceId,
    answer: Result<Bundle, Refusal>,
) -> Result<(), EngineError> {
    let Some(begun) = begin::bundle(turn, user, device, answer)? else { return Ok(()) };
    if begun.resetting {
        sealing::send_reset(turn, user, &begun.stored)?;
        maintenance::forget_reset(turn, device)?;
    }
    if begun.restarting { retransmit::send_unacknowledged(turn, device) } else { Ok(()) }
}

/// Begins and repairs what is to be begun and repaired.
pub(crate) fn pump(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    begin::pump(turn)?;
    repair(turn)
}

/// Does what is due.
pub(crate) fn repair(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    for (device, user) in maintenance::known(turn)?.resets.clone() {
        match peers::device(turn, &user, &device)? {
            Some(_) => begin::ask_bundle(turn, &user, &device),
            None => maintenance::forget_reset(turn, &device)?,
        }
    }
    ask_for_restarts(turn)?;
    send_heartbeats(turn)
}

/// Asks for a fresh bundle where it is time, as long as there is something the peer did not acknowledge.
pub(crate) fn ask_for_restarts(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    for (device, waits) in maintenance::known(turn)?.unconfirmed.clone() {
        if !waits.is_due(turn.now) {
            waits.next().into_iter().for_each(|at| turn.wake(at));
        } else if peers::device(turn, &waits.user, &device)?.is_none() {
            restarts::forget(turn, &device)?;
        } else if retransmit::is_unacknowledged(turn, &device)? {
            begin::ask_bundle(turn, &waits.user, &device);
        }
    }
    Ok(())
}

/// Sends the heartbeats that are due.
pub(crate) fn send_heartbeats(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    let heartbeats = maintenance::known(turn)?.heartbeats.clone();
    for (device, at) in heartbeats {
        if at > turn.now {
            turn.wake(at);
        } else if pending_submits::has_room(turn)? {
            beat(turn, &device)?;
        }
    }
    Ok(())
}

fn beat(turn: &mut Turn<'_>, device: &DeviceId) -> Result<(), EngineError> {
    let Some(user) = user_of(turn, device)? else {
        maintenance::known(turn)?.heartbeats.remove(device);
        return Ok(());
    };
    let Recipients::Devices(devices) = peers::recipients(turn, &user)? else { return Ok(()) };
    let Some((user, cert)) = devices.into_iter().find(|(_, cert)| cert.id() == *device) else { return Ok(()) };
    if !begin::ready(turn, &[(user.clone(), cert.clone())])? {
        return Ok(());
    }
    let sealed = sealing::seal_heartbeat(turn, &user, &cert)?;
    Ok(pending_submits::submit_envelopes(turn, sealed.heads, sealed.to, SubmitKind::Receipt(user, *device, None))?)
}

/// Who has the device, if there is a session with it and its user is to hear anything.
fn user_of(turn: &mut Turn<'_>, device: &DeviceId) -> Result<Option<Username>, RowsError> {
    let sending = session_store::standings(turn.rows, device)?.sending().map(|sending| sending.id);
    let stored = sending.map(|id| session_store::find(turn.rows, &id)).transpose()?.flatten();
    match stored {
        Some(stored) if !contacts::is_blocked(turn.rows, &stored.user)? => Ok(Some(stored.user)),
        _ => Ok(None),
    }
}
