//! The account of this daemon: read and written by the daemon itself.

use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::device::DeviceCert;
use chat_protocol::ids::{Fingerprint, Username};
use chat_protocol::message::Blob;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

/// Whether the daemon shall be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Standing {
    /// The device is active in the account's log.
    #[n(0)]
    Active,
    /// Another device of the account has to approve it.
    #[n(1)]
    Waiting,
    /// Its user logged out; keys and history are still here.
    #[n(2)]
    LoggedOut,
    /// Its account ended it.
    #[n(3)]
    Revoked,
    /// Nobody let it in while it waited.
    #[n(4)]
    Lapsed,
}

/// What a device that waits goes by.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Wait {
    /// The account's identity as the server names it: worth nothing until the digits were compared.
    #[n(0)]
    pub fingerprint: Fingerprint,
    /// What this device signed once its user had compared them.
    #[n(1)]
    pub acceptance: Option<Blob>,
}

/// An account, the server it is with, and this device of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AccountRow {
    /// Whose.
    #[n(0)]
    pub user: Username,
    /// The server's name or address.
    #[n(1)]
    pub host: String,
    /// Its port.
    #[n(2)]
    pub port: u16,
    /// Its key.
    #[n(3)]
    pub server_key: SecretBytes<32>,
    /// What lets a stranger speak to it.
    #[n(4)]
    pub secret: SecretBytes<32>,
    /// This device.
    #[n(5)]
    pub cert: DeviceCert,
    /// The own account log; absent while the device waits.
    #[n(6)]
    pub log: Option<AccountLog>,
    /// Whether to be connected.
    #[n(7)]
    pub standing: Standing,
    /// When the server will carry a reset out.
    #[n(8)]
    pub due: Option<Timestamp>,
    /// The key the server announced as its next one.
    #[n(9)]
    pub next_key: Option<SecretBytes<32>>,
    /// While the device waits: for what.
    #[n(10)]
    pub wait: Option<Wait>,
    /// Without whose signature no other key of the server is believed.
    #[n(11)]
    pub offline_key: Option<SecretBytes<32>>,
}
