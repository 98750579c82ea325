//! What a server may answer or push.

use minicbor::{CborLen, Decode, Encode};

use super::client::UserHead;
use super::{Blob, Envelope};
use crate::ids::{DeviceId, Head, KeyHash, Username};
use crate::time::Timestamp;

/// Declares an answer or a part of one.
macro_rules! answer {
    ($(#[$doc:meta])* $name:ident { $($fields:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
        #[cbor(map)]
        pub struct $name { $($fields)* }
    };
}

answer! {
    /// Payload of the second handshake message.
    Welcome {
        /// The protocol version both will speak; absent when there is none in common.
        #[n(0)] pub version: Option<u8>,
        /// Lowest version the server speaks.
        #[n(1)] pub lowest: u8,
        /// Highest version the server speaks.
        #[n(2)] pub highest: u8,
        /// The server's clock.
        #[n(3)] pub server_time: Timestamp,
        /// What this server allows.
        #[n(4)] pub limits: ServerLimits,
        /// Names of optional abilities; none are defined in version 1.
        #[n(5)] pub features: Vec<String>,
        /// The server key that will replace the present one, while a change is under way.
        #[n(6)] pub next_key: Option<Blob>,
    }
}
answer! {
    /// Settings of this server that a client should know.
    ServerLimits {
        /// Most unacknowledged deliveries in flight.
        #[n(0)] pub delivery_window: u64,
        /// Days the mailbox keeps what is not acknowledged.
        #[n(1)] pub mailbox_days: u64,
        /// Days the public room is kept.
        #[n(2)] pub room_days: u64,
        /// Whether registration needs a token.
        #[n(3)] pub invite_only: bool,
    }
}

/// What became of an enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
pub enum Enrolled {
    /// The device is active and the connection is logged in.
    #[n(0)]
    Ready(#[n(0)] LoggedIn),
    /// The account has a log already: one of its devices must approve this one.
    #[n(1)]
    ApprovalRequired(#[n(0)] Head),
}

/// What became of a reset.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
pub enum ResetState {
    /// The new log stands, old devices and mailboxes are gone, the connection is logged in.
    #[n(0)]
    Done(#[n(0)] LoggedIn),
    /// A device of the account was seen lately: ask again, unchanged, after this time. The
    /// account's devices were told and can cancel it.
    #[n(1)]
    Waiting(#[n(0)] Timestamp),
}

answer! {
    /// Where the server stands with a device that has just logged in.
    LoggedIn {
        /// Head of the own account log.
        #[n(0)] pub head: Head,
        /// Highest mailbox sequence the device acknowledged; 0 when none.
        #[n(1)] pub mailbox_acked: u64,
        /// Highest mailbox sequence assigned; 0 when none.
        #[n(2)] pub mailbox_last: u64,
        /// Sequence of the last published bundle; 0 when none.
        #[n(3)] pub bundle_seq: u64,
        /// Highest submit counter ever accepted; 0 when none.
        #[n(4)] pub submit_counter: u64,
        /// Sequence of the newest post in the public room; 0 when none.
        #[n(5)] pub room_last: u64,
        /// A reset of this account waits until then.
        #[n(6)] pub reset_pending: Option<Timestamp>,
    }
}
answer! {
    /// Answers [`super::client::Lookup`]: in the order asked, unknown names left out.
    LookedUp {
        /// Those that exist.
        #[n(0)] pub users: Vec<KnownUser>,
    }
}
answer! {
    /// One existing account.
    KnownUser {
        /// Name.
        #[n(0)] pub user: Username,
        /// Its log's head; absent while no device was ever enrolled.
        #[n(1)] pub head: Option<Head>,
        /// Whether it is online and visible.
        #[n(2)] pub online: bool,
    }
}
answer! {
    /// Some entries of an account log, contiguous from the sequence asked for.
    LogPage {
        /// Signed entries.
        #[n(0)] pub entries: Vec<Blob>,
        /// Where the log stands.
        #[n(1)] pub head: Head,
    }
}
answer! {
    /// A device's bundle and one of its one-time keys.
    Bundle {
        /// Signed bundle.
        #[n(0)] pub bundle: Blob,
        /// X25519 public key, 32 bytes; absent when none are left.
        #[n(1)] pub one_time: Option<Blob>,
    }
}
answer! {
    /// Own one-time keys nobody took yet.
    OneTimeLeft {
        /// Hashes of their public halves.
        #[n(0)] pub hashes: Vec<KeyHash>,
        /// Sequence of the bundle the server holds; 0 when none.
        #[n(1)] pub bundle_seq: u64,
    }
}
answer! {
    /// The envelopes are durable in every named mailbox but the full ones.
    Accepted {
        /// Devices whose mailbox is full: try again later under a new submit id.
        #[n(0)] pub full: Vec<DeviceId>,
    }
}
answer! {
    /// The post is durable.
    RoomPosted {
        /// Its sequence in the room.
        #[n(0)] pub room_seq: u64,
        /// The server's clock when it was stored.
        #[n(1)] pub at: Timestamp,
    }
}
answer! {
    /// One message of the public room. The author is the server's word.
    Post {
        /// Sequence in the room, contiguous from 1.
        #[n(0)] pub room_seq: u64,
        /// Author.
        #[n(1)] pub user: Username,
        /// The server's clock when it was stored.
        #[n(2)] pub at: Timestamp,
        /// What was said.
        #[n(3)] pub text: String,
        /// The author's submit id, so that an own post is recognised.
        #[n(4)] pub submit_id: crate::ids::SubmitId,
        /// The author's device.
        #[n(5)] pub device: DeviceId,
    }
}
answer! {
    /// Some posts, oldest first.
    RoomPage {
        /// As many as fit the record and were asked for.
        #[n(0)] pub posts: Vec<Post>,
        /// Sequence of the newest post there is; 0 when none.
        #[n(1)] pub last: u64,
        /// Sequence of the oldest post still kept; 0 when none.
        #[n(2)] pub oldest: u64,
    }
}
answer! {
    /// Everybody online and visible.
    PresenceList {
        /// Names in ascending order.
        #[n(0)] pub users: Vec<Username>,
    }
}

/// Why a request failed. To a peer we say less than to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, CborLen)]
#[cbor(index_only)]
pub enum Code {
    /// The request breaks a rule of this document.
    #[n(0)]
    BadRequest,
    /// Unknown request type or version.
    #[n(1)]
    Unsupported,
    /// Wrong credentials, or not allowed.
    #[n(2)]
    Denied,
    /// The device is not active in its account's log.
    #[n(3)]
    ApprovalRequired,
    /// Too much to do right now.
    #[n(4)]
    Busy,
    /// Too often.
    #[n(5)]
    RateLimited,
    /// Built on an outdated head or sequence.
    #[n(6)]
    Stale,
    /// Every named mailbox is full; nothing was stored.
    #[n(7)]
    MailboxFull,
    /// Over a limit of size or count.
    #[n(8)]
    TooLarge,
    /// Taken.
    #[n(9)]
    Exists,
    /// No such account, device or bundle.
    #[n(10)]
    NotFound,
    /// The server's own failure; nothing was stored.
    #[n(11)]
    Internal,
}

answer! {
    /// Payload of an error frame.
    Refusal {
        /// Kind of failure.
        #[n(0)] pub code: Code,
        /// When trying again may help, in milliseconds.
        #[n(1)] pub retry_after_ms: Option<u64>,
        /// With `stale`: the true heads.
        #[n(2)] pub heads: Option<Vec<UserHead>>,
    }
}

impl Refusal {
    /// A refusal that says nothing but its kind.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self { code, retry_after_ms: None, heads: None }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

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

    #[test]
    fn outcomes_of_enrolment_are_strict_cbor() {
        let head = Head { seq: 0, hash: crate::ids::HeadHash::new([1; 32]) };
        let outcome = Enrolled::ApprovalRequired(head);
        assert_eq!(crate::cbor::decode::<Enrolled>(&crate::cbor::encode(&outcome)), Ok(outcome));
    }
}
