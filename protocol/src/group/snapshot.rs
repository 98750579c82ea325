//! How a group is shown to somebody who has not its ops: the last one that counted, and the state after it.

use minicbor::{Decode, Encode};
use thiserror::Error;

use super::action::Action;
use super::author::{Lacking, Unproven, log_of, signed};
use super::body::Body;
use super::op::{OpError, SignedOp, What};
use super::rights::needed;
use super::state::{Refused, State, Verdict};
use crate::cbor;
use crate::crypto::rsa::Context;
use crate::identity::account_log::AccountLog;
use crate::message::Blob;

/// An op that counted, and the state after it: what a newcomer gets with the op that added him, and a laggard with a later
/// one. Void ops that follow are applied to it.
///
/// That the op counted, and is not void, only those know who have the state before it. So all this is the word of whoever
/// tells it until another member names the head, or one built on it, with the state that follows from this one
/// ([`State::is_confirmed_by`]). Whoever finds an op void before that because it does not lead to the state it names
/// ([`super::Void::OtherState`]) drops what it was shown, and asks somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Snapshot {
    /// The signed op.
    #[n(0)]
    pub op: Blob,
    /// The state after it, but for what the op has; absent exactly with the op that creates the group, which says all.
    #[n(1)]
    pub state: Option<Blob>,
}

/// Why a snapshot shows nothing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SnapshotError {
    /// The op is none.
    #[error(transparent)]
    Op(#[from] OpError),
    /// The op was not signed by the device it names, or creates nothing.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The state is none, is there where it should not be, or is not the one that the op names.
    #[error("a state that is not the one its op names")]
    OtherState,
    /// The op cannot have led there: its author is not in the state as he would be, or what it does is not done there.
    #[error("a state to which its op does not lead")]
    Impossible,
}

/// What a snapshot shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The group.
    State(State),
    /// Nothing as long as the log of the op's author is not known up to there.
    Held(Lacking),
}

impl Snapshot {
    /// Shows where `op`, which counted, led.
    #[must_use]
    pub fn of(op: &SignedOp, state: &State) -> Self {
        let first = matches!(op.op().what, What::Create { .. });
        let state = (!first).then(|| cbor::encode(&state.body).into());
        Self { op: op.bytes().to_vec().into(), state }
    }

    /// Whose log [`Self::verify`] needs is in the op.
    ///
    /// # Errors
    /// [`OpError`].
    pub fn op(&self) -> Result<SignedOp, OpError> {
        SignedOp::read(&self.op)
    }

    /// Checks what can be checked without the ops before: the form and the bounds of the state, its hash, the op's signature
    /// by an active device, and that the op may have led there.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn verify(&self, log: Option<&AccountLog>) -> Result<Shown, SnapshotError> {
        let op = self.op()?;
        let What::Next { seq, action, .. } = &op.op().what else {
            return if self.state.is_none() { begun(&op, log) } else { Err(SnapshotError::OtherState) };
        };
        let body = self.state.as_ref().and_then(|state| Body::read(state)).ok_or(SnapshotError::OtherState)?;
        if body.hash() != op.op().state {
            return Err(SnapshotError::OtherState);
        }
        if !led_to(&op, *seq, action, &body) {
            return Err(SnapshotError::Impossible);
        }
        match log_of(&op.op().by, log).and_then(|log| signed(&op.op().by, log, op.signed(), Context::Group)) {
            Ok(_) => Ok(Shown::State(State::at(&op, body))),
            Err(Unproven::Lacking(lacking)) => Ok(Shown::Held(lacking)),
            Err(Unproven::Signature) => Err(Refused::Signature.into()),
            Err(Unproven::Void(_)) => Err(SnapshotError::Impossible),
        }
    }
}

fn begun(op: &SignedOp, log: Option<&AccountLog>) -> Result<Shown, SnapshotError> {
    match State::create(op, log)? {
        Verdict::Applied(state) => Ok(Shown::State(state)),
        Verdict::Held(lacking) => Ok(Shown::Held(lacking)),
        Verdict::Void(..) => Err(SnapshotError::Impossible),
    }
}

/// Whether an op that counted may have led to a state: nobody changes his own role, so its author has in it the one he had.
fn led_to(op: &SignedOp, seq: u64, action: &Action, body: &Body) -> bool {
    let by = &op.op().by;
    let author = body.members.get(&by.user).filter(|member| member.fingerprint == by.fingerprint);
    let entitled = author.is_some_and(|author| author.head == by.head && author.role >= needed(action, None));
    let known = body.members.iter().all(|member| member.given <= seq);
    let about_another = action.target() != Some(&by.user);
    entitled && known && about_another && is_done(action, seq, body)
}

fn is_done(action: &Action, seq: u64, body: &Body) -> bool {
    let target = action.target().and_then(|user| body.members.get(user));
    match action {
        Action::Add(add) => target.is_some_and(|member| {
            let as_told = (member.fingerprint, member.role, member.head, member.since, member.given);
            as_told == (add.fingerprint, add.role, add.head, seq, seq)
        }),
        Action::Remove(_) => target.is_none(),
        Action::Role(change) => {
            target.is_some_and(|member| (member.role, member.head, member.given) == (change.role, change.head, seq))
        }
        Action::Change(change) => {
            change.name.as_ref().is_none_or(|name| *name == body.name)
                && change.about.as_ref().is_none_or(|about| *about == body.about)
                && change.settings.is_none_or(|settings| settings == body.settings)
        }
        Action::Refresh(_) => true,
        Action::Link(link) => body.links.get(&link.hash).is_some_and(|open| open.link == *link && open.used == 0),
        Action::Unlink(unlink) => body.links.get(&unlink.hash).is_none(),
    }
}
