//! What those ask who may not write ops: to leave, to be less, that somebody be added, to come in by a link.

use minicbor::{Decode, Encode};
use rand::CryptoRng;
use thiserror::Error;

use super::author::is_possible;
use super::op::VERSION;
use super::role::Role;
use super::write::Author;
use crate::cbor;
use crate::crypto::group::LinkSecret;
use crate::crypto::kdf;
use crate::crypto::labels::Label;
use crate::crypto::rsa::Context;
use crate::crypto::signed::Signed;
use crate::identity::party::Party;
use crate::ids::{Fingerprint, GroupHead, GroupId, Head, Username, WishHash};
use crate::limits::MAX_WISH_BYTES;
use crate::message::Blob;
use crate::time::Timestamp;

/// What somebody wishes. It counts once.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Wanted {
    /// A member: to be one no longer.
    #[n(0)]
    #[cbor(map)]
    Leave {
        /// What he is.
        #[n(0)]
        membership: Membership,
    },
    /// A member: to have a lower role.
    #[n(1)]
    #[cbor(map)]
    StepDown {
        /// What he is.
        #[n(0)]
        membership: Membership,
        /// Which role.
        #[n(1)]
        role: Role,
    },
    /// A member: that somebody becomes a plain member, where the settings let members wish for it.
    #[n(2)]
    #[cbor(map)]
    Add {
        /// What he is who wishes.
        #[n(0)]
        membership: Membership,
        /// Who.
        #[n(1)]
        user: Username,
        /// The account's fingerprint.
        #[n(2)]
        fingerprint: Fingerprint,
        /// Where its log stands at least.
        #[n(3)]
        head: Head,
    },
    /// Somebody with a link: to become a plain member.
    #[n(3)]
    #[cbor(map)]
    Join {
        /// The secret of the link.
        #[n(0)]
        secret: LinkSecret,
    },
}

/// As what a member wishes: who was removed and added again is another member, of whom an old wish says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Membership {
    /// Where the group stood for him: no op behind it has fulfilled the wish.
    #[n(0)]
    pub state: GroupHead,
    /// Sequence of the op that made him a member.
    #[n(1)]
    pub since: u64,
}

/// A wish; the signature is beside it, see [`Signed`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Wish {
    #[n(0)]
    version: u8,
    /// Of which group.
    #[n(1)]
    pub group: GroupId,
    /// Who wishes.
    #[n(2)]
    pub by: Party,
    /// His clock; display only.
    #[n(3)]
    pub time: Timestamp,
    /// What.
    #[n(4)]
    pub wanted: Wanted,
}

/// A wish that was read, with the bytes it was read from. Nothing in it is believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedWish {
    bytes: Blob,
    signed: Signed,
    wish: Wish,
}

/// Why a wish is not to be fulfilled, in a state.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WishError {
    /// It is no wish of this version.
    #[error("a malformed wish")]
    Malformed,
    /// Not signed by an active device of the account it names.
    #[error("a wish that its author did not sign")]
    NotSigned,
    /// Of another group, or of a member who is none, or no longer as which he wished it.
    #[error("a wish of somebody who is not that member")]
    NotMember,
    /// It wishes for what cannot be: no link of that secret, no lower role, somebody who is a member.
    #[error("a wish that changes nothing")]
    Pointless,
    /// The settings do not let members wish for somebody to be added.
    #[error("members do not wish for others in this group")]
    NotAllowed,
    /// An op names it: it was fulfilled.
    #[error("a wish that was fulfilled before")]
    Fulfilled,
    /// The ops at hand do not lead from where it stood to now, so that nobody can tell whether it was fulfilled; or it stood
    /// in another history. Somebody else may have them.
    #[error("a wish from before what is known of the group")]
    Unknown,
}

impl Wish {
    /// Signs a wish.
    ///
    /// # Errors
    /// [`WishError::Malformed`] if it could not be read.
    pub fn sign<R: CryptoRng + ?Sized>(
        author: Author<'_>,
        group: GroupId,
        wanted: Wanted,
        rng: &mut R,
    ) -> Result<SignedWish, WishError> {
        let wish = Self { version: VERSION, group, by: author.party(), time: author.at, wanted };
        SignedWish::read(&cbor::encode(&Signed::new(cbor::encode(&wish), author.key, Context::Wish, rng)))
    }

    fn heads_are_possible(&self) -> bool {
        let added = match &self.wanted {
            Wanted::Add { head, .. } => is_possible(*head),
            Wanted::Leave { .. } | Wanted::StepDown { .. } | Wanted::Join { .. } => true,
        };
        added && is_possible(self.by.head)
    }
}

impl SignedWish {
    /// Reads a signed wish, as strictly as an op.
    ///
    /// # Errors
    /// [`WishError::Malformed`].
    pub fn read(bytes: &[u8]) -> Result<Self, WishError> {
        if bytes.len() > MAX_WISH_BYTES {
            return Err(WishError::Malformed);
        }
        let signed: Signed = cbor::decode_canonical(bytes).map_err(|_| WishError::Malformed)?;
        let wish: Wish = cbor::decode_canonical(&signed.object).map_err(|_| WishError::Malformed)?;
        if wish.version != VERSION || !wish.heads_are_possible() {
            return Err(WishError::Malformed);
        }
        Ok(Self { bytes: bytes.to_vec().into(), signed, wish })
    }

    /// The received bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says.
    #[must_use]
    pub const fn wish(&self) -> &Wish {
        &self.wish
    }

    /// What an op that fulfils it names.
    #[must_use]
    pub fn hash(&self) -> WishHash {
        WishHash::new(kdf::hash(Label::GroupWish, &[&self.signed.object]))
    }

    pub(super) const fn signed(&self) -> &Signed {
        &self.signed
    }
}
