//! What a server may answer; what it says unasked is in [`super::push`].

use minicbor::{CborLen, Decode, Encode};

use super::Blob;
use super::client::UserHead;
pub use super::push::{
    DELIVER, Deliver, Delivery, DeliveryId, DeviceWaits, LogGrew, MailboxDrained, PresenceChange, Push, ResetNotice,
    RoomGrew,
};
use crate::ids::{DeviceId, Fingerprint, Head, KeyHash, TokenHash, Username};
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
pub(super) use answer;

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
        /// That the server's offline key vouches for it, if it has one.
        #[n(7)] pub next_key_proof: Option<Box<NextKeyProof>>,
    }
}
answer! {
    /// The offline key of a server says that another key follows the present one: see [`crate::offline_key`].
    NextKeyProof {
        /// Its public half, SPKI.
        #[n(0)] pub key: Blob,
        /// Over the present key and the next one.
        #[n(1)] pub signature: Blob,
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
    /// The account has a log already, standing there and with this fingerprint: one of its devices must approve this
    /// one. Nobody's word is good for either until the digits were compared.
    #[n(1)]
    ApprovalRequired(#[n(0)] Head, #[n(1)] Fingerprint),
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
        /// Within which generation the numbers of the mailbox compare: another one begins where a server was put back from
        /// a backup.
        #[n(7)] pub mailbox_generation: u64,
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
    /// Answers [`super::client::GroupHeadQuery`].
    GroupStands {
        /// Sequence of the last op that was called.
        #[n(0)] pub last: u64,
        /// What stands at the place asked for.
        #[n(1)] pub there: OpThere,
        /// Of the secret that appends the next op.
        #[n(2)] pub next_token: TokenHash,
    }
}

/// What stands at a place of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, CborLen)]
#[cbor(index_only)]
pub enum OpThere {
    /// The op asked for.
    #[n(0)]
    Same,
    /// Another one.
    #[n(1)]
    Other,
    /// None yet.
    #[n(2)]
    NotYet,
}
answer! {
    /// Answers [`super::client::DevicesWaiting`]: at most 3, in the order they came.
    WaitingDevices {
        /// Those that wait.
        #[n(0)] pub devices: Vec<WaitingDevice>,
    }
}
answer! {
    /// A device that asks to be let in. Who it is is shown by the digits alone.
    WaitingDevice {
        /// `DeviceCert`, CBOR.
        #[n(0)] pub cert: Blob,
        /// What it signed once its user had compared the digits there.
        #[n(1)] pub acceptance: Option<Blob>,
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
    /// The device was ended by its account's log, or the log it is in was replaced. Said to whoever proves to be it.
    #[n(12)]
    Revoked,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_of_enrolment_are_strict_cbor() {
        let head = Head { seq: 0, hash: crate::ids::HeadHash::new([1; 32]) };
        let outcome = Enrolled::ApprovalRequired(head, Fingerprint::new([2; 32]));
        assert_eq!(crate::cbor::decode::<Enrolled>(&crate::cbor::encode(&outcome)), Ok(outcome));
    }
}
