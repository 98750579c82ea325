//! Messages that begin a session: what fails among them takes nothing along, and what finds no room is told and sent
//! again.

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::identity::account_log::{AccountLog, Author};
use chat_protocol::ids::MessageId;
use chat_protocol::message::Envelope;
use chat_protocol::rpc::EventBody;
use chat_protocol::rpc::types::MessageState;
use chat_protocol::session::bundle::VerifiedBundle;
use chat_protocol::session::content::{Body, Content, Conversation, Heads, SenderSeq};
use chat_protocol::session::init::{self, Initiated, Own};
use chatd::store::{Place, Rows, Table};

use crate::server::spoil;
use crate::world::World;

const MINUTES: Duration = Duration::from_secs(120);

fn undecryptable(world: &World, who: usize) -> usize {
    world.count_events(who, |body| matches!(body, EventBody::MessageUndecryptable(_)))
}

fn waiting(world: &World, who: usize) -> u64 {
    world.nodes[who].rows.count(Table::Inbox, b"raw").unwrap()
}

/// Nobody knows anybody; what alice writes to bob is in the server's hand.
fn first_contact(texts: &[&str]) -> (World, usize, usize, Vec<MessageId>, Vec<Envelope>) {
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
fn begin(world: &World, from: usize, to: usize, mine: &AccountLog) -> Initiated {
    let (local, device, theirs) = (&world.nodes[from].local, world.nodes[to].device, world.log_of(to));
    let bundle = world.server.bundle(device);
    let verified = VerifiedBundle::verify(&bundle, theirs.active(&device).unwrap()).unwrap();
    let own = Own { keys: &local.keys, cert: &local.cert, log: mine };
    init::initiate(own, &theirs, &verified.with_one_time(None).unwrap(), world.now, &mut rand::rng()).unwrap()
}

/// Seals a text as the next message of a session.
fn say(world: &World, from: usize, begun: &mut Initiated, n: u64) -> Envelope {
    let head = world.log_of(from).head();
    let content = Content {
        conversation: Conversation::Direct(world.name(from)),
        id: MessageId::from_parts(world.now, rand::random()),
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

#[test]
fn an_init_of_another_identity_neither_delays_nor_hides_what_comes_behind_it() {
    let (mut world, alice, bob, sent, held) = first_contact(&["one"]);
    let local = world.nodes[alice].local.clone();
    let author = Author { key: &local.keys.signing, cert: &local.cert, at: world.now };
    let other = AccountLog::genesis(author, None, &mut rand::rng()).unwrap();
    let mut begun = begin(&world, alice, bob, &other);
    let foreign = say(&world, alice, &mut begun, 1);
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
        let mut begun = begin(&world, alice, bob, &log);
        let envelope = say(&world, alice, &mut begun, n);
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
fn what_finds_no_room_to_wait_is_told_and_sent_again() {
    let (mut world, alice, bob, _, _) = first_contact(&[]);
    let long = "x".repeat(60 * 1024);
    let sent: Vec<_> = (0..260).map(|_| world.send(alice, bob, &long)).collect();
    world.settle();
    world.nodes[bob].slow = true;
    world.come_online(bob);
    world.settle();
    let (kept, refused) = (waiting(&world, bob), undecryptable(&world, bob));
    assert_eq!(kept + refused as u64, 260);
    assert!(refused > 0, "{kept} wait");
    world.nodes[bob].slow = false;
    world.advance(MINUTES);
    assert_eq!((world.inbox(bob).len(), waiting(&world, bob)), (260, 0));
    assert!(sent.iter().all(|id| world.state(alice, *id) == MessageState::Delivered));
}

#[test]
fn of_the_sessions_of_one_device_some_wait_and_the_others_are_told_of() {
    let (mut world, alice, bob, _, held) = first_contact(&["real"]);
    let log = world.log_of(alice);
    world.nodes[bob].slow = true;
    world.come_online(bob);
    for n in 2..70 {
        let mut begun = begin(&world, alice, bob, &log);
        let envelope = say(&world, alice, &mut begun, n);
        world.deliver(alice, bob, envelope);
    }
    world.deliver(alice, bob, held[0].clone());
    world.settle();
    assert_eq!((waiting(&world, bob), undecryptable(&world, bob)), (64, 5));
    let mailbox = world.server.mailbox(world.nodes[bob].device);
    assert_eq!(mailbox.acked, mailbox.last, "none of them blocks the mailbox");
}

#[test]
fn a_message_on_a_session_that_is_gone_is_told() {
    let (mut world, alice, bob, _, _) = first_contact(&[]);
    let log = world.log_of(alice);
    let mut gone = begin(&world, alice, bob, &log);
    let first = say(&world, alice, &mut gone, 1);
    world.deliver(alice, bob, first);
    world.come_online(bob);
    world.settle();
    for n in 2..9 {
        let mut begun = begin(&world, alice, bob, &log);
        let envelope = say(&world, alice, &mut begun, n);
        world.deliver(alice, bob, envelope);
        world.settle();
    }
    assert_eq!(world.inbox(bob).len(), 8);
    let late = say(&world, alice, &mut gone, 9);
    world.deliver(alice, bob, late);
    world.settle();
    assert_eq!((world.inbox(bob).len(), undecryptable(&world, bob)), (8, 1));
}

#[test]
fn strangers_have_a_part_of_the_room_alone() {
    const ALL: Place<'static> = Place::new(Table::Inbox, b"bytes", b"");
    let (mut world, alice, bob, _, _) = first_contact(&[]);
    let carol = world.user("carol");
    world.come_online(bob);
    world.settle();
    world.send(carol, bob, "hello");
    world.settle();
    // others let as much wait as all strangers may
    world.nodes[bob].rows.put(ALL, 0, &cbor::encode(&(64_u64 * 1024 * 1024))).unwrap();
    world.nodes[bob].slow = true;
    for who in [alice, carol] {
        let mut begun = begin(&world, who, bob, &world.log_of(who));
        let envelope = say(&world, who, &mut begun, 2);
        world.deliver(who, bob, envelope);
    }
    world.settle();
    assert_eq!((waiting(&world, bob), undecryptable(&world, bob)), (1, 1));
    world.nodes[bob].slow = false;
    world.settle();
    assert_eq!(world.inbox(bob), ["carol: hello", "carol: 2"]);
}
