//! What the user decides about a peer's identity.

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::safety_number::SafetyNumber;
use chat_protocol::ids::{Fingerprint, Head, Username};
use chat_protocol::rpc::types::{Compared, FailReason};

use crate::model::error::EngineError;
use crate::peers;
use crate::peers::pin::{self, PinChange};
use crate::records::events;
use crate::records::pins::{self, Identity, Peer, Trust};
use crate::txn::Txn;

/// The user decides which identity counts; what follows.
pub(crate) fn accept(
    txn: &mut Txn<'_>,
    user: &Username,
    fingerprint: &Fingerprint,
    head: &Head,
) -> Result<PinChange, EngineError> {
    let peer = pins::get(txn.rows, user)?.ok_or_else(EngineError::unknown_user)?;
    let named = |log: &AccountLog| log.fingerprint() == *fingerprint && log.head() == *head;
    choose(txn, peer, named)?.ok_or_else(EngineError::conflict)
}

/// The user has compared an identity. While a change is undecided that decides it; what follows.
pub(crate) fn accept_compared(
    txn: &mut Txn<'_>,
    user: &Username,
    compared: &Compared,
) -> Result<PinChange, EngineError> {
    let peer = pins::get(txn.rows, user)?.ok_or_else(EngineError::unknown_user)?;
    if matches!(compared, Compared::Fingerprint(_))
        && peer.rival.as_ref().is_some_and(|it| peer.fork(&it.log).is_some())
    {
        return Err(EngineError::not_theirs(
            "the fingerprint fits both versions of the log: compare the safety number",
        ));
    }
    let own = peers::own(txn)?.pinned.log;
    choose(txn, peer, |log| fits(compared, &own, log))?.ok_or(EngineError::not_theirs(differs(compared)))
}

/// The pinned identity is the one that was compared.
pub(crate) fn mark_verified(txn: &mut Txn<'_>, user: &Username, compared: &Compared) -> Result<(), EngineError> {
    let mut peer = pins::get(txn.rows, user)?.ok_or_else(EngineError::unknown_user)?;
    let before = (peer.trust, peer.known_to);
    peer.trust = Trust::Verified;
    peer.known_to = peer.known_to.max(Some(reach(compared, &peer.pinned.log)));
    peers::put(txn, &peer)?;
    if (peer.trust, peer.known_to) != before {
        txn.live.requests_looked = None;
        events::verified(txn, &peer)?;
    }
    Ok(())
}

/// The user no longer stands by having compared.
///
/// # Errors
/// `not_found`; `invalid_params` for the own account, which nobody has to compare.
pub fn unverify(txn: &mut Txn<'_>, user: &Username) -> Result<(), EngineError> {
    if *user == txn.me.user {
        return Err(EngineError::invalid("user", "must be somebody else"));
    }
    let mut peer = pins::get(txn.rows, user)?.ok_or_else(EngineError::unknown_user)?;
    peer.trust = Trust::Tofu;
    Ok(peers::put(txn, &peer)?)
}

fn fits(compared: &Compared, own: &AccountLog, log: &AccountLog) -> bool {
    match compared {
        Compared::Fingerprint(fingerprint) => log.fingerprint() == *fingerprint,
        Compared::SafetyNumber(number) => SafetyNumber::of(own, log) == *number,
        Compared::Code(code) => {
            code.user == *log.user() && code.fingerprint == log.fingerprint() && log.contains(code.head)
        }
    }
}

const fn differs(compared: &Compared) -> &'static str {
    match compared {
        Compared::Fingerprint(_) => "this is not their fingerprint",
        Compared::SafetyNumber(_) => "this is not the safety number",
        Compared::Code(_) => "this is not their code, or their log goes on and the server does not show how",
    }
}

/// Up to which entry the compared devices came: a code may be older than the log.
fn reach(compared: &Compared, log: &AccountLog) -> u64 {
    match compared {
        Compared::Code(code) => code.head.seq,
        Compared::Fingerprint(_) | Compared::SafetyNumber(_) => log.head().seq,
    }
}

/// The wanted identity counts from now on; `None` if no version is the wanted one.
fn choose(
    txn: &mut Txn<'_>,
    peer: Peer,
    wanted: impl Fn(&AccountLog) -> bool,
) -> Result<Option<PinChange>, EngineError> {
    if wanted(&peer.pinned.log) { stay(txn, peer).map(Some) } else { switch(txn, peer, wanted) }
}

/// The pinned identity stays; whatever claimed to be another one is refused.
fn stay(txn: &mut Txn<'_>, mut peer: Peer) -> Result<PinChange, EngineError> {
    let Some(rival) = peer.rival.take() else { return Ok(PinChange::none(peer.user)) };
    pin::keep(&mut peer.others, rival);
    peers::put(txn, &peer)?;
    Ok(PinChange { drop_held: true, ..PinChange::none(peer.user) })
}

/// Another identity takes the place of the pinned one; `None` if no version is the wanted one, or if it is this
/// account's.
fn switch(
    txn: &mut Txn<'_>,
    mut peer: Peer,
    wanted: impl Fn(&AccountLog) -> bool,
) -> Result<Option<PinChange>, EngineError> {
    // the own log is left by a reset alone: no local program may have this device follow a thief's
    if peer.user == txn.me.user {
        return Ok(None);
    }
    let Some(next) = take(&mut peer, wanted) else { return Ok(None) };
    let old = std::mem::replace(&mut peer.pinned, next);
    let wipe = old.log.active_devices().map(|cert| cert.id()).collect();
    pin::keep(&mut peer.former, old);
    peer.trust = Trust::Tofu;
    peer.known_to = Some(peer.pinned.log.head().seq);
    (peer.withheld, peer.withheld_since) = (None, None);
    peers::put(txn, &peer)?;
    // what was written for the old identity is not sealed for the new one by itself
    let reason = Some(FailReason::IdentityChanged);
    Ok(Some(PinChange { wipe, fail: reason, fail_scheduled: reason, ..PinChange::none(peer.user) }))
}

/// Takes the wanted version out of those that are known; a rival that is not it counts as refused.
fn take(peer: &mut Peer, wanted: impl Fn(&AccountLog) -> bool) -> Option<Identity> {
    let mut candidates: Vec<_> =
        peer.rival.iter().chain(peer.others.iter().rev()).chain(peer.former.iter().rev()).collect();
    candidates.retain(|identity| wanted(&identity.log));
    let next = (*candidates.first()?).clone();
    if let Some(rival) = peer.rival.take() {
        pin::keep(&mut peer.others, rival);
    }
    peer.others.retain(|other| other.log != next.log);
    peer.former.retain(|other| other.log != next.log);
    Some(next)
}
