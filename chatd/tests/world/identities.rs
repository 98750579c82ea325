//! Whom one talks to: identities that change, what the user decides, and what new devices get.

use chat_protocol::rpc::types::{HeldReason, TrustPolicy};
use chat_protocol::rpc::{EventBody, Kind, Target};
use std::time::Duration;

use chat_protocol::fixtures::{FirstDevice, first_device};
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::code::IdentityCode;
use chat_protocol::identity::safety_number::SafetyNumber;
use chat_protocol::ids::{Fingerprint, Head, Username};
use chat_protocol::rpc::types::{Compared, IdentityState, MessageState, MsgSend};
use chatd::engine::history::MessageKind;
use chatd::engine::peers::{self, DeviceTable, Peer, Trust};
use chatd::engine::{EngineError, Local, trust, view};
use chatd::store::{Rows, Table};

use crate::lies::Shown;
use crate::world::{World, acquainted, is_refused, warns_of_a_middle};

const MINUTES: Duration = Duration::from_secs(120);

pub fn bob() -> Username {
    "bob".parse().unwrap()
}

/// What `who` knows of bob.
pub fn peer(world: &World, who: usize) -> Peer {
    peers::get(&world.nodes[who].rows, &bob()).unwrap().unwrap()
}

fn table(world: &World, who: usize) -> DeviceTable {
    peers::table_of(&world.nodes[who].rows, &bob()).unwrap().unwrap()
}

/// The server shows these entries as bob's log from now on.
pub fn show(world: &mut World, log: &AccountLog) {
    world.server.shown.insert(bob(), Shown::of(log));
}

/// The log of another genesis under bob's name.
pub fn another(world: &World, keys: usize) -> AccountLog {
    first_device(&bob(), keys, world.now).log
}

/// The server shows another log, and alice asks for it by writing.
fn swap(world: &mut World, alice: usize, log: &AccountLog) {
    show(world, log);
    drop(world.try_send(alice, Target::User(bob()), "are you there?", None));
    world.advance(MINUTES);
}

fn changes(world: &World, who: usize) -> usize {
    world.count_events(who, |body| matches!(body, EventBody::IdentityChanged(_)))
}

pub fn accept(world: &mut World, who: usize, log: &AccountLog) -> Result<(), EngineError> {
    let (fingerprint, head) = (log.fingerprint(), log.head());
    world.command(who, |txn| trust::accept(txn, &bob(), &fingerprint, &head))
}

fn verify(world: &mut World, who: usize, compared: &Compared) -> Result<(), EngineError> {
    world.command(who, |txn| trust::verify(txn, &bob(), compared))
}

fn set_policy(world: &mut World, who: usize, policy: TrustPolicy) {
    world.command(who, |txn| peers::set_policy(txn, Some(&bob()), Some(policy))).unwrap();
}

fn number(world: &World, alice: usize, log: &AccountLog) -> Compared {
    Compared::SafetyNumber(SafetyNumber::of(&world.log_of(alice), log))
}

/// Devices that anything was submitted to since `from`.
fn written_to(world: &World, from: usize) -> Vec<chat_protocol::ids::DeviceId> {
    world.server.seen[from..].iter().flat_map(|(_, submit)| submit.to.iter().map(|to| to.device)).collect()
}

#[test]
fn atk_26_under_every_policy_and_trust_nothing_leaves_for_another_identity() {
    for policy in [TrustPolicy::Tofu, TrustPolicy::Notify, TrustPolicy::Strict] {
        for compared in [false, true] {
            let (mut world, alice, _) = acquainted();
            set_policy(&mut world, alice, policy);
            if compared {
                let number = number(&world, alice, &world.server.log_of(&bob()));
                verify(&mut world, alice, &number).unwrap();
            }
            let before = world.server.seen.len();
            let rival = another(&world, 5);
            swap(&mut world, alice, &rival);
            let refused = world.try_send(alice, Target::User(bob()), "more", None);
            assert!(is_refused(&refused, Kind::IdentityChanged), "{policy:?}");
            assert_eq!(changes(&world, alice), 1);
            let fake = rival.active_devices().next().unwrap().id();
            assert!(!written_to(&world, before).contains(&fake), "{policy:?}");
        }
    }
}

