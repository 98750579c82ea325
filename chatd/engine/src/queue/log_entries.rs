//! Account logs told from device to device: whoever has the longer one sends what the other lacks, so that a server
//! that keeps back the end of a log is found out.
//!
//! Every content names where both logs stand for its author. What a message shows to be missing is sent; control
//! content creates no duty, so nobody answers an answer. Before a message goes what its reader's device is known to
//! lack of the own log, so that the reader need not ask the server how it goes on. The same entry is told to a device
//! once an hour at most, however often it names an old head: a long log goes in parts, one with each message.

use std::time::Duration;

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::limits::MAX_TEXT_BYTES;
use chat_protocol::message::Blob;
use chat_protocol::session::content::{Heads, LogEntries};

use crate::model::error::EngineError;
use crate::peers::{self, DeviceTable, Recipients};
use crate::queue::pending_submits;
use crate::queue::sealing::{self, Sealed};
use crate::records::contacts;
use crate::rows::outbox::PendingLog;
use crate::rows::outbox::SubmitKind;
use crate::rows::peers::LogView;
use crate::rows::{LOG_VIEWS, PENDING_LOGS};
use crate::sessions;
use crate::store::RowsError;
use crate::txn::Txn;

/// The same is told again to a device that still does not know it.
const AGAIN: Duration = Duration::from_secs(60 * 60);

/// A device has said where the log of its account and this one's stand; in a message, which wants what it lacks.
pub(crate) fn named(
    txn: &mut Txn<'_>,
    (user, device): (&Username, &DeviceId),
    heads: &Heads,
    message: bool,
) -> Result<(), EngineError> {
    let me = txn.me.user.clone();
    for (subject, head) in [(&me, heads.peer), (user, heads.own)] {
        let key = (*device, subject.clone());
        let view = LOG_VIEWS.get(txn.rows, &key)?.unwrap_or_default();
        let view = if view.named == Some(head) {
            view
        } else {
            let view = LogView { named: Some(head), ..view };
            LOG_VIEWS.put(txn.rows, &key, 0, &view)?;
            view
        };
        if !message || contacts::keeps_back(txn, user)? {
            continue;
        }
        let Some(table) = peers::table(txn, subject)? else { continue };
        if missing(txn, &table, &view)?.is_some() {
            let pending = PendingLog { user: user.clone(), device: *device, subject: subject.clone() };
            PENDING_LOGS.put(txn.rows, &key, 0, &pending)?;
        }
    }
    Ok(())
}

/// From which entry on a device is to be told a log; `None` if it knows it, knows more, or was told a moment ago.
fn missing(txn: &Txn<'_>, log: &DeviceTable, view: &LogView) -> Result<Option<u64>, RowsError> {
    let head = log.head;
    let Some(named) = view.named.filter(|named| named.seq <= head.seq && *named != head) else { return Ok(None) };
    // where another history was named, the whole of this one shows where they part
    let lacked = if log.contains(txn.rows, named)? { named.seq.saturating_add(1) } else { 0 };
    let recently = view.at.is_some_and(|at| txn.now.since(at) < AGAIN);
    // the part that was told lately is not told again, whatever was named since
    let from = match view.told.filter(|_| recently) {
        Some(told) if log.contains(txn.rows, told)? => lacked.max(told.seq.saturating_add(1)),
        _ => lacked,
    };
    Ok((from <= head.seq).then_some(from))
}

/// Sends what devices that are about to get a message are known to lack of the own log.
pub(crate) fn accompany(txn: &mut Txn<'_>, devices: &[(Username, DeviceId)]) -> Result<(), EngineError> {
    let me = txn.me.user.clone();
    devices.iter().try_for_each(|(user, device)| tell(txn, user, device, &me))
}

/// Sends what messages have shown to be missing.
pub(crate) fn send_log_entries(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    for pending in PENDING_LOGS.all(txn.rows)? {
        if !pending_submits::has_room(txn)? {
            break;
        }
        send(txn, &pending)?;
    }
    Ok(())
}

fn send(txn: &mut Txn<'_>, pending: &PendingLog) -> Result<(), EngineError> {
    let Recipients::Devices(devices) = peers::recipients(txn, &pending.user)? else { return Ok(()) };
    if let Some((user, device)) = devices.into_iter().find(|(_, device)| *device == pending.device) {
        if !sessions::ready(txn, &user, &device)? {
            return Ok(());
        }
        tell(txn, &user, &device, &pending.subject)?;
    }
    PENDING_LOGS.delete(txn.rows, &(pending.device, pending.subject.clone()))?;
    Ok(())
}

/// Tells a device with a session what it lacks of a log, if it lacks anything.
fn tell(txn: &mut Txn<'_>, user: &Username, device: &DeviceId, subject: &Username) -> Result<(), EngineError> {
    let key = (*device, subject.clone());
    let Some(view) = LOG_VIEWS.get(txn.rows, &key)? else { return Ok(()) };
    let table = peers::table(txn, subject)?.ok_or_else(EngineError::unknown_user)?;
    let Some(from) = missing(txn, &table, &view)? else { return Ok(()) };
    let log = peers::known(txn, subject)?.ok_or_else(EngineError::unknown_user)?.pinned.log;
    let entries = fitting(&log, from);
    let told = (from + entries.len() as u64).checked_sub(1).and_then(|last| log.head_at(last));
    LOG_VIEWS.put(txn.rows, &key, 0, &LogView { told, at: Some(txn.now), ..view })?;
    let Sealed { heads, to } = sealing::seal_log(txn, user, device, LogEntries { user: subject.clone(), entries })?;
    Ok(pending_submits::submit_envelopes(txn, heads, to, SubmitKind::Log(user.clone(), *device))?)
}

/// As many entries as one content holds.
fn fitting(log: &AccountLog, from: u64) -> Vec<Blob> {
    let mut room = MAX_TEXT_BYTES;
    let fits = |entry: &&[u8]| {
        let left = room.checked_sub(entry.len().saturating_add(4));
        room = left.unwrap_or(0);
        left.is_some()
    };
    log.entries_from(from).take_while(fits).map(|entry| entry.to_vec().into()).collect()
}

/// What was told did not leave: it is told with the next message.
pub(crate) fn untold(txn: &mut Txn<'_>, user: &Username, device: &DeviceId) -> Result<(), RowsError> {
    let me = txn.me.user.clone();
    for subject in [&me, user] {
        let key = (*device, subject.clone());
        if let Some(view) = LOG_VIEWS.get(txn.rows, &key)? {
            LOG_VIEWS.put(txn.rows, &key, 0, &LogView { told: None, at: None, ..view })?;
        }
    }
    Ok(())
}
