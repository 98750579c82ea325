//! The history.

use chat_protocol::ids::{DeviceId, Fingerprint, MessageId, Username};
use chat_protocol::rpc::target::{PUBLIC_ROOM, SELF_CHAT};
use chat_protocol::rpc::types::{FailReason, MessageState};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::rows::key::Key;
use crate::rows::outbox::Read;
use crate::store::RowsError;

/// The public room's chat id.
pub const ROOM: &str = PUBLIC_ROOM;
/// The chat with oneself.
pub const SELF: &str = SELF_CHAT;

/// The id of a chat: that of a user's begins with `@`, and there are two more. So none is the label of other rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChatName(String);

impl ChatName {
    /// The chat of this id.
    pub(crate) fn of(id: &str) -> Result<Self, RowsError> {
        let is_one =
            matches!(id, ROOM | SELF) || id.strip_prefix('@').is_some_and(|user| Username::existing(user).is_ok());
        if is_one { Ok(Self(id.to_owned())) } else { Err(RowsError::Corrupt(format!("no chat is called {id:?}"))) }
    }
}

impl Key for ChatName {
    const LEN: (usize, usize) = (SELF.len(), 1 + Username::LEN.1);
    const STARTS: &'static [&'static str] = &["@", ROOM, SELF];

    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
    }
}

/// Somebody in a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InChat(pub(crate) Username, pub(crate) String);

impl Key for InChat {
    const LEN: (usize, usize) = (Username::LEN.0 + 1, usize::MAX);

    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
        // ends the name, which has no such byte
        bytes.push(0);
        self.1.write(bytes);
    }
}

/// Where an early change is noted under its author: its target, its kind, and how many bytes it has.
pub(crate) type EarlyNote = (MessageId, u8, u64);

/// What a message shows besides its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum MessageKind {
    /// Text.
    #[n(0)]
    Text,
    /// A content of a type this version does not know.
    #[n(1)]
    Unsupported,
    /// A content that was sealed correctly and cannot be read.
    #[n(2)]
    Malformed,
    /// Nobody's words: what happened, as this daemon notes it.
    #[n(3)]
    Notice,
}

/// One message of the history.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Message {
    /// Chosen by its author.
    #[n(0)]
    pub id: MessageId,
    /// Chat it is shown in.
    #[n(1)]
    pub chat: String,
    /// Author.
    #[n(2)]
    pub from: Username,
    /// The author's device; absent for a room post's author as the server tells it.
    #[n(3)]
    pub device: Option<DeviceId>,
    /// Whether it was sent from this account.
    #[n(4)]
    pub mine: bool,
    /// What it is.
    #[n(5)]
    pub kind: MessageKind,
    /// What it says.
    #[n(6)]
    pub text: String,
    /// The author's clock, for display.
    #[n(7)]
    pub sent: Timestamp,
    /// This device's clock when it was stored.
    #[n(8)]
    pub stored: Timestamp,
    /// How far it has come; `None` for somebody else's.
    #[cbor(n(9), with = "sent_state")]
    pub state: SentState,
    /// It came after it had been given up.
    #[n(10)]
    pub late: bool,
    /// Why it failed.
    #[n(11)]
    pub error: Option<FailReason>,
    /// When the recipient's device had it.
    #[n(12)]
    pub delivered: Option<Timestamp>,
    /// When the recipient saw it.
    #[n(13)]
    pub read: Option<Timestamp>,
    /// The caller's own name for it.
    #[n(14)]
    pub client_id: Option<String>,
    /// Its number in the public room.
    #[n(15)]
    pub room_seq: Option<u64>,
    /// The message it answers.
    #[n(16)]
    pub reply_to: Option<MessageId>,
    /// The number its author's device gave it in the conversation: (epoch, n).
    #[n(17)]
    pub number: Option<(u64, u64)>,
    /// Whom it mentions.
    #[cbor(n(18), default, skip_if = "Vec::is_empty")]
    pub mentions: Vec<Username>,
    /// It goes so many seconds after it was sent, here and there.
    #[n(19)]
    pub ttl_s: Option<u32>,
    /// When it goes from here.
    #[n(20)]
    pub expires: Option<Timestamp>,
    /// When it is to be sent; absent once it was put in line.
    #[n(21)]
    pub at: Option<Timestamp>,
    /// When its author last changed it, by the author's clock.
    #[n(22)]
    pub edited: Option<Timestamp>,
    /// Its text is gone: taken back, deleted here, or expired.
    #[cbor(n(23), default, skip_if = "is_false")]
    pub deleted: bool,
    /// What was said to it with one sign, at most one for each user.
    #[cbor(n(24), default, skip_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// Identity of somebody else who wrote it: whoever changes it must be the same.
    #[n(25)]
    pub author: Option<Fingerprint>,
    /// Its place in the queue, if it ever was there.
    #[n(26)]
    pub queued_at: Option<u64>,
    /// Events that carry its text, by sequence.
    #[cbor(n(27), default, skip_if = "Vec::is_empty")]
    pub told_in: Vec<u64>,
    /// When the server had it.
    #[n(28)]
    pub accepted: Option<Timestamp>,
    /// Its author said, when it came, that a program writes there.
    #[cbor(n(29), default, skip_if = "is_false")]
    pub from_bot: bool,
    /// Its author named a log that the server did not show.
    #[cbor(n(30), default, skip_if = "is_false")]
    pub unverified_log: bool,
    /// It came from a device that the policy leaves out.
    #[cbor(n(31), default, skip_if = "is_false")]
    pub unverified_device: bool,
    /// When it was stored, or put in line, in time that was seen to pass. Absent in rows of version 1.
    #[cbor(n(32), default)]
    pub kept: Timestamp,
    /// When the server had it, in time that was seen to pass.
    #[n(33)]
    pub silent: Option<Timestamp>,
    /// It was sent again, as another one.
    #[cbor(n(34), default, skip_if = "is_false")]
    pub resent: bool,
}

