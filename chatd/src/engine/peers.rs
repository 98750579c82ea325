//! Who the others are: their account logs as pinned here, and how far they are trusted.
//!
//! ```text
//! unknown ──log verified──▶ tofu ──user compared──▶ verified
//!                             │                        │ valid extensions keep either
//!                             └──── another identity ──┴──▶ changed: nothing leaves, until
//!                                                            the user accepts one of the two
//! ```
//! The server stores logs and cannot extend them; what does not follow from the pin is never used.

use std::collections::BTreeSet;
use std::time::Duration;

use chat_protocol::identity::account_log::{AccountLog, Relation};
use chat_protocol::identity::device::DeviceCert;
use chat_protocol::ids::{DeviceId, Fingerprint, Head, Username};
use chat_protocol::limits::MAX_LOG_ENTRIES;
use chat_protocol::message::Blob;
use chat_protocol::message::client::{LogFetch, Lookup, UserHead};
use chat_protocol::message::server::{Code, LogPage, LookedUp, Refusal};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use super::state::{decode, load, save};
use super::turn::{Asked, Subject, Turn};
use super::{EngineError, events, inbox, outbox, sessions, timers};
use crate::store::{Direction, Place, Rows, RowsError, Table};

/// Pause before a name is looked up again that gave nothing usable.
const LOOKUP_PAUSE: Duration = Duration::from_secs(60);

/// How far an identity is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Trust {
    /// Pinned when it was first seen.
    #[n(0)]
    Tofu,
    /// Compared by the user.
    #[n(1)]
    Verified,
}

/// One identity somebody had or claims.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Identity {
    /// Its log, verified when it was taken in.
    #[n(0)]
    pub log: AccountLog,
    /// When it was first seen here.
    #[n(1)]
    pub first_seen: Timestamp,
}

/// What is known about another account.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Peer {
    /// Name.
    #[n(0)]
    pub user: Username,
    /// The identity everything is sent to.
    #[n(1)]
    pub pinned: Identity,
    /// How far it is trusted.
    #[n(2)]
    pub trust: Trust,
    /// Another identity under the same name: nothing leaves until the user has decided.
    #[n(3)]
    pub rival: Option<Identity>,
    /// Identities that were pinned before.
    #[n(4)]
    pub former: Vec<Identity>,
    /// A log was announced that the server did not show: since then.
    #[n(5)]
    pub withheld_since: Option<Timestamp>,
}

/// To whom a message for somebody goes.
pub(crate) enum Recipients {
    /// These devices, all active in a verified log.
    Devices(Vec<(Username, DeviceCert)>),
    /// Not yet known, or blocked until the user decides.
    Wait,
}

fn place(user: &Username) -> Place<'_> {
    Place::new(Table::Peers, b"", user.as_str().as_bytes())
}

/// What is known about `user`.
///
/// # Errors
/// [`RowsError`].
pub fn get(rows: &dyn Rows, user: &Username) -> Result<Option<Peer>, RowsError> {
    load(rows, place(user))
}

/// Everybody with a pinned identity, oldest acquaintance first.
///
/// # Errors
/// [`RowsError`].
pub fn all(rows: &dyn Rows) -> Result<Vec<Peer>, RowsError> {
    rows.scan(Table::Peers, b"", 0..=u64::MAX, Direction::Ascending, usize::MAX)?
        .iter()
        .map(|(_, bytes)| decode(Table::Peers, bytes))
        .collect()
}

fn put(rows: &mut dyn Rows, peer: &Peer) -> Result<(), RowsError> {
    save(rows, place(&peer.user), peer.pinned.first_seen.as_millis(), peer)
}

/// The own log: what the account row says, and what was appended since.
pub(crate) fn own(turn: &mut Turn<'_>) -> Result<Peer, EngineError> {
    let me = turn.me.user.clone();
    if let Some(peer) = get(turn.rows, &me)? {
        return Ok(peer);
    }
    let pinned = Identity { log: turn.me.log.clone(), first_seen: turn.now };
    let peer = Peer { user: me, pinned, trust: Trust::Verified, rival: None, former: Vec::new(), withheld_since: None };
    put(turn.rows, &peer)?;
    Ok(peer)
}

/// The account was entered, perhaps anew after a reset: its log is the one to go by.
///
/// # Errors
/// [`RowsError`].
pub fn entered(rows: &mut dyn Rows, user: &Username, log: Option<&AccountLog>) -> Result<(), RowsError> {
    let known = get(rows, user)?.map(|peer| peer.pinned.log);
    let same = known.zip(log).is_some_and(|(known, log)| known.fingerprint() == log.fingerprint());
    if !same {
        rows.delete(place(user))?;
    }
    Ok(())
}

