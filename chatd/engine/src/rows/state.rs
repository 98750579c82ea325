//! Where this device stands.

use chat_protocol::ids::MessageId;
use chat_protocol::rpc::types::{MessagesFrom, TrustPolicy};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::rows::key::Key;

/// The settings in force.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Settings {
    /// Whether authors are told what was read.
    #[n(0)]
    pub read_receipts: bool,
    /// Whether others see that the account is online.
    #[n(1)]
    pub presence: bool,
    /// Messages older than so many days go from the history; 0 keeps them.
    #[n(2)]
    pub history_days: u32,
    /// Events older than so many days go from the log once every consumer has acknowledged them.
    #[n(3)]
    pub event_days: u32,
    /// At most so many events are kept, acknowledged or not.
    #[n(4)]
    pub max_events: u64,
    /// What happens when peers get new devices, where no chat says otherwise.
    #[cbor(n(5), default)]
    pub trust_policy: TrustPolicy,
    /// What waited longer than so many days to be sent fails; 0 lets it wait.
    #[cbor(n(6), default)]
    pub outbox_days: u32,
    /// MiB the history may take; 0 for any. Absent as long as nobody chose.
    #[n(7)]
    pub history_mib: Option<u32>,
    /// MiB the event log may take. Absent as long as nobody chose.
    #[n(8)]
    pub max_event_mib: Option<u32>,
    /// Whose messages are shown as they come.
    #[cbor(n(9), default)]
    pub messages_from: MessagesFrom,
}

/// How far the public room was read at a time: what was taken before is forgotten first.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct RoomMark {
    #[n(0)]
    pub(crate) at: Timestamp,
    /// The cursor then.
    #[n(1)]
    pub(crate) cursor: u64,
}

/// When the own clock and the server's agreed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Agreed {
    /// The server's time then.
    #[n(0)]
    pub(crate) server: Timestamp,
    /// The same moment in time that was seen to pass.
    #[n(1)]
    pub(crate) seen: Timestamp,
    /// Since when, in time that was seen to pass, both have said that it is earlier.
    #[n(2)]
    pub(crate) earlier_since: Option<Timestamp>,
}

/// What happens when the time of a timer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Due {
    /// A message is put in line.
    #[n(0)]
    Send,
    /// A message goes.
    #[n(1)]
    Expire,
    /// Somebody wants to know that it was not delivered.
    #[n(2)]
    Overdue,
}

impl Key for Due {
    const LEN: (usize, usize) = (1, 1);

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(*self as u8);
    }
}

/// A timer of a message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Timer {
    #[n(0)]
    pub(crate) due: Due,
    #[n(1)]
    pub(crate) id: MessageId,
}

/// What the server said it had from this device, when that was last acted upon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct ServerWord {
    #[n(0)]
    pub(crate) acked: u64,
    #[n(1)]
    pub(crate) bundle: u64,
    #[n(2)]
    pub(crate) submit: u64,
}
