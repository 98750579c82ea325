//! Messages that begin a session: what fails among them takes nothing along.

use std::time::Duration;

use chat_protocol::identity::account_log::{AccountLog, Author};
use chat_protocol::ids::{MessageId, SessionId};
use chat_protocol::message::Envelope;
use chat_protocol::rpc::types::{HeldReason, MessageState};
use chat_protocol::rpc::{EventBody, Target};
use chat_protocol::session::bundle::VerifiedBundle;
use chat_protocol::session::content::{Body, Content, Conversation, Heads, SenderSeq};
use chat_protocol::session::init::{self, Initiated, Own};
use chatd::engine::Local;
use chatd::store::{Rows, Table};
use rand::RngExt;

use crate::identities::{accept, show};
use crate::server::spoil;
use crate::world::{World, acquainted};

pub const MINUTES: Duration = Duration::from_secs(120);

pub fn undecryptable(world: &World, who: usize) -> usize {
    world.count_events(who, |body| matches!(body, EventBody::MessageUndecryptable(_)))
}

pub fn waiting(world: &World, who: usize) -> u64 {
    world.nodes[who].rows.count(Table::Inbox, b"raw").unwrap()
}

/// Nobody knows anybody; what alice writes to bob is in the server's hand.
pub fn first_contact(texts: &[&str]) -> (World, usize, usize, Vec<MessageId>, Vec<Envelope>) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.go_offline(bob);
    let sent = texts.iter().map(|text| world.send(alice, bob, text)).collect();
    world.settle();
    let held = world.take_mailbox(bob).into_iter().map(|deliver| deliver.envelope).collect();
    (world, alice, bob, sent, held)
}

fn garbled(envelope: &Envelope) -> Envelope {
    let mut garbled = envelope.clone();
    spoil(&mut garbled);
    garbled
}

/// The last byte of an INIT is of its time: it still reads, and is another one.
fn with_other_init(envelope: &Envelope) -> Envelope {
    let mut other = envelope.clone();
    *other.init.as_mut().unwrap().0.last_mut().unwrap() ^= 1;
    other
}

fn without_init(envelope: &Envelope) -> Envelope {
    Envelope { init: Some(vec![1, 2, 3].into()), ..envelope.clone() }
}

#[test]
fn atk_97_a_good_copy_behind_a_garbled_one_of_the_same_init_is_shown() {
    let spoilers = [garbled, with_other_init, without_init];
    for (nth, spoiler) in spoilers.into_iter().enumerate() {
        let (mut world, alice, bob, sent, held) = first_contact(&["one"]);
        world.deliver(alice, bob, spoiler(&held[0]));
        world.deliver(alice, bob, spoiler(&held[0]));
        world.deliver(alice, bob, held[0].clone());
        world.come_online(bob);
        world.settle();
        assert_eq!(world.inbox(bob), ["alice: one"], "spoiler {nth}");
        assert_eq!(world.state(alice, sent[0]), MessageState::Delivered);
        assert_eq!((undecryptable(&world, bob), waiting(&world, bob)), (2, 0), "what fails is told, once each");
        world.send(alice, bob, "two");
        world.settle();
        assert_eq!(world.inbox(bob), ["alice: one", "alice: two"]);
    }
}

#[test]
fn atk_97_what_comes_behind_a_garbled_first_message_is_shown() {
    let (mut world, alice, bob, sent, held) = first_contact(&["one", "two", "three"]);
    world.deliver(alice, bob, garbled(&held[0]));
    held[1..].iter().for_each(|envelope| world.deliver(alice, bob, envelope.clone()));
    world.come_online(bob);
    world.advance(Duration::from_secs(61));
    assert_eq!(world.inbox(bob), ["alice: two", "alice: three"]);
    assert_eq!(world.count_events(bob, |body| matches!(body, EventBody::MessageMissing(m) if m.count == 1)), 1);
    let states: Vec<_> = sent.iter().map(|id| world.state(alice, *id)).collect();
    assert_eq!(states, [MessageState::NotReceived, MessageState::Delivered, MessageState::Delivered]);
    world.deliver(alice, bob, held[0].clone());
    world.settle();
    assert_eq!(world.inbox(bob).len(), 3, "the good copy of the first one helps later, too");
}

