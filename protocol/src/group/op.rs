//! One op of a group's log, as bytes and as read.

use minicbor::{Decode, Encode};
use rand::CryptoRng;
use thiserror::Error;

use super::action::{Action, Create};
use super::author::is_possible;
use crate::cbor;
use crate::crypto::kdf;
use crate::crypto::labels::Label;
use crate::crypto::rsa::{Context, SigningKey};
use crate::crypto::signed::Signed;
use crate::identity::party::Party;
use crate::ids::{GroupAt, GroupHead, GroupId, OpHash, StateHash, TokenHash};
use crate::limits::MAX_GROUP_OP_BYTES;
use crate::message::Blob;
use crate::time::Timestamp;

/// The one version of ops, states and wishes there is.
pub(super) const VERSION: u8 = 1;

/// Bytes that are no op.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum OpError {
    /// Too long, not the one form, or out of a bound: whoever reads it says so.
    #[error("a malformed op of a group")]
    Malformed,
    /// Of a version that this program does not know: a newer program reads it.
    #[error("an op of a group of version {0}")]
    Version(u8),
}

/// What an op says; the signature is beside it, see [`Signed`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Op {
    #[n(0)]
    pub(super) version: u8,
    /// Its place, and what it does there.
    #[n(1)]
    pub what: What,
    /// The device that signs it; whatever its log has beyond the head named changes nothing.
    #[n(2)]
    pub by: Party,
    /// Its author's clock: for display, and for the ends of links.
    #[n(3)]
    pub time: Timestamp,
    /// The state after it.
    #[n(4)]
    pub state: StateHash,
    /// Of the secret that appends the op after it.
    #[n(5)]
    pub next_token: TokenHash,
}

/// The first op, or one that follows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum What {
    /// The op at 0; its hash is the group's id.
    #[n(0)]
    #[cbor(map)]
    Create {
        /// What begins.
        #[n(0)]
        create: Create,
        /// What it continues.
        #[n(1)]
        succeeds: Option<GroupAt>,
    },
    /// Any other one.
    #[n(1)]
    #[cbor(map)]
    Next {
        /// The group.
        #[n(0)]
        group: GroupId,
        /// Its place, from 1 on.
        #[n(1)]
        seq: u64,
        /// The op before it.
        #[n(2)]
        prev: OpHash,
        /// What it does.
        #[n(3)]
        action: Action,
    },
}

impl What {
    /// What it does, if it is not the first.
    pub(super) const fn action(&self) -> Option<&Action> {
        match self {
            Self::Create { .. } => None,
            Self::Next { action, .. } => Some(action),
        }
    }

    const fn seq(&self) -> u64 {
        match self {
            Self::Create { .. } => 0,
            Self::Next { seq, .. } => *seq,
        }
    }
}

/// An op that was read, with the bytes it was read from. Nothing in it is believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOp {
    bytes: Blob,
    signed: Signed,
    op: Op,
    head: GroupHead,
}

impl SignedOp {
    /// Reads a signed op: strictly, since all readers have to decide alike. Its signature is looked at when it is applied.
    ///
    /// # Errors
    /// [`OpError`].
    pub fn read(bytes: &[u8]) -> Result<Self, OpError> {
        if bytes.len() > MAX_GROUP_OP_BYTES {
            return Err(OpError::Malformed);
        }
        let signed: Signed = cbor::decode_canonical(bytes).map_err(|_| OpError::Malformed)?;
        check_version(&signed.object)?;
        let op: Op = cbor::decode_canonical(&signed.object).map_err(|_| OpError::Malformed)?;
        op.check()?;
        let head = GroupHead { seq: op.what.seq(), hash: OpHash::new(kdf::hash(Label::GroupOp, &[&signed.object])) };
        Ok(Self { bytes: bytes.to_vec().into(), signed, op, head })
    }

    /// Signs an op.
    pub(super) fn sign<R: CryptoRng + ?Sized>(op: &Op, key: &SigningKey, rng: &mut R) -> Result<Self, OpError> {
        Self::read(&cbor::encode(&Signed::new(cbor::encode(op), key, Context::Group, rng)))
    }

    /// The received bytes: what is stored and passed on.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says.
    #[must_use]
    pub const fn op(&self) -> &Op {
        &self.op
    }

    /// The head of a log that ends with it. It depends on the op alone, and not on the signature.
    #[must_use]
    pub const fn head(&self) -> GroupHead {
        self.head
    }

    /// The group it is of: its own, if it creates one.
    #[must_use]
    pub const fn group(&self) -> GroupId {
        match &self.op.what {
            What::Create { .. } => GroupId::of(self.head.hash),
            What::Next { group, .. } => *group,
        }
    }

    /// Whether it stands directly behind an op.
    pub(super) fn is_behind(&self, head: GroupHead) -> bool {
        matches!(self.op.what, What::Next { seq, prev, .. } if prev == head.hash && seq.checked_sub(1) == Some(head.seq))
    }

    pub(super) const fn signed(&self) -> &Signed {
        &self.signed
    }
}

impl Op {
    /// The rules beyond shape.
    fn check(&self) -> Result<(), OpError> {
        let fits = match &self.what {
            What::Create { create, .. } => create.members.get(&self.by.user).is_none(),
            What::Next { seq, .. } => *seq >= 1,
        };
        if fits && self.heads_are_possible() { Ok(()) } else { Err(OpError::Malformed) }
    }

    /// What no log has is never fetched.
    fn heads_are_possible(&self) -> bool {
        let named = match &self.what {
            What::Create { create, .. } => create.members.iter().all(|new| is_possible(new.head)),
            What::Next { action, .. } => action.head().is_none_or(is_possible),
        };
        named && is_possible(self.by.head)
    }
}

/// The first key of an op, which says how to read the others.
#[derive(Decode)]
#[cbor(map)]
struct Versioned {
    #[n(0)]
    version: u8,
}

/// A later version may have another shape, so its number is looked at first.
fn check_version(object: &[u8]) -> Result<(), OpError> {
    match cbor::decode::<Versioned>(object) {
        Ok(Versioned { version: VERSION }) => Ok(()),
        Ok(Versioned { version: 0 }) | Err(_) => Err(OpError::Malformed),
        Ok(Versioned { version }) => Err(OpError::Version(version)),
    }
}