#[test]
fn atk_26_what_waits_when_a_change_is_found_goes_to_nobody_until_it_is_decided() {
    let mut world = World::new();
    let (alice, bob_) = (world.user("alice"), world.user("bob"));
    // bob has published no keys yet: the message waits for them
    world.go_offline(bob_);
    world.settle();
    let id = world.send(alice, bob_, "for bob");
    world.settle();
    let rival = another(&world, 5);
    show(&mut world, &rival);
    world.send_anyway(alice);
    world.settle();
    assert_eq!(changes(&world, alice), 1);
    world.server.takes_all = true;
    world.come_online(bob_);
    world.advance(MINUTES);
    assert!(written_to(&world, 0).is_empty(), "not even for the device that is known");
    assert_eq!(world.state(alice, id), MessageState::Queued);

    let known = peer(&world, alice).pinned.log;
    accept(&mut world, alice, &known).unwrap();
    world.advance(MINUTES);
    assert_eq!(world.inbox(bob_)[0], "alice: for bob");
}

#[test]
fn a_change_is_told_once_however_often_the_server_changes_its_story() {
    let (mut world, alice, _) = acquainted();
    let true_log = world.server.log_of(&bob());
    let fakes = [another(&world, 5), another(&world, 6), another(&world, 7)];
    for round in 0..9 {
        show(&mut world, &fakes[round % 3]);
        world.send_anyway(alice);
        world.advance(MINUTES);
        if round % 2 == 0 {
            world.crash(alice);
        }
        show(&mut world, &true_log);
        world.advance(MINUTES);
    }
    assert_eq!(changes(&world, alice), 1);
    let seen = view::identity(&peer(&world, alice)).seen;
    for fake in &fakes {
        let shown = seen.iter().find(|seen| seen.fingerprint == fake.fingerprint()).unwrap();
        assert_eq!(shown.state, IdentityState::Changed, "each can be decided for");
    }
    accept(&mut world, alice, &fakes[0]).unwrap();
    assert_eq!(peer(&world, alice).pinned.log, fakes[0]);
}

impl World {
    /// Has alice ask for bob, whose identity may have changed.
    fn send_anyway(&mut self, alice: usize) {
        drop(self.try_send(alice, Target::User(bob()), "hello?", None));
        let head = self.server.head_for(&self.name(alice), &bob());
        let grew = chat_protocol::message::server::LogGrew { user: bob(), head };
        let device = self.nodes[alice].device;
        self.push(&device, chat_protocol::message::server::Push::LogGrew(grew));
    }
}

#[test]
fn an_identity_that_was_refused_stays_so_and_can_still_be_accepted() {
    let (mut world, alice, _) = acquainted();
    let (known, rival) = (peer(&world, alice).pinned.log, another(&world, 5));
    swap(&mut world, alice, &rival);
    accept(&mut world, alice, &known).unwrap();
    assert_eq!(peer(&world, alice).rival, None);
    world.send_anyway(alice);
    world.advance(MINUTES);
    assert_eq!((changes(&world, alice), peer(&world, alice).rival), (1, None), "it is no news");
    accept(&mut world, alice, &rival).unwrap();
    let now = peer(&world, alice);
    assert_eq!((now.pinned.log, now.trust), (rival, Trust::Tofu));
    assert_eq!(now.former[0].log, known);
}

#[test]
fn the_pinned_identity_is_restored_with_the_trust_it_had() {
    let (mut world, alice, _) = acquainted();
    let known = peer(&world, alice).pinned.log;
    verify(&mut world, alice, &Compared::Fingerprint(known.fingerprint())).unwrap();
    let rival = another(&world, 5);
    swap(&mut world, alice, &rival);
    accept(&mut world, alice, &known).unwrap();
    assert_eq!(peer(&world, alice).trust, Trust::Verified);
    let wrong = Head { seq: 1, ..rival.head() };
    let refused = world.command(alice, |txn| trust::accept(txn, &bob(), &rival.fingerprint(), &wrong));
    assert!(is_refused(&refused, Kind::Conflict), "exactly what was shown");
}

