//! A server that lies, repeats, withholds and swaps.

use chat_protocol::rpc::{EventBody, Kind, Target};
use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::ids::MessageId;
use chat_protocol::message::Envelope;
use chat_protocol::message::client::Submit;
use chat_protocol::message::server::Deliver;
use chat_protocol::rpc::types::MessageState;
use chat_protocol::session::ratchet::Session;
use chatd::engine::history::MessageKind;
use chatd::engine::{peers, trust};
use chatd::store::{Direction, Place, Rows, Table};
use minicbor::{Decode, Encode};

use crate::people::first_device;
use crate::world::{BEGIN, World, acquainted, is_refused};

/// What `from` submitted for `to`, as the server saw it.
pub fn envelopes(world: &World, from: usize, to: usize) -> Vec<Envelope> {
    let (from, to) = (world.nodes[from].device, world.nodes[to].device);
    let of = |submit: &Submit| submit.to.iter().find(|addressed| addressed.device == to).cloned();
    world
        .server
        .seen
        .iter()
        .filter(|(device, _)| *device == from)
        .filter_map(|(_, submit)| of(submit))
        .map(|to| to.envelope)
        .collect()
}

fn undecryptable(world: &World, who: usize) -> usize {
    world.count_events(who, |body| matches!(body, EventBody::MessageUndecryptable(_)))
}

/// Puts another account in the place of `name`: new keys, new genesis.
fn swap_identity(world: &mut World, name: &str, keys: usize) {
    let user = name.parse().unwrap();
    let other = first_device(&user, keys, BEGIN);
    world.server.enrol(&other.log, &other.cert);
}

#[test]
fn atk_35_a_replayed_init_gives_no_second_session_and_no_second_message() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.send(alice, bob, "once");
    world.settle();
    let init = envelopes(&world, alice, bob).into_iter().find(|envelope| envelope.init.is_some()).unwrap();
    world.deliver(alice, bob, init.clone());
    world.settle();
    world.crash(bob);
    world.settle();
    world.deliver(alice, bob, init.clone());
    world.advance(Duration::from_secs(25 * 60 * 60));
    world.deliver(alice, bob, Envelope { sid: chat_protocol::ids::SessionId::new([7; 16]), ..init });
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: once"]);
}

#[test]
fn atk_40_own_messages_and_those_for_others_do_not_open() {
    let (mut world, alice, bob) = acquainted();
    let carol = world.user("carol");
    world.settle();
    let sent = envelopes(&world, alice, bob).pop().unwrap();
    world.deliver(alice, alice, sent.clone());
    world.deliver(alice, carol, sent);
    world.settle();
    assert_eq!(world.inbox(alice), ["bob: hi"]);
    assert!(world.inbox(carol).is_empty());
    assert_eq!(undecryptable(&world, alice), 1);
    world.send(bob, alice, "still here");
    world.settle();
    assert_eq!(world.inbox(alice), ["bob: hi", "bob: still here"]);
}

#[test]
fn atk_41_a_changed_header_does_not_open_and_harms_nothing() {
    let (mut world, alice, bob) = acquainted();
    world.send(alice, bob, "one");
    world.settle();
    let mut changed = envelopes(&world, alice, bob).pop().unwrap();
    changed.header.0[39] ^= 1;
    world.deliver(alice, bob, changed);
    world.settle();
    world.send(alice, bob, "two");
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: one", "alice: two"]);
    assert_eq!(undecryptable(&world, bob), 1);
}

#[test]
fn atk_42_an_old_message_is_shown_once() {
    let (mut world, alice, bob) = acquainted();
    world.send(alice, bob, "again?");
    world.settle();
    let old = envelopes(&world, alice, bob).pop().unwrap();
    world.deliver(alice, bob, old.clone());
    for i in 0..5 {
        world.send(bob, alice, &i.to_string());
        world.send(alice, bob, &i.to_string());
        world.settle();
    }
    world.crash(bob);
    world.settle();
    world.deliver(alice, bob, old);
    world.settle();
    let inbox = world.inbox(bob);
    assert_eq!(inbox.iter().filter(|line| *line == "alice: again?").count(), 1);
}

