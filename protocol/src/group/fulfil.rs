//! What a wish is in a state, and which op fulfils it.
//!
//! A wish has no place in the order of ops, so whoever took part in it once could show it again later. It counts once: not
//! after an op that names it. So who would fulfil it has to have all ops since whoever wished it knew the group.

use super::action::{Action, Add, ChangeRole, Remove};
use super::author::{Lacking, Unproven, follows, log_of, not_before, signed};
use super::body::Member;
use super::op::SignedOp;
use super::past::{behind, fulfilled, opened};
use super::role::Role;
use super::state::State;
use super::wish::{Membership, SignedWish, Wanted, WishError};
use crate::crypto::rsa::Context;
use crate::identity::account_log::AccountLog;
use crate::identity::party::Party;
use crate::ids::{Fingerprint, GroupHead, Head, Username};

/// What somebody knows, beside the state, who would fulfil a wish.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The last ops of the group in their order, up to the state's head: as many as there are.
    pub ops: &'a [SignedOp],
    /// The log of whoever wishes, as it is now.
    pub author: Option<&'a AccountLog>,
    /// The log of whom he wishes to be added, as it is now.
    pub added: Option<&'a AccountLog>,
}

/// What a wish is, in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wishes {
    /// It may be fulfilled, by whoever may do this. Account heads are those of the logs as they are known now.
    For(Box<Action>),
    /// The log of whoever wishes, or of whom he wishes to be added, is not known up to there.
    Held(Lacking),
}

impl SignedWish {
    /// What has to be done to fulfil it in `state`.
    ///
    /// # Errors
    /// [`WishError`].
    pub fn check(&self, state: &State, known: Known<'_>) -> Result<Wishes, WishError> {
        let action = self.wanted(state)?;
        if fulfilled(self.since(state, known.ops)?, self.hash()) {
            return Err(WishError::Fulfilled);
        }
        match self.proven(state, known.author).and_then(|head| with_heads(action, head, known.added)) {
            Ok(action) => Ok(Wishes::For(Box::new(action))),
            Err(Unproven::Lacking(lacking)) => Ok(Wishes::Held(lacking)),
            Err(Unproven::Void(_) | Unproven::Signature) => Err(WishError::NotSigned),
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

    /// The action by what the wish says; it may name later heads of accounts.
    fn wanted(&self, state: &State) -> Result<Action, WishError> {
        if self.wish().group != state.group() {
            return Err(WishError::NotMember);
        }
        let Party { user, fingerprint, head, .. } = self.wish().by.clone();
        let wish = Some(self.hash());
        match &self.wish().wanted {
            Wanted::Leave { membership } => {
                self.member(state, membership)?;
                Ok(Action::Remove(Remove { user, wish }))
            }
            Wanted::StepDown { membership, role } => {
                let member = self.member(state, membership)?;
                let lower = *role < member.role && member.given <= membership.state.seq;
                let down = Action::Role(ChangeRole { user, role: *role, head, wish });
                if lower { Ok(down) } else { Err(WishError::Pointless) }
            }
            Wanted::Add { membership, user, fingerprint, head } => {
                self.member(state, membership)?;
                if !state.body().settings.wishes {
                    return Err(WishError::NotAllowed);
                }
                add(state, Add { wish, ..plain(*fingerprint, *head, user) })
            }
            Wanted::Join { secret } => {
                let link = secret.hash();
                state.body().links.get(&link).ok_or(WishError::Pointless)?;
                add(state, Add { link: Some(link), wish, ..plain(fingerprint, head, &user) })
            }
        }
    }

    /// The member who wishes, if he is the one as whom he does.
    fn member<'a>(&self, state: &'a State, as_whom: &Membership) -> Result<&'a Member, WishError> {
        let member = state.member_as(&self.wish().by).map_err(|_| WishError::NotMember)?;
        let is_he = as_whom.since == member.since && as_whom.state.seq <= state.head().seq;
        if is_he { Ok(member) } else { Err(WishError::NotMember) }
    }

    /// The ops since it was wished, or since it could be.
    fn since<'a>(&self, state: &State, ops: &'a [SignedOp]) -> Result<&'a [SignedOp], WishError> {
        let from: Option<GroupHead> = match &self.wish().wanted {
            Wanted::Leave { membership } | Wanted::StepDown { membership, .. } | Wanted::Add { membership, .. } => {
                Some(membership.state)
            }
            Wanted::Join { secret } => opened(ops, &secret.hash()),
        };
        from.and_then(|from| behind(ops, from, state.head())).ok_or(WishError::Unknown)
    }

    /// The head of its author's log as it is known now, if the device that signed is active there: a wish has no place in the
    /// order, so a device that was revoked since wishes nothing.
    fn proven(&self, state: &State, log: Option<&AccountLog>) -> Result<Head, Unproven> {
        let by = &self.wish().by;
        let log = log_of(by, log)?;
        if let Ok(member) = state.member_as(by) {
            not_before(by.head, member.head)?;
            follows(log, member.head)?;
        }
        signed(by, log, self.signed(), Context::Wish)?;
        log.active(&by.device).map(|_| log.head()).ok_or(Unproven::Signature)
    }
}

/// The action with the heads that are known now: devices that were revoked meanwhile have no part in it.
fn with_heads(action: Action, own: Head, added: Option<&AccountLog>) -> Result<Action, Unproven> {
    Ok(match action {
        Action::Role(role) => Action::Role(ChangeRole { head: own, ..role }),
        Action::Add(add) if add.link.is_some() => Action::Add(Add { head: own, ..add }),
        Action::Add(add) => Action::Add(Add { head: head_of(&add, added)?, ..add }),
        action => action,
    })
}

/// Where the log of whoever is added stands, if it is known up to the head wished.
fn head_of(add: &Add, log: Option<&AccountLog>) -> Result<Head, Unproven> {
    let Add { user, fingerprint, head, .. } = add.clone();
    let fits = |log: &&AccountLog| *log.user() == user && log.fingerprint() == fingerprint && log.contains(head);
    let known = log.filter(fits).map(AccountLog::head);
    known.ok_or(Unproven::Lacking(Lacking { user, fingerprint, head }))
}

/// Nobody is replaced because of a wish: who a name is is for an admin to say.
fn add(state: &State, add: Add) -> Result<Action, WishError> {
    let known = state.body().members.get(&add.user).is_some();
    if known { Err(WishError::Pointless) } else { Ok(Action::Add(add)) }
}

fn plain(fingerprint: Fingerprint, head: Head, user: &Username) -> Add {
    Add { user: user.clone(), fingerprint, head, role: Role::Member, history: None, link: None, wish: None }
}
