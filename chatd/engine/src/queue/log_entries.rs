//! Account logs told from device to device: whoever has the longer one sends what the other lacks, so that a server
//! that keeps back the end of a log is found out.
//!
//! Every content names where both logs stand for its author. What a message shows to be missing is sent; control
//! content creates no duty, so nobody answers an answer. Before a message goes what its reader's device is known to
//! lack of the own log, so that the reader need not ask the server how it goes on. The same entry is told to a device
//! once an hour at most, however often it names an old head: a long log goes in parts, one with each message.

use std::time::Duration;

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::device::DeviceCert;
use chat_protocol::ids::{DeviceId, Head, Username};
use chat_protocol::limits::MAX_TEXT_BYTES;
use chat_protocol::message::Blob;
use chat_protocol::session::content::{Heads, LogEntries};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::model::error::EngineError;
use crate::model::rows::{decode, load, save};
use crate::peers::{self, Recipients};
use crate::queue::pending_submits;
use crate::queue::sealing::{self, Sealed};
use crate::queue::submit_kind::SubmitKind;
use crate::sessions;
use crate::store::{Direction, Place, RowsError, Table};
use crate::txn::Txn;

/// The same is told again to a device that still does not know it.
const AGAIN: Duration = Duration::from_secs(60 * 60);
const OWED: &[u8] = b"logs";

/// What a device named and was told of one log: this account's, or that of its own account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct View {
    /// Where it last said that the log stands.
    #[n(0)]
    named: Option<Head>,
    /// Up to where it was told.
    #[n(1)]
    told: Option<Head>,
    /// When.
    #[n(2)]
    at: Option<Timestamp>,
}

/// A log that a device is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct PendingLog {
    #[n(0)]
    user: Username,
    #[n(1)]
    device: DeviceId,
    /// Whose log.
    #[n(2)]
    subject: Username,
}

fn key(device: &DeviceId, subject: &Username) -> Vec<u8> {
    [device.as_bytes().as_slice(), subject.as_str().as_bytes()].concat()
}

fn view_place(key: &[u8]) -> Place<'_> {
    Place::new(Table::Peers, b"view", key)
}

/// A device has said where the log of its account and this one's stand; in a message, which wants what it lacks.
pub(crate) fn named(
    txn: &mut Txn<'_>,
    (user, device): (&Username, &DeviceId),
    heads: &Heads,
    message: bool,
) -> Result<(), EngineError> {
    let me = txn.me.user.clone();
    for (subject, head) in [(&me, heads.peer), (user, heads.own)] {
        let key = key(device, subject);
        let view: View = load(txn.rows, view_place(&key))?.unwrap_or_default();
        let view = if view.named == Some(head) {
            view
        } else {
            let view = View { named: Some(head), ..view };
            save(txn.rows, view_place(&key), 0, &view)?;
            view
        };
        if !message {
            continue;
        }
        let Some(peer) = peers::known(txn, subject)? else { continue };
        if missing(txn, &peer.pinned.log, &view).is_some() {
            let pending = PendingLog { user: user.clone(), device: *device, subject: subject.clone() };
            save(txn.rows, Place::new(Table::Outbox, OWED, &key), 0, &pending)?;
        }
    }
    Ok(())
}

/// From which entry on a device is to be told a log; `None` if it knows it, knows more, or was told a moment ago.
fn missing(txn: &Txn<'_>, log: &AccountLog, view: &View) -> Option<u64> {
    let (named, head) = (view.named?, log.head());
    if named.seq > head.seq || named == head {
        return None;
    }
    // where another history was named, the whole of this one shows where they part
    let lacked = if log.contains(named) { named.seq.saturating_add(1) } else { 0 };
    let recently = view.at.is_some_and(|at| txn.now.since(at) < AGAIN);
    // the part that was told lately is not told again, whatever was named since
    let told = view.told.filter(|told| recently && log.contains(*told));
    let from = told.map_or(lacked, |told| lacked.max(told.seq.saturating_add(1)));
    (from <= head.seq).then_some(from)
}

/// Sends what devices that are about to get a message are known to lack of the own log.
pub(crate) fn accompany(txn: &mut Txn<'_>, devices: &[(Username, DeviceCert)]) -> Result<(), EngineError> {
    let me = txn.me.user.clone();
    devices.iter().try_for_each(|(user, cert)| tell(txn, user, cert, &me))
}

/// Sends what messages have shown to be missing.
pub(crate) fn pump(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    for (_, bytes) in txn.rows.scan(Table::Outbox, OWED, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        if !pending_submits::has_room(txn)? {
            break;
        }
        let pending: PendingLog = decode(Table::Outbox, &bytes)?;
        send(txn, &pending)?;
    }
    Ok(())
}

fn send(txn: &mut Txn<'_>, pending: &PendingLog) -> Result<(), EngineError> {
    let Recipients::Devices(devices) = peers::recipients(txn, &pending.user)? else { return Ok(()) };
    if let Some((user, cert)) = devices.into_iter().find(|(_, cert)| cert.id() == pending.device) {
        if !sessions::ready(txn, &[(user.clone(), cert.clone())])? {
            return Ok(());
        }
        tell(txn, &user, &cert, &pending.subject)?;
    }
    txn.rows.delete(Place::new(Table::Outbox, OWED, &key(&pending.device, &pending.subject)))?;
    Ok(())
}

/// Tells a device with a session what it lacks of a log, if it lacks anything.
fn tell(txn: &mut Txn<'_>, user: &Username, cert: &DeviceCert, subject: &Username) -> Result<(), EngineError> {
    let key = key(&cert.id(), subject);
    let Some(view) = load::<View>(txn.rows, view_place(&key))? else { return Ok(()) };
    let log = if *subject == txn.me.user {
        peers::own(txn)?
    } else {
        peers::known(txn, subject)?.ok_or_else(EngineError::unknown_user)?
    };
    let log = log.pinned.log;
    let Some(from) = missing(txn, &log, &view) else { return Ok(()) };
    let entries = fitting(&log, from);
    let told = (from + entries.len() as u64).checked_sub(1).and_then(|last| log.head_at(last));
    save(txn.rows, view_place(&key), 0, &View { told, at: Some(txn.now), ..view })?;
    let Sealed { heads, to } = sealing::seal_log(txn, user, cert, LogEntries { user: subject.clone(), entries })?;
    Ok(pending_submits::submit_envelopes(txn, heads, to, SubmitKind::Log(user.clone(), cert.id()))?)
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
        let key = key(device, subject);
        if let Some(view) = load::<View>(txn.rows, view_place(&key))? {
            save(txn.rows, view_place(&key), 0, &View { told: None, at: None, ..view })?;
        }
    }
    Ok(())
}
