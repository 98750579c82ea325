//! What is inside a message: who may name which chat, what is acknowledged, what is said, and the padding
//! that makes short messages look alike.
//!
//! Everything here was sealed by the peer and is still not trusted: a malformed content is one
//! [`ContentError`], an unknown type, and any type of a later version, is [`Body::Unsupported`]. Types below 128 are messages:
//! they carry a [`SenderSeq`], are acknowledged and shown. Types from 128 on are control: they carry
//! none and create no duty to answer.

mod body;
mod chain;
mod in_group;
mod padding;
mod wire;

use minicbor::{CborLen, Decode, Encode};
use thiserror::Error;

pub use self::body::{
    Body, Delete, Edit, LogEntries, Profile, Reaction, Receipt, Reply, Text, Unsupported, is_reaction, kind, text_bytes,
};
pub use self::chain::{Chain, Told};
use self::in_group::Said;
pub use self::in_group::{Chained, InGroup, Seen};
pub use self::padding::{pad, padded_len, unpad};
use self::wire::VERSION;
pub use self::wire::{FIRST_VERSION, VERSIONS};
use crate::ids::{DeviceId, GroupId, Head, MessageId, SaidHash, Username};
use crate::limits::{MAX_ACKS, MAX_GIVEN_UP, MAX_NUMBER};
use crate::time::Timestamp;

/// Why a content is not one.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ContentError {
    /// Wrong padding, CBOR, counts, lengths or version.
    #[error("malformed content")]
    Malformed,
    /// Longer than 64 KiB with its padding, or a text over its limit.
    #[error("the content is too large")]
    TooLarge,
}

/// The chat a content belongs to, **as its reader names it**: to the peer the author's name, to the
/// author's own devices the peer's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Conversation {
    /// With one user; with oneself, notes.
    Direct(Username),
    /// In a group, and where in it the content stands.
    Group(GroupId, InGroup),
    /// Something later than this program.
    Unknown,
}

/// Numbers an author device's messages in one conversation without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct SenderSeq {
    /// Grows when the author's state was rolled back: counting begins again.
    #[n(0)]
    pub epoch: u64,
    /// Position; counts up from 1.
    #[n(1)]
    pub n: u64,
    /// The lowest position of the epoch and conversation that is for the reader's device, if that is not 1: whoever
    /// came later is not owed what was said before. A reader's line begins there, whatever arrives first.
    #[n(2)]
    pub first: Option<u64>,
}

impl SenderSeq {
    /// Where the reader's line begins.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first.unwrap_or(1)
    }

    /// Whether its numbers are within the limits; none is given before the first.
    fn is_possible(&self) -> bool {
        let first = self.first();
        self.epoch.max(self.n) <= MAX_NUMBER && 1 <= first && first <= self.n
    }
}

/// Where the account logs stand for the author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Heads {
    /// The author's account.
    #[n(0)]
    pub own: Head,
    /// The reader's account, as known to the author.
    #[n(1)]
    pub peer: Head,
}

/// Acknowledges what one author device sent in this conversation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Ack {
    /// The author's device.
    #[n(0)]
    pub device: DeviceId,
    /// Its epoch.
    #[n(1)]
    pub epoch: u64,
    /// Nothing below this is awaited any more.
    #[n(2)]
    pub below: u64,
    /// Positions below it that never came; at most 8.
    #[n(3)]
    pub given_up: Vec<u64>,
}

impl Ack {
    /// Whether its counts and numbers are within the limits.
    fn is_possible(&self) -> bool {
        let highest = self.given_up.iter().copied().fold(self.epoch.max(self.below), u64::max);
        self.given_up.len() <= MAX_GIVEN_UP && highest <= MAX_NUMBER
    }
}

/// One end-to-end message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The chat.
    pub conversation: Conversation,
    /// Chosen by the author; readers deduplicate by the author's fingerprint and this.
    pub id: MessageId,
    /// Present exactly for messages, see [`Body::is_message`].
    pub sender_seq: Option<SenderSeq>,
    /// The author's clock; display only.
    pub sent: Timestamp,
    /// Where the logs stand.
    pub heads: Heads,
    /// At most 16; see [`Content::fit_acks`].
    pub acks: Vec<Ack>,
    /// What is said.
    pub body: Body,
}

impl Content {
    /// Encodes and pads it for [`super::ratchet::Session::seal`].
    ///
    /// # Errors
    /// [`ContentError::TooLarge`]; [`ContentError::Malformed`] if the reader would refuse it.
    pub fn encode(&self) -> Result<Vec<u8>, ContentError> {
        self.check()?;
        pad(self.to_cbor())
    }

    /// Reads what [`super::ratchet::Session::open`] gave.
    ///
    /// # Errors
    /// [`ContentError`]: show a marker in the history, acknowledge the envelope, do not retry.
    pub fn decode(padded: &[u8]) -> Result<Self, ContentError> {
        let (content, _) = Self::from_cbor(unpad(padded)?)?;
        content.check()?;
        Ok(content)
    }

    /// The same, with what of a message in a group is the same for all its readers, as [`Chain::take`] wants it. That is of
    /// the bytes that came.
    ///
    /// # Errors
    /// [`ContentError`].
    pub fn decode_said(padded: &[u8]) -> Result<(Self, Option<SaidHash>), ContentError> {
        let (content, came) = Self::from_cbor(unpad(padded)?)?;
        content.check()?;
        let said = content.said(came.version, &came.body);
        Ok((content, said))
    }

    /// What of a message in a group is the same for all readers, for its author who is about to write it; none of anything
    /// else. Who read it has that of the bytes that came, from [`Self::decode_said`].
    #[must_use]
    pub fn said_when_written(&self) -> Option<SaidHash> {
        self.said(VERSION, &self.body.to_cbor())
    }

    fn said(&self, version: u8, body: &[u8]) -> Option<SaidHash> {
        let (Conversation::Group(group, place), Some(seq)) = (&self.conversation, self.sender_seq) else { return None };
        let Self { id, sent, .. } = *self;
        Some(
            Said {
                group: *group,
                head: place.head,
                state: place.state,
                version,
                id,
                seq,
                sent,
                kind: self.body.kind(),
                body,
            }
            .hash(),
        )
    }

    /// Takes as many of `acks` as fit without growing the padded size: how many it took. The rest
    /// follows in a receipt.
    pub fn fit_acks(&mut self, acks: &[Ack]) -> usize {
        let size = padded_len(self.cbor_len());
        let before = self.acks.len();
        for ack in acks.iter().take(MAX_ACKS.saturating_sub(before)) {
            self.acks.push(ack.clone());
            if padded_len(self.cbor_len()) != size {
                self.acks.pop();
                break;
            }
        }
        self.acks.len() - before
    }

    /// The rules beyond shape, for writer and reader alike.
    fn check(&self) -> Result<(), ContentError> {
        let acks_fit = self.acks.len() <= MAX_ACKS && self.acks.iter().all(Ack::is_possible);
        let numbered = self.sender_seq.as_ref().is_none_or(SenderSeq::is_possible);
        if !acks_fit || !numbered || self.sender_seq.is_some() != self.body.is_message() {
            return Err(ContentError::Malformed);
        }
        match &self.conversation {
            Conversation::Group(_, place) if !place.is_possible(self.sender_seq.as_ref()) => {
                Err(ContentError::Malformed)
            }
            _ => self.body.check(),
        }
    }
}
