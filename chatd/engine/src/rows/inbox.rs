//! What came and could not be opened yet.

use chat_protocol::crypto::kdf;
use chat_protocol::ids::{DeviceId, Fingerprint, SessionId, Username};
use chat_protocol::message::Envelope;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

/// An INIT, under the id of its session and as a hash; the hash is of nothing for what came without one.
pub(crate) type InitKey = (SessionId, [u8; 32]);

/// An envelope as it was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Raw {
    #[n(0)]
    pub(crate) position: u64,
    #[n(1)]
    pub(crate) from: Username,
    #[n(2)]
    pub(crate) device: DeviceId,
    #[n(3)]
    pub(crate) envelope: Envelope,
    #[n(4)]
    pub(crate) arrived: Timestamp,
    /// The user was told that it is kept back, by a version that had no [`WaitingInit`].
    #[n(5)]
    pub(crate) told: bool,
}

/// The first envelope of an INIT that waits: what decides whether it is read.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct WaitingInit {
    #[n(0)]
    pub(crate) position: u64,
    #[n(1)]
    pub(crate) from: Username,
    #[n(2)]
    pub(crate) device: DeviceId,
    /// Of the identity it claims; `None` if nothing will ever come of it.
    #[n(3)]
    pub(crate) fingerprint: Option<Fingerprint>,
    #[n(4)]
    pub(crate) arrived: Timestamp,
    /// The user was told that it is kept back.
    #[n(5)]
    pub(crate) told: bool,
    /// How often in a row it was looked at in vain.
    #[n(6)]
    pub(crate) times: u32,
}

impl WaitingInit {
    /// That of an envelope.
    pub(crate) fn of(raw: &Raw, fingerprint: Option<Fingerprint>) -> Self {
        let Raw { position, from, device, arrived, .. } = raw;
        let (position, from, device, arrived) = (*position, from.clone(), *device, *arrived);
        Self { position, from, device, fingerprint, arrived, told: false, times: 0 }
    }
}

impl Raw {
    /// The INIT it came with.
    pub(crate) fn init_key(&self) -> InitKey {
        (self.envelope.sid, kdf::sha256(self.envelope.init.as_deref().unwrap_or_default()))
    }

    /// How many bytes it counts for.
    pub(crate) fn size(&self) -> u64 {
        let init = self.envelope.init.as_ref().map_or(0, |init| init.len());
        (self.envelope.token.len() + self.envelope.header.len() + init) as u64
    }
}

/// A device to be asked for what found no room; its order is when that is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Refused {
    #[n(0)]
    pub(crate) user: Username,
    #[n(1)]
    pub(crate) device: DeviceId,
    /// When something of it last found no room.
    #[n(2)]
    pub(crate) since: Timestamp,
    /// How often it was not possible.
    #[n(3)]
    pub(crate) times: u32,
}
