//! What a client may ask.

use minicbor::{CborLen, Decode, Encode};

pub use super::password::{Password, PasswordError};
use super::server::{
    Accepted, Bundle, Enrolled, LogPage, LoggedIn, LookedUp, OneTimeLeft, PresenceList, ResetState, RoomPage,
    RoomPosted, WaitingDevices,
};
use super::{Blob, Call, Done, EncodedEnvelope, Envelope};
use crate::ids::{DeviceId, GroupAt, Head, SubmitId, Username};

/// Declares a request: its number, its answer and its fields.
macro_rules! call {
    ($(#[$doc:meta])* $name:ident = $number:literal -> $answer:ty { $($fields:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
        #[cbor(map)]
        pub struct $name { $($fields)* }

        impl Call for $name {
            const TYPE: u16 = $number;
            type Answer = $answer;
        }
    };
}

mod groups;

pub use self::groups::{GroupAppend, GroupHeadQuery};

// Guests: before login.

call! {
    /// Creates an account. Errors: `exists`, `denied` (invite), `rate_limited`, `bad_request` (password).
    Register = 1 -> Done {
        /// Wanted name.
        #[n(0)] pub user: Username,
        /// Becomes a bcrypt hash; never stored otherwise.
        #[n(1)] pub password: Password,
        /// Token of a personal invite, where the server asks for one.
        #[n(2)] pub invite: Option<Blob>,
    }
}
call! {
    /// Makes this device known: with a genesis entry when it is the account's first one. On
    /// `ready` the connection is logged in. Errors: `denied` for an unknown user or a wrong password
    /// alike, `busy`, `rate_limited` (also when too many devices wait). A genesis that lost the race is
    /// answered like a further device: it waits for approval.
    Enrol = 2 -> Enrolled {
        /// Account.
        #[n(0)] pub user: Username,
        /// Its password.
        #[n(1)] pub password: Password,
        /// `DeviceCert`, CBOR.
        #[n(2)] pub cert: Blob,
        /// `sign(DSK, enrol, cb ‖ server key ‖ lp(cert))`.
        #[n(3)] pub signature: Blob,
        /// Signed genesis entry, if the account has no log yet.
        #[n(4)] pub genesis: Option<Blob>,
    }
}
call! {
    /// Logs a known device in. Errors: `denied`, `approval_required` (not active in the log), `revoked`.
    Login = 3 -> LoggedIn {
        /// Account.
        #[n(0)] pub user: Username,
        /// Device.
        #[n(1)] pub device: DeviceId,
        /// `sign(DSK, login, cb ‖ server key ‖ lp(user) ‖ device_id)`.
        #[n(2)] pub signature: Blob,
        /// From a device that waits, once its user has compared the digits: `sign(DSK, join, fingerprint ‖ cert)`, kept
        /// for whoever approves it. At most 512 bytes; sent again with every login until it is active.
        #[n(3)] pub acceptance: Option<Blob>,
    }
}
call! {
    /// Starts the account again after every device was lost; see [`ResetState`]. On `done` the
    /// connection is logged in. Errors as [`Enrol`].
    Reset = 4 -> ResetState {
        /// Account.
        #[n(0)] pub user: Username,
        /// Its password.
        #[n(1)] pub password: Password,
        /// `DeviceCert` of the new first device.
        #[n(2)] pub cert: Blob,
        /// `sign(DSK, enrol, cb ‖ server key ‖ lp(cert))`.
        #[n(3)] pub signature: Blob,
        /// Signed genesis whose `replaces` is the hash of the old log's head; absent only to ask for that
        /// head (answered `stale` with it once the password is right).
        #[n(4)] pub genesis: Option<Blob>,
    }
}

// People and account logs: after login.

call! {
    /// Asks which of up to 100 names exist and where their logs stand.
    Lookup = 16 -> LookedUp {
        /// Names.
        #[n(0)] pub users: Vec<Username>,
    }
}
call! {
    /// Asks for log entries of one account from a sequence on. Errors: `not_found`.
    LogFetch = 17 -> LogPage {
        /// Account.
        #[n(0)] pub user: Username,
        /// First sequence wanted.
        #[n(1)] pub from: u64,
    }
}
call! {
    /// Appends an entry to the own log if it still stands at `head`. Errors: `stale` with the true head.
    LogAppend = 18 -> Done {
        /// Where the author believes the log stands.
        #[n(0)] pub head: Head,
        /// The signed entry.
        #[n(1)] pub entry: Blob,
    }
}
call! {
    /// Changes the account's password. Errors: `denied` (old password), `bad_request`.
    ChangePassword = 19 -> Done {
        /// Present password.
        #[n(0)] pub old: Password,
        /// Next password.
        #[n(1)] pub new: Password,
    }
}
call! {
    /// Cancels a reset of the own account that waits for its time.
    ResetCancel = 20 -> Done {}
}
call! {
    /// Asks which devices wait to be let into the own account.
    DevicesWaiting = 22 -> WaitingDevices {}
}
call! {
    /// Asks for everybody online now; from then on changes are pushed.
    PresenceWatch = 21 -> PresenceList {
        /// Whether others may see this device's user online.
        #[n(0)] pub visible: bool,
    }
}

// Prekeys.

call! {
    /// Publishes a new signed bundle with one-time public keys named in it. Errors: `stale` when its
    /// sequence is not above the last one.
    BundlePublish = 32 -> Done {
        /// Signed bundle.
        #[n(0)] pub bundle: Blob,
        /// One-time X25519 public keys that are new in this bundle, 32 bytes each.
        #[n(1)] pub one_time: Vec<Blob>,
    }
}
call! {
    /// Takes a device's bundle and, while there are any, one of its one-time keys, which nobody gets
    /// again. Errors: `not_found`, `rate_limited`.
    BundleFetch = 33 -> Bundle {
        /// Account.
        #[n(0)] pub user: Username,
        /// Device.
        #[n(1)] pub device: DeviceId,
    }
}
call! {
    /// Asks which own one-time keys are still on the server.
    OneTimeStatus = 34 -> OneTimeLeft {}
}

// Mailboxes.

/// One device's share of a submit.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Addressed<E = Envelope> {
    /// Recipient device.
    #[n(0)]
    pub device: DeviceId,
    /// What it gets.
    #[n(1)]
    pub envelope: E,
}