/// One sign to a message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Reaction {
    /// Who gave it.
    #[n(0)]
    pub user: Username,
    /// At most 64 bytes.
    #[n(1)]
    pub emoji: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "minicbor calls it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// One chat.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Chat {
    /// `@user`, `room:public` or `self`.
    #[n(0)]
    pub id: String,
    /// Messages of others that were not read.
    #[n(1)]
    pub unread: u64,
    /// Position of the newest message read.
    #[n(2)]
    pub read_to: u64,
    /// Position of the newest message.
    #[n(3)]
    pub last: u64,
    /// Until when it makes no noise; 0 for never.
    #[n(4)]
    pub muted_until: Timestamp,
    /// Out of sight.
    #[n(5)]
    pub archived: bool,
    /// Place among the chats: when it was last active, in steps.
    #[n(6)]
    pub activity: u64,
    /// Own messages go so many seconds after they were sent, unless they say otherwise.
    #[n(7)]
    pub ttl_s: Option<u32>,
    /// Unread messages that mention this account.
    #[cbor(n(8), default)]
    pub mentions: u64,
    /// About how many bytes its messages take.
    #[cbor(n(9), default)]
    pub bytes: u64,
    /// This account has written there, on whichever device.
    #[cbor(n(10), default)]
    pub wrote: bool,
}

/// Up to where the messages of one device were read on another own device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct ReadThere {
    #[n(0)]
    pub(crate) read: Read,
    /// The own other device that said so.
    #[n(1)]
    pub(crate) by: DeviceId,
}

/// The state of a message from here. By another name than `Option`, as that would be left out of the row when absent.
pub(crate) type SentState = Option<MessageState>;

/// The state of a message, or the number that stands for somebody else's.
mod sent_state {
    use chat_protocol::rpc::types::MessageState;
    use minicbor::decode::{Decoder, Error};
    use minicbor::encode::{self, Encoder, Write};
    use minicbor::{Decode as _, Encode as _};

    /// Behind those of the states.
    const RECEIVED: u8 = 7;

    pub(super) fn encode<C, W: Write>(
        state: &Option<MessageState>,
        to: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        match state {
            Some(state) => state.encode(to, context),
            None => to.u8(RECEIVED)?.ok(),
        }
    }

    pub(super) fn decode<C>(from: &mut Decoder<'_>, context: &mut C) -> Result<Option<MessageState>, Error> {
        if from.probe().u8()? == RECEIVED {
            from.skip()?;
            return Ok(None);
        }
        MessageState::decode(from, context).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::key::ReadKey;

    #[test]
    fn rows_of_a_user_whose_name_was_allowed_once_are_found() {
        let name = Username::existing("@alice").unwrap();
        let mut bytes = Vec::new();
        name.write(&mut bytes);
        assert_eq!(<Username as ReadKey>::read(&bytes), Some(name));
        assert!(ChatName::of("@@alice").is_ok() && ChatName::of("@.alice").is_err());
    }
}
