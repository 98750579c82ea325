//! Opening on a session that is there, and what to do when that fails.

use std::sync::Arc;

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::Envelope;
use chat_protocol::rpc::types::UndecryptableReason;
use chat_protocol::session::init::Init;
use chat_protocol::session::manager::{Arrival, Failures, Stage};
use chat_protocol::session::ratchet::{Header, Opened};
use chat_protocol::time::Timestamp;
use zeroize::Zeroizing;

use crate::model::error::EngineError;
use crate::peers;
use crate::records::{contacts, events, requests};
use crate::rows::{FAILURES, SKIPPED_KEYS};
use crate::sessions::session_store::{self, Stored};
use crate::sessions::{accept, maintenance, restarts, skipped};
use crate::store::RowsError;
use crate::txn::Txn;

/// A message that a session opened, bytes that nobody has read yet. Nothing is stored before it is committed.
#[must_use]
pub(crate) struct Opening {
    pub(super) stored: Stored,
    pub(super) opened: Opened,
    /// The key kept for it, if that opened it.
    pub(super) used: Option<Vec<u8>>,
    pub(super) with_init: bool,
    /// The INIT that began the session just now.
    pub(super) begun: Option<Arc<Init>>,
}

/// Whose message was opened, and what it says.
pub(crate) struct Committed {
    pub(crate) user: Username,
    pub(crate) device: DeviceId,
    pub(crate) plaintext: Zeroizing<Vec<u8>>,
}

/// What a message says to the session it came through. Whoever reads it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// Nothing.
    None,
    /// It asks for no heartbeat in return.
    Heartbeat,
    /// It takes the place of sessions that broke.
    Reset,
}

impl Opening {
    /// What was sealed.
    pub(crate) fn plaintext(&self) -> &[u8] {
        &self.opened.plaintext
    }
}

/// Opens an envelope on a session; `None` if it does not open.
pub(crate) fn open(txn: &mut Txn<'_>, stored: Stored, envelope: &Envelope) -> Result<Option<Opening>, RowsError> {
    let Ok(header) = Header::read(&envelope.header) else { return Ok(None) };
    let id = header.skipped_id();
    let key = SKIPPED_KEYS.of(&envelope.sid).get(txn.rows, &id)?;
    let opened = stored.session.open(&envelope.header, &envelope.token, key.as_ref(), txn.rng);
    let Ok(opened) = opened else { return Ok(None) };
    let used = opened.used_skipped.then_some(id);
    Ok(Some(Opening { stored, opened, used, with_init: envelope.init.is_some(), begun: None }))
}

/// Stores all that opening a message has changed.
pub(crate) fn commit(txn: &mut Txn<'_>, opening: Opening, control: Control) -> Result<Committed, RowsError> {
    let Opening { mut stored, opened, used, with_init, begun } = opening;
    let sid = stored.session.id();
    let mut known = session_store::standings(txn.rows, &stored.device)?;
    if let Some(init) = begun {
        accept::note_answered(txn, &init)?;
        known.take_in(sid, control == Control::Reset, txn.now);
    }
    skipped::store_skipped_keys(txn, &sid, &opened, used.as_deref())?;
    stored.session = opened.session;
    known.opened(sid, Arrival { with_init, heartbeat: control == Control::Heartbeat, now: txn.now });
    if known.get(sid).is_some_and(|standing| standing.stage == Stage::Confirmed) {
        restarts::forget(txn, &stored.device)?;
    }
    if !known.needs_init(sid) {
        stored.init = None;
    }
    session_store::put(txn.rows, &stored)?;
    session_store::keep_few(txn, &stored.device, known)?;
    Ok(Committed { user: stored.user, device: stored.device, plaintext: opened.plaintext })
}

/// An envelope did not open: one event, and after several a new session.
pub(crate) fn did_not_open(txn: &mut Txn<'_>, user: &Username, device: &DeviceId) -> Result<(), EngineError> {
    events::undecryptable(txn, user, UndecryptableReason::DoesNotOpen)?;
    reset_if(txn, user, device, Failures::record).map(drop)
}

/// Messages of a device found no room here: a new session, so that it sends them again. False if that has to wait.
pub(crate) fn lost(txn: &mut Txn<'_>, user: &Username, device: &DeviceId) -> Result<bool, EngineError> {
    reset_if(txn, user, device, Failures::reset)
}

fn reset_if(
    txn: &mut Txn<'_>,
    user: &Username,
    device: &DeviceId,
    decide: impl FnOnce(&mut Failures, Timestamp) -> bool,
) -> Result<bool, EngineError> {
    if contacts::keeps_back(txn, user)? {
        // asked for again once they are known
        requests::note_dropped(txn, user)?;
        return Ok(false);
    }
    if !peers::is_active(txn, user, device)? {
        return Ok(false);
    }
    let mut failures = FAILURES.get(txn.rows, device)?.unwrap_or_default();
    let reset = decide(&mut failures, txn.now);
    FAILURES.put(txn.rows, device, 0, &failures)?;
    if reset {
        maintenance::schedule_reset(txn, user, device)?;
    }
    Ok(reset)
}
