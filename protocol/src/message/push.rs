//! What a server says unasked.

use minicbor::{CborLen, Decode, Encode};

use super::Envelope;
use super::server::{Post, answer};
use crate::ids::{DeviceId, Head, Username};
use crate::time::Timestamp;

answer! {
    /// Push 1: a message from the mailbox.
    Deliver {
        /// Contiguous per device, from 1.
        #[n(0)] pub mailbox_seq: u64,
        /// Account of the device that submitted it: a hint where to look it up, proven by the session.
        #[n(1)] pub from: Username,
        /// Device that submitted it, verified by the server.
        #[n(2)] pub from_device: DeviceId,
        /// As submitted.
        #[n(3)] pub envelope: Envelope,
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

/// What the server says unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push {
    /// See [`Deliver`].
    Deliver(Deliver),
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
}

impl Push {
    /// Number of the push on the wire.
    #[must_use]
    pub const fn number(&self) -> u16 {
        match self {
            Self::Deliver(_) => 1,
            Self::Room(_) => 2,
            Self::Presence(_) => 3,
            Self::Reset(_) => 4,
            Self::LogGrew(_) => 5,
            Self::Drained(_) => 6,
            Self::DeviceWaits(_) => 7,
        }
    }

    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Deliver(push) => crate::cbor::encode(push),
            Self::Room(push) => crate::cbor::encode(push),
            Self::Presence(push) => crate::cbor::encode(push),
            Self::Reset(push) => crate::cbor::encode(push),
            Self::LogGrew(push) => crate::cbor::encode(push),
            Self::Drained(push) => crate::cbor::encode(push),
            Self::DeviceWaits(push) => crate::cbor::encode(push),
        }
    }

    /// Reads a push; `None` for a number this version does not know, which is ignored.
    ///
    /// # Errors
    /// [`crate::cbor::Malformed`] for a payload that is not the number's own.
    pub fn decode(number: u16, payload: &[u8]) -> Result<Option<Self>, crate::cbor::Malformed> {
        use crate::cbor::decode;
        Ok(Some(match number {
            1 => Self::Deliver(decode(payload)?),
            2 => Self::Room(decode(payload)?),
            3 => Self::Presence(decode(payload)?),
            4 => Self::Reset(decode(payload)?),
            5 => Self::LogGrew(decode(payload)?),
            6 => Self::Drained(decode(payload)?),
            7 => Self::DeviceWaits(decode(payload)?),
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
