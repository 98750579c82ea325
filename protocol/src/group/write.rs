//! Writing ops: what a device of an owner or admin proposes.

use rand::CryptoRng;
use thiserror::Error;

use super::action::{Action, Create};
use super::body::Body;
use super::effect::Circumstances;
use super::op::{Op, OpError, SignedOp, VERSION, What};
use super::state::{State, Verdict};
use super::void::Void;
use crate::crypto::rsa::SigningKey;
use crate::identity::account_log::AccountLog;
use crate::identity::party::Party;
use crate::ids::{DeviceId, GroupAt, StateHash, TokenHash};
use crate::time::Timestamp;

/// The device that writes, and how far it knows its own account's log.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// Its signing key.
    pub key: &'a SigningKey,
    /// Which device it is.
    pub device: DeviceId,
    /// Its account's log.
    pub log: &'a AccountLog,
    /// Its clock.
    pub at: Timestamp,
}

impl Author<'_> {
    pub(super) fn party(&self) -> Party {
        Party::new(self.log, self.device)
    }

    fn op(&self, what: What, state: StateHash, next_token: TokenHash) -> Op {
        Op { version: VERSION, what, by: self.party(), time: self.at, state, next_token }
    }
}

/// Why an action is not proposed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotProposed {
    /// It would count for nothing.
    #[error(transparent)]
    Void(#[from] Void),
    /// It would be malformed: a `create` that names its author.
    #[error("an op that nobody would read")]
    Malformed,
}

impl From<OpError> for NotProposed {
    fn from(_: OpError) -> Self {
        Self::Malformed
    }
}

/// An op that was written, and the state after it. It counts once the notary has called it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// To be sent as it is, and never signed again.
    pub op: SignedOp,
    /// Where it leads.
    pub state: State,
}

impl Proposal {
    /// Begins a group. `next` is the hash of the secret that appends the op after this one.
    ///
    /// # Errors
    /// [`NotProposed`]: void if the device is not active.
    pub fn create<R: CryptoRng + ?Sized>(
        author: Author<'_>,
        create: Create,
        succeeds: Option<GroupAt>,
        next: TokenHash,
        rng: &mut R,
    ) -> Result<Self, NotProposed> {
        let state = Body::begin(&create, succeeds.as_ref(), &author.party()).hash();
        let op = author.op(What::Create { create, succeeds }, state, next);
        let op = SignedOp::sign(&op, author.key, rng)?;
        match State::create(&op, Some(author.log)) {
            Ok(Verdict::Applied(state)) => Ok(Self { op, state }),
            _ => Err(Void::UnknownDevice.into()),
        }
    }

    /// Writes the op after a state. `next` as in [`Self::create`].
    ///
    /// # Errors
    /// [`NotProposed`].
    pub fn next<R: CryptoRng + ?Sized>(
        before: &State,
        author: Author<'_>,
        action: Action,
        next: TokenHash,
        rng: &mut R,
    ) -> Result<Self, NotProposed> {
        let (by, seq) = (author.party(), before.head.seq.saturating_add(1));
        before.body.permits(&action, before.member_as(&by)?)?;
        let after = before.body.after(&action, Circumstances { by: &by, seq, time: author.at })?;
        let what = What::Next { group: before.group, seq, prev: before.head.hash, action };
        let op = author.op(what, after.hash(), next);
        let op = SignedOp::sign(&op, author.key, rng)?;
        match before.apply(&op, Some(author.log)) {
            Ok(Verdict::Applied(state)) => Ok(Self { op, state }),
            Ok(Verdict::Void(_, why)) => Err(why.into()),
            Ok(Verdict::Held(_)) | Err(_) => Err(Void::UnknownDevice.into()),
        }
    }
}
