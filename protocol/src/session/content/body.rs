//! The types of content.

use minicbor::{CborLen, Decode, Encode};

use super::{Ack, ContentError};
use crate::cbor;
use crate::ids::{MessageId, Username};
use crate::limits::{
    MAX_ABOUT_BYTES, MAX_ACKS, MAX_DISPLAY_NAME_BYTES, MAX_LOG_ENTRIES, MAX_MENTIONS, MAX_NUMBER, MAX_REACTION_BYTES,
    MAX_TEXT_BYTES, MAX_TTL_S, MIN_TTL_S,
};
use crate::message::Blob;

/// Numbers of the types: assigned once, never reused. Below 128 messages, from 128 on control.
pub mod kind {
    /// [`super::Text`].
    pub const TEXT: u16 = 1;
    /// [`super::Reply`].
    pub const REPLY: u16 = 2;
    /// [`super::Edit`].
    pub const EDIT: u16 = 3;
    /// [`super::Delete`].
    pub const DELETE: u16 = 4;
    /// [`super::Reaction`].
    pub const REACTION: u16 = 5;
    /// A file stored in chunks elsewhere; reserved.
    pub const FILE: u16 = 6;
    /// First of the group operations; reserved.
    pub const GROUP_FIRST: u16 = 16;
    /// Last of the group operations; reserved.
    pub const GROUP_LAST: u16 = 31;
    /// First of the control types.
    pub const CONTROL_FIRST: u16 = 128;
    /// [`super::Receipt`].
    pub const RECEIPT: u16 = 128;
    /// Nothing but a turn of the ratchet.
    pub const HEARTBEAT: u16 = 129;
    /// First content of an INIT that replaces broken sessions.
    pub const RESET: u16 = 130;
    /// [`super::LogEntries`].
    pub const LOG_ENTRIES: u16 = 131;
    /// [`super::Profile`].
    pub const PROFILE: u16 = 132;
}

/// Something said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Text {
    /// At most 60 KiB, with the mentions.
    #[n(0)]
    pub text: String,
    /// Whom it mentions; at most 32.
    #[cbor(n(2), default, skip_if = "Vec::is_empty")]
    pub mentions: Vec<Username>,
    /// Author and reader delete it so many seconds after they sent or stored it: 5 to a year.
    #[n(3)]
    pub ttl_s: Option<u32>,
}

/// Something said in answer to a message of the same conversation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Reply {
    /// At most 60 KiB, with the mentions.
    #[n(0)]
    pub text: String,
    /// The message answered.
    #[n(1)]
    pub to: MessageId,
    /// As in [`Text`].
    #[cbor(n(2), default, skip_if = "Vec::is_empty")]
    pub mentions: Vec<Username>,
    /// As in [`Text`].
    #[n(3)]
    pub ttl_s: Option<u32>,
}

/// Another text for one of the author's own messages.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Edit {
    /// The message changed.
    #[n(0)]
    pub target: MessageId,
    /// At most 60 KiB.
    #[n(1)]
    pub text: String,
}

/// Takes one of the author's own messages back.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Delete {
    /// The message taken back.
    #[n(0)]
    pub target: MessageId,
}

/// Reacts to a message of the same conversation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Reaction {
    /// The message reacted to.
    #[n(0)]
    pub target: MessageId,
    /// At most 64 bytes without control characters; empty takes the author's reaction back.
    #[n(1)]
    pub emoji: String,
}

/// Says what arrived (the acks of the content) and what was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Receipt {
    /// What the user has read, per author device: everything below the position. At most 16.
    #[n(0)]
    pub read: Vec<Ack>,
}

/// Account-log entries the reader lacks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct LogEntries {
    /// Whose log.
    #[n(0)]
    pub user: Username,
    /// Signed entries, contiguous; as many as fit a content.
    #[n(1)]
    pub entries: Vec<Blob>,
}

/// What the author says of itself. Nothing in it proves anything: anybody may call themselves anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Profile {
    /// What it would like to be called; empty for nothing.
    #[n(0)]
    pub display_name: String,
    /// A line about itself; empty for nothing.
    #[n(1)]
    pub about: String,
    /// Whether a program writes, which others of its kind had better not answer.
    #[n(2)]
    pub bot: bool,
    /// Of two profiles of one account identity the one with the higher version counts.
    #[n(3)]
    pub version: u64,
}

impl Profile {
    /// Whether it is within the limits. A reader drops one that is not, and shows nothing instead.
    #[must_use]
    pub const fn fits(&self) -> bool {
        self.display_name.len() <= MAX_DISPLAY_NAME_BYTES && self.about.len() <= MAX_ABOUT_BYTES
    }
}

/// A type this program does not know, or one of a later version: shown as unsupported, kept as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Its number.
    pub kind: u16,
    /// Its body.
    pub body: Vec<u8>,
}

/// Bytes of a text with its mentions: what [`MAX_TEXT_BYTES`] bounds, so that both fit a content.
#[must_use]
pub fn text_bytes(text: &str, mentions: &[Username]) -> usize {
    // a name of up to 150 bytes has a head of two
    text.len() + mentions.iter().map(|name| name.as_str().len() + 2).sum::<usize>()
}

/// Whether a sign can be given to a message: short, and nothing that moves a cursor.
#[must_use]
pub fn is_reaction(emoji: &str) -> bool {
    (1..=MAX_REACTION_BYTES).contains(&emoji.len()) && !emoji.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// What a content says. Its `Debug` does not.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// See [`Text`].
    Text(Text),
    /// See [`Reply`].
    Reply(Reply),
    /// See [`Edit`].
    Edit(Edit),
    /// See [`Delete`].
    Delete(Delete),
    /// See [`Reaction`].
    Reaction(Reaction),
    /// See [`Receipt`].
    Receipt(Receipt),
    /// Turns the ratchet.
    Heartbeat,
    /// First content of an INIT that replaces broken sessions.
    Reset,
    /// See [`LogEntries`].
    LogEntries(LogEntries),
    /// See [`Profile`].
    Profile(Profile),
    /// See [`Unsupported`].
    Unsupported(Unsupported),
}