#[test]
fn atk_43_messages_in_random_order_are_shown_in_the_right_one() {
    let (mut world, alice, bob) = acquainted();
    world.go_offline(bob);
    for i in 0..500 {
        world.send(alice, bob, &i.to_string());
    }
    world.settle();
    let mut held = world.take_mailbox(bob);
    world.come_online(bob);
    world.settle();
    while !held.is_empty() {
        let at = world.below(held.len());
        let deliver = held.swap_remove(at);
        world.deliver(alice, bob, deliver.envelope);
    }
    world.settle();
    let expected: Vec<_> =
        std::iter::once("alice: hello".to_owned()).chain((0..500).map(|i| format!("alice: {i}"))).collect();
    assert_eq!(world.inbox(bob), expected);
}

#[test]
fn atk_45_a_message_that_was_dropped_is_missing_and_its_author_knows() {
    let (mut world, alice, bob) = acquainted();
    world.go_offline(bob);
    let sent: Vec<_> = (0..5).map(|i| world.send(alice, bob, &i.to_string())).collect();
    world.settle();
    let mut held = world.take_mailbox(bob);
    let late = held.remove(2);
    held.pop();
    world.come_online(bob);
    world.settle();
    for deliver in held {
        world.deliver(alice, bob, deliver.envelope);
    }
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: 0", "alice: 1"]);

    world.advance(Duration::from_secs(61));
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: 0", "alice: 1", "alice: 3"]);
    assert_eq!(world.count_events(bob, |body| matches!(body, EventBody::MessageMissing(m) if m.count == 1)), 1);
    assert_eq!(world.state(alice, sent[2]), MessageState::NotReceived);
    assert_eq!(world.state(alice, sent[3]), MessageState::Delivered);
    assert_eq!(world.state(alice, sent[4]), MessageState::Accepted);

    world.deliver(alice, bob, late.envelope);
    world.settle();
    let chat = world.chat(bob, "@alice");
    let latecomer = chat.iter().find(|message| message.text == "2").unwrap();
    assert!(latecomer.late);
    assert_eq!(world.state(alice, sent[2]), MessageState::Delivered);
}

#[test]
fn atk_26_nothing_leaves_for_a_changed_identity_until_it_is_accepted() {
    let (mut world, alice, _) = acquainted();
    swap_identity(&mut world, "bob", 5);
    let before = world.server.seen.len();
    let waiting = world.try_send(alice, Target::User("bob".parse().unwrap()), "secret", None).unwrap();
    world.advance(Duration::from_secs(120));
    let refused = world.try_send(alice, Target::User("bob".parse().unwrap()), "more", None);
    assert!(is_refused(&refused, Kind::IdentityChanged));
    assert_eq!(world.count_events(alice, |body| matches!(body, EventBody::IdentityChanged(_))), 1);
    // what did leave was sealed for the pinned device, refused, and stored by nobody
    let pinned = world.nodes[1].device;
    assert!(world.server.seen[before..].iter().all(|(_, submit)| submit.to.iter().all(|to| to.device == pinned)));
    assert_eq!(world.state(alice, waiting.id), MessageState::Queued);
}

#[test]
fn atk_27_what_was_written_before_is_never_sealed_for_another_identity() {
    let (mut world, alice, _) = acquainted();
    swap_identity(&mut world, "bob", 5);
    let waiting = world.try_send(alice, Target::User("bob".parse().unwrap()), "secret", None).unwrap();
    world.advance(Duration::from_secs(120));
    let user = "bob".parse().unwrap();
    let rival = peers::get(&world.nodes[alice].rows, &user).unwrap().unwrap().rival.unwrap();
    let (fingerprint, head) = (rival.log.fingerprint(), rival.log.head());
    world.command(alice, |txn| trust::accept(txn, &user, &fingerprint, &head)).unwrap();
    world.advance(Duration::from_secs(120));
    assert_eq!(world.state(alice, waiting.id), MessageState::Failed);
    let other = first_device(&user, 5, BEGIN).device;
    assert!(world.server.seen.iter().all(|(_, submit)| submit.to.iter().all(|to| to.device != other)));
}

