//! Answering the INIT of a peer.

use std::sync::Arc;

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::message::Envelope;
use chat_protocol::session::init::{self, Init, Own, Share};

use crate::model::error::EngineError;
use crate::peers;
use crate::rows::INITS_ANSWERED;
use crate::rows::inbox::Raw;
use crate::sessions::open::Opening;
use crate::sessions::prekeys;
use crate::sessions::session_store::Stored;
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// Reads the INIT of a waiting envelope; `None` if nothing will ever come of it.
pub(crate) fn read_init(txn: &mut Txn<'_>, raw: &Raw) -> Result<Option<Arc<Init>>, RowsError> {
    let Some(init) = raw.envelope.init.as_ref().and_then(|bytes| txn.live.inits_read.read(bytes)) else {
        return Ok(None);
    };
    let addressed = init.check_addressed(&raw.device, &txn.me.cert).is_ok() && init.initiator().user == raw.from;
    let known = addressed && prekeys::names_known(txn.rows, &init)? && !known_init(txn.rows, &init)?;
    Ok(known.then_some(init))
}

fn known_init(rows: &dyn Rows, init: &Init) -> Result<bool, RowsError> {
    INITS_ANSWERED.has(rows, &init.hash())
}

/// Whether an envelope begins a session that was begun before and is gone.
pub(crate) fn is_replay(txn: &mut Txn<'_>, envelope: &Envelope) -> Result<bool, RowsError> {
    match envelope.init.as_ref().and_then(|bytes| txn.live.inits_read.read(bytes)) {
        Some(init) => known_init(txn.rows, &init),
        None => Ok(false),
    }
}

/// Whether an INIT fits its author's pinned log and the session id it came under; no RSA yet.
pub(crate) fn fits(txn: &mut Txn<'_>, raw: &Raw, init: &Init, log: &AccountLog) -> Result<bool, EngineError> {
    let me = peers::own(txn)?;
    let own = Own { keys: &txn.me.keys, cert: &txn.me.cert, log: &me.pinned.log };
    let Some(keys) = prekeys::named(txn.rows, init)? else { return Ok(false) };
    let resolved = init::resolve(init, own, keys.borrowed(), log);
    Ok(resolved.is_ok_and(|resolved| resolved.session_id() == raw.envelope.sid))
}

/// Answers an INIT with the first of the envelopes it came with that opens; says which one that is. With it the session,
/// the used one-time key and the replay entry are stored, once it is committed.
pub(crate) fn accept(txn: &mut Txn<'_>, alike: &[Raw], share: Share) -> Result<Option<(usize, Opening)>, EngineError> {
    let Some(raw) = alike.first() else { return Ok(None) };
    let Some(init) = read_init(txn, raw)? else { return Ok(None) };
    let Some(peer) = peers::known(txn, &raw.from)? else { return Ok(None) };
    let Some(keys) = prekeys::named(txn.rows, &init)? else { return Ok(None) };
    let me = peers::own(txn)?;
    let own = Own { keys: &txn.me.keys, cert: &txn.me.cert, log: &me.pinned.log };
    let resolved = init::resolve(&init, own, keys.borrowed(), &peer.pinned.log);
    let Some(session) = resolved.ok().and_then(|resolved| resolved.session(share).ok()) else { return Ok(None) };
    if session.id() != raw.envelope.sid {
        return Ok(None);
    }
    let mut opened = alike.iter().enumerate().filter_map(|(nth, Raw { envelope, .. })| {
        Some((nth, session.open(&envelope.header, &envelope.token, None, txn.rng).ok()?))
    });
    let Some((nth, opened)) = opened.next() else { return Ok(None) };
    let stored = Stored { session, user: raw.from.clone(), device: raw.device, init: None };
    Ok(Some((nth, Opening { stored, opened, used: None, with_init: true, begun: Some(init) })))
}

/// An INIT has begun a session: it begins no other, and neither does its one-time key.
pub(super) fn note_answered(txn: &mut Txn<'_>, init: &Init) -> Result<(), RowsError> {
    INITS_ANSWERED.put(txn.rows, &init.hash(), txn.now.as_millis(), &())?;
    prekeys::used(txn, init)
}
