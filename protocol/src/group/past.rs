//! The last ops of a group, for those who have to know what was done since.

use super::action::{Action, Link};
use super::op::SignedOp;
use crate::ids::{GroupHead, LinkHash, WishHash};

/// The ops behind `head` up to `last`; nothing where these do not lead from one to the other.
pub(super) fn behind(ops: &[SignedOp], head: GroupHead, last: GroupHead) -> Option<&[SignedOp]> {
    let from = ops.iter().position(|op| op.is_behind(head)).unwrap_or(ops.len());
    let rest = ops.get(from..)?;
    let end = rest.iter().try_fold(head, |head, op| op.is_behind(head).then(|| op.head()));
    (end == Some(last)).then_some(rest)
}

/// Where a link was opened, as far as these ops say.
pub(super) fn opened(ops: &[SignedOp], link: &LinkHash) -> Option<GroupHead> {
    let opens = |op: &&SignedOp| matches!(op.op().what.action(), Some(Action::Link(Link { hash, .. })) if hash == link);
    ops.iter().find(opens).map(SignedOp::head)
}

/// Whether one of these ops says to fulfil a wish.
pub(super) fn fulfilled(ops: &[SignedOp], wish: WishHash) -> bool {
    ops.iter().any(|op| op.op().what.action().and_then(Action::wish) == Some(wish))
}
