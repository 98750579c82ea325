//! What others begin sessions with.

use chat_protocol::message::Blob;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

/// The newest bundle of this device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct CurrentBundle {
    #[n(0)]
    pub(crate) seq: u64,
    #[n(1)]
    pub(crate) bundle: Blob,
    /// Public one-time keys that are new in it.
    #[n(2)]
    pub(crate) one_time: Vec<Blob>,
    /// The server has it.
    #[n(3)]
    pub(crate) published: bool,
    /// Number of its signed prekey and its ML-KEM key, and when they were drawn, as far as the server's time is believed.
    #[n(4)]
    pub(crate) prekey: u64,
    #[n(5)]
    pub(crate) drawn: Timestamp,
    /// When it was signed, likewise.
    #[n(6)]
    pub(crate) created: Option<Timestamp>,
}