/// The log head of an account as its sender knows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct UserHead {
    /// Account.
    #[n(0)]
    pub user: Username,
    /// Its head as known to the speaker.
    #[n(1)]
    pub head: Head,
}

/// Hands envelopes to mailboxes. The same `submit_id` is stored once, however often it is sent.
/// Errors: `stale` with the true heads, or with none where it is the group that stands elsewhere, `mailbox_full` when all
/// are, `not_found`, `rate_limited`, `too_large`, `busy`.
///
/// A server reads it with [`EncodedEnvelope`]s, which it passes on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Submit<E = Envelope> {
    /// Deduplicated per sending device for 31 days.
    #[n(0)]
    pub submit_id: SubmitId,
    /// Heads of every account named through its devices.
    #[n(1)]
    pub heads: Vec<UserHead>,
    /// Devices and envelopes.
    #[n(2)]
    pub to: Vec<Addressed<E>>,
    /// The group it is said in, and where that stands for the author: `stale` if it stands elsewhere.
    #[n(3)]
    pub group: Option<GroupAt>,
}

impl Call for Submit {
    const TYPE: u16 = 48;
    type Answer = Accepted;
}
call! {
    /// Everything up to and including `seq` is stored here: forget it.
    MailboxAck = 49 -> Done {
        /// Cumulative.
        #[n(0)] pub seq: u64,
    }
}

// The public room.

call! {
    /// Says something to everybody. The server can read it.
    RoomPost = 64 -> RoomPosted {
        /// Deduplicated like a submit, in the same counter.
        #[n(0)] pub submit_id: SubmitId,
        /// At most 8 KiB.
        #[n(1)] pub text: String,
    }
}
call! {
    /// Asks for posts after `seq`, oldest first. `seq` absent: the newest `max`.
    RoomSince = 65 -> RoomPage {
        /// Last sequence already known.
        #[n(0)] pub seq: Option<u64>,
        /// At most 500.
        #[n(1)] pub max: u64,
    }
}