fn verify(user: &Username, entries: &[Blob]) -> Option<AccountLog> {
    let entries: Vec<&[u8]> = entries.iter().map(|entry| &**entry).collect();
    AccountLog::verify(user, &entries).ok()
}

/// The devices a message for `user` is sealed for: theirs, and the own other ones.
pub(crate) fn recipients(turn: &mut Turn<'_>, user: &Username) -> Result<Recipients, EngineError> {
    if fetching(turn, user) {
        return Ok(Recipients::Wait);
    }
    let Some(peer) = get(turn.rows, user)? else {
        look_up(turn, user);
        return Ok(Recipients::Wait);
    };
    if peer.rival.is_some() {
        return Ok(Recipients::Wait);
    }
    let mut devices: Vec<_> = active(&peer).collect();
    if devices.is_empty() {
        look_up(turn, user);
        return Ok(Recipients::Wait);
    }
    let mine = turn.me.device;
    devices.extend(active(&own(turn)?).filter(|(_, cert)| cert.id() != mine));
    Ok(Recipients::Devices(devices))
}

fn active(peer: &Peer) -> impl Iterator<Item = (Username, DeviceCert)> {
    let certs: Vec<_> = peer.pinned.log.active_devices().cloned().collect();
    certs.into_iter().map(|cert| (cert.user().clone(), cert))
}

/// What is known about `user`, the own account included.
pub(crate) fn known(turn: &mut Turn<'_>, user: &Username) -> Result<Option<Peer>, EngineError> {
    if *user == turn.me.user { own(turn).map(Some) } else { Ok(get(turn.rows, user)?) }
}

/// The certificate of a device that is active in a pinned log.
pub(crate) fn device(
    turn: &mut Turn<'_>,
    user: &Username,
    device: &DeviceId,
) -> Result<Option<DeviceCert>, EngineError> {
    Ok(known(turn, user)?.and_then(|peer| peer.pinned.log.active(device).cloned()))
}

/// Heads of the accounts a submit names, as they are pinned here.
pub(crate) fn heads<'u>(
    turn: &mut Turn<'_>,
    users: impl Iterator<Item = &'u Username>,
) -> Result<Vec<UserHead>, EngineError> {
    let mut heads = Vec::new();
    for user in users.collect::<std::collections::BTreeSet<_>>() {
        heads.extend(known(turn, user)?.map(|peer| UserHead { user: peer.user, head: peer.pinned.log.head() }));
    }
    Ok(heads)
}

pub(crate) fn fetching(turn: &Turn<'_>, user: &Username) -> bool {
    turn.live.link.as_ref().is_some_and(|link| {
        link.asked.values().any(|asked| matches!(asked, Asked::Lookup(who) | Asked::Log(who, _) if who == user))
    })
}

/// Asks who `user` is, unless that was done a moment ago.
pub(crate) fn look_up(turn: &mut Turn<'_>, user: &Username) {
    if !fetching(turn, user) && !turn.paused(&Subject::Peer(user.clone())) {
        turn.ask(Asked::Lookup(user.clone()), &Lookup { users: vec![user.clone()] });
    }
}

/// Asks for the entries after the pinned ones.
pub(crate) fn fetch(turn: &mut Turn<'_>, user: &Username) -> Result<(), EngineError> {
    if fetching(turn, user) || turn.paused(&Subject::Peer(user.clone())) {
        return Ok(());
    }
    let from = match get(turn.rows, user)? {
        Some(peer) => peer.pinned.log.head().seq + 1,
        None => 0,
    };
    fetch_from(turn, user, from);
    Ok(())
}

fn fetch_from(turn: &mut Turn<'_>, user: &Username, from: u64) {
    turn.live.pages.remove(user);
    turn.ask(Asked::Log(user.clone(), from), &LogFetch { user: user.clone(), from });
}

/// Fetches the logs that stand elsewhere than pinned; says whether there was one.
pub(crate) fn refresh(turn: &mut Turn<'_>, heads: &[UserHead]) -> Result<bool, EngineError> {
    let mut differs = false;
    for UserHead { user, head } in heads {
        if get(turn.rows, user)?.is_none_or(|peer| peer.pinned.log.head() != *head) {
            differs = true;
            fetch(turn, user)?;
        }
    }
    Ok(differs)
}

