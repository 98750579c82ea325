//! Extends the own account log, one signed entry at a time.
//!
//! ```text
//! wanted ──signed, committed──▶ pending ──sent until answered──▶ taken: the log goes on, and is told
//!    ▲                             │
//!    └── stale, and another valid entry stands there now; or the log is another one since a reset
//! ```
//! A server that stands at an earlier entry, because it was restored or never took what others told, is handed again what it
//! lacks, before anything else is signed: until then it takes nothing for this account.
//!
//! What was signed is repeated byte for byte, so that this device never signs two entries for one place of which both
//! could stand. Nobody is told of a head that the server has not taken.

use std::time::Duration;

use chat_protocol::identity::account_log::{AccountLog, Author, LogError};
use chat_protocol::ids::Head;
use chat_protocol::message::Blob;
use chat_protocol::message::client::LogAppend;
use chat_protocol::message::server::{Code, Refusal};

use crate::exchange::devices::{self, Wanted};
use crate::exchange::read_elsewhere;
use crate::model::error::EngineError;
use crate::peers::{self, PinChanges};
use crate::records::events;
use crate::rows::PENDING_ENTRY;
use crate::rows::peers::PendingEntry;
use crate::txn::Txn;
use crate::txn::live::{Asked, Subject};

/// Pause before an entry that the server did not take is sent again; doubled with each time in a row.
const APPEND_PAUSE: Duration = Duration::from_secs(30);

/// Sends what is signed, or signs what is wanted next.
pub(crate) fn maintain_own_log(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    // a log that is being fetched would make the entry stale
    let me = txn.me.user.clone();
    if txn.live.link.is_none() || txn.paused(&Subject::Append) || peers::fetching(txn, &me) {
        return Ok(());
    }
    if let Some(ask) = lacking(txn)? {
        txn.ask(Asked::Append(ask.head.seq), &ask);
        return Ok(());
    }
    let pending = match PENDING_ENTRY.get(txn.rows)? {
        // after a reset of the account nobody could take what was signed for the log before it
        Some(pending) if pending.on == peers::own_table(txn)?.head => pending,
        _ => match sign(txn)? {
            Some(pending) => pending,
            None => return Ok(()),
        },
    };
    let PendingEntry { on, entry } = pending;
    txn.ask(Asked::Append(on.seq), &LogAppend { head: on, entry });
    Ok(())
}

fn sign(txn: &mut Txn<'_>) -> Result<Option<PendingEntry>, EngineError> {
    let Some(wanted) = devices::wanted(txn)? else { return Ok(None) };
    let log = peers::own(txn)?.pinned.log;
    match write(txn, &log, &wanted) {
        Ok(entry) => {
            let pending = PendingEntry { on: log.head(), entry: Blob(entry) };
            PENDING_ENTRY.put(txn.rows, &pending)?;
            Ok(Some(pending))
        }
        Err(error) => {
            tracing::warn!(%error, "the account log cannot say what was asked for");
            devices::give_up(txn, &wanted)?;
            Ok(None)
        }
    }
}

fn write(txn: &mut Txn<'_>, log: &AccountLog, wanted: &Wanted) -> Result<Vec<u8>, LogError> {
    let author = Author { key: &txn.me.keys.signing, cert: &txn.me.cert, at: txn.clock };
    match wanted {
        Wanted::Add(cert, acceptance) => log.add_device(author, cert, acceptance.clone(), txn.rng),
        Wanted::Revoke(devices) => log.revoke_devices(author, devices.clone(), txn.rng),
    }
}

/// The first entry of the own log that the server lacks.
fn lacking(txn: &mut Txn<'_>) -> Result<Option<LogAppend>, EngineError> {
    let Some(head) = txn.live.own_log_at_server else { return Ok(None) };
    let log = peers::own(txn)?.pinned.log;
    let entry = log.contains(head).then(|| log.entries_from(head.seq.saturating_add(1)).next()).flatten();
    if entry.is_none() {
        txn.live.own_log_at_server = None;
    }
    Ok(entry.map(|entry| LogAppend { head, entry: entry.to_vec().into() }))
}