#[test]
fn accepting_names_exactly_what_was_shown() {
    let (mut world, alice, _) = acquainted();
    let user = "bob".parse().unwrap();
    let pinned = peers::get(&world.nodes[alice].rows, &user).unwrap().unwrap().pinned;
    swap_identity(&mut world, "bob", 5);
    world.try_send(alice, Target::User("bob".parse().unwrap()), "secret", None).unwrap();
    world.advance(Duration::from_secs(120));
    let other = chat_protocol::ids::Fingerprint::new([9; 32]);
    let head = pinned.log.head();
    let wrong = world.command(alice, |txn| trust::accept(txn, &user, &other, &head));
    assert!(is_refused(&wrong, Kind::Conflict));
    world.command(alice, |txn| trust::accept(txn, &user, &pinned.log.fingerprint(), &head)).unwrap();
    assert!(world.try_send(alice, Target::User("bob".parse().unwrap()), "again", None).is_ok());
}

/// How a conversation stands for one of its two ends, as that end keeps it.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
struct Line {
    #[n(0)]
    epoch: u64,
    #[n(1)]
    next: u64,
    #[n(2)]
    given_up: Vec<u64>,
}

/// Has `who` believe, and so tell in its next acknowledgements, something else about what `author` sent; in the
/// epoch it knows unless another is claimed.
fn pretend(world: &mut World, who: usize, author: usize, (claimed, next, given_up): (Option<u64>, u64, Vec<u64>)) {
    let known = epoch(world, who, author);
    let (device, scope) = (world.nodes[author].device, format!("line:@{}", world.name(author)));
    let place = Place::new(Table::Held, scope.as_bytes(), device.as_bytes());
    let rows = &mut world.nodes[who].rows;
    rows.put(place, 0, &cbor::encode(&Line { epoch: claimed.unwrap_or(known), next, given_up })).unwrap();
}

fn epoch(world: &World, who: usize, author: usize) -> u64 {
    let (device, scope) = (world.nodes[author].device, format!("line:@{}", world.name(author)));
    let found = world.nodes[who].rows.get(Place::new(Table::Held, scope.as_bytes(), device.as_bytes())).unwrap();
    cbor::decode_own::<Line>(&found.expect("they talked")).unwrap().epoch
}

/// Alice has sent three messages to bob that the server took and bob did not get.
fn unacknowledged() -> (World, [usize; 2], Vec<MessageId>, Vec<Deliver>) {
    let (mut world, alice, bob) = acquainted();
    world.go_offline(bob);
    let sent = (0..3).map(|n| world.send(alice, bob, &n.to_string())).collect();
    world.settle();
    let lost = world.take_mailbox(bob);
    world.come_online(bob);
    world.settle();
    (world, [alice, bob], sent, lost)
}

fn states(world: &World, who: usize, ids: &[MessageId]) -> Vec<MessageState> {
    ids.iter().map(|id| world.state(who, *id)).collect()
}