/// The server's answer to a look-up.
pub(crate) fn looked_up(
    turn: &mut Turn<'_>,
    user: &Username,
    answer: Result<LookedUp, Refusal>,
) -> Result<(), EngineError> {
    let Ok(answer) = answer else {
        turn.pause(Subject::Peer(user.clone()), LOOKUP_PAUSE);
        return Ok(());
    };
    match answer.users.into_iter().find(|known| known.user == *user) {
        None => {
            turn.live.wanted.remove(user);
            turn.pause(Subject::Peer(user.clone()), LOOKUP_PAUSE);
            Ok(outbox::fail_all(turn, user, "not_found")?)
        }
        // an account without a device, or the log that is pinned already
        Some(known) if known.head.is_none_or(|head| pinned_at(turn, user, head)) => {
            turn.pause(Subject::Peer(user.clone()), LOOKUP_PAUSE);
            Ok(())
        }
        Some(_) => fetch(turn, user),
    }
}

fn pinned_at(turn: &Turn<'_>, user: &Username, head: Head) -> bool {
    get(turn.rows, user).ok().flatten().is_some_and(|peer| peer.pinned.log.head() == head)
}

/// Some entries of a log, as asked for from `from` on.
pub(crate) fn fetched(
    turn: &mut Turn<'_>,
    user: &Username,
    from: u64,
    answer: Result<LogPage, Refusal>,
) -> Result<(), EngineError> {
    let page = match answer {
        Ok(page) => page,
        Err(refusal) => {
            turn.pause(Subject::Peer(user.clone()), LOOKUP_PAUSE);
            if refusal.code == Code::NotFound && get(turn.rows, user)?.is_none() {
                outbox::fail_all(turn, user, "not_found")?;
            }
            return Ok(());
        }
    };
    let (start, mut entries) = turn.live.pages.remove(user).unwrap_or((from, Vec::new()));
    let empty = page.entries.is_empty();
    entries.extend(page.entries);
    let next = start + entries.len() as u64;
    if !empty && next <= page.head.seq && entries.len() < MAX_LOG_ENTRIES {
        turn.live.pages.insert(user.clone(), (start, entries));
        turn.ask(Asked::Log(user.clone(), next), &LogFetch { user: user.clone(), from: next });
        return Ok(());
    }
    settle(turn, user, start, entries, page.head)
}

/// Compares what was fetched with what is pinned.
fn settle(turn: &mut Turn<'_>, user: &Username, start: u64, entries: Vec<Blob>, head: Head) -> Result<(), EngineError> {
    let Some(peer) = get(turn.rows, user)? else { return meet(turn, user, entries) };
    let head_seq = peer.pinned.log.head().seq;
    if peer.pinned.log.head() == head {
        turn.pause(Subject::Peer(user.clone()), LOOKUP_PAUSE);
        return Ok(());
    }
    let whole = if start == 0 {
        verify(user, &entries)
    } else {
        let mut grown = peer.pinned.log.clone();
        let entries: Vec<&[u8]> = entries.iter().map(|entry| &**entry).collect();
        grown.extend(&entries).ok().filter(|_| start == head_seq + 1 && !entries.is_empty()).map(|_| grown)
    };
    match whole {
        Some(log) => compare(turn, peer, log),
        // what does not follow from the pin may still be a whole log of its own
        None if start != 0 => {
            fetch_from(turn, user, 0);
            Ok(())
        }
        None => {
            tracing::warn!(%user, "the server showed an account log that is not valid");
            turn.pause(Subject::Peer(user.clone()), LOOKUP_PAUSE);
            Ok(())
        }
    }
}

/// First contact: what the server shows is pinned.
fn meet(turn: &mut Turn<'_>, user: &Username, entries: Vec<Blob>) -> Result<(), EngineError> {
    let Some(log) = verify(user, &entries) else {
        tracing::warn!(%user, "the server showed an account log that is not valid");
        turn.pause(Subject::Peer(user.clone()), LOOKUP_PAUSE);
        return Ok(());
    };
    let pinned = Identity { log, first_seen: turn.now };
    let peer =
        Peer { user: user.clone(), pinned, trust: Trust::Tofu, rival: None, former: Vec::new(), withheld_since: None };
    Ok(put(turn.rows, &peer)?)
}

