//! Several devices of one account: asked for, compared, let in, ended.

use chat_protocol::rpc::{EventBody, Kind};
use std::time::Duration;

use chat_protocol::fixtures::device_keys;
use chat_protocol::identity::code::IdentityCode;
use chat_protocol::identity::safety_number::approval_digits;
use chat_protocol::ids::DeviceId;
use chat_protocol::message::Blob;
use chat_protocol::message::server::{Code, DeviceWaits, LogGrew, Push, WaitingDevice};
use chat_protocol::rpc::types::{Approval, Compared, Device, DeviceState};
use chatd::engine::{EngineError, devices, peers, trust};
use chatd::store::{Place, Rows, Table};

use crate::lies::Shown;
use crate::world::{World, is_invalid, is_refused, warns_of_a_middle};

impl World {
    /// The server tells an account that `new` waits, and what it signed if its user compared.
    fn ask_in(&mut self, new: usize, compared: bool) {
        let cert = Blob(self.nodes[new].local.cert.bytes().to_vec());
        let acceptance = compared.then(|| Blob(self.acceptance(new)));
        let (user, device) = (self.name(new), self.nodes[new].device);
        self.server.waiting.retain(|(_, known)| known.cert != cert);
        self.server.waiting.push((user.clone(), WaitingDevice { cert, acceptance }));
        let told = self.server.devices_of(&user);
        told.iter().for_each(|own| self.push(own, Push::DeviceWaits(DeviceWaits { device })));
    }

    /// The digits on the screen of `new`.
    fn digits(&self, new: usize) -> String {
        approval_digits(&self.nodes[new].local.log.fingerprint(), &self.nodes[new].device)
    }

    fn say_alike(&mut self, who: usize, new: usize) -> Result<Approval, EngineError> {
        let (device, digits) = (self.nodes[new].device, self.digits(new));
        self.command(who, |txn| devices::approve(txn, &device, &digits))
    }

    fn end_devices(&mut self, who: usize, whom: &[usize]) -> Result<(), EngineError> {
        let ids: Vec<_> = whom.iter().map(|whom| self.nodes[*whom].device).collect();
        self.command(who, |txn| devices::revoke(txn, &ids))
    }

    fn devices(&self, who: usize) -> Vec<Device> {
        let node = &self.nodes[who];
        let own = chatd::engine::peers::get(&node.rows, &node.user).unwrap();
        let log = own.map_or_else(|| node.local.log.clone(), |own| own.pinned.log);
        devices::list(&node.rows, &log, &node.device).unwrap()
    }
}

#[test]
fn a_device_is_let_in_when_both_screens_were_compared() {
    for compared_first in [true, false] {
        let mut world = World::new();
        let alice = world.user("alice");
        let phone = world.waiting_device(alice);
        world.settle();
        world.ask_in(phone, compared_first);
        world.settle();
        let waits = world.devices(alice).pop().unwrap();
        assert_eq!(
            (waits.state, waits.confirmed, waits.approved),
            (DeviceState::Waiting, Some(compared_first), Some(false))
        );
        assert_eq!(waits.digits, Some(world.digits(phone)));

        assert_eq!(world.say_alike(alice, phone).unwrap(), Approval::Approved);
        world.settle();
        if !compared_first {
            assert_eq!(world.log_of(alice).devices().len(), 1, "the other user has not said so");
            world.ask_in(phone, true);
            world.settle();
        }
        world.begin(phone);
        world.settle();
        assert!(world.nodes[phone].engine.is_online());
        let added = world.devices(alice).pop().unwrap();
        assert_eq!((added.state, added.added_by), (DeviceState::Active, Some(world.nodes[alice].device)));
        assert_eq!(world.say_alike(alice, phone).unwrap(), Approval::Added);
        assert_eq!(world.count_events(alice, |body| matches!(body, EventBody::DeviceWaiting(_))), 1, "told once");
        assert_eq!(world.count_events(alice, |body| matches!(body, EventBody::DeviceAdded(_))), 1);
    }
}

#[test]
fn atk_28_a_device_that_the_account_did_not_let_in_gets_nothing() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let stolen = world.waiting_device(alice);
    world.settle();
    world.ask_in(stolen, true);
    world.settle();
    // the server lists it among the account's devices, and lets it in
    let device = world.nodes[stolen].device;
    world.server.let_in(device);
    world.come_online(stolen);
    world.send(bob, alice, "for you");
    world.send(alice, bob, "and for you");
    world.settle();
    assert_eq!(world.inbox(alice), ["bob: for you"]);
    let to_it = |(_, submit): &(DeviceId, chat_protocol::message::client::Submit)| {
        submit.to.iter().any(|to| to.device == device)
    };
    assert!(!world.server.seen.iter().any(to_it), "nothing was ever encrypted to it");
}

