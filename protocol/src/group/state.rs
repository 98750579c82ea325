//! Where a group stands for a reader, and where an op leads from there.

use minicbor::{Decode, Encode};
use thiserror::Error;

use super::author::{Lacking, Unproven, follows, log_of, not_before, signed};
use super::body::{Body, Member};
use super::effect::Circumstances;
use super::op::{SignedOp, What};
use super::void::Void;
use crate::crypto::rsa::Context;
use crate::identity::account_log::AccountLog;
use crate::identity::party::Party;
use crate::ids::{GroupHead, GroupId, StateHash, TokenHash};

/// A group after an op. Its encoding is for own storage; others are shown a [`super::Snapshot`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct State {
    #[n(0)]
    pub(super) group: GroupId,
    #[n(1)]
    pub(super) head: GroupHead,
    #[n(2)]
    pub(super) next_token: TokenHash,
    #[n(3)]
    pub(super) body: Body,
}

/// What an op is, in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It counts: the state after it.
    Applied(State),
    /// It takes its place and changes nothing but head and token. Its author need not have signed it: some reasons are found
    /// before the signature is looked at, or without the log that it takes. So nothing is to be held against whoever it names.
    Void(State, Void),
    /// The reader lacks the log of its author up to the head it names.
    Held(Lacking),
}

/// Why an op says nothing here.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// It is of another group, or does not follow the last op: it belongs elsewhere, or to another history.
    #[error("an op that does not follow the last one")]
    Elsewhere,
    /// Not signed by the device it names. The same op with another signature may be; whoever passed this one on says
    /// nothing by it.
    #[error("an op that its author did not sign")]
    Signature,
    /// A first op that makes no group: it creates none, or its author, its device or the state it names is not right.
    #[error("an op that makes no group")]
    NoGroup,
}

impl State {
    /// The group that a first op makes: it is [`Verdict::Applied`], or [`Verdict::Held`].
    ///
    /// Its author is a device that is active in `log` at the head named, and an owner.
    ///
    /// # Errors
    /// [`Refused::NoGroup`] and [`Refused::Signature`].
    pub fn create(op: &SignedOp, log: Option<&AccountLog>) -> Result<Verdict, Refused> {
        let said = op.op();
        let What::Create { create, succeeds } = &said.what else { return Err(Refused::NoGroup) };
        match log_of(&said.by, log).and_then(|log| signed(&said.by, log, op.signed(), Context::Group)) {
            Err(Unproven::Lacking(lacking)) => return Ok(Verdict::Held(lacking)),
            Err(Unproven::Signature) => return Err(Refused::Signature),
            Err(Unproven::Void(_)) => return Err(Refused::NoGroup),
            Ok(_) => {}
        }
        let body = Body::begin(create, succeeds.as_ref(), &said.by);
        if body.hash() == said.state { Ok(Verdict::Applied(Self::at(op, body))) } else { Err(Refused::NoGroup) }
    }

    /// Where an op leads, by the log of its author.
    ///
    /// The verdict depends on this state, the op and the log up to the head it names, and on nothing else: so all readers
    /// come to the same, at whatever time. It may depend on nothing else because a head names all before it.
    ///
    /// `log` is any valid log of the author's identity on which that head lies, also one beside the log that the reader has
    /// pinned ([`AccountLog::spliced`]). That the account has two is evidence, and one event; the op is judged all the same.
    ///
    /// # Errors
    /// [`Refused`]; the op is then nothing, and another one with the same head may be something.
    pub fn apply(&self, op: &SignedOp, log: Option<&AccountLog>) -> Result<Verdict, Refused> {
        match self.judge(op, log) {
            Ok(body) => Ok(Verdict::Applied(Self::at(op, body))),
            Err(Stop::Unproven(Unproven::Void(why))) => Ok(Verdict::Void(Self::at(op, self.body.clone()), why)),
            Err(Stop::Unproven(Unproven::Lacking(lacking))) => Ok(Verdict::Held(lacking)),
            Err(Stop::Unproven(Unproven::Signature)) => Err(Refused::Signature),
            Err(Stop::Elsewhere) => Err(Refused::Elsewhere),
        }
    }

    fn judge(&self, op: &SignedOp, log: Option<&AccountLog>) -> Result<Body, Stop> {
        let said = op.op();
        let What::Next { group, seq, prev, action } = &said.what else { return Err(Stop::Elsewhere) };
        if *group != self.group || *prev != self.head.hash || Some(*seq) != self.head.seq.checked_add(1) {
            return Err(Stop::Elsewhere);
        }
        let member = self.member_as(&said.by)?;
        not_before(said.by.head, member.head)?;
        self.body.permits(action, member)?;
        let log = log_of(&said.by, log)?;
        follows(log, member.head)?;
        signed(&said.by, log, op.signed(), Context::Group)?;
        let after = self.body.after(action, Circumstances { by: &said.by, seq: *seq, time: said.time })?;
        if after.hash() == said.state { Ok(after) } else { Err(Void::OtherState.into()) }
    }

    /// The member who says to be `by`.
    pub(super) fn member_as(&self, by: &Party) -> Result<&Member, Void> {
        let member = self.body.members.get(&by.user).ok_or(Void::NotMember)?;
        if member.fingerprint == by.fingerprint { Ok(member) } else { Err(Void::OtherIdentity) }
    }

    /// A state that an op led to.
    pub(super) fn at(op: &SignedOp, body: Body) -> Self {
        Self { group: op.group(), head: op.head(), next_token: op.op().next_token, body }
    }

    /// The group.
    #[must_use]
    pub const fn group(&self) -> GroupId {
        self.group
    }

    /// The last op.
    #[must_use]
    pub const fn head(&self) -> GroupHead {
        self.head
    }

    /// Of the secret that appends the next op.
    #[must_use]
    pub const fn next_token(&self) -> TokenHash {
        self.next_token
    }

    /// Of what the group is: whoever says where a group stands names it beside the head.
    #[must_use]
    pub fn hash(&self) -> StateHash {
        self.body.hash()
    }

    /// Whether whoever names this head with this state has the very same. Nothing less confirms what a snapshot showed: one
    /// head may be named over two states, as a void op changes nothing for those who have the state before it, while whoever
    /// lacks that takes the op for one that counted.
    #[must_use]
    pub fn is_confirmed_by(&self, head: GroupHead, state: StateHash) -> bool {
        self.head == head && self.hash() == state
    }

    /// What the group is.
    #[must_use]
    pub const fn body(&self) -> &Body {
        &self.body
    }
}

/// Why an op is not applied.
enum Stop {
    Elsewhere,
    Unproven(Unproven),
}

impl From<Unproven> for Stop {
    fn from(why: Unproven) -> Self {
        Self::Unproven(why)
    }
}

impl From<Void> for Stop {
    fn from(why: Void) -> Self {
        Self::Unproven(why.into())
    }
}
