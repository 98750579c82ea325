//! What a log that somebody shows does to the pinned one: whoever shows it, it counts for what is signed in it.
//!
//! ```text
//! continues it ──▶ pinned                      another genesis, or a fork ──▶ rival: the user decides
//! the same, or its beginning ──▶ nothing       a fork that a revoked device signed ──▶ evidence, one event
//! ```

use chat_protocol::identity::account_log::{AccountLog, Fork, Relation};
use chat_protocol::ids::{DeviceId, Head, Username};
use chat_protocol::message::Blob;
use chat_protocol::rpc::types::FailReason;

use crate::model::error::EngineError;
use crate::peers::{self, policy, withheld};
use crate::records::events;
use crate::records::pins::{Identity, Peer, Trust};
use crate::txn::Txn;

/// Most versions kept of an account besides the pinned one and its rival.
const MOST_KEPT: usize = 16;

/// What follows where a pinned log went on, gave way, or is not there: for the floors above to do, at once and in the
/// order of the fields. That nothing leaves while another identity is undecided follows from what is stored.
#[derive(Debug)]
#[must_use]
pub(crate) struct PinChange {
    /// Whose log.
    pub(crate) user: Username,
    /// Devices that are no longer trusted: their sessions go, and nothing goes to them again.
    pub(crate) wipe: Vec<DeviceId>,
    /// What waits in line for the user ends for this reason …
    pub(crate) fail: Option<FailReason>,
    /// … and for this one what waits for its time.
    pub(crate) fail_scheduled: Option<FailReason>,
    /// What is held back of an identity that was refused goes.
    pub(crate) drop_held: bool,
    /// This account's log went on from there: what was wanted of it may be done.
    pub(crate) own_from: Option<Head>,
    /// The user is told of devices that came and went.
    pub(crate) tell: Option<DevicesTold>,
    /// Messages that waited for the log are looked at again.
    pub(crate) release: bool,
}

/// Devices of a peer that came and went.
#[derive(Debug)]
pub(crate) struct DevicesTold {
    pub(crate) added: Vec<DeviceId>,
    pub(crate) revoked: Vec<DeviceId>,
    /// Those that came get nothing until the user compares again.
    pub(crate) left_out: bool,
}

/// What follows from any number of logs, mostly none. An `Option` or `Vec` could be dropped without a warning.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct PinChanges(pub(crate) Vec<PinChange>);

impl From<Option<PinChange>> for PinChanges {
    fn from(change: Option<PinChange>) -> Self {
        Self(change.into_iter().collect())
    }
}

impl PinChange {
    /// Nothing follows.
    pub(crate) const fn none(user: Username) -> Self {
        Self {
            user,
            wipe: Vec::new(),
            fail: None,
            fail_scheduled: None,
            drop_held: false,
            own_from: None,
            tell: None,
            release: false,
        }
    }
}

/// A whole log under a name, as somebody shows it; what follows if it became the pinned one.
pub(crate) fn apply_shown_log(txn: &mut Txn<'_>, user: &Username, entries: &[Blob]) -> Result<PinChanges, EngineError> {
    let Ok(log) = AccountLog::verify(user, entries) else {
        tracing::warn!(%user, "the server showed an account log that is not valid");
        return Ok(PinChanges::default());
    };
    let change = match peers::known(txn, user)? {
        Some(peer) => compare(txn, peer, log)?,
        None => Some(meet(txn, log)?),
    };
    Ok(change.into())
}

/// What entries that somebody shows have done to the pinned log.
#[derive(Debug)]
#[must_use]
pub(crate) enum Effect {
    /// It goes on.
    Moved(PinChange),
    /// Nothing: they are known, or of another version.
    None,
    /// They do not follow from it, neither at its end nor before.
    Foreign,
}

/// Entries of a log that is known.
pub(crate) fn continued(txn: &mut Txn<'_>, user: &Username, entries: &[Blob]) -> Result<Effect, EngineError> {
    let Some(peer) = peers::known(txn, user)? else { return Ok(Effect::Foreign) };
    match peer.pinned.log.spliced(entries) {
        Ok(log) => compare(txn, peer, log).map(|moved| moved.map_or(Effect::None, Effect::Moved)),
        Err(_) => Ok(Effect::Foreign),
    }
}

/// First contact: what the server shows is pinned.
fn meet(txn: &mut Txn<'_>, log: AccountLog) -> Result<PinChange, EngineError> {
    let (user, seq) = (log.user().clone(), log.head().seq);
    let pinned = Identity { log, first_seen: txn.clock };
    let peer = Peer { known_to: Some(seq), ..Peer::new(user, pinned, Trust::Tofu) };
    peers::put(txn, &peer)?;
    Ok(PinChange::none(peer.user))
}