#[test]
fn an_identity_is_verified_with_any_of_three_things_and_told_once() {
    let (mut world, alice, bob_) = acquainted();
    let log = world.log_of(bob_);
    let other = Compared::SafetyNumber("1".repeat(60).parse().unwrap());
    assert!(warns_of_a_middle(&verify(&mut world, alice, &other)));
    let wrong = Compared::Fingerprint(Fingerprint::new([9; 32]));
    assert!(warns_of_a_middle(&verify(&mut world, alice, &wrong)));
    let carols = IdentityCode { user: "carol".parse().unwrap(), ..IdentityCode::of(&log) };
    assert!(warns_of_a_middle(&verify(&mut world, alice, &Compared::Code(carols))));
    assert_eq!(peer(&world, alice).trust, Trust::Tofu);

    let number = number(&world, alice, &log);
    for right in [number, Compared::Fingerprint(log.fingerprint()), Compared::Code(IdentityCode::of(&log))] {
        verify(&mut world, alice, &right).unwrap();
        assert_eq!(peer(&world, alice).trust, Trust::Verified);
    }
    assert_eq!(world.count_events(alice, |body| matches!(body, EventBody::IdentityVerified(_))), 1);
    let send = MsgSend { require_verified: Some(true), ..MsgSend::text(Target::User(bob()), "secret".to_owned()) };
    assert!(world.submit(alice, send.clone()).is_ok());
    world.command(alice, |txn| trust::unverify(txn, &bob())).unwrap();
    assert!(is_refused(&world.submit(alice, send), Kind::IdentityUnverified));
}

#[test]
fn verified_survives_a_valid_extension_and_nothing_else() {
    let (mut world, alice, bob_) = acquainted();
    let log = world.log_of(bob_);
    verify(&mut world, alice, &Compared::Code(IdentityCode::of(&log))).unwrap();
    world.another_device(bob_);
    world.send(bob_, alice, "a new phone");
    world.settle();
    let now = peer(&world, alice);
    assert_eq!((now.pinned.log.head().seq, now.trust), (1, Trust::Verified));
    let rival = another(&world, 5);
    swap(&mut world, alice, &rival);
    accept(&mut world, alice, &rival).unwrap();
    assert_eq!(peer(&world, alice).trust, Trust::Tofu);
}

#[test]
fn comparing_decides_an_open_change_for_the_identity_that_fits() {
    for keep in [true, false] {
        let (mut world, alice, _) = acquainted();
        let (known, rival) = (peer(&world, alice).pinned.log, another(&world, 5));
        swap(&mut world, alice, &rival);
        let wanted = if keep { &known } else { &rival };
        let number = number(&world, alice, wanted);
        verify(&mut world, alice, &number).unwrap();
        let now = peer(&world, alice);
        assert_eq!((&now.pinned.log, now.trust, now.rival), (wanted, Trust::Verified, None));
    }
}

#[test]
fn a_fingerprint_does_not_decide_between_two_versions_of_one_log() {
    let (mut world, alice, bob_) = acquainted();
    let old = world.log_of(bob_);
    world.another_device(bob_);
    world.settle();
    world.send(bob_, alice, "hi");
    world.settle();
    let fork = world.grown(&old, bob_);
    swap(&mut world, alice, &fork);
    assert_eq!(changes(&world, alice), 1);
    let same = Compared::Fingerprint(fork.fingerprint());
    assert!(warns_of_a_middle(&verify(&mut world, alice, &same)));
    let number = number(&world, alice, &fork);
    verify(&mut world, alice, &number).unwrap();
    assert_eq!(peer(&world, alice).pinned.log, fork);
}

