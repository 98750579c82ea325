//! What is to be sent.

use chat_protocol::ids::{DeviceId, Fingerprint, MessageId, SessionId, SubmitId, Username};
use chat_protocol::message::Blob;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

/// The author's number of a message within one conversation: (epoch, n).
pub(crate) type Number = (u64, u64);

/// A private message that waits to be sealed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Item {
    /// Position in the queue.
    #[n(0)]
    pub(crate) position: u64,
    /// Message it carries.
    #[n(1)]
    pub(crate) id: MessageId,
    /// Recipient.
    #[n(2)]
    pub(crate) to: Username,
    /// Given when it is sealed first; kept when it is sealed again.
    #[n(3)]
    pub(crate) number: Option<Number>,
    /// How often the server refused it as stale.
    #[n(4)]
    pub(crate) refused: u32,
    /// Not before.
    #[n(5)]
    pub(crate) after: Timestamp,
    /// The one device it goes to; absent for all of the recipient's and the own other ones.
    #[n(6)]
    pub(crate) only: Option<DeviceId>,
}

/// A change of a message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Change {
    /// The chat of the message.
    #[n(0)]
    pub(crate) chat: String,
    /// Who changes it.
    #[n(1)]
    pub(crate) by: Username,
    /// The identity of somebody else who does.
    #[n(2)]
    pub(crate) author: Option<Fingerprint>,
    /// The message.
    #[n(3)]
    pub(crate) target: MessageId,
    /// The clock of who changes it.
    #[n(4)]
    pub(crate) at: Timestamp,
    #[n(5)]
    pub(crate) kind: ChangeKind,
    /// When it came to be here, in time that was seen to pass. Absent in rows of version 1.
    #[cbor(n(6), default)]
    pub(crate) kept: Timestamp,
}

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum ChangeKind {
    /// Another text.
    #[n(0)]
    Edit(#[n(0)] String),
    /// It is taken back.
    #[n(1)]
    Delete,
    /// A sign; empty takes it back.
    #[n(2)]
    React(#[n(0)] String),
}

/// A receipt to be sent to one device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct PendingReceipt {
    #[n(0)]
    pub(crate) user: Username,
    #[n(1)]
    pub(crate) device: DeviceId,
    /// When it is due.
    #[n(2)]
    pub(crate) due: Timestamp,
    /// Number of the newest message of the device that was read, if that is to be told.
    #[n(3)]
    pub(crate) read: Option<Number>,
}

/// A receipt to be sent to another own device, about one chat.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct PendingOwnReceipt {
    #[n(0)]
    pub(crate) device: DeviceId,
    /// The peer of the chat, or the own account for notes to oneself.
    #[n(1)]
    pub(crate) peer: Username,
    /// Up to where each of the peer's devices was read.
    #[n(2)]
    pub(crate) reads: Vec<Read>,
    /// Not before.
    #[cbor(n(3), default)]
    pub(crate) after: Timestamp,
}

/// Up to where the messages of one device were read.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Read {
    #[n(0)]
    pub(crate) device: DeviceId,
    #[n(1)]
    pub(crate) number: Number,
}

/// A log that a device is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct PendingLog {
    #[n(0)]
    pub(crate) user: Username,
    #[n(1)]
    pub(crate) device: DeviceId,
    /// Whose log.
    #[n(2)]
    pub(crate) subject: Username,
}

/// Which profile a device was told last.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct ToldProfile {
    #[n(0)]
    pub(crate) version: u64,
    #[n(1)]
    pub(crate) session: SessionId,
    #[n(2)]
    pub(crate) at: Timestamp,
}

/// What a pending submit carries, for when it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum SubmitKind {
    /// A private message.
    #[n(0)]
    Message(#[n(0)] Item),
    /// A post in the public room.
    #[n(1)]
    Post(#[n(0)] MessageId),
    /// A receipt or heartbeat for one device, and up to where it says that was read.
    #[n(2)]
    Receipt(#[n(0)] Username, #[n(1)] DeviceId, #[n(2)] Option<Number>),
    /// What this account says of itself, for one device.
    #[n(3)]
    Profile(#[n(0)] Username, #[n(1)] DeviceId),
    /// What one device lacks of an account log.
    #[n(4)]
    Log(#[n(0)] Username, #[n(1)] DeviceId),
    /// A receipt for another own device.
    #[n(5)]
    OwnDevice(#[n(0)] PendingOwnReceipt),
    /// The reset that begins a new session with one device.
    #[n(6)]
    Reset(#[n(0)] Username, #[n(1)] DeviceId),
}

/// Bytes under way.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct PendingSubmit {
    #[n(0)]
    pub(crate) submit_id: SubmitId,
    /// Request type.
    #[n(1)]
    pub(crate) number: u16,
    /// The request, exactly as it is sent every time.
    #[n(2)]
    pub(crate) payload: Blob,
    #[n(3)]
    pub(crate) kind: SubmitKind,
    /// Not before.
    #[n(4)]
    pub(crate) after: Timestamp,
    /// How often the server put it off.
    #[n(5)]
    pub(crate) put_off: u32,
}
