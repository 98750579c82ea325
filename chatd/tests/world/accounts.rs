//! Accounts of several devices: how they come into the log, and how they leave it.

use chat_protocol::fixtures::device_keys;
use chat_protocol::identity::account_log::{AccountLog, Author, LogError};
use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::client::LogAppend;
use chat_protocol::message::server::{Code, Refusal};
use chatd::engine::{Engine, Local, peers};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::lies::Shown;
use crate::node::Node;
use crate::people::first_device;
use crate::world::World;

impl World {
    /// Adds a device to an account: approved by `who`, one of its devices, and online.
    pub fn another_device(&mut self, who: usize) -> usize {
        let new = self.waiting_device(who);
        self.approve(who, new);
        new
    }

    /// Adds a device to the account of `who`, with keys and rows of its own, that waits for approval; it is offline.
    pub fn waiting_device(&mut self, who: usize) -> usize {
        let (user, keys) = (self.name(who), device_keys(self.nodes.len()));
        let cert = keys.certify(&user, self.now).unwrap();
        let (device, log) = (cert.id(), self.log_of(who));
        self.server.wait(&cert);
        let new = self.node(Local { user, device, cert, keys, log });
        self.go_offline(new);
        new
    }

    /// What the user of a waiting device signs after comparing: it belongs to this account.
    pub fn acceptance(&self, new: usize) -> Vec<u8> {
        let Local { keys, cert, log, .. } = &self.nodes[new].local;
        keys.accept(&log.fingerprint(), cert, &mut self.signing())
    }

    /// An account that lost everything begins anew on a device of its own making, online.
    pub fn lost_everything(&mut self, user: &Username) -> usize {
        let local = first_device(user, self.nodes.len(), self.now);
        self.server.reset(&local.log, &local.cert);
        self.node(local)
    }

    /// `by` writes the entry that adds a waiting device, which begins with it.
    pub fn approve(&mut self, by: usize, new: usize) {
        let (cert, acceptance) = (self.nodes[new].local.cert.clone(), self.acceptance(new));
        let mut rng = self.signing();
        self.write_log(by, |log, author| log.add_device(author, &cert, acceptance, &mut rng));
        self.begin(new);
    }

    /// A device whose entry is in the log begins with the log as it stands, online.
    pub fn begin(&mut self, new: usize) {
        let log = self.log_of(new);
        let node = &mut self.nodes[new];
        node.local.log = log;
        node.engine = Engine::new(node.local.clone());
        self.come_online(new);
    }

    /// The account of `who` begins anew, with a new device that has its data directory and its keys.
    pub fn reset(&mut self, who: usize) {
        let (user, keys, at) = (self.name(who), self.nodes[who].local.keys.clone(), self.now);
        let cert = keys.certify(&user, at).unwrap();
        let author = Author { key: &keys.signing, cert: &cert, at };
        let log = AccountLog::genesis(author, Some(self.log_of(who).head().hash), &mut self.signing()).unwrap();
        self.server.reset(&log, &cert);
        let local = Local { user: user.clone(), device: cert.id(), cert, keys, log };
        let mut rows = std::mem::take(&mut self.nodes[who].rows);
        peers::entered(&mut rows, &user, Some(&local.log)).unwrap();
        self.nodes[who] = Node::new(local, rows);
    }

    /// `by` writes the entry that revokes devices of its account.
    pub fn revoke(&mut self, by: usize, whom: &[usize]) {
        let devices: Vec<DeviceId> = whom.iter().map(|who| self.nodes[*who].device).collect();
        let mut rng = self.signing();
        self.write_log(by, |log, author| log.revoke_devices(author, devices, &mut rng));
    }

    /// Extends the log of an account as it stands at the server with an entry that `by` signs.
    pub fn write_log(&mut self, by: usize, entry: impl FnOnce(&AccountLog, Author<'_>) -> Result<Vec<u8>, LogError>) {
        let log = self.log_of(by);
        let Local { keys, cert, .. } = &self.nodes[by].local;
        let author = Author { key: &keys.signing, cert, at: self.now };
        let entry = entry(&log, author).unwrap();
        self.append_log(by, LogAppend { head: log.head(), entry: entry.into() }).unwrap();
    }

    /// The server is asked to extend the log of `by`, as if its daemon did.
    pub fn append_log(&mut self, by: usize, ask: LogAppend) -> Result<(), Refusal> {
        self.server.append(&self.nodes[by].user, &ask)
    }

    /// What signatures of the account log draw from: the same in every run, because a log's hashes follow from it.
    fn signing(&self) -> StdRng {
        StdRng::seed_from_u64(self.nodes.len() as u64)
    }

    /// The log of an account, as it stands at the server.
    pub fn log_of(&self, who: usize) -> AccountLog {
        self.server.log_of(&self.nodes[who].user)
    }

    /// The server shows others only the first `entries` of an account's log, until it shows all.
    pub fn show_only(&mut self, who: usize, entries: Option<usize>) {
        let (user, log) = (self.name(who), self.log_of(who));
        self.server.shown.remove(&user);
        if let Some(entries) = entries {
            let shown: Vec<_> = log.entries_from(0).take(entries).collect();
            self.server.shown.insert(user.clone(), Shown::of(&AccountLog::verify(&user, &shown).unwrap()));
        }
    }
}

#[test]
fn an_approved_device_is_let_in_and_a_waiting_one_is_not() {
    let mut world = World::new();
    let alice = world.user("alice");
    let phone = world.waiting_device(alice);
    world.come_online(phone);
    world.settle();
    assert_eq!(world.nodes[phone].refused, Some(Code::ApprovalRequired));
    world.approve(alice, phone);
    world.settle();
    assert!(world.nodes[phone].engine.is_online());
    assert_eq!(world.log_of(alice).active_devices().count(), 2);
}

#[test]
fn a_revoked_device_is_disconnected_at_once_and_not_let_in_again() {
    let mut world = World::new();
    let alice = world.user("alice");
    let phone = world.another_device(alice);
    world.settle();
    world.revoke(alice, &[phone]);
    world.settle();
    assert!(!world.nodes[phone].engine.is_online());
    assert_eq!(world.nodes[phone].refused, Some(Code::Revoked));
}

#[test]
fn an_entry_written_on_an_outdated_log_is_stale() {
    let mut world = World::new();
    let alice = world.user("alice");
    let old = world.log_of(alice);
    let phone = world.another_device(alice);
    let Local { keys, cert, .. } = world.nodes[alice].local.clone();
    let author = Author { key: &keys.signing, cert: &cert, at: world.now };
    let rival = world.waiting_device(alice);
    let added = world.nodes[rival].local.cert.clone();
    let entry = old.add_device(author, &added, world.acceptance(rival), &mut rand::rng()).unwrap();
    let refusal = world.append_log(alice, LogAppend { head: old.head(), entry: entry.into() }).unwrap_err();
    assert_eq!(refusal.code, Code::Stale);
    assert_eq!(refusal.heads.unwrap()[0].head, world.log_of(phone).head());
}

#[test]
fn a_server_can_withhold_the_end_of_a_log() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let tablet = world.another_device(bob);
    world.show_only(bob, Some(1));
    world.settle();
    world.send(alice, bob, "hi");
    world.settle();
    let (_, submit) = &world.server.seen[0];
    assert!(submit.to.iter().all(|to| to.device != world.nodes[tablet].device));
    assert_eq!(world.inbox(bob), ["alice: hi"]);
}