impl World {
    /// `log` with one more device, signed by the device of `who`: a fork, if `log` is not where the account stands.
    pub fn grown(&mut self, log: &AccountLog, who: usize) -> AccountLog {
        use chat_protocol::identity::account_log::Author;
        let new = self.waiting_device(who);
        let (cert, acceptance) = (self.nodes[new].local.cert.clone(), self.acceptance(new));
        let local = &self.nodes[who].local;
        let author = Author { key: &local.keys.signing, cert: &local.cert, at: self.now };
        let entry = log.add_device(author, &cert, acceptance, &mut rand::rng()).unwrap();
        let mut grown = log.clone();
        grown.extend(&[entry]).unwrap();
        grown
    }
}

/// Somebody whom the server calls bob: with a genesis of their own, and bob's own device offline.
pub fn impostor(world: &mut World, bob_: usize) -> (usize, AccountLog) {
    let FirstDevice { keys, cert, log } = first_device(&bob(), 5, world.now);
    let device = cert.id();
    world.go_offline(bob_);
    world.server.enrol(&log, &cert);
    let impostor = world.node(Local { user: bob(), device, cert, keys, log: log.clone() });
    world.settle();
    (impostor, log)
}

#[test]
fn what_comes_under_another_identity_is_held_and_what_the_known_one_says_is_shown() {
    let (mut world, alice, bob_) = acquainted();
    let (thief, log) = impostor(&mut world, bob_);
    let id = world.send(thief, alice, "i am bob, send me money");
    world.advance(MINUTES);
    let held =
        |body: &EventBody| matches!(body, EventBody::MessageHeld(held) if held.why == HeldReason::IdentityChanged);
    assert_eq!((world.count_events(alice, held), changes(&world, alice)), (1, 1));
    assert_eq!(world.state(thief, id), MessageState::Accepted, "held means: no receipt");
    let fake = world.server.shown.remove(&bob()).unwrap();
    world.come_online(bob_);
    world.send(bob_, alice, "it is me");
    world.advance(MINUTES);
    assert_eq!(world.inbox(alice), ["bob: hi", "bob: it is me"]);

    world.server.shown.insert(bob(), fake);
    accept(&mut world, alice, &log).unwrap();
    world.advance(MINUTES);
    assert_eq!(world.inbox(alice), ["bob: hi", "bob: it is me", "bob: i am bob, send me money"]);
}

#[test]
fn a_refused_identity_is_not_heard_however_long_it_talks() {
    let (mut world, alice, bob_) = acquainted();
    let known = peer(&world, alice).pinned.log;
    let (thief, _) = impostor(&mut world, bob_);
    world.send(thief, alice, "i am bob");
    world.advance(MINUTES);
    accept(&mut world, alice, &known).unwrap();
    world.send(thief, alice, "really");
    world.advance(MINUTES);
    assert_eq!((world.inbox(alice), changes(&world, alice)), (vec!["bob: hi".to_owned()], 1));
    let (_, submit) = world.server.seen.iter().rev().find(|(by, _)| *by == world.nodes[thief].device).unwrap();
    let again = submit.to[0].envelope.clone();
    world.deliver(thief, alice, again);
    world.settle();
    assert_eq!(world.nodes[alice].rows.count(Table::Inbox, b"from:bob").unwrap(), 0, "and nothing of it is kept");
}

#[test]
fn at_most_a_thousand_messages_of_a_changed_identity_are_kept() {
    let (mut world, alice, bob_) = acquainted();
    let (thief, log) = impostor(&mut world, bob_);
    for n in 0..1_050 {
        world.send(thief, alice, &n.to_string());
    }
    world.advance(MINUTES);
    assert_eq!(world.nodes[alice].rows.count(Table::Inbox, b"from:bob").unwrap(), 1_000);
    let device = world.nodes[alice].device;
    assert_eq!(world.server.mailbox(device).messages, 0, "and none of them blocks the mailbox");
    accept(&mut world, alice, &log).unwrap();
    world.advance(MINUTES);
    assert_eq!(world.inbox(alice).len(), 1 + 1_050, "what found no room was asked for again");
}

