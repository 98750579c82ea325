//! What is known about other accounts.

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::device::DeviceCert;
use chat_protocol::ids::{DeviceId, Fingerprint, Head, Username};
use chat_protocol::message::Blob;
use chat_protocol::session::content::Profile;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

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
    /// The server was heard to lack its end.
    #[n(10)]
    pub lacking: Option<Lacking>,
}

/// That the server knows a shorter log than is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Lacking {
    /// Where the pinned log stands.
    #[n(0)]
    pub head: Head,
    /// When that was heard first.
    #[n(1)]
    pub since: Timestamp,
    /// The user was told.
    #[n(2)]
    pub told: bool,
}

/// What of a [`Peer`] every message is judged by, without its log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DeviceTable {
    /// Name.
    #[n(0)]
    pub user: Username,
    /// Of the pinned log.
    #[n(1)]
    pub fingerprint: Fingerprint,
    /// Where the pinned log stands.
    #[n(2)]
    pub head: Head,
    /// How far it is trusted.
    #[n(3)]
    pub trust: Trust,
    /// Another identity was shown, and the user has not decided.
    #[n(4)]
    pub changed: bool,
    /// Every other identity that was shown, the undecided one excepted.
    #[n(5)]
    pub(crate) refused: Vec<Fingerprint>,
    /// As in [`Peer`].
    #[n(6)]
    pub(crate) known_to: Option<u64>,
    /// The devices that are active, in the order they were added.
    #[n(7)]
    pub(crate) active: Vec<ActiveDevice>,
}

/// An active device of a pinned log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct ActiveDevice {
    #[n(0)]
    pub(crate) id: DeviceId,
    /// Sequence of the entry that added it.
    #[n(1)]
    pub(crate) added: u64,
}

/// What is noted about a user.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Contact {
    #[n(0)]
    pub(crate) user: Username,
    #[n(1)]
    pub(crate) alias: Option<String>,
    #[n(2)]
    pub(crate) note: Option<String>,
    #[n(3)]
    pub(crate) blocked: bool,
    /// Their request was accepted.
    #[cbor(n(4), default)]
    pub(crate) accepted: bool,
}

/// What somebody said of themselves, and under which identity.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct HeardProfile {
    #[n(0)]
    pub(crate) author: Fingerprint,
    #[n(1)]
    pub(crate) profile: Profile,
}

/// What a device named and was told of one log: this account's, or that of its own account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct LogView {
    /// Where it last said that the log stands.
    #[n(0)]
    pub(crate) named: Option<Head>,
    /// Up to where it was told.
    #[n(1)]
    pub(crate) told: Option<Head>,
    /// When.
    #[n(2)]
    pub(crate) at: Option<Timestamp>,
}

/// A device that asks to be let into the own account.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct WaitingDevice {
    #[n(0)]
    pub(crate) cert: DeviceCert,
    /// Good for the own fingerprint.
    #[n(1)]
    pub(crate) acceptance: Option<Blob>,
    /// The user said here that the digits are alike.
    #[n(2)]
    pub(crate) approved: bool,
}

/// An entry of the own account log that the server may have taken.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct PendingEntry {
    /// Where the log stood when it was signed.
    #[n(0)]
    pub(crate) on: Head,
    #[n(1)]
    pub(crate) entry: Blob,
}
