//! Who the others are: their account logs as pinned here, and how far they are trusted.
//!
//! ```text
//! unknown ──log verified──▶ tofu ──user compared──▶ verified
//!                             │                        │ valid extensions keep either
//!                             └──── another identity ──┴──▶ changed: nothing leaves, until
//!                                                            the user accepts or verifies one
//! ```
//! The server stores logs and cannot extend them; what does not follow from the pin is never used.

mod fetch;
pub(crate) mod logs;
mod names;
mod pin;
mod policy;
mod trust;
mod withheld;

use chat_protocol::identity::account_log::{AccountLog, Fork, Relation};
use chat_protocol::identity::device::DeviceCert;
use chat_protocol::ids::{DeviceId, Fingerprint, Head, Username};
use chat_protocol::message::client::UserHead;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

pub(crate) use self::fetch::{fetch, fetched, fetching, refresh};
pub(crate) use self::names::{Missing, ask_names, hurry, look_up, looked_up};
pub(crate) use self::pin::extend;
pub use self::pin::shown;
pub use self::policy::{Policy, policy, policy_of_chat, set_policy};
pub use self::trust::{accept, unverify, verify};
pub(crate) use self::withheld::{Named, announced, sweep, wait};
use super::state::{decode, load, save};
use super::turn::Turn;
use super::{EngineError, inbox};
use crate::store::{Direction, Place, Rows, RowsError, Table};

/// How far an identity is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Trust {
    /// Pinned when it was first seen, or accepted.
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
    /// What else was shown under the name: evidence, what was refused, and what alternates with the rival.
    #[cbor(n(6), default, skip_if = "Vec::is_empty")]
    pub others: Vec<Identity>,
    /// Devices that came into the log later wait, under the strict policy, until the user compares again. Absent in
    /// rows of before there were policies: then for none.
    #[n(7)]
    pub known_to: Option<u64>,
    /// Where the log is said to stand, beyond what the server showed.
    #[n(8)]
    pub withheld: Option<Head>,
    /// When it was last told that the server does not show it.
    #[n(9)]
    pub withheld_told: Option<Timestamp>,
}

impl Peer {
    /// Somebody seen for the first time.
    const fn new(user: Username, pinned: Identity, trust: Trust) -> Self {
        Self {
            user,
            pinned,
            trust,
            rival: None,
            former: Vec::new(),
            withheld_since: None,
            others: Vec::new(),
            known_to: None,
            withheld: None,
            withheld_told: None,
        }
    }

    /// Whether a device came into the log since the user last accepted or compared it.
    #[must_use]
    pub fn is_new(&self, device: &DeviceId) -> bool {
        let added = self.pinned.log.device(device).map(|device| device.added);
        added.zip(self.known_to).is_some_and(|(added, known_to)| added > known_to)
    }

    /// Whether the pinned log has ended a device.
    #[must_use]
    pub fn has_revoked(&self, device: &DeviceId) -> bool {
        self.pinned.log.device(device).is_some_and(|device| device.revoked.is_some())
    }

    /// Where another log parts from the pinned one, if it is a version of it.
    #[must_use]
    pub fn fork(&self, log: &AccountLog) -> Option<Fork> {
        match self.pinned.log.relation(log) {
            Relation::Forked(fork) => Some(*fork),
            _ => None,
        }
    }

    /// Whether an identity was shown before, and the user decided for another one. Versions of one log have the same
    /// fingerprint: there it is the device that counts.
    #[must_use]
    pub fn refused(&self, fingerprint: &Fingerprint) -> bool {
        let mut others = self.others.iter().chain(&self.former);
        let decided = self.rival.is_none() && *fingerprint != self.pinned.log.fingerprint();
        decided && others.any(|other| other.log.fingerprint() == *fingerprint)
    }
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

fn put(turn: &mut Turn<'_>, peer: &Peer) -> Result<(), RowsError> {
    inbox::look_again(turn, &peer.user);
    save(turn.rows, place(&peer.user), peer.pinned.first_seen.as_millis(), peer)
}

/// The own log: what the account row says, and what was appended since.
pub(crate) fn own(turn: &mut Turn<'_>) -> Result<Peer, EngineError> {
    let me = turn.me.user.clone();
    if let Some(peer) = get(turn.rows, &me)? {
        return Ok(peer);
    }
    let pinned = Identity { log: turn.me.log.clone(), first_seen: turn.clock };
    let peer = Peer::new(me, pinned, Trust::Verified);
    put(turn, &peer)?;
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

/// The devices a message for `user` is sealed for: theirs, and the own other ones.
pub(crate) fn recipients(turn: &mut Turn<'_>, user: &Username) -> Result<Recipients, EngineError> {
    if fetching(turn, user) {
        return Ok(Recipients::Wait);
    }
    if *user == turn.me.user {
        return Ok(Recipients::Devices(siblings(turn)?));
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
    let policy = policy(turn.rows, user)?;
    devices.retain(|(_, cert)| !policy.leaves_out(&peer, &cert.id()));
    if devices.is_empty() {
        return Ok(Recipients::Wait);
    }
    devices.extend(siblings(turn)?);
    Ok(Recipients::Devices(devices))
}

/// The own other devices.
fn siblings(turn: &mut Turn<'_>) -> Result<Vec<(Username, DeviceCert)>, EngineError> {
    let mine = turn.me.device;
    Ok(active(&own(turn)?).filter(|(_, cert)| cert.id() != mine).collect())
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