#[test]
fn atk_71_the_old_device_is_shown_a_fabricated_request() {
    let mut world = World::new();
    let alice = world.user("alice");
    let phone = world.waiting_device(alice);
    world.settle();
    // the server shows a device of its own in the place of the phone
    let (user, keys) = (world.name(alice), device_keys(5));
    let cert = keys.certify(&user, world.now).unwrap();
    let acceptance = keys.accept(&world.log_of(alice).fingerprint(), &cert, &mut world.chance);
    let fabricated = WaitingDevice { cert: Blob(cert.bytes().to_vec()), acceptance: Some(Blob(acceptance)) };
    world.server.waiting.push((user, fabricated));
    let (device, own) = (cert.id(), world.nodes[alice].device);
    world.push(&own, Push::DeviceWaits(DeviceWaits { device }));
    world.settle();

    let on_the_phone = world.digits(phone);
    let refused = world.command(alice, |txn| devices::approve(txn, &device, &on_the_phone));
    assert!(is_refused(&refused, Kind::Conflict) && refused.unwrap_err().to_string().contains("digits of this device"));
    world.settle();
    assert_eq!(world.log_of(alice).devices().len(), 1, "nothing was signed");
}

#[test]
fn what_the_server_says_of_devices_is_read_before_it_is_shown() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let user = world.name(alice);
    let shown = |cert: &[u8], acceptance: Option<Blob>| WaitingDevice { cert: Blob(cert.to_vec()), acceptance };
    let (own, others) = (world.nodes[alice].local.cert.clone(), world.nodes[bob].local.cert.clone());
    let new = device_keys(5).certify(&user, world.now).unwrap();
    for lie in [shown(own.bytes(), None), shown(others.bytes(), None), shown(b"nonsense", None)] {
        world.server.waiting = vec![(user.clone(), lie)];
        world.cut(alice);
        world.settle();
        assert_eq!(world.devices(alice).len(), 1);
    }
    world.server.waiting = vec![(user, shown(new.bytes(), Some(Blob(vec![1; 384]))))];
    world.cut(alice);
    world.settle();
    assert_eq!(world.devices(alice)[1].confirmed, Some(false), "a signature that is none is no word of its user");
}

#[test]
fn two_devices_that_extend_the_log_at_once_both_have_their_way() {
    for seed in 0..12 {
        let mut world = World::seeded(seed);
        let alice = world.user("alice");
        let (tablet, laptop) = (world.another_device(alice), world.another_device(alice));
        let phone = world.waiting_device(alice);
        world.settle();
        world.ask_in(phone, true);
        world.settle();
        world.say_alike(alice, phone).unwrap();
        world.end_devices(tablet, &[laptop]).unwrap();
        world.cuts = 8;
        world.settle();
        world.begin(phone);
        world.calm_as_it_is();
        let log = world.log_of(alice);
        assert_eq!(log.devices().len(), 4, "seed {seed}");
        assert!(log.active(&world.nodes[laptop].device).is_none(), "seed {seed}");
        assert!(log.active(&world.nodes[phone].device).is_some(), "seed {seed}");
    }
}

#[test]
fn an_entry_whose_answer_was_lost_is_sent_again_as_it_was() {
    let mut world = World::new();
    let alice = world.user("alice");
    let tablet = world.another_device(alice);
    world.settle();
    world.end_devices(alice, &[tablet]).unwrap();
    // what it asked is with the server, what that says is lost; and the process dies
    world.crash_after_sending(alice);
    world.settle();
    let log = world.log_of(alice);
    assert_eq!(log.head().seq, 2, "one entry");
    assert_eq!(world.count_events(alice, |body| matches!(body, EventBody::DeviceRevoked(_))), 1);
    assert!(world.devices(alice).iter().any(|device| device.state == DeviceState::Revoked));
}

#[test]
fn nobody_encrypts_to_a_revoked_device_again_and_its_sessions_are_gone() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let tablet = world.another_device(alice);
    world.settle();
    world.send(bob, alice, "to both");
    world.settle();
    assert_eq!(world.inbox(tablet), ["bob: to both"]);
    world.end_devices(alice, &[tablet]).unwrap();
    world.settle();
    assert!(!world.nodes[tablet].engine.is_online());
    world.send(bob, alice, "to one");
    world.send(alice, bob, "from one");
    world.settle();
    assert_eq!(world.inbox(alice), ["bob: to both", "bob: to one"]);
    let device = world.nodes[tablet].device;
    for who in [alice, bob] {
        assert!(chatd::engine::sessions::standings(&world.nodes[who].rows, &device).unwrap().sending().is_none());
    }
    let last = &world.server.seen.last().unwrap().1;
    assert!(last.to.iter().all(|to| to.device != device));
}

#[test]
fn a_device_that_revokes_itself_is_out() {
    let mut world = World::new();
    let alice = world.user("alice");
    let tablet = world.another_device(alice);
    world.settle();
    world.end_devices(tablet, &[tablet]).unwrap();
    world.settle();
    let told = |body: &EventBody| matches!(body, EventBody::DeviceRevoked(change) if change.this);
    assert_eq!(world.count_events(tablet, told), 1);
    assert_eq!(world.nodes[tablet].refused, Some(Code::Revoked));
}

