//! Honest again after a lie: whatever number a server named, one that is honest goes on with the daemon as if nothing
//! had been said. And a server that answers the same for ever is asked less and less.

use std::collections::BTreeSet;
use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::ids::{Head, HeadHash, SessionId, SubmitId};
use chat_protocol::limits::MAX_NUMBER;
use chat_protocol::message::client::{BundlePublish, LogFetch, Lookup, MailboxAck, OneTimeStatus, RoomSince, Submit};
use chat_protocol::message::server::{
    Code, Deliver, KnownUser, LogGrew, LogPage, LoggedIn, LookedUp, MailboxDrained, OneTimeLeft, Post, Push, Refusal,
    ResetNotice, RoomGrew, RoomPage,
};
use chat_protocol::message::{Blob, Call, Envelope};
use chat_protocol::rpc::types::MessageState;
use chat_protocol::time::Timestamp;
use chatd::engine::commands;
use chatd::engine::sessions::HighWater;

use crate::lies::Answer;
use crate::server::stale;
use crate::world::World;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The post of the server's own making.
const LIE: &str = "a lie";

/// Tells alice, or bob, some number that is not true.
type Lie = (&'static str, fn(&mut World, [usize; 2], u64));

/// The highest number there is, and one nobody could find suspicious.
const NUMBERS: [u64; 2] = [MAX_NUMBER, 1_000];

/// One login at which alice is told this.
pub fn logs_in_to(world: &mut World, alice: usize, claim: impl Fn(LoggedIn) -> LoggedIn + Send + 'static) {
    world.server.claims.insert(world.nodes[alice].device, Box::new(claim));
    world.cut(alice);
    world.settle();
    world.server.claims.clear();
}

/// Alice is answered this whenever she asks a thing of that type, once she has come anew.
fn answers<T: Call>(world: &mut World, alice: usize, answer: Answer) {
    world.server.says.insert((world.nodes[alice].device, T::TYPE), answer);
    world.cut(alice);
    world.settle();
}

pub fn pushes(world: &mut World, alice: usize, push: Push) {
    let device = world.nodes[alice].device;
    world.push(&device, push);
    world.settle();
}

fn head(seq: u64) -> Head {
    Head { seq, hash: HeadHash::new([7; 32]) }
}

fn post(world: &World, bob: usize, room_seq: u64, at: Timestamp) -> Post {
    let (user, device) = (world.name(bob), world.nodes[bob].device);
    Post { room_seq, user, at, text: LIE.into(), submit_id: SubmitId::new(room_seq, [room_seq as u8; 8]), device }
}

pub fn garbage(world: &World, bob: usize, mailbox_seq: u64) -> Push {
    let (header, token) = (Blob(vec![0; 40]), Blob(vec![0; 73]));
    let envelope = Envelope { sid: SessionId::new([9; 16]), header, token, init: None };
    let (from, from_device) = (world.name(bob), world.nodes[bob].device);
    Push::Deliver(Deliver { mailbox_seq, from, from_device, envelope }.into())
}

pub fn room_is(world: &mut World, [alice, bob]: [usize; 2], shown: Vec<u64>, last: u64) {
    let posts = shown.into_iter().map(|seq| post(world, bob, seq, world.now)).collect();
    let page = cbor::encode(&RoomPage { posts, last, oldest: 1 });
    world.server.says.insert((world.nodes[alice].device, RoomSince::TYPE), Ok(page));
    logs_in_to(world, alice, |truth| LoggedIn { room_last: truth.room_last + 1, ..truth });
}

/// A lie about every number a server can name.
const LIES: &[Lie] = &[
    ("mailbox_acked", |w, [a, _], n| logs_in_to(w, a, move |truth| LoggedIn { mailbox_acked: n, ..truth })),
    ("mailbox_last", |w, [a, _], n| logs_in_to(w, a, move |truth| LoggedIn { mailbox_last: n, ..truth })),
    ("a mailbox of nothing", |w, [a, _], _| {
        logs_in_to(w, a, |truth| LoggedIn { mailbox_acked: 0, mailbox_last: 0, ..truth });
    }),
    ("mailbox_generation", |w, [a, _], n| logs_in_to(w, a, move |truth| LoggedIn { mailbox_generation: n, ..truth })),
    ("bundle_seq", |w, [a, _], n| logs_in_to(w, a, move |truth| LoggedIn { bundle_seq: n, ..truth })),
    ("submit_counter", |w, [a, _], n| logs_in_to(w, a, move |truth| LoggedIn { submit_counter: n, ..truth })),
    ("room_last", |w, [a, _], n| logs_in_to(w, a, move |truth| LoggedIn { room_last: n, ..truth })),
    ("a room of nothing", |w, [a, _], _| logs_in_to(w, a, |truth| LoggedIn { room_last: 0, ..truth })),
    ("head", |w, [a, _], n| logs_in_to(w, a, move |truth| LoggedIn { head: head(n), ..truth })),
    ("reset_pending", |w, [a, _], n| {
        logs_in_to(w, a, move |truth| LoggedIn { reset_pending: Some(Timestamp::from_millis(n)), ..truth });
    }),
    ("all of a login", |w, [a, _], n| {
        logs_in_to(w, a, move |_| LoggedIn {
            head: head(n),
            mailbox_acked: n,
            mailbox_last: n,
            bundle_seq: n,
            submit_counter: n,
            room_last: n,
            reset_pending: Some(Timestamp::from_millis(n)),
            mailbox_generation: n,
        });
    }),
    ("server_time", |w, [a, _], n| {
        w.server.clock_ahead_ms = n as i64 - w.now.as_millis() as i64;
        logs_in_to(w, a, |truth| truth);
        w.server.clock_ahead_ms = 0;
    }),
    ("a delivery", |w, [a, b], n| {
        let push = garbage(w, b, n);
        pushes(w, a, push);
    }),
    ("drained", |w, [a, _], n| pushes(w, a, Push::Drained(MailboxDrained { seq: n }))),
    ("a post", |w, [a, b], n| {
        let post = post(w, b, n, Timestamp::from_millis(n));
        pushes(w, a, Push::Room(post));
    }),
    ("a room that grew", |w, [a, _], n| pushes(w, a, Push::RoomGrew(RoomGrew { seq: n }))),
    ("a head that grew", |w, [a, b], n| {
        let user = w.name(b);
        pushes(w, a, Push::LogGrew(LogGrew { user, head: head(n) }));
    }),
    ("a reset", |w, [a, _], n| pushes(w, a, Push::Reset(ResetNotice { at: Some(Timestamp::from_millis(n)) }))),
    ("the bundle it holds", |w, [a, _], n| {
        answers::<OneTimeStatus>(w, a, Ok(cbor::encode(&OneTimeLeft { hashes: vec![], bundle_seq: n })));
    }),
    ("a bundle that is stale", |w, [a, _], n| {
        let left = cbor::encode(&OneTimeLeft { hashes: vec![], bundle_seq: n });
        w.server.says.insert((w.nodes[a].device, OneTimeStatus::TYPE), Ok(left));
        w.server.says.insert((w.nodes[a].device, BundlePublish::TYPE), Err(Code::Stale.into()));
        logs_in_to(w, a, move |truth| LoggedIn { bundle_seq: n, ..truth });
        w.advance(Duration::from_secs(60));
    }),
    ("a page of the room", |w, both, n| room_is(w, both, vec![n], n)),
    ("a page that ends before its posts", |w, both, n| room_is(w, both, vec![n], 1)),
    ("a page of nothing up to there", |w, both, n| room_is(w, both, vec![], n)),
    ("posts under the next numbers", |w, both, _| {
        let next = w.server.state(w.nodes[both[0]].device).room_last + 1;
        room_is(w, both, vec![next, next + 1, next + 2], next + 2);
    }),
    ("a log page", |w, [a, b], n| {
        let page = cbor::encode(&LogPage { entries: vec![], head: head(n) });
        w.server.says.insert((w.nodes[a].device, LogFetch::TYPE), Ok(page));
        let user = w.name(b);
        pushes(w, a, Push::LogGrew(LogGrew { user, head: head(n) }));
    }),
    ("a look-up", |w, [a, b], n| {
        let known = KnownUser { user: w.name(b), head: Some(head(n)), online: true };
        answers::<Lookup>(w, a, Ok(cbor::encode(&LookedUp { users: vec![known] })));
    }),
    ("heads of a submit", |w, [a, b], n| {
        let refusal = stale(&w.name(b), head(n));
        answers::<Submit>(w, a, Err(refusal));
        w.send(b, a, "meanwhile");
        w.settle();
    }),
    ("a pause", |w, [a, b], n| {
        answers::<Submit>(w, a, Err(Refusal { retry_after_ms: Some(n), ..Code::RateLimited.into() }));
        w.send(b, a, "meanwhile");
        w.settle();
    }),
];

/// What was said since the beginning, and by whom to whom.
#[derive(Default)]
struct Said {
    alice: Vec<String>,
    bob: Vec<String>,
    room: Vec<String>,
}

impl Said {
    /// Both say something in every way there is, over a server that is honest, and all of it is shown, once.
    fn on(&mut self, world: &mut World, [alice, bob]: [usize; 2], what: &str) {
        world.server.says.clear();
        world.cut(alice);
        world.settle();
        let (to_bob, to_alice) = (world.send(alice, bob, what), world.send(bob, alice, what));
        world.say(bob, what);
        world.settle();
        world.say(alice, what);
        // the longest that anything a server said may keep it back
        world.advance(Duration::from_secs(700));
        self.bob.push(format!("alice: {what}"));
        self.alice.push(format!("bob: {what}"));
        self.room.extend([format!("bob: {what}"), format!("alice: {what}")]);
        let but = |lines: Vec<String>, left_out: &str| -> Vec<String> {
            lines.into_iter().filter(|line| !line.ends_with(left_out)).collect()
        };
        assert_eq!(but(world.inbox(alice), "meanwhile"), self.alice, "after {what}");
        assert_eq!(world.inbox(bob), self.bob, "after {what}");
        assert_eq!(but(world.room(alice), LIE), self.room, "after {what}");
        assert_eq!(world.room(bob), self.room, "after {what}");
        let mailbox = world.server.mailbox(world.nodes[alice].device);
        assert_eq!(mailbox.acked, mailbox.last, "after {what} everything is acknowledged");
        let states = [world.state(alice, to_bob), world.state(bob, to_alice)];
        assert_eq!(states, [MessageState::Delivered; 2], "after {what}");
    }
}

pub fn acquainted() -> (World, [usize; 2]) {
    let mut world = World::new();
    let both = [world.user("alice"), world.user("bob")];
    world.settle();
    (world, both)
}

/// Sessions alice submitted on, from her `from`th submit on.
fn used(world: &World, who: usize, from: usize) -> BTreeSet<SessionId> {
    let device = world.nodes[who].device;
    let of = world.server.seen[from..].iter().filter(|(author, _)| *author == device);
    of.flat_map(|(_, submit)| submit.to.iter().map(|to| to.envelope.sid)).collect()
}

/// Her bundle is renewed within its time, and a stranger begins a session with it.
fn bundles_go_on(world: &mut World, alice: usize) {
    let before = world.server.state(world.nodes[alice].device).bundle_seq;
    world.advance(8 * DAY);
    assert!(world.server.state(world.nodes[alice].device).bundle_seq > before, "the bundle was not renewed");
    let carol = world.user("carol");
    world.settle();
    world.send(carol, alice, "hello");
    world.settle();
    assert!(world.inbox(alice).contains(&"carol: hello".to_owned()));
}

/// An old copy of her data is found out, by the file beside it and by the server's word.
fn guards_work(world: &mut World, [alice, bob]: [usize; 2]) {
    for by_file in [true, false] {
        // the server's word counts once a day
        world.advance(2 * DAY);
        let copy = world.nodes[alice].rows.clone();
        world.send(alice, bob, "later");
        world.settle();
        let (noted, old) = (HighWater::of(&world.nodes[alice].rows).unwrap(), used(world, alice, 0));
        world.go_offline(alice);
        world.restore(alice, copy, by_file.then_some(noted));
        let before = world.server.seen.len();
        world.come_online(alice);
        world.settle();
        world.send(alice, bob, "after");
        world.settle();
        let since = used(world, alice, before);
        assert!(!since.is_empty() && since.is_disjoint(&old), "by the file: {by_file}");
    }
}

#[test]
fn atk_94_honest_again_after_any_lie_everything_is_shown_and_bundles_and_guards_go_on() {
    let (mut world, both) = acquainted();
    let mut said = Said::default();
    said.on(&mut world, both, "the truth");
    for number in NUMBERS {
        for (name, lie) in LIES {
            lie(&mut world, both, number);
            said.on(&mut world, both, &format!("{name} {number}"));
        }
    }
    bundles_go_on(&mut world, both[0]);
    guards_work(&mut world, both);
}

#[test]
fn atk_94_a_server_that_turns_honest_within_a_connection_is_read_on_without_another() {
    let (mut world, both) = acquainted();
    let [alice, bob] = both;
    Said::default().on(&mut world, both, "the truth");
    room_is(&mut world, both, vec![MAX_NUMBER], MAX_NUMBER);
    let delivery = garbage(&world, bob, MAX_NUMBER);
    pushes(&mut world, alice, delivery);
    world.server.says.clear();
    world.send(bob, alice, "shown");
    world.say(bob, "shown");
    world.advance(Duration::from_secs(30));
    assert_eq!(world.inbox(alice).last().unwrap(), "bob: shown");
    assert_eq!(world.room(alice).last().unwrap(), "bob: shown");
    let mailbox = world.server.mailbox(world.nodes[alice].device);
    assert_eq!(mailbox.acked, mailbox.last);
}

fn grown(world: &World, bob: usize) -> Refusal {
    stale(&world.name(bob), head(5))
}

/// Answers a server can give for ever.
fn for_ever(world: &World, bob: usize) -> Vec<Refusal> {
    let paused = |millis| Refusal { retry_after_ms: Some(millis), ..Code::RateLimited.into() };
    let year = 365 * 24 * 60 * 60 * 1_000;
    vec![grown(world, bob), Code::Stale.into(), Code::Busy.into(), Code::Internal.into(), paused(0), paused(year)]
}

#[test]
fn atk_95_whatever_a_server_answers_for_ever_it_is_asked_less_and_less() {
    let (mut world, both) = acquainted();
    let [alice, bob] = both;
    let mut said = Said::default();
    said.on(&mut world, both, "the truth");
    let asked = [
        Submit::TYPE,
        RoomSince::TYPE,
        BundlePublish::TYPE,
        OneTimeStatus::TYPE,
        LogFetch::TYPE,
        MailboxAck::TYPE,
        Lookup::TYPE,
    ];
    for number in asked {
        for answer in for_ever(&world, bob) {
            let what = format!("{number} {:?} {:?}", answer.code, answer.retry_after_ms);
            world.server.says.insert((world.nodes[alice].device, number), Err(answer));
            world.send(bob, alice, "meanwhile");
            logs_in_to(&mut world, alice, |truth| LoggedIn { bundle_seq: 0, room_last: truth.room_last + 1, ..truth });
            let user = world.name(bob);
            pushes(&mut world, alice, Push::LogGrew(LogGrew { user, head: head(5) }));
            let before = world.nodes[alice].asked.len();
            world.advance(HOUR);
            let asked = world.nodes[alice].asked.len() - before;
            assert!(asked < 150, "{asked} requests in an hour of {what}");
            said.on(&mut world, both, &what);
        }
    }
}

#[test]
fn atk_95_pages_of_the_room_without_end_are_read_at_a_pace() {
    for (shown, last) in [(vec![], 50), (vec![1], 50), (vec![40], 1), (vec![], MAX_NUMBER)] {
        let (mut world, both) = acquainted();
        let mut said = Said::default();
        said.on(&mut world, both, "the truth");
        room_is(&mut world, both, shown.clone(), last);
        let before = world.nodes[both[0]].asked.len();
        world.advance(HOUR);
        let asked = world.nodes[both[0]].asked.len() - before;
        assert!(asked < 30, "{asked} requests in an hour of {shown:?} up to {last}");
        said.on(&mut world, both, "the truth again");
    }
}

#[test]
fn atk_95_what_was_read_is_told_although_its_receipt_was_stale() {
    let (mut world, both) = acquainted();
    let [alice, bob] = both;
    Said::default().on(&mut world, both, "the truth");
    let id = world.send(bob, alice, "seen?");
    world.settle();
    let refusal = grown(&world, bob);
    world.server.says.insert((world.nodes[alice].device, Submit::TYPE), Err(refusal));
    world.command(alice, |txn| commands::mark_read(txn, "@bob", None)).unwrap();
    world.advance(Duration::from_secs(60));
    world.server.says.clear();
    world.advance(Duration::from_secs(700));
    assert_eq!(world.state(bob, id), MessageState::Read);
}

#[test]
fn atk_95_a_reset_that_was_refused_is_sent_after_all() {
    for refusal in [Code::NotFound, Code::Stale, Code::BadRequest] {
        let (mut world, both) = acquainted();
        let [alice, bob] = both;
        let mut said = Said::default();
        said.on(&mut world, both, "monday");
        let copy = world.nodes[alice].rows.clone();
        world.advance(DAY);
        said.on(&mut world, both, "tuesday");
        world.go_offline(alice);
        world.restore(alice, copy, None);
        world.send(bob, alice, "while you were away");
        world.server.says.insert((world.nodes[alice].device, Submit::TYPE), Err(refusal.into()));
        world.come_online(alice);
        world.advance(Duration::from_secs(60));
        assert_ne!(world.inbox(alice).last().unwrap(), "bob: while you were away", "she has only her old session");
        world.server.says.clear();
        world.advance(Duration::from_secs(20 * 60));
        assert_eq!(world.inbox(alice).last().unwrap(), "bob: while you were away", "{refusal:?}");
    }
}
