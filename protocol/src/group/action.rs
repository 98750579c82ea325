//! What an op does.

use minicbor::{Decode, Encode};

use super::ascending::{Ascending, Keyed};
use super::role::Role;
use super::values::{GroupAbout, GroupName, HistoryCount, LinkUses, Settings};
use crate::ids::{Fingerprint, Head, LinkHash, Username, WishHash};
use crate::limits::MAX_GROUP_MEMBERS;
use crate::time::Timestamp;

/// Most members that a `create` names beside its author.
const MAX_OTHERS: usize = MAX_GROUP_MEMBERS - 1;

/// Defines what an action carries.
macro_rules! action {
    ($(#[$doc:meta])* $name:ident { $($fields:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
        #[cbor(map)]
        pub struct $name { $($fields)* }
    };
}

action! {
    /// Begins a group. Its author is an owner, and not among the members named.
    Create {
        /// What it is called.
        #[n(0)] pub name: GroupName,
        /// What it is about.
        #[n(1)] pub about: GroupAbout,
        /// How it is used.
        #[n(2)] pub settings: Settings,
        /// The other members, at most 127, ascending by name.
        #[n(3)] pub members: Ascending<NewMember, MAX_OTHERS>,
    }
}
action! {
    /// A member from the beginning.
    NewMember {
        /// Who.
        #[n(0)] pub user: Username,
        /// The account's fingerprint.
        #[n(1)] pub fingerprint: Fingerprint,
        /// Where its log stands at least: no op of a device that was revoked before counts.
        #[n(2)] pub head: Head,
        /// What it may do.
        #[n(3)] pub role: Role,
    }
}
action! {
    /// Makes somebody a member; or puts another identity of a member's name in his place, as a plain member.
    Add {
        /// Who.
        #[n(0)] pub user: Username,
        /// The account's fingerprint.
        #[n(1)] pub fingerprint: Fingerprint,
        /// As in [`NewMember`].
        #[n(2)] pub head: Head,
        /// What it may do; a member and no more if it replaces one or came by a link.
        #[n(3)] pub role: Role,
        /// How many messages from before it is given; only where the settings allow it.
        #[n(4)] pub history: Option<HistoryCount>,
        /// The link it came by, of which this is a use.
        #[n(5)] pub link: Option<LinkHash>,
        /// The wish that this fulfils.
        #[n(6)] pub wish: Option<WishHash>,
    }
}
action! {
    /// Ends a membership, another one's than the author's. All links without approval end too.
    Remove {
        /// Whose.
        #[n(0)] pub user: Username,
        /// The wish that this fulfils.
        #[n(1)] pub wish: Option<WishHash>,
    }
}
action! {
    /// Gives a member, another one than the author, another role.
    ChangeRole {
        /// Whom.
        #[n(0)] pub user: Username,
        /// Which.
        #[n(1)] pub role: Role,
        /// As in [`NewMember`], and not before the one that the group knows: the role is not for devices revoked by then.
        #[n(2)] pub head: Head,
        /// The wish that this fulfils.
        #[n(3)] pub wish: Option<WishHash>,
    }
}
action! {
    /// Changes what the group is called, is about, and how it is used; what is absent stays.
    Change {
        /// What it is called.
        #[n(0)] pub name: Option<GroupName>,
        /// What it is about.
        #[n(1)] pub about: Option<GroupAbout>,
        /// How it is used, as a whole.
        #[n(2)] pub settings: Option<Settings>,
    }
}
action! {
    /// Changes nothing but head, token and the author's known log: ends what a revoked device could append.
    Refresh {}
}
action! {
    /// Opens a link. Links that have ended by the op's time go.
    Link {
        /// Of its secret.
        #[n(0)] pub hash: LinkHash,
        /// Whom those who come by it speak to: an admin or an owner, as long as the link is open.
        #[n(1)] pub admin: Username,
        /// Whether an admin is asked before somebody is let in.
        #[n(2)] pub approval: bool,
        /// How often it lets somebody in.
        #[n(3)] pub uses: LinkUses,
        /// The last time at which it does, compared with that of the `add`.
        #[n(4)] pub until: Timestamp,
    }
}
action! {
    /// Ends a link.
    Unlink {
        /// Of its secret.
        #[n(0)] pub hash: LinkHash,
    }
}

/// What an op after the first does.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Action {
    /// See [`Add`].
    #[n(0)]
    Add(#[n(0)] Add),
    /// See [`Remove`].
    #[n(1)]
    Remove(#[n(0)] Remove),
    /// See [`ChangeRole`].
    #[n(2)]
    Role(#[n(0)] ChangeRole),
    /// See [`Change`].
    #[n(3)]
    Change(#[n(0)] Change),
    /// See [`Refresh`].
    #[n(4)]
    Refresh(#[n(0)] Refresh),
    /// See [`Link`].
    #[n(5)]
    Link(#[n(0)] Link),
    /// See [`Unlink`].
    #[n(6)]
    Unlink(#[n(0)] Unlink),
}

impl Action {
    /// The account head that it names.
    pub(super) const fn head(&self) -> Option<Head> {
        match self {
            Self::Add(Add { head, .. }) | Self::Role(ChangeRole { head, .. }) => Some(*head),
            Self::Remove(_) | Self::Change(_) | Self::Refresh(_) | Self::Link(_) | Self::Unlink(_) => None,
        }
    }

    /// The wish that it fulfils.
    pub(super) const fn wish(&self) -> Option<WishHash> {
        match self {
            Self::Add(Add { wish, .. }) | Self::Remove(Remove { wish, .. }) | Self::Role(ChangeRole { wish, .. }) => {
                *wish
            }
            Self::Change(_) | Self::Refresh(_) | Self::Link(_) | Self::Unlink(_) => None,
        }
    }

    /// The member it is about, if it is about one.
    #[must_use]
    pub const fn target(&self) -> Option<&Username> {
        match self {
            Self::Add(Add { user, .. }) | Self::Remove(Remove { user, .. }) | Self::Role(ChangeRole { user, .. }) => {
                Some(user)
            }
            Self::Change(_) | Self::Refresh(_) | Self::Link(_) | Self::Unlink(_) => None,
        }
    }
}

impl Keyed for NewMember {
    type Key = Username;

    fn key(&self) -> &Username {
        &self.user
    }
}