#[test]
fn atk_97_what_fails_while_the_share_is_being_opened_takes_nothing_along() {
    let (mut world, alice, bob, _, held) = first_contact(&["one", "two"]);
    world.nodes[bob].slow = true;
    world.come_online(bob);
    world.deliver(alice, bob, garbled(&held[0]));
    world.settle();
    world.deliver(alice, bob, with_other_init(&held[0]));
    held.iter().for_each(|envelope| world.deliver(alice, bob, envelope.clone()));
    world.settle();
    world.crash(bob);
    world.settle();
    world.nodes[bob].slow = false;
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: one", "alice: two"]);
}

#[test]
fn a_session_id_is_its_senders_word_and_takes_nothing_of_another_sender_along() {
    let (mut world, alice, bob, _, held) = first_contact(&["one"]);
    let mallory = world.user("mallory");
    world.settle();
    world.deliver(mallory, bob, with_other_init(&held[0]));
    world.deliver(alice, bob, held[0].clone());
    world.come_online(bob);
    world.settle();
    assert_eq!((world.inbox(bob), waiting(&world, bob)), (vec!["alice: one".to_owned()], 0));
}

/// Begins a session with a device, under a log of one's choice.
pub fn begin(world: &mut World, from: usize, to: usize, mine: &AccountLog) -> Initiated {
    let local = world.nodes[from].local.clone();
    begin_as(world, &local, to, mine)
}

/// The same, as any device.
pub fn begin_as(world: &mut World, local: &Local, to: usize, mine: &AccountLog) -> Initiated {
    let (device, theirs) = (world.nodes[to].device, world.log_of(to));
    let bundle = world.server.bundle(device);
    let verified = VerifiedBundle::verify(&bundle, theirs.active(&device).unwrap()).unwrap();
    let own = Own { keys: &local.keys, cert: &local.cert, log: mine };
    init::initiate(own, &theirs, &verified.with_one_time(None).unwrap(), world.now, &mut world.chance).unwrap()
}

/// Seals a text as the next message of a session.
pub fn say(world: &mut World, from: usize, begun: &mut Initiated, n: u64) -> Envelope {
    let head = world.log_of(from).head();
    let content = Content {
        conversation: Conversation::Direct(world.name(from)),
        id: MessageId::from_parts(world.now, world.chance.random()),
        sender_seq: Some(SenderSeq { epoch: 0, n, first: None }),
        sent: world.now,
        heads: Heads { own: head, peer: head },
        acks: Vec::new(),
        body: Body::text(n.to_string()),
    };
    let sealed = begun.session.seal(&content.encode().unwrap()).unwrap();
    let init = Some(begun.init.clone().into());
    Envelope { sid: begun.session.id(), header: sealed.header.into(), token: sealed.token.into(), init }
}

/// Another log that this device could have begun.
pub fn another_log(world: &mut World, local: &Local) -> AccountLog {
    let author = Author { key: &local.keys.signing, cert: &local.cert, at: world.now };
    AccountLog::genesis(author, None, &mut world.chance).unwrap()
}

/// Alice knows bob, to whom the server gives another identity. Of bob's device there is an INIT under that one, and one
/// under the true one; the server writes the id of the same session over both.
pub fn two_of_one_session() -> (World, usize, usize, [Envelope; 2]) {
    let (mut world, alice, bob) = acquainted();
    let local = world.nodes[bob].local.clone();
    let (known, other) = (world.log_of(bob), another_log(&mut world, &local));
    show(&mut world, &other);
    drop(world.try_send(alice, Target::User(world.name(bob)), "are you there?", None));
    world.advance(MINUTES);
    world.go_offline(bob);
    let [mut foreign, good] = [&other, &known].map(|log| {
        let mut begun = begin(&mut world, bob, alice, log);
        say(&mut world, bob, &mut begun, 2)
    });
    foreign.sid = good.sid;
    (world, alice, bob, [foreign, good])
}

fn held(world: &World, who: usize, why: HeldReason) -> usize {
    world.count_events(who, |body| matches!(body, EventBody::MessageHeld(held) if held.why == why))
}

#[test]
fn atk_97_an_init_of_a_refused_identity_takes_no_other_of_its_session_along() {
    for order in [[0, 1], [1, 0]] {
        let (mut world, alice, bob, envelopes) = two_of_one_session();
        let known = world.log_of(bob);
        accept(&mut world, alice, &known).unwrap();
        world.nodes[alice].slow = true;
        order.iter().for_each(|nth| world.deliver(bob, alice, envelopes[*nth].clone()));
        world.settle();
        world.nodes[alice].slow = false;
        world.settle();
        assert_eq!(world.inbox(alice), ["bob: hi", "bob: 2"], "{order:?}");
        assert_eq!((held(&world, alice, HeldReason::IdentityRefused), waiting(&world, alice)), (1, 0));
    }
}

