//! What names the parts of a group: its log, where that stands, its states and secrets by their hashes.

use std::fmt;
use std::str::FromStr;

use minicbor::{CborLen, Decode, Encode};

use super::{ParseIdError, parse_hex, write_hex};

byte_id!(
    /// Names a group for ever: the hash of its first head.
    GroupId, 32, "group id"
);
byte_id!(
    /// `H("chat/v1/group/op" ‖ 0 ‖ op)`, the signature apart: names an op, and with it all those before.
    OpHash, 32, "hash of an op"
);
byte_id!(
    /// `H("chat/v1/group/state" ‖ 0 ‖ state)`.
    StateHash, 32, "hash of a state"
);
byte_id!(
    /// `H("chat/v1/group/token" ‖ 0 ‖ token)`: what everybody may know of the secret that appends the next op.
    TokenHash, 32, "hash of a token"
);
byte_id!(
    /// `H("chat/v1/group/link" ‖ 0 ‖ secret)`: what every member knows of a link.
    LinkHash, 32, "hash of a link"
);
byte_id!(
    /// `H("chat/v1/group/wish" ‖ 0 ‖ wish)`, the signature apart.
    WishHash, 32, "hash of a wish"
);

byte_id!(
    /// `H("chat/v1/group/said" ‖ 0 ‖ …)`: what of a message in a group is the same for all readers.
    SaidHash, 32, "hash of what was said"
);
byte_id!(
    /// `H("chat/v1/group/seen" ‖ 0 ‖ chain before ‖ said)`: what a device said in a group and epoch, up to a number.
    ChainHash, 32, "hash of a chain"
);
byte_id!(
    /// The first 16 bytes of a [`ChainHash`].
    ChainMark, 16, "mark of a chain"
);

/// Where a group's log stands: the sequence and hash of its last op. It determines all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct GroupHead {
    /// Sequence of the last op; the one that creates the group is 0.
    #[n(0)]
    pub seq: u64,
    /// Its hash.
    #[n(1)]
    pub hash: OpHash,
}

/// A group where it stood for whoever names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct GroupAt {
    /// Which group.
    #[n(0)]
    pub group: GroupId,
    /// Where it stood.
    #[n(1)]
    pub head: GroupHead,
}

impl GroupId {
    /// The id of the group that an op creates.
    #[must_use]
    pub const fn of(first: OpHash) -> Self {
        Self::new(*first.as_bytes())
    }
}
