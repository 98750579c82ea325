//! What a group is after an op: the part of a state that ops name by its hash.

use minicbor::{Decode, Encode};

use super::action::Link;
use super::ascending::{Ascending, Keyed};
use super::author::is_possible;
use super::op::VERSION;
use super::role::Role;
use super::values::{GroupAbout, GroupName, Settings};
use crate::cbor;
use crate::crypto::kdf;
use crate::crypto::labels::Label;
use crate::ids::{Fingerprint, GroupAt, Head, LinkHash, StateHash, Username};
use crate::limits::{MAX_GROUP_LINKS, MAX_GROUP_MEMBERS, MAX_GROUP_STATE_BYTES};

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Member {
    /// Name.
    #[n(0)]
    pub user: Username,
    /// Who it is; a name has one identity in a group.
    #[n(1)]
    pub fingerprint: Fingerprint,
    /// What it may do.
    #[n(2)]
    pub role: Role,
    /// The highest head of its account log that the group knows: no op of it names an earlier one.
    #[n(3)]
    pub head: Head,
    /// Sequence of the op that made it a member.
    #[n(4)]
    pub since: u64,
    /// Sequence of the op that gave it its role.
    #[n(5)]
    pub given: u64,
}

/// A link that is open.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct OpenLink {
    /// As it was opened.
    #[n(0)]
    pub link: Link,
    /// How many came by it; fewer than may.
    #[n(1)]
    pub used: u16,
}

/// The state of a group but for its id, its head and its token, which the op has that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Body {
    #[n(0)]
    pub(super) version: u8,
    /// What it is called.
    #[n(1)]
    pub name: GroupName,
    /// What it is about.
    #[n(2)]
    pub about: GroupAbout,
    /// How it is used.
    #[n(3)]
    pub settings: Settings,
    /// Who is in it, ascending by name.
    #[n(4)]
    pub members: Ascending<Member, MAX_GROUP_MEMBERS>,
    /// The links that are open, ascending by hash.
    #[n(5)]
    pub links: Ascending<OpenLink, MAX_GROUP_LINKS>,
    /// The group it continues.
    #[n(6)]
    pub succeeds: Option<GroupAt>,
}

impl Body {
    /// Reads the one form of a state, of which ops have led to.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_GROUP_STATE_BYTES {
            return None;
        }
        let body: Self = cbor::decode_canonical(bytes).ok()?;
        body.is_possible().then_some(body)
    }

    /// What an op that leads to it names.
    #[must_use]
    pub fn hash(&self) -> StateHash {
        StateHash::new(kdf::hash(Label::GroupState, &[&cbor::encode(self)]))
    }

    /// What holds after every op: there is an owner, roles are those of members, and links those of admins, not used up.
    pub(super) fn is_possible(&self) -> bool {
        let owned = self.members.iter().any(|member| member.role == Role::Owner);
        let open =
            |open: &OpenLink| open.used < open.link.uses.get() && self.role(&open.link.admin) >= Some(Role::Admin);
        let member = |member: &Member| member.since <= member.given && is_possible(member.head);
        self.version == VERSION && owned && self.members.iter().all(member) && self.links.iter().all(open)
    }

    /// Whether somebody may write. A message counts if its author might in the state it names, and may in the reader's own.
    #[must_use]
    pub fn may_write(&self, user: &Username, fingerprint: Fingerprint) -> bool {
        self.role_as(user, fingerprint).is_some_and(|role| self.settings.may_write(role))
    }

    /// Whether somebody may delete what others wrote; it counts as [`Self::may_write`] does.
    #[must_use]
    pub fn may_delete_of_others(&self, user: &Username, fingerprint: Fingerprint) -> bool {
        self.role_as(user, fingerprint) >= Some(Role::Admin)
    }

    /// The role of an identity, if that is who the member of this name is.
    fn role_as(&self, user: &Username, fingerprint: Fingerprint) -> Option<Role> {
        self.members.get(user).filter(|member| member.fingerprint == fingerprint).map(|member| member.role)
    }

    /// The role of a member.
    #[must_use]
    pub fn role(&self, user: &Username) -> Option<Role> {
        self.members.get(user).map(|member| member.role)
    }
}

impl Keyed for Member {
    type Key = Username;

    fn key(&self) -> &Username {
        &self.user
    }
}

impl Keyed for OpenLink {
    type Key = LinkHash;

    fn key(&self) -> &LinkHash {
        &self.link.hash
    }
}