#[test]
fn atk_97_an_init_that_is_held_back_holds_back_no_other_of_its_session() {
    for crash in [false, true] {
        let (mut world, alice, bob, [foreign, good]) = two_of_one_session();
        world.nodes[alice].slow = true;
        for envelope in [&foreign, &foreign, &good] {
            world.deliver(bob, alice, envelope.clone());
            world.settle();
        }
        assert_eq!((held(&world, alice, HeldReason::IdentityChanged), waiting(&world, alice)), (1, 3));
        if crash {
            world.crash(alice);
        }
        world.nodes[alice].slow = false;
        world.settle();
        assert_eq!((world.inbox(alice), waiting(&world, alice)), (vec!["bob: hi".to_owned(), "bob: 2".to_owned()], 0));
    }
}

#[test]
fn atk_97_what_is_dropped_with_a_decision_takes_no_other_of_its_session_along() {
    let (mut world, alice, bob, [foreign, good]) = two_of_one_session();
    let known = world.log_of(bob);
    world.nodes[alice].slow = true;
    for envelope in [&foreign, &good] {
        world.deliver(bob, alice, envelope.clone());
        world.settle();
    }
    accept(&mut world, alice, &known).unwrap();
    assert_eq!(waiting(&world, alice), 1);
    world.nodes[alice].slow = false;
    world.settle();
    assert_eq!((world.inbox(alice), waiting(&world, alice)), (vec!["bob: hi".to_owned(), "bob: 2".to_owned()], 0));
}

#[test]
fn a_message_without_init_waits_for_one_of_its_session_and_is_told_when_none_is_left() {
    for good in [true, false] {
        let (mut world, alice, bob, _, held) = first_contact(&["one", "two"]);
        world.nodes[bob].slow = true;
        world.come_online(bob);
        let first = if good { held[0].clone() } else { garbled(&held[0]) };
        world.deliver(alice, bob, first);
        world.deliver(alice, bob, Envelope { init: None, ..held[1].clone() });
        world.settle();
        assert_eq!((waiting(&world, bob), undecryptable(&world, bob)), (2, 0));
        world.nodes[bob].slow = false;
        world.settle();
        let shown = if good { vec!["alice: one", "alice: two"] } else { Vec::new() };
        assert_eq!(world.inbox(bob), shown);
        assert_eq!((waiting(&world, bob), undecryptable(&world, bob)), (0, if good { 0 } else { 2 }));
    }
}

#[test]
fn an_init_of_another_identity_neither_delays_nor_hides_what_comes_behind_it() {
    let (mut world, alice, bob, sent, held) = first_contact(&["one"]);
    let local = world.nodes[alice].local.clone();
    let other = another_log(&mut world, &local);
    let mut begun = begin(&mut world, alice, bob, &other);
    let foreign = say(&mut world, alice, &mut begun, 1);
    world.deliver(alice, bob, foreign);
    world.deliver(alice, bob, held[0].clone());
    world.come_online(bob);
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: one"]);
    assert_eq!(world.state(alice, sent[0]), MessageState::Delivered);
    world.advance(MINUTES);
    assert_eq!((undecryptable(&world, bob), waiting(&world, bob)), (1, 0), "no log lists its device but this one");
    world.send(alice, bob, "two");
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: one", "alice: two"]);
}

#[test]
fn sessions_begun_faster_than_they_are_opened_are_all_opened() {
    let (mut world, alice, bob, _, _) = first_contact(&[]);
    let log = world.log_of(alice);
    for n in 1..=20 {
        let mut begun = begin(&mut world, alice, bob, &log);
        let envelope = say(&mut world, alice, &mut begun, n);
        world.deliver(alice, bob, envelope);
    }
    world.come_online(bob);
    world.settle();
    assert_eq!(world.inbox(bob).len(), 8);
    world.advance(MINUTES * 3);
    let all: Vec<_> = (1..=20).map(|n| format!("alice: {n}")).collect();
    assert_eq!((world.inbox(bob), undecryptable(&world, bob)), (all, 0));
}

