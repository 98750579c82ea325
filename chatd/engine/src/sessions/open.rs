//! Opening on a session that is there, and what to do when that fails.

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::Envelope;
use chat_protocol::rpc::types::UndecryptableReason;
use chat_protocol::session::content::{Body, Content};
use chat_protocol::session::manager::{Arrival, Failures, Stage, Standings};
use chat_protocol::session::ratchet::{Header, Opened};
use chat_protocol::time::Timestamp;
use zeroize::Zeroizing;

use crate::model::error::EngineError;
use crate::peers;
use crate::records::events;
use crate::rows::{FAILURES, SKIPPED_KEYS};
use crate::sessions::session_store::{self, Stored};
use crate::sessions::{maintenance, restarts, skipped};
use crate::txn::Txn;

/// What an envelope contained, and from whom it is.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) user: Username,
    pub(crate) device: DeviceId,
    pub(crate) plaintext: Zeroizing<Vec<u8>>,
    /// What the plaintext says, until somebody takes it; `None` if it makes no sense.
    pub(crate) content: Option<Content>,
}

/// A message that a session opened, and what it says; `None` if that makes no sense.
pub(crate) struct Read {
    opened: Opened,
    content: Option<Content>,
}

impl Read {
    pub(crate) fn of(opened: Opened) -> Self {
        Self { content: Content::decode(&opened.plaintext).ok(), opened }
    }

    /// Whether it says this and nothing else.
    pub(crate) fn says(&self, body: &Body) -> bool {
        self.content.as_ref().is_some_and(|content| content.body == *body)
    }
}

/// Opens an envelope on a session. `None` leaves everything as it was.
pub(crate) fn open(txn: &mut Txn<'_>, stored: &Stored, envelope: &Envelope) -> Result<Option<Received>, EngineError> {
    let skipped = SKIPPED_KEYS.of(&envelope.sid);
    let Ok(header) = Header::read(&envelope.header) else { return Ok(None) };
    let id = header.skipped_id();
    let key = skipped.get(txn.rows, &id)?;
    let opened = stored.session.open(&envelope.header, &envelope.token, key.as_ref(), txn.rng);
    let Ok(opened) = opened else { return Ok(None) };
    if opened.used_skipped {
        skipped.delete(txn.rows, &id)?;
    }
    let known = session_store::standings(txn.rows, &stored.device)?;
    commit(txn, stored.clone(), Read::of(opened), known, envelope.init.is_some()).map(Some)
}

/// Stores all that opening a message has changed.
pub(crate) fn commit(
    txn: &mut Txn<'_>,
    mut stored: Stored,
    read: Read,
    mut known: Standings,
    with_init: bool,
) -> Result<Received, EngineError> {
    let (sid, heartbeat) = (stored.session.id(), read.says(&Body::Heartbeat));
    let Read { opened, content } = read;
    if !opened.new_skipped.is_empty() {
        skipped::date_skipped_keys(txn, &sid, &opened)?;
    }
    for skipped in &opened.new_skipped {
        SKIPPED_KEYS.of(&sid).put(txn.rows, &skipped.id, skipped.order, &skipped.key)?;
    }
    if let Some(last) = opened.forget_below.checked_sub(1) {
        SKIPPED_KEYS.of(&sid).delete_range(txn.rows, 0..=last)?;
    }
    stored.session = opened.session;
    known.opened(sid, Arrival { with_init, heartbeat, now: txn.now });
    if known.get(sid).is_some_and(|standing| standing.stage == Stage::Confirmed) {
        restarts::forget(txn, &stored.device)?;
    }
    if !known.needs_init(sid) {
        stored.init = None;
    }
    session_store::put(txn.rows, &stored)?;
    session_store::keep_few(txn, &stored.device, known)?;
    Ok(Received { user: stored.user, device: stored.device, plaintext: opened.plaintext, content })
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
    if peers::device(txn, user, device)?.is_none() {
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
