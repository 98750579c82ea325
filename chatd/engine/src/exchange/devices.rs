//! The devices of the own account: who asks to be let in, what the user said of them, and whom to end.
//!
//! That a device asks is the server's word, and proves nothing: its certificate is read here, and the user compares the
//! digits made of its id with those on its own screen. It is added once the user approved it here and it
//! accepted there, each under the same fingerprint.

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::device::DeviceCert;
use chat_protocol::identity::safety_number::approval_digits;
use chat_protocol::ids::{DeviceId, Fingerprint};
use chat_protocol::limits::{MAX_DEVICES, MAX_WAITING_DEVICES};
use chat_protocol::message::Blob;
use chat_protocol::message::client::DevicesWaiting;
use chat_protocol::message::server::{self, Refusal, WaitingDevices};
use chat_protocol::rpc::types::{self, Approval, DeviceState};

use crate::model::error::EngineError;
use crate::peers;
use crate::records::events;
use crate::rows::peers::WaitingDevice;
use crate::rows::{TO_REVOKE, WAITING_DEVICES};
use crate::store::{Rows, RowsError};
use crate::txn::Txn;
use crate::txn::live::Asked;

/// What the account's log is to say next.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// A device belongs to it: its certificate, and what it signed.
    Add(DeviceCert, Vec<u8>),
    /// These no longer do.
    Revoke(Vec<DeviceId>),
}

/// Asks the server who waits; once more if an answer is on its way, which may be older than the question.
pub(crate) fn ask(txn: &mut Txn<'_>) {
    txn.live.waiting_changed = !txn.ask(Asked::Waiting, &DevicesWaiting {});
}

/// The server says who waits.
pub(crate) fn set_waiting_devices(
    txn: &mut Txn<'_>,
    answer: Result<WaitingDevices, Refusal>,
) -> Result<(), EngineError> {
    if txn.live.waiting_changed {
        ask(txn);
    }
    // the next push or login asks again
    let Ok(answer) = answer else { return Ok(()) };
    let log = peers::own(txn)?.pinned.log;
    let shown: Vec<_> = answer.devices.iter().take(MAX_WAITING_DEVICES).filter_map(|said| read(&log, said)).collect();
    for gone in WAITING_DEVICES.all(txn.rows)? {
        let id = gone.cert.id();
        if !shown.iter().any(|device| device.cert.id() == id) {
            WAITING_DEVICES.delete(txn.rows, &id)?;
        }
    }
    shown.into_iter().try_for_each(|device| note(txn, &log.fingerprint(), device))
}

/// What the server said of a device, as far as it can be true.
fn read(log: &AccountLog, said: &server::WaitingDevice) -> Option<WaitingDevice> {
    let cert = DeviceCert::decode(&said.cert).ok()?;
    if cert.user() != log.user() || log.device(&cert.id()).is_some() {
        return None;
    }
    let good = |signed: &Blob| cert.verify_acceptance(&log.fingerprint(), signed).is_ok();
    let acceptance = said.acceptance.clone().filter(good);
    Some(WaitingDevice { cert, acceptance, approved: false })
}

/// Keeps a device that waits, and tells of a new one.
fn note(txn: &mut Txn<'_>, fingerprint: &Fingerprint, device: WaitingDevice) -> Result<(), EngineError> {
    let id = device.cert.id();
    let known = WAITING_DEVICES.get(txn.rows, &id)?;
    if known.is_none() {
        events::device_waiting(txn, &device.cert, approval_digits(fingerprint, &id))?;
    }
    let (approved, accepted) = known.map_or((false, None), |known| (known.approved, known.acceptance));
    let acceptance = device.acceptance.or(accepted);
    let order = device.cert.created().as_millis();
    Ok(WAITING_DEVICES.put(txn.rows, &id, order, &WaitingDevice { approved, acceptance, ..device })?)
}

/// The user says that a device which waits shows these digits; spaces do not count.
///
/// # Errors
/// `not_found`, `conflict`; `quota_exceeded` if no more devices can be active.
pub fn approve(txn: &mut Txn<'_>, device: &DeviceId, digits: &str) -> Result<Approval, EngineError> {
    let log = peers::own(txn)?.pinned.log;
    if log.active(device).is_some() {
        return Ok(Approval::Added);
    }
    let waiting = WAITING_DEVICES
        .get(txn.rows, device)?
        .ok_or_else(|| EngineError::no_device("no such device waits to be let in"))?;
    if digits.split_whitespace().collect::<String>() != approval_digits(&log.fingerprint(), device) {
        return Err(EngineError::digits());
    }
    if log.active_devices().count() >= MAX_DEVICES {
        return Err(EngineError::full("the account has as many devices as it may have: revoke one first"));
    }
    let order = waiting.cert.created().as_millis();
    WAITING_DEVICES.put(txn.rows, device, order, &WaitingDevice { approved: true, ..waiting })?;
    Ok(Approval::Approved)
}

