//! What is known about other accounts, as it is kept: whoever may change it is above.

use chat_protocol::identity::account_log::{AccountLog, Fork, Relation};
use chat_protocol::ids::{DeviceId, Fingerprint, Head, Username};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::model::rows::{decode, load};
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
    pub(crate) const fn new(user: Username, pinned: Identity, trust: Trust) -> Self {
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

pub(crate) fn place(user: &Username) -> Place<'_> {
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

/// What happens when a peer's account gets a new device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Policy {
    /// An event.
    #[default]
    #[n(0)]
    Tofu,
    /// An event, and a notice in the chat.
    #[n(1)]
    Notify,
    /// It gets nothing until the peer is verified again.
    #[n(2)]
    Strict,
}

impl Policy {
    /// Whether a device of a peer gets nothing.
    #[must_use]
    pub fn leaves_out(self, peer: &Peer, device: &DeviceId) -> bool {
        self == Self::Strict && peer.is_new(device)
    }

    /// Whether none of a peer's devices gets anything.
    #[must_use]
    pub fn leaves_all_out(self, peer: &Peer) -> bool {
        let mut devices = peer.pinned.log.active_devices().map(|cert| cert.id()).peekable();
        devices.peek().is_some() && devices.all(|device| self.leaves_out(peer, &device))
    }
}
