//! Why an op counts for nothing.

use thiserror::Error;

/// Why an op that took its place changed nothing but head and token. All readers see the same op void, and as it stands in
/// the same state the reason is the same too.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
pub enum Void {
    /// Its author is not a member.
    #[error("its author is not a member")]
    NotMember,
    /// The member of that name is another identity than its author.
    #[error("its author is another identity than the member of that name")]
    OtherIdentity,
    /// It names an earlier head of an account's log than an op before it did: of its author's, or of whom it gives a role.
    #[error("it names an earlier head of an account's log than is known")]
    OldHead,
    /// It names a head of another history of an account's log than an op before it did.
    #[error("it names another history of an account's log than is known")]
    OtherHistory,
    /// The device is not in its author's log at that head.
    #[error("its device is not in its author's log")]
    UnknownDevice,
    /// The device was revoked at that head.
    #[error("its device was revoked")]
    Revoked,
    /// Its author's role does not allow it.
    #[error("its author's role does not allow it")]
    NoPermission,
    /// Its author would remove or replace itself, or change its own role.
    #[error("nobody changes his own membership")]
    OnSelf,
    /// It is about somebody who is not a member.
    #[error("it is about somebody who is not a member")]
    NoSuchMember,
    /// It adds an identity that is a member.
    #[error("it adds somebody who is a member")]
    AlreadyMember,
    /// It puts another identity in the place of a member, as more than a plain member.
    #[error("who replaces a member begins as a plain member")]
    ReplacedAbove,
    /// There are as many members as can be.
    #[error("the group is full")]
    Full,
    /// The member has that role already.
    #[error("the member has that role already")]
    SameRole,
    /// It gives messages from before to a newcomer, which the settings do not allow.
    #[error("newcomers are given no messages from before")]
    NoHistory,
    /// There is no such link, or no longer.
    #[error("there is no such link")]
    NoSuchLink,
    /// The link had ended by the op's time.
    #[error("the link had ended")]
    LinkEnded,
    /// It adds by a link what no link gives: more than a plain member, or another identity of one.
    #[error("a link makes new plain members and nothing else")]
    LinkGivesLess,
    /// There is a link with this hash.
    #[error("there is such a link already")]
    LinkExists,
    /// There are as many links as can be.
    #[error("there are too many links")]
    TooManyLinks,
    /// The link names somebody who is neither admin nor owner.
    #[error("the link names nobody who could let people in")]
    LinkOfNoAdmin,
    /// The state after it is not the one it names; or the state before it is not the one that its author had, where that is
    /// but what a snapshot showed.
    #[error("the state after it is not the one it names")]
    OtherState,
}