/// A valid log under a name that has a pinned one.
fn compare(turn: &mut Turn<'_>, peer: Peer, log: AccountLog) -> Result<(), EngineError> {
    match peer.pinned.log.relation(&log) {
        Relation::Ahead => return extend(turn, peer, log),
        Relation::Same => {}
        Relation::Behind => tracing::warn!(user = %peer.user, "the server showed an older account log than before"),
        Relation::Forked(fork) if fork.by_revoked => events::fork_evidence(turn, &peer)?,
        Relation::Forked(_) | Relation::OtherAccount => return change(turn, peer, log),
    }
    turn.pause(Subject::Peer(peer.user), LOOKUP_PAUSE);
    Ok(())
}

fn extend(turn: &mut Turn<'_>, mut peer: Peer, log: AccountLog) -> Result<(), EngineError> {
    let gone: Vec<_> = active(&peer).map(|(_, cert)| cert.id()).filter(|id| log.active(id).is_none()).collect();
    peer.pinned.log = log;
    peer.withheld_since = None;
    put(turn.rows, &peer)?;
    for device in gone {
        tracing::info!(user = %peer.user, %device, "a device was revoked");
        sessions::wipe(turn, &device)?;
    }
    Ok(())
}

fn change(turn: &mut Turn<'_>, mut peer: Peer, log: AccountLog) -> Result<(), EngineError> {
    turn.pause(Subject::Peer(peer.user.clone()), LOOKUP_PAUSE);
    let known = peer.rival.replace(Identity { log, first_seen: turn.now });
    put(turn.rows, &peer)?;
    if known.is_none() {
        events::identity_changed(turn, &peer)?;
    }
    Ok(())
}

/// The user decides which identity counts.
///
/// # Errors
/// [`EngineError::UnknownUser`]; [`EngineError::Conflict`] if neither identity is the named one.
pub(crate) fn accept(
    turn: &mut Turn<'_>,
    user: &Username,
    fingerprint: &Fingerprint,
    head: &Head,
) -> Result<(), EngineError> {
    let mut peer = get(turn.rows, user)?.ok_or(EngineError::UnknownUser)?;
    let names = |known: &Identity| known.log.fingerprint() == *fingerprint && known.log.head() == *head;
    if names(&peer.pinned) {
        peer.rival = None;
        put(turn.rows, &peer)?;
        return inbox::drop_held(turn, user);
    }
    let rival = peer.rival.take().filter(names).ok_or(EngineError::Conflict)?;
    let old = std::mem::replace(&mut peer.pinned, rival);
    for cert in old.log.active_devices() {
        sessions::wipe(turn, &cert.id())?;
    }
    peer.former.push(old);
    peer.trust = Trust::Tofu;
    peer.withheld_since = None;
    put(turn.rows, &peer)?;
    // what was written for the old identity is not sealed for the new one by itself
    outbox::fail_all(turn, user, "identity_changed")?;
    timers::fail_scheduled(turn, user, "identity_changed")
}

/// A peer has said where its log stands.
pub(crate) fn announced(turn: &mut Turn<'_>, user: &Username, head: &Head) -> Result<(), EngineError> {
    let Some(mut peer) = get(turn.rows, user)? else { return Ok(()) };
    if head.seq <= peer.pinned.log.head().seq {
        return Ok(());
    }
    if peer.withheld_since.is_none() {
        peer.withheld_since = Some(turn.now);
        if let Some(withheld) = &mut turn.live.withheld {
            withheld.insert(user.clone());
        }
        put(turn.rows, &peer)?;
    }
    turn.live.pause.remove(&Subject::Peer(user.clone()));
    fetch(turn, user)?;
    turn.wake(turn.now + LOOKUP_PAUSE);
    Ok(())
}

/// Looks for announced logs that the server does not show.
pub(crate) fn sweep(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    let users = match turn.live.withheld.take() {
        Some(users) => users,
        None => all(turn.rows)?.into_iter().map(|peer| peer.user).collect(),
    };
    let mut still = BTreeSet::new();
    for user in users {
        let Some(peer) = get(turn.rows, &user)?.filter(|peer| peer.withheld_since.is_some()) else { continue };
        overdue(turn, peer)?;
        still.insert(user);
    }
    turn.live.withheld = Some(still);
    Ok(())
}

fn overdue(turn: &mut Turn<'_>, mut peer: Peer) -> Result<(), EngineError> {
    let Some(since) = peer.withheld_since else { return Ok(()) };
    if turn.now.since(since) < LOOKUP_PAUSE {
        turn.wake(since + LOOKUP_PAUSE);
        return Ok(());
    }
    if turn.live.link.is_none() {
        return Ok(());
    }
    peer.withheld_since = None;
    put(turn.rows, &peer)?;
    Ok(events::log_withheld(turn, &peer)?)
}