/// A request as the server reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// See [`Register`].
    Register(Register),
    /// See [`Enrol`].
    Enrol(Enrol),
    /// See [`Login`].
    Login(Login),
    /// See [`Reset`].
    Reset(Reset),
    /// See [`Lookup`].
    Lookup(Lookup),
    /// See [`LogFetch`].
    LogFetch(LogFetch),
    /// See [`LogAppend`].
    LogAppend(LogAppend),
    /// See [`ChangePassword`].
    ChangePassword(ChangePassword),
    /// See [`ResetCancel`].
    ResetCancel(ResetCancel),
    /// See [`DevicesWaiting`].
    DevicesWaiting(DevicesWaiting),
    /// See [`PresenceWatch`].
    PresenceWatch(PresenceWatch),
    /// See [`BundlePublish`].
    BundlePublish(BundlePublish),
    /// See [`BundleFetch`].
    BundleFetch(BundleFetch),
    /// See [`OneTimeStatus`].
    OneTimeStatus(OneTimeStatus),
    /// See [`Submit`].
    Submit(Submit<EncodedEnvelope>),
    /// See [`MailboxAck`].
    MailboxAck(MailboxAck),
    /// See [`RoomPost`].
    RoomPost(RoomPost),
    /// See [`RoomSince`].
    RoomSince(RoomSince),
    /// See [`GroupAppend`].
    GroupAppend(GroupAppend),
    /// See [`GroupHeadQuery`].
    GroupHead(GroupHeadQuery),
}

/// Why a request could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A type this version does not know: answered `unsupported`, the connection stays.
    #[error("unknown request type {0}")]
    Unknown(u16),
    /// A known type with a payload that is not its own: answered `bad_request`.
    #[error("malformed request of type {0}")]
    Malformed(u16),
}

impl Request {
    /// Reads the payload of a request of type `number`.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn decode(number: u16, payload: &[u8]) -> Result<Self, RequestError> {
        fn read<T: Call>(payload: &[u8], wrap: fn(T) -> Request) -> Result<Request, RequestError> {
            crate::cbor::decode(payload).map(wrap).map_err(|_| RequestError::Malformed(T::TYPE))
        }
        match number {
            Register::TYPE => read(payload, Self::Register),
            Enrol::TYPE => read(payload, Self::Enrol),
            Login::TYPE => read(payload, Self::Login),
            Reset::TYPE => read(payload, Self::Reset),
            Lookup::TYPE => read(payload, Self::Lookup),
            LogFetch::TYPE => read(payload, Self::LogFetch),
            LogAppend::TYPE => read(payload, Self::LogAppend),
            ChangePassword::TYPE => read(payload, Self::ChangePassword),
            ResetCancel::TYPE => read(payload, Self::ResetCancel),
            DevicesWaiting::TYPE => read(payload, Self::DevicesWaiting),
            PresenceWatch::TYPE => read(payload, Self::PresenceWatch),
            BundlePublish::TYPE => read(payload, Self::BundlePublish),
            BundleFetch::TYPE => read(payload, Self::BundleFetch),
            OneTimeStatus::TYPE => read(payload, Self::OneTimeStatus),
            Submit::TYPE => {
                let submit = crate::cbor::decode(payload).map(Self::Submit);
                submit.map_err(|_| RequestError::Malformed(Submit::TYPE))
            }
            MailboxAck::TYPE => read(payload, Self::MailboxAck),
            RoomPost::TYPE => read(payload, Self::RoomPost),
            RoomSince::TYPE => read(payload, Self::RoomSince),
            GroupAppend::TYPE => read(payload, Self::GroupAppend),
            GroupHeadQuery::TYPE => read(payload, Self::GroupHead),
            unknown => Err(RequestError::Unknown(unknown)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_back_as_sent() {
        let post = RoomPost { submit_id: SubmitId::new(1, [2; 8]), text: "hi".into() };
        assert_eq!(Request::decode(RoomPost::TYPE, &crate::cbor::encode(&post)), Ok(Request::RoomPost(post)));
        let since = RoomSince { seq: None, max: 5 };
        assert_eq!(crate::cbor::encode(&since), [0xa1, 1, 5]);
        assert_eq!(Request::decode(9999, &[0xa0]), Err(RequestError::Unknown(9999)));
        assert_eq!(Request::decode(RoomPost::TYPE, &[0xa0]), Err(RequestError::Malformed(RoomPost::TYPE)));
    }
}
