//! What an action does to a state: each either changes it as a whole, or is void.

use super::action::{Action, Add, Change, ChangeRole, Create, Link, Remove, Unlink};
use super::ascending::Ascending;
use super::author::not_before;
use super::body::{Body, Member, OpenLink};
use super::op::VERSION;
use super::rights::needed;
use super::role::Role;
use super::void::Void;
use crate::identity::party::Party;
use crate::ids::{GroupAt, LinkHash, Username};
use crate::time::Timestamp;

/// What of an op its action depends on, beside itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances<'a> {
    /// Its author, who is a member.
    pub(super) by: &'a Party,
    /// Its place.
    pub(super) seq: u64,
    /// Its author's clock.
    pub(super) time: Timestamp,
}

impl Body {
    /// The state after a `create`, which names no more members than fit beside its author.
    pub(super) fn begin(create: &Create, succeeds: Option<&GroupAt>, by: &Party) -> Self {
        let Party { user, fingerprint, head, .. } = by.clone();
        let owner = Member { user, fingerprint, role: Role::Owner, head, since: 0, given: 0 };
        let others = create.members.iter().cloned().map(|new| Member {
            user: new.user,
            fingerprint: new.fingerprint,
            role: new.role,
            head: new.head,
            since: 0,
            given: 0,
        });
        Self {
            version: VERSION,
            name: create.name.clone(),
            about: create.about.clone(),
            settings: create.settings,
            members: Ascending::new(others.chain([owner])).unwrap_or_default(),
            links: Ascending::default(),
            succeeds: succeeds.copied(),
        }
    }

    /// Whether a member may do this at all: the state alone says so, whatever is known of account logs.
    pub(super) fn permits(&self, action: &Action, by: &Member) -> Result<(), Void> {
        let target = action.target();
        if target == Some(&by.user) {
            return Err(Void::OnSelf);
        }
        if by.role < needed(action, target.and_then(|user| self.role(user))) {
            return Err(Void::NoPermission);
        }
        Ok(())
    }

    /// The state after an action of a member who may do it.
    pub(super) fn after(&self, action: &Action, op: Circumstances<'_>) -> Result<Self, Void> {
        let mut after = self.clone();
        match action {
            Action::Add(add) => after.add(add, op)?,
            Action::Remove(remove) => after.remove(remove)?,
            Action::Role(change) => after.change_role(change, op.seq)?,
            Action::Change(change) => after.change(change),
            Action::Refresh(_) => {}
            Action::Link(link) => after.open_link(link, op.time)?,
            Action::Unlink(unlink) => after.unlink(unlink)?,
        }
        if let Some(author) = after.members.get_mut(&op.by.user) {
            author.head = op.by.head;
        }
        Ok(after)
    }

    fn add(&mut self, add: &Add, op: Circumstances<'_>) -> Result<(), Void> {
        let former = self.members.get(&add.user);
        let replaces = match former {
            Some(former) if former.fingerprint == add.fingerprint => return Err(Void::AlreadyMember),
            Some(_) if add.role > Role::Member => return Err(Void::ReplacedAbove),
            former => former.is_some(),
        };
        if add.history.is_some() && !self.settings.history {
            return Err(Void::NoHistory);
        }
        if let Some(link) = &add.link {
            if replaces || add.role > Role::Member {
                return Err(Void::LinkGivesLess);
            }
            self.use_link(link, op.time)?;
        }
        let Add { user, fingerprint, role, head, .. } = add.clone();
        let member = Member { user, fingerprint, role, head, since: op.seq, given: op.seq };
        self.members.put(member).map_err(|_| Void::Full)?;
        if replaces {
            self.end_links_after(&add.user);
        }
        Ok(())
    }

    fn remove(&mut self, remove: &Remove) -> Result<(), Void> {
        self.members.remove(&remove.user).ok_or(Void::NoSuchMember)?;
        self.end_links_after(&remove.user);
        Ok(())
    }

    /// Whoever is out could come back by any link that asks nobody, and by those it was spoken to through.
    fn end_links_after(&mut self, gone: &Username) {
        self.links.retain(|open| open.link.approval && open.link.admin != *gone);
    }

    fn change_role(&mut self, change: &ChangeRole, seq: u64) -> Result<(), Void> {
        let member = self.members.get_mut(&change.user).ok_or(Void::NoSuchMember)?;
        if member.role == change.role {
            return Err(Void::SameRole);
        }
        not_before(change.head, member.head)?;
        (member.role, member.head, member.given) = (change.role, change.head, seq);
        if change.role < Role::Admin {
            self.links.retain(|open| open.link.admin != change.user);
        }
        Ok(())
    }

    fn change(&mut self, change: &Change) {
        let Change { name, about, settings } = change.clone();
        self.name = name.unwrap_or_else(|| self.name.clone());
        self.about = about.unwrap_or_else(|| self.about.clone());
        self.settings = settings.unwrap_or(self.settings);
    }

    fn open_link(&mut self, link: &Link, now: Timestamp) -> Result<(), Void> {
        self.links.retain(|open| now <= open.link.until);
        if self.links.get(&link.hash).is_some() {
            return Err(Void::LinkExists);
        }
        if self.role(&link.admin) < Some(Role::Admin) {
            return Err(Void::LinkOfNoAdmin);
        }
        self.links.put(OpenLink { link: link.clone(), used: 0 }).map_err(|_| Void::TooManyLinks)
    }

    fn use_link(&mut self, hash: &LinkHash, now: Timestamp) -> Result<(), Void> {
        let open = self.links.get_mut(hash).ok_or(Void::NoSuchLink)?;
        if now > open.link.until {
            return Err(Void::LinkEnded);
        }
        open.used = open.used.saturating_add(1);
        if open.used >= open.link.uses.get() {
            self.links.remove(hash);
        }
        Ok(())
    }

    fn unlink(&mut self, unlink: &Unlink) -> Result<(), Void> {
        self.links.remove(&unlink.hash).map(|_| ()).ok_or(Void::NoSuchLink)
    }
}