/// The server has an entry that it lacked, or did not take it.
fn handed_again(txn: &mut Txn<'_>, at: Head, answer: Result<(), Refusal>) -> Result<(), EngineError> {
    match answer {
        Ok(()) => {
            txn.succeeded(&Subject::Append);
            txn.live.own_log_at_server = peers::own(txn)?.pinned.log.head_at(at.seq.saturating_add(1));
            Ok(())
        }
        Err(refusal) => {
            put_off(txn, &refusal);
            peers::behind::refused_at(txn, refusal.heads.as_deref().unwrap_or_default())?;
            fetch(txn)
        }
    }
}

fn put_off(txn: &mut Txn<'_>, refusal: &Refusal) {
    tracing::warn!(code = ?refusal.code, "the server did not take an entry of the account log");
    let named = Duration::from_millis(refusal.retry_after_ms.unwrap_or(0));
    txn.back_off(Subject::Append, named.max(APPEND_PAUSE));
}

/// The server took the entry, or did not; what follows.
pub(crate) fn appended(txn: &mut Txn<'_>, on: u64, answer: Result<(), Refusal>) -> Result<PinChanges, EngineError> {
    if let Some(at) = txn.live.own_log_at_server.filter(|head| head.seq == on) {
        return handed_again(txn, at, answer).map(|()| PinChanges::default());
    }
    let pending = PENDING_ENTRY.get(txn.rows)?.filter(|pending| pending.on.seq == on);
    let Some(pending) = pending else { return Ok(PinChanges::default()) };
    match answer {
        Ok(()) => {
            let peer = peers::own(txn)?;
            let mut log = peer.pinned.log.clone();
            if log.extend(&[&*pending.entry]).is_ok() {
                return Ok(Some(peers::extend(txn, peer, log)?).into());
            }
            // others were quicker: the log as the server has it will show
            fetch(txn)?;
        }
        Err(Refusal { code: Code::Stale, .. }) => {
            // until another entry is seen to stand there, this one may yet
            txn.back_off(Subject::Append, APPEND_PAUSE);
            fetch(txn)?;
        }
        Err(refusal) => put_off(txn, &refusal),
    }
    Ok(PinChanges::default())
}

fn fetch(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    let me = txn.me.user.clone();
    txn.live.pause.remove(&Subject::Peer(me.clone()));
    peers::fetch(txn, &me)
}

/// The own log goes on: what this device wanted to say has been said, or has to be said behind it.
pub(crate) fn grew(txn: &mut Txn<'_>, before: Head) -> Result<(), EngineError> {
    let log = peers::own(txn)?.pinned.log;
    if PENDING_ENTRY.get(txn.rows)?.is_some_and(|pending| pending.on.seq < log.head().seq) {
        PENDING_ENTRY.delete(txn.rows)?;
        txn.succeeded(&Subject::Append);
    }
    devices::forget_decided_devices(txn, &log)?;
    tell(txn, before, &log)
}

/// Tells whoever listens which devices came and went; what one that went has said ends with it.
fn tell(txn: &mut Txn<'_>, before: Head, log: &AccountLog) -> Result<(), EngineError> {
    for device in log.devices() {
        let id = device.cert.id();
        if device.added > before.seq {
            events::device_added(txn, id, device.added_by)?;
        }
        if let (Some(seq), Some(by)) = (device.revoked, device.revoked_by)
            && seq > before.seq
        {
            read_elsewhere::ended(txn, &id)?;
            events::device_revoked(txn, id, by)?;
        }
    }
    Ok(())
}

/// This device has been let in.
///
/// # Errors
/// [`EngineError::Rows`].
pub fn let_in(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    let (me, log) = (txn.me.device, peers::own(txn)?.pinned.log);
    match log.device(&me) {
        Some(device) => Ok(events::device_added(txn, me, device.added_by)?),
        None => Ok(()),
    }
}
