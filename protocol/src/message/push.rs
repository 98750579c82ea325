//! What a server says unasked.

use minicbor::{CborLen, Decode, Encode};

use super::Envelope;
use super::server::{Post, answer};
use crate::cbor::{self, Malformed};
use crate::crypto::kdf::sha256;
use crate::ids::{DeviceId, Head, Username};
use crate::time::Timestamp;

/// Push 1: a message from the mailbox. A server writes it with [`super::Verbatim`] bytes of the envelope.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Deliver<E = Envelope> {
    /// Contiguous per device, from 1.
    #[n(0)]
    pub mailbox_seq: u64,
    /// Account of the device that submitted it: a hint where to look it up, proven by the session.
    #[n(1)]
    pub from: Username,
    /// Device that submitted it, verified by the server.
    #[n(2)]
    pub from_device: DeviceId,
    /// As submitted.
    #[n(3)]
    pub envelope: E,
}

/// Number of a [`Deliver`] on the wire.
pub const DELIVER: u16 = 1;

/// A message from the mailbox as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    deliver: Deliver,
    hash: [u8; 32],
}

/// What a delivery is known by, without its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryId {
    /// As [`Deliver::mailbox_seq`].
    pub mailbox_seq: u64,
    /// As [`Deliver::from`].
    pub from: Username,
    /// SHA-256 of the payload as it came.
    pub hash: [u8; 32],
}

impl Delivery {
    fn read(payload: &[u8]) -> Result<Self, Malformed> {
        Ok(Self { deliver: cbor::decode(payload)?, hash: sha256(payload) })
    }

    /// What it is known by if it comes again.
    #[must_use]
    pub fn id(&self) -> DeliveryId {
        DeliveryId { mailbox_seq: self.mailbox_seq, from: self.from.clone(), hash: self.hash }
    }

    /// What it says.
    #[must_use]
    pub fn into_inner(self) -> Deliver {
        self.deliver
    }
}

impl std::ops::Deref for Delivery {
    type Target = Deliver;

    fn deref(&self) -> &Deliver {
        &self.deliver
    }
}

/// One that was not read but made here.
impl From<Deliver> for Delivery {
    fn from(deliver: Deliver) -> Self {
        Self { hash: sha256(&cbor::encode(&deliver)), deliver }
    }
}

answer! {
    /// Push 3: who came and who went since the last one, coalesced over a second.
    PresenceChange {
        /// Now online.
        #[n(0)] pub online: Vec<Username>,
        /// Now offline.
        #[n(1)] pub offline: Vec<Username>,
    }
}
answer! {
    /// Push 4: a reset of the own account waits, or no longer does.
    ResetNotice {
        /// When it happens; absent when it was cancelled.
        #[n(0)] pub at: Option<Timestamp>,
    }
}
answer! {
    /// Push 5: an account log grew. Sent to the account's own devices.
    LogGrew {
        /// Account.
        #[n(0)] pub user: Username,
        /// New head.
        #[n(1)] pub head: Head,
    }
}
answer! {
    /// Push 6: everything that waited in the mailbox at login has been pushed.
    MailboxDrained {
        /// Last sequence pushed.
        #[n(0)] pub seq: u64,
    }
}
answer! {
    /// Push 7: a device asks to be let into the own account, or has accepted. Ask [`super::client::DevicesWaiting`].
    DeviceWaits {
        /// Which.
        #[n(0)] pub device: DeviceId,
    }
}
answer! {
    /// Push 8: the room goes on to there, and not every post was pushed, because this connection reads more slowly than
    /// is posted. Ask [`super::client::RoomSince`].
    RoomGrew {
        /// As [`Post::room_seq`], of the newest post.
        #[n(0)] pub seq: u64,
    }
}

/// What the server says unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push {
    /// See [`Deliver`].
    Deliver(Delivery),
    /// Push 2: something was said in the public room.
    Room(Post),
    /// See [`PresenceChange`].
    Presence(PresenceChange),
    /// See [`ResetNotice`].
    Reset(ResetNotice),
    /// See [`LogGrew`].
    LogGrew(LogGrew),
    /// See [`MailboxDrained`].
    Drained(MailboxDrained),
    /// See [`DeviceWaits`].
    DeviceWaits(DeviceWaits),
    /// See [`RoomGrew`].
    RoomGrew(RoomGrew),
}

impl Push {
    /// Number of the push on the wire.
    #[must_use]
    pub const fn number(&self) -> u16 {
        match self {
            Self::Deliver(_) => DELIVER,
            Self::Room(_) => 2,
            Self::Presence(_) => 3,
            Self::Reset(_) => 4,
            Self::LogGrew(_) => 5,
            Self::Drained(_) => 6,
            Self::DeviceWaits(_) => 7,
            Self::RoomGrew(_) => 8,
        }
    }

    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Deliver(push) => cbor::encode(&push.deliver),
            Self::Room(push) => cbor::encode(push),
            Self::Presence(push) => cbor::encode(push),
            Self::Reset(push) => cbor::encode(push),
            Self::LogGrew(push) => cbor::encode(push),
            Self::Drained(push) => cbor::encode(push),
            Self::DeviceWaits(push) => cbor::encode(push),
            Self::RoomGrew(push) => cbor::encode(push),
        }
    }

    /// Reads a push; `None` for a number this version does not know, which is ignored.
    ///
    /// # Errors
    /// [`Malformed`] for a payload that is not the number's own.
    pub fn decode(number: u16, payload: &[u8]) -> Result<Option<Self>, Malformed> {
        use cbor::decode;
        Ok(Some(match number {
            DELIVER => Self::Deliver(Delivery::read(payload)?),
            2 => Self::Room(decode(payload)?),
            3 => Self::Presence(decode(payload)?),
            4 => Self::Reset(decode(payload)?),
            5 => Self::LogGrew(decode(payload)?),
            6 => Self::Drained(decode(payload)?),
            7 => Self::DeviceWaits(decode(payload)?),
            8 => Self::RoomGrew(decode(payload)?),
            _ => return Ok(None),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_read_back_as_sent() {
        let push = Push::Presence(PresenceChange { online: vec!["bob".parse().unwrap()], offline: vec![] });
        assert_eq!(Push::decode(push.number(), &push.encode()), Ok(Some(push)));
        assert_eq!(Push::decode(999, &[0xa0]), Ok(None));
    }
}