/// A valid log under a name that has a pinned one; what follows if the pin moved.
fn compare(txn: &mut Txn<'_>, peer: Peer, log: AccountLog) -> Result<Option<PinChange>, EngineError> {
    match peer.pinned.log.relation(&log) {
        Relation::Ahead => return extend(txn, peer, log).map(Some),
        Relation::Same => {}
        Relation::Behind => tracing::warn!(user = %peer.user, "an older account log than before was shown"),
        Relation::Forked(fork) if fork.by_revoked => evidence(txn, peer, log, &fork)?,
        Relation::Forked(_) | Relation::OtherAccount => change(txn, peer, log)?,
    }
    Ok(None)
}

/// A pinned log goes on.
pub(crate) fn extend(txn: &mut Txn<'_>, mut peer: Peer, log: AccountLog) -> Result<PinChange, EngineError> {
    let before = std::mem::replace(&mut peer.pinned.log, log);
    let log = &peer.pinned.log;
    let revoked: Vec<_> = before.active_devices().map(|cert| cert.id()).filter(|id| log.active(id).is_none()).collect();
    let added: Vec<_> = log.active_devices().map(|cert| cert.id()).filter(|id| before.device(id).is_none()).collect();
    let left_out =
        peer.user != txn.me.user && policy::grown(txn.rows, &mut peer, before.head().seq, !added.is_empty())?;
    withheld::came(&mut peer);
    peers::put(txn, &peer)?;
    for device in &revoked {
        tracing::info!(user = %peer.user, %device, "a device was revoked");
    }
    let own = peer.user == txn.me.user;
    let news = !added.is_empty() || !revoked.is_empty();
    Ok(PinChange {
        wipe: revoked.clone(),
        own_from: own.then(|| before.head()),
        tell: (news && !own).then_some(DevicesTold { added, revoked, left_out }),
        release: true,
        ..PinChange::none(peer.user)
    })
}

/// Another identity under a pinned name: told once, however often and in whatever guise it is shown, until the user
/// has decided.
fn change(txn: &mut Txn<'_>, mut peer: Peer, log: AccountLog) -> Result<(), EngineError> {
    let before = take_version(&mut peer.others, &log);
    let decided = peer.rival.is_none();
    let refused = decided && before.is_some();
    let first_seen = before.map_or(txn.clock, |before| before.first_seen);
    let shown = Identity { log, first_seen };
    if refused {
        keep(&mut peer.others, shown);
        return Ok(peers::put(txn, &peer)?);
    }
    if let Some(known) = peer.rival.replace(shown) {
        keep_other(&mut peer, known);
    }
    peers::put(txn, &peer)?;
    if decided {
        events::identity_changed(txn, &peer)?;
    }
    Ok(())
}

/// The rival gave way to another one; if that is a version of the same identity, it is no identity of its own.
fn keep_other(peer: &mut Peer, known: Identity) {
    match &mut peer.rival {
        Some(rival) if is_version(&known.log, &rival.log) => rival.first_seen = known.first_seen,
        _ => keep(&mut peer.others, known),
    }
}

/// A device that the pinned log revokes has signed another one: no reason to distrust the account.
fn evidence(txn: &mut Txn<'_>, mut peer: Peer, log: AccountLog, fork: &Fork) -> Result<(), EngineError> {
    let same_thief = |other: &Identity| peer.fork(&other.log).is_some_and(|known| known.by == fork.by);
    let known = peer.others.iter().any(same_thief);
    let first_seen = take_version(&mut peer.others, &log).map_or(txn.clock, |before| before.first_seen);
    keep(&mut peer.others, Identity { log, first_seen });
    peers::put(txn, &peer)?;
    if known { Ok(()) } else { Ok(events::fork_evidence(txn, &peer.user, fork)?) }
}

/// Whether one of two logs goes on where the other ends, if they are not the same.
pub(crate) fn is_version(one: &AccountLog, other: &AccountLog) -> bool {
    matches!(one.relation(other), Relation::Same | Relation::Ahead | Relation::Behind)
}

fn take_version(others: &mut Vec<Identity>, log: &AccountLog) -> Option<Identity> {
    let at = others.iter().position(|other| is_version(&other.log, log))?;
    Some(others.remove(at))
}

/// Keeps a version; of too many the oldest go.
pub(crate) fn keep(others: &mut Vec<Identity>, identity: Identity) {
    others.push(identity);
    let surplus = others.len().saturating_sub(MOST_KEPT);
    others.drain(..surplus);
}