#[test]
fn a_message_on_a_session_that_is_gone_is_told() {
    let (mut world, alice, bob, _, _) = first_contact(&[]);
    let log = world.log_of(alice);
    let mut gone = begin(&mut world, alice, bob, &log);
    let first = say(&mut world, alice, &mut gone, 1);
    world.deliver(alice, bob, first);
    world.come_online(bob);
    world.settle();
    for n in 2..9 {
        let mut begun = begin(&mut world, alice, bob, &log);
        let envelope = say(&mut world, alice, &mut begun, n);
        world.deliver(alice, bob, envelope);
        world.settle();
    }
    assert_eq!(world.inbox(bob).len(), 8);
    let late = say(&mut world, alice, &mut gone, 9);
    world.deliver(alice, bob, late);
    world.settle();
    assert_eq!((world.inbox(bob).len(), undecryptable(&world, bob)), (8, 1));
}

/// What becomes of the bytes of an INIT, by the number of the copy.
type Spoil = fn(&mut Vec<u8>, usize);

const FOREIGN: &str = "of another identity";

const KINDS: [(&str, Spoil); 7] = [
    (FOREIGN, |_, _| ()),
    ("under another id", |_, _| ()),
    ("one bit of it changed", |init, n| {
        let at = (init.len() - 1) * n / 999;
        init[at] ^= 1 << (n % 8);
    }),
    ("another first byte", |init, n| init[0] = init[0].wrapping_add(1 + (n % 255) as u8)),
    ("too short", |init, n| init.truncate(init.len() * n / 1_000)),
    ("too long", |init, n| init.resize(init.len() + 1 + n, n as u8)),
    ("random", |init, n| init.iter_mut().zip(0..).for_each(|(byte, at)| *byte = (n * 31 + at * at) as u8)),
];

#[test]
fn atk_36_a_thousand_inits_of_each_kind_are_acknowledged_before_any_rsa_and_opened_at_their_pace() {
    let (mut world, alice, bob, _, held) = first_contact(&["hello"]);
    let carol = world.user("carol");
    world.settle();
    // a true one under the fingerprint of somebody else than who shows it
    world.send(carol, bob, "hello");
    world.settle();
    let foreign = world.take_mailbox(bob).remove(0).envelope;
    world.come_online(bob);
    world.nodes[bob].slow = true;
    let said = |world: &World| world.server.seen.iter().filter(|(by, _)| *by == world.nodes[bob].device).count();
    let silent = said(&world);
    let log = world.log_of(alice);
    let kinds = KINDS.map(Some).into_iter().chain([None]).enumerate();
    for (kind, spoiled) in kinds {
        let name = spoiled.map_or("valid", |(name, _)| name);
        for n in 0..1_000 {
            let envelope = match spoiled {
                Some((name, spoil)) => {
                    let mut envelope = if name == FOREIGN { foreign.clone() } else { held[0].clone() };
                    let id = [&[kind as u8; 8], &(n as u64).to_be_bytes()[..]].concat();
                    envelope.sid = SessionId::new(id.try_into().unwrap());
                    spoil(&mut envelope.init.as_mut().unwrap().0, n);
                    envelope
                }
                None => {
                    let mut begun = begin(&mut world, alice, bob, &log);
                    say(&mut world, alice, &mut begun, n as u64 + 1)
                }
            };
            world.deliver(alice, bob, envelope);
        }
        world.settle();
        let mailbox = world.server.mailbox(world.nodes[bob].device);
        assert_eq!(mailbox.acked, mailbox.last, "{name}");
        let node = &world.nodes[bob];
        assert_eq!((node.opened, node.shares.len() <= 8), (0, true), "{name}: acknowledged before any RSA");
        assert!(waiting(&world, bob) <= 64, "{name}: {} wait", waiting(&world, bob));
        // what found no room is asked for, whatever it was, and no more often
        assert!(said(&world) - silent <= 2 * (kind + 1), "{name}: {} submits", said(&world) - silent);
    }
    world.nodes[bob].slow = false;
    world.advance(MINUTES * 5);
    let opened = world.nodes[bob].opened;
    assert!((8..=8 * 7).contains(&opened), "{opened} in ten minutes");
    world.deliver(alice, bob, held[0].clone());
    world.advance(MINUTES * 10);
    assert_eq!(world.inbox(bob).iter().filter(|line| *line == "alice: hello").count(), 1);
}
