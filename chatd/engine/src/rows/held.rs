//! What came and waits for what comes before it.

use chat_protocol::ids::{DeviceId, Fingerprint, Username};
use chat_protocol::message::Blob;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::rows::key::Key;
use crate::rows::messages::Message;
use crate::rows::outbox::Change;

/// Where the conversation with one device of its author stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Stream {
    /// Changes when the author's state was lost.
    #[n(0)]
    pub(crate) epoch: u64,
    /// The number awaited.
    #[n(1)]
    pub(crate) next: u64,
    /// The highest numbers given up, ascending.
    #[n(2)]
    pub(crate) given_up: Vec<u64>,
}

/// Names a stream: the chat and the author's device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct StreamId {
    #[n(0)]
    pub(crate) chat: String,
    #[n(1)]
    pub(crate) user: Username,
    #[n(2)]
    pub(crate) device: DeviceId,
}

/// Something an author said, in the order of the author.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum AuthorEvent {
    /// A message.
    #[n(0)]
    Message(#[n(0)] Box<Message>),
    /// A change of one.
    #[n(1)]
    Change(#[n(0)] Change),
    /// Something the user does not want to hear: it only takes its place.
    #[n(2)]
    Unheard,
}

/// Something that came before what its author sent earlier.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Buffered {
    #[n(0)]
    pub(crate) said: AuthorEvent,
    #[n(1)]
    pub(crate) until: Timestamp,
}

/// A message whose author named a log that is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct AheadMessage {
    #[n(0)]
    pub(crate) number: u64,
    #[n(1)]
    pub(crate) user: Username,
    #[n(2)]
    pub(crate) device: DeviceId,
    #[n(3)]
    pub(crate) plaintext: Blob,
}

/// What somebody who is not known here wants. The messages are rows of their own.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Request {
    #[n(0)]
    pub(crate) user: Username,
    /// Which of all requests it was.
    #[n(1)]
    pub(crate) number: u64,
    /// When the first message came, by the clock.
    #[n(2)]
    pub(crate) since: Timestamp,
    /// The same in time that was seen to pass.
    #[n(3)]
    pub(crate) kept: Timestamp,
    /// How many texts wait …
    #[n(4)]
    pub(crate) messages: u64,
    /// … and what they take, with what changes them.
    #[n(5)]
    pub(crate) bytes: u64,
    /// How the first one begins.
    #[n(6)]
    pub(crate) text: Option<String>,
    /// The user does not want it: nothing more is kept.
    #[n(7)]
    pub(crate) declined: bool,
    /// Something of theirs was not kept.
    #[n(8)]
    pub(crate) dropped: bool,
}

/// A message of a request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct RequestedMessage {
    /// Which of all of them it was.
    #[n(0)]
    pub(crate) number: u64,
    #[n(1)]
    pub(crate) device: DeviceId,
    /// Identity of its author when it came.
    #[n(2)]
    pub(crate) author: Fingerprint,
    /// Whether it says something, and does not only change what was said.
    #[n(3)]
    pub(crate) speaks: bool,
    #[n(4)]
    pub(crate) plaintext: Blob,
}

/// What of one device waits in a chat. The first byte string is the label of the family it is kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BufferedOf(pub(crate) DeviceId, pub(crate) String);

impl Key for BufferedOf {
    const LEN: (usize, usize) = (6 + DeviceId::LEN, usize::MAX);
    const STARTS: &'static [&'static str] = &["early:"];

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(b"early:");
        self.0.write(bytes);
        self.1.write(bytes);
    }
}
