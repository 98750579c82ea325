//! What a content in a group carries beside what is said: under which state it was written, and what shows whether all
//! were told the same.

use minicbor::{CborLen, Decode, Encode};

use super::SenderSeq;
use crate::crypto::kdf;
use crate::crypto::labels::Label;
use crate::ids::{ChainHash, ChainMark, DeviceId, GroupHead, GroupId, MessageId, SaidHash, StateHash};
use crate::limits::{MAX_NUMBER, MAX_SEEN};
use crate::time::Timestamp;

/// Where in a group a content stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct InGroup {
    /// The last op that its author had.
    #[n(0)]
    pub head: GroupHead,
    /// The state after it, by its author's judgement, under which it was written: that says who is to read it and what its
    /// author may do. A reader who was shown another one under this head was deceived, or its author was.
    #[n(1)]
    pub state: StateHash,
    /// Present exactly for messages.
    #[n(2)]
    pub chain: Option<Chained>,
    /// What its author's device was told by others, at most 16.
    #[cbor(n(3), default, skip_if = "Vec::is_empty")]
    pub seen: Vec<Seen>,
}

/// How a message follows those before it, of the same device in the same group and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Chained {
    /// The number of the last one that went to the reader's device; absent if none did.
    #[n(0)]
    pub last: Option<u64>,
    /// The chain up to the one before it, whoever that went to; [`ChainHash::START`] for the first one.
    #[n(1)]
    pub before: ChainHash,
}

/// Up to where, and with what, somebody was told the messages of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Seen {
    /// Whose messages.
    #[n(0)]
    pub device: DeviceId,
    /// Of which epoch.
    #[n(1)]
    pub epoch: u64,
    /// Up to which number.
    #[n(2)]
    pub n: u64,
    /// The chain up to there.
    #[n(3)]
    pub mark: ChainMark,
}

impl InGroup {
    /// The rules beyond shape, for a content that is numbered like this, or not at all.
    pub(super) fn is_possible(&self, seq: Option<&SenderSeq>) -> bool {
        let chained = match (seq, &self.chain) {
            (Some(seq), Some(chain)) => chain.follows(seq),
            (None, None) => true,
            _ => false,
        };
        let seen = self.seen.len() <= MAX_SEEN && self.seen.iter().all(Seen::is_possible);
        chained && seen && self.head.seq <= MAX_NUMBER
    }
}

impl Chained {
    /// Whether it can precede a number: nothing precedes the first one.
    fn follows(&self, seq: &SenderSeq) -> bool {
        let last = self.last.is_none_or(|last| (seq.first()..seq.n).contains(&last));
        last && (seq.n > 1 || self.before == ChainHash::START)
    }

    /// How many numbers before this one were for the reader's device and did not go there: that of what it was left out of,
    /// if it was a member then.
    #[must_use]
    pub fn left_out(&self, seq: &SenderSeq) -> u64 {
        let told = self.last.unwrap_or(seq.first().saturating_sub(1));
        seq.n.saturating_sub(told).saturating_sub(1)
    }
}

impl Seen {
    fn is_possible(&self) -> bool {
        1 <= self.n && self.epoch.max(self.n) <= MAX_NUMBER
    }
}

/// What of a message is the same for everybody it goes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    pub(super) group: GroupId,
    pub(super) head: GroupHead,
    pub(super) state: StateHash,
    /// Of the content: all copies have one, so that what the body means is the same for all readers.
    pub(super) version: u8,
    pub(super) id: MessageId,
    pub(super) seq: SenderSeq,
    pub(super) sent: Timestamp,
    pub(super) kind: u16,
    /// As received, or as it is sent.
    pub(super) body: &'a [u8],
}

impl Said<'_> {
    pub(super) fn hash(&self) -> SaidHash {
        let Self { group, head, state, version, id, seq, sent, kind, body } = self;
        let numbers = [seq.epoch, seq.n, sent.as_millis()].map(u64::to_be_bytes).concat();
        let place = [&head.seq.to_be_bytes()[..], head.hash.as_bytes(), state.as_bytes()].concat();
        let parts = [group.as_bytes(), &place[..], &[*version], id.as_bytes(), &numbers, &kind.to_be_bytes(), body];
        SaidHash::new(kdf::hash(Label::GroupSaid, &parts))
    }
}

impl ChainHash {
    /// Before the first message of an epoch.
    pub const START: Self = Self::new([0; 32]);

    /// The chain once this is said too.
    #[must_use]
    pub fn after(&self, said: &SaidHash) -> Self {
        Self::new(kdf::hash(Label::GroupSeen, &[self.as_bytes(), said.as_bytes()]))
    }

    /// What others are told of it: enough that nobody finds another chain with the same, and half as long.
    #[must_use]
    pub fn mark(&self) -> ChainMark {
        let [mark @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *self.as_bytes();
        ChainMark::new(mark)
    }
}
