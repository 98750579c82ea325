//! Sessions with other devices.

use chat_protocol::ids::{DeviceId, SessionId, Username};
use chat_protocol::message::Blob;
use chat_protocol::session::ratchet::Session;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

/// A session as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Stored {
    /// The ratchet.
    #[n(0)]
    pub(crate) session: Session,
    /// Account of the peer.
    #[n(1)]
    pub user: Username,
    /// Its device.
    #[n(2)]
    pub device: DeviceId,
    /// The INIT that precedes every message until a reply was opened.
    #[n(3)]
    pub(crate) init: Option<Blob>,
}

/// A session this device began and on which its peer was not heard.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Unconfirmed {
    #[n(0)]
    pub(crate) user: Username,
    #[n(1)]
    pub(crate) device: DeviceId,
    #[n(2)]
    pub(crate) session: SessionId,
    /// Server time at which the bundle of its INIT runs out.
    #[n(3)]
    pub(crate) expires: Timestamp,
    /// When the server accepted the first INIT to the device that is unanswered.
    #[n(4)]
    pub(crate) accepted: Option<Timestamp>,
    /// How often it was begun again.
    #[n(5)]
    pub(crate) times: u64,
    /// Its bundle had run out when it was accepted.
    #[n(6)]
    pub(crate) ran_out: bool,
}