/// Ends devices of the account.
///
/// # Errors
/// `not_found` if one is not active; `invalid_params` if none is named.
pub fn revoke(txn: &mut Txn<'_>, devices: &[DeviceId]) -> Result<(), EngineError> {
    if devices.is_empty() {
        return Err(EngineError::invalid("device_ids", "must name at least one device"));
    }
    let log = peers::own(txn)?.pinned.log;
    for device in devices {
        if log.active(device).is_none() {
            return Err(EngineError::no_device("the account has no such device, or revoked it before"));
        }
    }
    let mut wanted = TO_REVOKE.get(txn.rows)?.unwrap_or_default();
    for device in devices {
        if !wanted.contains(device) {
            wanted.push(*device);
        }
    }
    Ok(TO_REVOKE.put(txn.rows, &wanted)?)
}

/// What the log is to say next; to end somebody comes first.
pub(crate) fn wanted(txn: &mut Txn<'_>) -> Result<Option<Wanted>, EngineError> {
    if let Some(devices) = TO_REVOKE.get(txn.rows)? {
        return Ok(Some(Wanted::Revoke(devices)));
    }
    let ready = |device: WaitingDevice| match device {
        WaitingDevice { cert, acceptance: Some(signed), approved: true } => Some(Wanted::Add(cert, signed.0)),
        _ => None,
    };
    Ok(WAITING_DEVICES.all(txn.rows)?.into_iter().find_map(ready))
}

/// The log cannot say this, and never will.
pub(crate) fn give_up(txn: &mut Txn<'_>, wanted: &Wanted) -> Result<(), RowsError> {
    match wanted {
        Wanted::Add(cert, _) => WAITING_DEVICES.delete(txn.rows, &cert.id()).map(drop),
        Wanted::Revoke(_) => TO_REVOKE.delete(txn.rows).map(drop),
    }
}

/// The log goes on: what it says by now is no longer wanted.
pub(crate) fn forget_decided_devices(txn: &mut Txn<'_>, log: &AccountLog) -> Result<(), EngineError> {
    for device in WAITING_DEVICES.all(txn.rows)? {
        let id = device.cert.id();
        if log.device(&id).is_some() {
            WAITING_DEVICES.delete(txn.rows, &id)?;
        }
    }
    let Some(mut devices) = TO_REVOKE.get(txn.rows)? else { return Ok(()) };
    devices.retain(|device| log.active(device).is_some());
    if devices.is_empty() {
        TO_REVOKE.delete(txn.rows)?;
        return Ok(());
    }
    Ok(TO_REVOKE.put(txn.rows, &devices)?)
}

/// Every device there is: active, waiting, revoked.
///
/// # Errors
/// [`RowsError`].
pub fn list(rows: &dyn Rows, log: &AccountLog, this: &DeviceId) -> Result<Vec<types::Device>, RowsError> {
    let (mut active, mut revoked) = (Vec::new(), Vec::new());
    for device in log.devices() {
        let id = device.cert.id();
        let ended = device.revoked.is_some();
        let shown = types::Device {
            added_by: Some(device.added_by).filter(|by| *by != id),
            added_ms: Some(device.added_at.as_millis()),
            let_in: log.added_through(&id),
            ..device_view(&device.cert, if ended { DeviceState::Revoked } else { DeviceState::Active }, this)
        };
        if ended { revoked.push(shown) } else { active.push(shown) }
    }
    for device in WAITING_DEVICES.all(rows)? {
        active.push(types::Device {
            digits: Some(approval_digits(&log.fingerprint(), &device.cert.id())),
            confirmed: Some(device.acceptance.is_some()),
            approved: Some(device.approved),
            ..device_view(&device.cert, DeviceState::Waiting, this)
        });
    }
    Ok(active.into_iter().chain(revoked).collect())
}

/// A device of which nothing is known but its certificate.
#[must_use]
pub fn device_view(cert: &DeviceCert, state: DeviceState, this: &DeviceId) -> types::Device {
    types::Device {
        device_id: cert.id(),
        state,
        this: cert.id() == *this,
        created_ms: cert.created().as_millis(),
        added_by: None,
        added_ms: None,
        let_in: Vec::new(),
        digits: None,
        confirmed: None,
        approved: None,
    }
}