#[test]
fn only_devices_that_are_there_are_revoked_and_who_let_them_in_is_shown() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let tablet = world.another_device(alice);
    let phone = world.another_device(tablet);
    world.settle();
    assert!(is_refused(&world.end_devices(alice, &[bob]), Kind::NotFound));
    assert!(is_invalid(&world.end_devices(alice, &[]), "device_ids"));
    let let_in: Vec<_> = world.devices(alice).into_iter().map(|device| device.let_in).collect();
    let (tablet, phone) = (world.nodes[tablet].device, world.nodes[phone].device);
    assert_eq!(let_in, [vec![tablet, phone], vec![phone], vec![]]);
}

#[test]
fn an_entry_is_signed_anew_only_behind_another_that_is_valid() {
    let mut world = World::new();
    let alice = world.user("alice");
    let (tablet, laptop) = (world.another_device(alice), world.another_device(alice));
    world.settle();
    world.go_offline(alice);
    world.end_devices(alice, &[laptop]).unwrap();
    // meanwhile another device says something else in the place this one will want
    let log = world.log_of(alice);
    let phone = world.waiting_device(alice);
    world.approve(tablet, phone);
    world.come_online(alice);
    world.settle();
    let grown = world.log_of(alice);
    assert_eq!(grown.head().seq, log.head().seq + 2);
    assert!(grown.active(&world.nodes[laptop].device).is_none());
}

#[test]
fn what_was_signed_for_the_log_before_a_reset_keeps_nothing_from_the_new_one() {
    let mut world = World::new();
    let alice = world.user("alice");
    let stolen = world.another_device(alice);
    world.settle();
    // each ends the other, and the thief is quicker
    world.revoke(stolen, &[alice]);
    world.end_devices(alice, &[stolen]).unwrap();
    assert!(world.nodes[alice].rows.get(Place::new(Table::Peers, b"own", b"pending")).unwrap().is_some(), "signed");
    world.settle();
    assert_eq!(world.nodes[alice].refused, Some(Code::Revoked));
    world.reset(alice);
    let phone = world.waiting_device(alice);
    world.settle();
    world.ask_in(phone, true);
    world.settle();
    world.say_alike(alice, phone).unwrap();
    world.advance(Duration::from_secs(120));
    assert!(world.log_of(alice).active(&world.nodes[phone].device).is_some());
}

#[test]
fn an_account_that_was_reset_goes_on_with_the_same_data() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    for text in ["one", "two", "three"] {
        world.send(bob, alice, text);
        world.settle();
    }
    let name = world.name(alice);
    let place = Place::new(Table::Peers, b"", name.as_str().as_bytes());
    let before = world.nodes[alice].rows.get(place).unwrap().unwrap();
    world.reset(alice);
    // the engine of the old device may have written its log once more before it ended
    world.nodes[alice].rows.put(place, 0, &before).unwrap();
    world.settle();
    let known = peers::get(&world.nodes[alice].rows, &name).unwrap().unwrap();
    assert_eq!((known.pinned.log, known.rival), (world.log_of(alice), None));
    let carol = world.user("carol");
    world.send(carol, alice, "nice to meet you");
    world.settle();
    assert_eq!(world.inbox(alice), ["bob: one", "bob: two", "bob: three", "carol: nice to meet you"]);
}

#[test]
fn no_local_program_has_a_device_follow_another_version_of_its_own_log() {
    let mut world = World::new();
    let alice = world.user("alice");
    let genesis = world.log_of(alice);
    world.another_device(alice);
    world.settle();
    let (name, pinned, fork) = (world.name(alice), world.log_of(alice), world.grown(&genesis, alice));
    world.server.shown.insert(name.clone(), Shown::of(&fork));
    world.server.own_too.insert(name.clone());
    let grew = LogGrew { user: name.clone(), head: fork.head() };
    let device = world.nodes[alice].device;
    world.push(&device, Push::LogGrew(grew));
    world.advance(Duration::from_secs(120));
    let known = |world: &World| peers::get(&world.nodes[alice].rows, &name).unwrap().unwrap();
    assert_eq!(known(&world).rival.unwrap().log, fork);

    let (fingerprint, head) = (fork.fingerprint(), fork.head());
    let accepted = world.command(alice, |txn| trust::accept(txn, &name, &fingerprint, &head));
    assert!(is_refused(&accepted, Kind::Conflict));
    let verified = world.command(alice, |txn| trust::verify(txn, &name, &Compared::Code(IdentityCode::of(&fork))));
    assert!(warns_of_a_middle(&verified));
    assert_eq!(known(&world).pinned.log, pinned);
    // that the one there is stays can be said
    let (fingerprint, head) = (pinned.fingerprint(), pinned.head());
    world.command(alice, |txn| trust::accept(txn, &name, &fingerprint, &head)).unwrap();
    assert_eq!((known(&world).pinned.log, known(&world).rival), (pinned, None));
}