#[test]
fn atk_54_acknowledgements_of_what_was_never_sent_are_ignored() {
    let (mut world, [alice, bob], sent, lost) = unacknowledged();
    // hello was 1, so alice has sent 2, 3 and 4
    let honest = Some(epoch(&world, bob, alice));
    let claims = [(honest, 1_000, vec![]), (honest, 6, vec![2, 3]), (Some(77), 4, vec![]), (honest, 1 << 53, vec![1])];
    for (n, claim) in claims.into_iter().enumerate() {
        pretend(&mut world, bob, alice, claim);
        world.send(bob, alice, &n.to_string());
        world.settle();
        assert_eq!(states(&world, alice, &sent), [MessageState::Accepted; 3], "claim {n}");
    }
    assert_eq!(world.inbox(alice), ["bob: hi", "bob: 0", "bob: 1", "bob: 2", "bob: 3"]);
    // nothing was forgotten: what arrives after all is acknowledged as ever
    pretend(&mut world, bob, alice, (honest, 2, vec![]));
    lost.into_iter().for_each(|deliver| world.deliver(alice, bob, deliver.envelope));
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: 0", "alice: 1", "alice: 2"]);
    assert_eq!(states(&world, alice, &sent), [MessageState::Delivered; 3]);
}

#[test]
fn atk_54_acknowledgements_count_in_their_own_conversation_only() {
    let (mut world, [alice, _], sent, _) = unacknowledged();
    let carol = world.user("carol");
    world.settle();
    let to_carol = [world.send(alice, carol, "for you alone")];
    world.settle();
    for next in [1, 2, 5] {
        pretend(&mut world, carol, alice, (None, next, vec![]));
        world.send(carol, alice, "got them");
        world.settle();
    }
    assert_eq!(states(&world, alice, &sent), [MessageState::Accepted; 3]);
    assert_eq!(states(&world, alice, &to_carol), [MessageState::Delivered]);
}

/// The ratchet of a stored session, as its owner could use it.
#[derive(Decode)]
#[cbor(map)]
struct Ratchet {
    #[n(0)]
    session: Session,
}

/// Seals `content`, whatever it is, as `from` would its next message to `to`.
fn seal_raw(world: &World, from: usize, to: usize, contents: &[Vec<u8>]) -> Vec<Envelope> {
    let scope = [b"with:".as_slice(), world.nodes[to].device.as_bytes()].concat();
    let rows = &world.nodes[from].rows;
    let found = rows.scan(Table::Sessions, &scope, 0..=u64::MAX, Direction::Ascending, 1).unwrap();
    let Ratchet { mut session } = cbor::decode(&found[0].1).unwrap();
    let mut seal = |content: &Vec<u8>| {
        let sealed = session.seal(content).unwrap();
        let (header, token) = (sealed.header.into(), sealed.token.into());
        Envelope { sid: session.id(), header, token, init: None }
    };
    contents.iter().map(&mut seal).collect()
}

#[test]
fn atk_53_well_sealed_nonsense_leaves_a_marker_and_asks_for_nothing() {
    let (mut world, alice, bob) = acquainted();
    let deep = [vec![0x81; 400], vec![0xf6]].concat();
    let counts = [0xa1, 0x00, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let text = [&[0xa1, 0x00, 0x62], &[0xff, 0xfe][..]].concat();
    let padded = |bytes: &[u8]| {
        let mut padded = bytes.to_vec();
        padded.push(0x80);
        padded.resize(480, 0);
        padded
    };
    let contents = [padded(b""), padded(&deep), padded(&counts), padded(&text), vec![0; 480], vec![0x80; 17], vec![]];
    let submits = world.server.seen.len();
    for envelope in seal_raw(&world, bob, alice, &contents) {
        world.deliver(bob, alice, envelope);
    }
    world.settle();
    let markers =
        world.chat(alice, "@bob").into_iter().filter(|message| message.kind == MessageKind::Malformed).count();
    assert_eq!(markers, contents.len());
    let mailbox = world.server.mailbox(world.nodes[alice].device);
    assert_eq!(mailbox.acked, mailbox.last, "none comes again");
    world.advance(Duration::from_secs(2 * 60 * 60));
    assert_eq!(world.server.seen.len(), submits, "no reset, no answer, no retry");
    world.send(alice, bob, "what was that?");
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: what was that?"]);
}
