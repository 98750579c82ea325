//! The map itself: devices that are online, and which users others may see.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chat_protocol::ids::{DeviceId, Username};

use super::online::Online;

/// Who is online. Every method is a few map operations.
#[derive(Debug, Default)]
pub(super) struct Directory {
    devices: HashMap<DeviceId, Arc<Online>>,
    accounts: BTreeMap<Username, Vec<Arc<Online>>>,
    /// Users whose visibility changed since the watchers were told.
    changed: BTreeSet<Username>,
    /// Peers that came since the watchers were told, and those that came before that: neither has said
    /// whether it wants to be seen, as far as this list knows.
    fresh: Vec<Arc<Online>>,
    waiting: Vec<Arc<Online>>,
}

impl Directory {
    /// Adds a peer; returns the one of the same device it replaces.
    pub(super) fn enter(&mut self, peer: &Arc<Online>) -> Option<Arc<Online>> {
        let older = self.device(peer.device());
        if let Some(older) = &older {
            self.leave(older);
        }
        self.devices.insert(peer.device(), Arc::clone(peer));
        self.accounts.entry(peer.user().clone()).or_default().push(Arc::clone(peer));
        self.fresh.push(Arc::clone(peer));
        older
    }

    /// Removes this very peer.
    pub(super) fn leave(&mut self, peer: &Arc<Online>) {
        if !self.devices.get(&peer.device()).is_some_and(|current| Arc::ptr_eq(current, peer)) {
            return;
        }
        let seen = self.is_visible(peer.user());
        self.devices.remove(&peer.device());
        if let Some(peers) = self.accounts.get_mut(peer.user()) {
            peers.retain(|other| !Arc::ptr_eq(other, peer));
            if peers.is_empty() {
                self.accounts.remove(peer.user());
            }
        }
        self.note(peer.user(), seen);
    }

    /// Shows or hides a peer that is still here.
    pub(super) fn show(&mut self, peer: &Arc<Online>, visible: bool) {
        let seen = self.is_visible(peer.user());
        peer.decide(visible);
        self.note(peer.user(), seen);
    }

    /// Shows those who had a whole period to say that they prefer not to be seen.
    pub(super) fn show_undecided(&mut self) {
        let due = std::mem::take(&mut self.waiting);
        for peer in due.iter().filter(|peer| !peer.has_decided()) {
            if self.device(peer.device()).is_some_and(|current| Arc::ptr_eq(&current, peer)) {
                let seen = self.is_visible(peer.user());
                peer.set_visible(true);
                self.note(peer.user(), seen);
            }
        }
        self.waiting = std::mem::take(&mut self.fresh);
    }

    /// Remembers a user whose visibility differs from `before`.
    fn note(&mut self, user: &Username, before: bool) {
        if self.is_visible(user) != before {
            self.changed.insert(user.clone());
        }
    }

    pub(super) fn take_changes(&mut self) -> Vec<(Username, bool)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|user| (user.clone(), self.is_visible(&user))).collect()
    }

    pub(super) fn device(&self, device: DeviceId) -> Option<Arc<Online>> {
        self.devices.get(&device).cloned()
    }

    pub(super) fn everybody(&self) -> Vec<Arc<Online>> {
        self.devices.values().cloned().collect()
    }

    pub(super) fn of_account(&self, user: &Username) -> Vec<Arc<Online>> {
        self.accounts.get(user).cloned().unwrap_or_default()
    }

    pub(super) fn is_visible(&self, user: &Username) -> bool {
        self.accounts.get(user).is_some_and(|peers| peers.iter().any(|peer| peer.is_visible()))
    }

    pub(super) fn visible(&self) -> Vec<Username> {
        self.accounts.keys().filter(|user| self.is_visible(user)).cloned().collect()
    }

    pub(super) fn count(&self) -> usize {
        self.devices.len()
    }
}