/// A body without fields.
#[derive(Encode, Decode, CborLen)]
#[cbor(map)]
struct Empty {}

impl Body {
    /// A plain text.
    #[must_use]
    pub const fn text(text: String) -> Self {
        Self::Text(Text { text, mentions: Vec::new(), ttl_s: None })
    }

    /// Its number on the wire.
    #[must_use]
    pub const fn kind(&self) -> u16 {
        match self {
            Self::Text(_) => kind::TEXT,
            Self::Reply(_) => kind::REPLY,
            Self::Edit(_) => kind::EDIT,
            Self::Delete(_) => kind::DELETE,
            Self::Reaction(_) => kind::REACTION,
            Self::Receipt(_) => kind::RECEIPT,
            Self::Heartbeat => kind::HEARTBEAT,
            Self::Reset => kind::RESET,
            Self::LogEntries(_) => kind::LOG_ENTRIES,
            Self::Profile(_) => kind::PROFILE,
            Self::Unsupported(other) => other.kind,
        }
    }

    /// Whether it is numbered, acknowledged and shown; the others are control.
    #[must_use]
    pub const fn is_message(&self) -> bool {
        self.kind() < kind::CONTROL_FIRST
    }

    pub(super) fn to_cbor(&self) -> Vec<u8> {
        match self {
            Self::Text(body) => cbor::encode(body),
            Self::Reply(body) => cbor::encode(body),
            Self::Edit(body) => cbor::encode(body),
            Self::Delete(body) => cbor::encode(body),
            Self::Reaction(body) => cbor::encode(body),
            Self::Receipt(body) => cbor::encode(body),
            Self::Heartbeat | Self::Reset => cbor::encode(&Empty {}),
            Self::LogEntries(body) => cbor::encode(body),
            Self::Profile(body) => cbor::encode(body),
            Self::Unsupported(body) => body.body.clone(),
        }
    }

    /// Bytes of [`Self::to_cbor`], which is not done for it.
    pub(super) fn cbor_len(&self) -> usize {
        match self {
            Self::Text(body) => minicbor::len(body),
            Self::Reply(body) => minicbor::len(body),
            Self::Edit(body) => minicbor::len(body),
            Self::Delete(body) => minicbor::len(body),
            Self::Reaction(body) => minicbor::len(body),
            Self::Receipt(body) => minicbor::len(body),
            Self::Heartbeat | Self::Reset => minicbor::len(Empty {}),
            Self::LogEntries(body) => minicbor::len(body),
            Self::Profile(body) => minicbor::len(body),
            Self::Unsupported(body) => body.body.len(),
        }
    }

    pub(super) fn from_cbor(number: u16, bytes: &[u8]) -> Result<Self, ContentError> {
        let empty = |body| cbor::decode::<Empty>(bytes).map(|_| body);
        let body = match number {
            kind::TEXT => cbor::decode(bytes).map(Self::Text),
            kind::REPLY => cbor::decode(bytes).map(Self::Reply),
            kind::EDIT => cbor::decode(bytes).map(Self::Edit),
            kind::DELETE => cbor::decode(bytes).map(Self::Delete),
            kind::REACTION => cbor::decode(bytes).map(Self::Reaction),
            kind::RECEIPT => cbor::decode(bytes).map(Self::Receipt),
            kind::HEARTBEAT => empty(Self::Heartbeat),
            kind::RESET => empty(Self::Reset),
            kind::LOG_ENTRIES => cbor::decode(bytes).map(Self::LogEntries),
            kind::PROFILE => cbor::decode(bytes).map(Self::Profile),
            _ => Ok(Self::Unsupported(Unsupported { kind: number, body: bytes.to_vec() })),
        };
        body.map_err(|_| ContentError::Malformed)
    }

    /// The rules beyond shape.
    pub(super) fn check(&self) -> Result<(), ContentError> {
        let within = |fits: bool, error| if fits { Ok(()) } else { Err(error) };
        match self {
            Self::Text(Text { text, mentions, ttl_s }) | Self::Reply(Reply { text, mentions, ttl_s, .. }) => {
                let lives = ttl_s.is_none_or(|ttl_s| (MIN_TTL_S..=MAX_TTL_S).contains(&ttl_s));
                within(lives && mentions.len() <= MAX_MENTIONS, ContentError::Malformed)?;
                within(text_bytes(text, mentions) <= MAX_TEXT_BYTES, ContentError::TooLarge)
            }
            Self::Edit(Edit { text, .. }) => within(text.len() <= MAX_TEXT_BYTES, ContentError::TooLarge),
            Self::Reaction(Reaction { emoji, .. }) => {
                within(emoji.is_empty() || is_reaction(emoji), ContentError::Malformed)
            }
            Self::Receipt(receipt) => {
                let possible = receipt.read.len() <= MAX_ACKS && receipt.read.iter().all(Ack::is_possible);
                within(possible, ContentError::Malformed)
            }
            Self::LogEntries(log) => within(log.entries.len() <= MAX_LOG_ENTRIES, ContentError::Malformed),
            // one that is too long is dropped by whoever reads it, and is no message that went wrong
            Self::Profile(profile) => within(profile.version <= MAX_NUMBER, ContentError::Malformed),
            Self::Delete(_) | Self::Heartbeat | Self::Reset | Self::Unsupported(_) => Ok(()),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body(type {})", self.kind())
    }
}
