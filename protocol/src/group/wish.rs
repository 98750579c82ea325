//! What those ask who may not write ops: to leave, to be less, that somebody be added, to come in by a link.

use minicbor::{Decode, Encode};
use rand::CryptoRng;
use thiserror::Error;

use super::action::{Action, Add, ChangeRole, Remove};
use super::author::{Lacking, Unproven, follows, log_of, not_before, signed};
use super::op::VERSION;
use super::role::Role;
use super::secrets::LinkSecret;
use super::state::State;
use super::write::Author;
use crate::cbor;
use crate::crypto::kdf;
use crate::crypto::labels::Label;
use crate::crypto::rsa::Context;
use crate::crypto::signed::Signed;
use crate::identity::account_log::AccountLog;
use crate::identity::party::Party;
use crate::ids::{Fingerprint, GroupHead, GroupId, Head, Username, WishHash};
use crate::limits::MAX_WISH_BYTES;
use crate::message::Blob;
use crate::time::Timestamp;

/// What somebody wishes.
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
    /// Where the group stood for him.
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
}

/// What a wish is, in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wishes {
    /// It may be fulfilled, by whoever may do this.
    For(Box<Action>),
    /// The log of whoever wishes is not known up to there.
    Held(Lacking),
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
}

impl SignedWish {
    /// Reads a signed wish, as strictly as an op.
    ///
    /// # Errors
    /// [`WishError::Malformed`].
    pub fn read(bytes: &[u8]) -> Result<Self, WishError> {
        let signed: Signed = cbor::decode_canonical(bytes).map_err(|_| WishError::Malformed)?;
        let wish: Wish = cbor::decode_canonical(&signed.object).map_err(|_| WishError::Malformed)?;
        if wish.version != VERSION || bytes.len() > MAX_WISH_BYTES {
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

    /// What has to be done to fulfil it in `state`, by the log of whoever wishes, as far as it is known now.
    ///
    /// That the head it names lies on the group's log is the caller's to know, who has the ops.
    ///
    /// # Errors
    /// [`WishError`].
    pub fn check(&self, state: &State, log: Option<&AccountLog>) -> Result<Wishes, WishError> {
        if self.wish.group != state.group() {
            return Err(WishError::NotMember);
        }
        let action = self.wanted(state)?;
        let by = &self.wish.by;
        let known = state.member_as(by).ok().map(|member| member.head);
        let proven = log_of(by, log).and_then(|log| {
            known.map_or(Ok(()), |known| not_before(by.head, known).and_then(|()| follows(log, known)))?;
            signed(by, log, &self.signed, Context::Wish).map(|_| log.active(&by.device).is_some())
        });
        match proven {
            Ok(true) => Ok(Wishes::For(Box::new(action))),
            Err(Unproven::Lacking(lacking)) => Ok(Wishes::Held(lacking)),
            Ok(false) | Err(Unproven::Void(_) | Unproven::Signature) => Err(WishError::NotSigned),
        }
    }

    /// Whether an op of this action fulfils the wish: it names it, and does what was wished; an `add` or a `role` may name a
    /// later head of the account, and an `add` give messages from before.
    #[must_use]
    pub fn is_fulfilled_by(&self, state: &State, action: &Action) -> bool {
        match (self.wanted(state), action) {
            (Ok(Action::Add(wanted)), Action::Add(add)) => {
                let Add { head, history, .. } = add.clone();
                not_before(head, wanted.head).is_ok() && Add { head, history, ..wanted } == *add
            }
            (Ok(Action::Role(wanted)), Action::Role(role)) => {
                not_before(role.head, wanted.head).is_ok() && ChangeRole { head: role.head, ..wanted } == *role
            }
            (Ok(wanted), action) => wanted == *action,
            (Err(_), _) => false,
        }
    }

    fn wanted(&self, state: &State) -> Result<Action, WishError> {
        let (user, wish) = (self.wish.by.user.clone(), Some(self.hash()));
        match &self.wish.wanted {
            Wanted::Leave { membership } => {
                self.role(state, membership)?;
                Ok(Action::Remove(Remove { user, wish }))
            }
            Wanted::StepDown { membership, role } if *role < self.role(state, membership)? => {
                Ok(Action::Role(ChangeRole { user, role: *role, head: self.wish.by.head, wish }))
            }
            Wanted::StepDown { .. } => Err(WishError::Pointless),
            Wanted::Add { membership, user, fingerprint, head } => {
                self.role(state, membership)?;
                let settings = state.body().settings;
                if !settings.wishes {
                    return Err(WishError::NotAllowed);
                }
                add(state, Add { user: user.clone(), wish, ..plain(*fingerprint, *head, user) })
            }
            Wanted::Join { secret } => {
                let link = secret.hash();
                state.body().links.get(&link).ok_or(WishError::Pointless)?;
                let Party { fingerprint, head, .. } = self.wish.by;
                add(state, Add { link: Some(link), wish, ..plain(fingerprint, head, &user) })
            }
        }
    }

    /// The role of the member who wishes, if he is the one as whom he does.
    fn role(&self, state: &State, membership: &Membership) -> Result<Role, WishError> {
        let member = state.member_as(&self.wish.by).map_err(|_| WishError::NotMember)?;
        let (then, now) = (membership.state, state.head());
        let possible = then == now || then.seq < now.seq;
        if membership.since == member.since && possible { Ok(member.role) } else { Err(WishError::NotMember) }
    }
}

/// Nobody is replaced because of a wish: who a name is is for an admin to say.
fn add(state: &State, add: Add) -> Result<Action, WishError> {
    let known = state.body().members.get(&add.user).is_some();
    if known { Err(WishError::Pointless) } else { Ok(Action::Add(add)) }
}

fn plain(fingerprint: Fingerprint, head: Head, user: &Username) -> Add {
    Add { user: user.clone(), fingerprint, head, role: Role::Member, history: None, link: None, wish: None }
}