#[test]
fn new_devices_are_told_noted_or_left_out_as_the_policy_says() {
    for policy in [TrustPolicy::Tofu, TrustPolicy::Notify, TrustPolicy::Strict] {
        let (mut world, alice, bob_) = acquainted();
        set_policy(&mut world, alice, policy);
        let phone = world.another_device(bob_);
        world.settle();
        let before = world.server.seen.len();
        world.send(alice, bob_, "to all of you");
        world.advance(MINUTES);
        let device = world.nodes[phone].device;
        assert_eq!(written_to(&world, before).contains(&device), policy != TrustPolicy::Strict, "{policy:?}");
        let told = |body: &EventBody| {
            matches!(body, EventBody::IdentityDevices(change)
                if change.added == [device] && change.left_out == (policy == TrustPolicy::Strict))
        };
        assert_eq!(world.count_events(alice, told), 1, "{policy:?}");
        let notes = world.chat(alice, "@bob").into_iter().filter(|message| message.kind == MessageKind::Notice).count();
        assert_eq!(notes, usize::from(policy != TrustPolicy::Tofu), "{policy:?}");

        let number = number(&world, alice, &world.log_of(bob_));
        verify(&mut world, alice, &number).unwrap();
        let before = world.server.seen.len();
        world.send(alice, bob_, "and now?");
        world.advance(MINUTES);
        assert!(written_to(&world, before).contains(&device), "compared again, nobody is left out");
    }
}

#[test]
fn a_code_from_before_a_device_vouches_for_those_it_knew() {
    let (mut world, alice, bob_) = acquainted();
    set_policy(&mut world, alice, TrustPolicy::Strict);
    let code = IdentityCode::of(&world.log_of(bob_));
    let phone = world.another_device(bob_);
    world.send(bob_, alice, "i have a phone");
    world.settle();
    verify(&mut world, alice, &Compared::Code(code)).unwrap();
    let now = table(&world, alice);
    assert!(peers::leaves_out(TrustPolicy::Strict, &now, &world.nodes[phone].device));
    assert!(!peers::leaves_out(TrustPolicy::Strict, &now, &world.nodes[bob_].device));
}

#[test]
fn where_every_device_is_left_out_nothing_is_taken() {
    let (mut world, alice, bob_) = acquainted();
    set_policy(&mut world, alice, TrustPolicy::Strict);
    let phone = world.another_device(bob_);
    world.revoke(phone, &[bob_]);
    world.settle();
    world.try_send(alice, Target::User(bob()), "to whom?", None).unwrap();
    world.advance(MINUTES);
    let refused = world.try_send(alice, Target::User(bob()), "nobody", None);
    assert!(is_refused(&refused, Kind::IdentityUnverified));
    set_policy(&mut world, alice, TrustPolicy::Tofu);
    world.advance(MINUTES);
    assert_eq!(world.inbox(phone), ["alice: to whom?"], "what waited leaves");
}

#[test]
fn whoever_was_left_out_is_so_again_when_the_policy_is() {
    let (mut world, alice, bob_) = acquainted();
    set_policy(&mut world, alice, TrustPolicy::Strict);
    let phone = world.another_device(bob_);
    world.send(bob_, alice, "a phone");
    world.settle();
    set_policy(&mut world, alice, TrustPolicy::Tofu);
    world.another_device(bob_);
    world.send(bob_, alice, "and a tablet");
    world.settle();
    let device = world.nodes[phone].device;
    assert!(!peers::leaves_out(TrustPolicy::Tofu, &table(&world, alice), &device));
    assert!(peers::leaves_out(TrustPolicy::Strict, &table(&world, alice), &device));
}

#[test]
fn what_a_left_out_device_says_is_marked() {
    let (mut world, alice, bob_) = acquainted();
    set_policy(&mut world, alice, TrustPolicy::Strict);
    let phone = world.another_device(bob_);
    world.settle();
    world.send(phone, alice, "from my phone");
    world.advance(MINUTES);
    let chat = world.chat(alice, "@bob");
    let message = chat.iter().find(|message| message.text == "from my phone").unwrap();
    assert!(message.unverified_device);
    assert!(chat.iter().filter(|other| other.id != message.id).all(|other| !other.unverified_device));
}
