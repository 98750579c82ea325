//! What people say of themselves: everybody they write to ends with the newest of it, and nobody else hears it.

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::ids::{MessageId, Username};
use chat_protocol::rpc::types::{Profile, ProfileSet};
use chat_protocol::rpc::{EventBody, Target};
use chat_protocol::session::content;
use chatd::engine::{contacts, history, peers, profile};
use chatd::store::{Place, Rows, Table};

use crate::world::{World, acquainted, is_invalid};

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn named(name: &str) -> ProfileSet {
    ProfileSet { display_name: Some(name.to_owned()), about: None, bot: None }
}

fn set(world: &mut World, who: usize, wanted: ProfileSet) {
    world.command(who, |txn| profile::set(txn, wanted)).unwrap();
}

fn known(world: &World, who: usize, of: usize) -> Option<Profile> {
    profile::of(&world.nodes[who].rows, &world.name(of)).unwrap()
}

/// What `who` was told `of` would like to be called.
fn name(world: &World, who: usize, of: usize) -> Option<String> {
    known(world, who, of).and_then(|profile| profile.display_name)
}

fn from_bot(world: &World, who: usize, id: MessageId) -> bool {
    history::get(&world.nodes[who].rows, &id).unwrap().unwrap().1.from_bot
}

#[test]
fn a_profile_comes_before_the_first_message_and_is_none_itself() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    let about = Some("builds things".to_owned());
    set(&mut world, alice, ProfileSet { about: about.clone(), bot: Some(true), ..named("Builder") });
    world.settle();
    assert_eq!(known(&world, bob, alice), None, "nothing is told before there is a chat");
    let id = world.send(alice, bob, "done");
    world.settle();
    let told = Profile { display_name: Some("Builder".to_owned()), about, bot: true };
    assert_eq!(known(&world, bob, alice), Some(told));
    assert_eq!(world.inbox(bob), ["alice: done"]);
    assert!(from_bot(&world, bob, id), "who it is from is known when it comes");
    let order: Vec<_> = world.events(bob).into_iter().map(|event| event.kind).collect();
    let at = |kind: &str| order.iter().position(|known| known == kind).unwrap();
    assert!(at("profile.updated") < at("message.new"), "{order:?}");
}

#[test]
fn a_profile_is_owed_no_answer() {
    let (mut world, alice, bob) = acquainted();
    let before = world.server.seen.len();
    set(&mut world, alice, named("Alice"));
    world.settle();
    assert_eq!(name(&world, bob, alice).as_deref(), Some("Alice"));
    assert_eq!(world.server.seen.len(), before + 1, "the profile went out and nothing came back");
}

#[test]
fn a_change_goes_at_once_to_those_written_to_and_to_nobody_else() {
    let (mut world, alice, bob) = acquainted();
    let (carol, dave) = (world.user("carol"), world.user("dave"));
    world.settle();
    world.send(carol, alice, "you do not know me");
    world.settle();
    set(&mut world, alice, named("Alice"));
    world.settle();
    assert_eq!(name(&world, bob, alice).as_deref(), Some("Alice"));
    assert_eq!((known(&world, carol, alice), known(&world, dave, alice)), (None, None));
    world.send(alice, carol, "now I do");
    world.settle();
    assert_eq!(name(&world, carol, alice).as_deref(), Some("Alice"));
}

#[test]
fn what_was_changed_offline_leaves_once_and_survives_a_crash() {
    let (mut world, alice, bob) = acquainted();
    world.go_offline(alice);
    for name in ["first", "second", "third"] {
        set(&mut world, alice, named(name));
    }
    world.crash(alice);
    assert_eq!(profile::own(&world.nodes[alice].rows, &world.name(alice)).unwrap().display_name.unwrap(), "third");
    let before = world.server.seen.len();
    world.come_online(alice);
    world.settle();
    assert_eq!(name(&world, bob, alice).as_deref(), Some("third"));
    assert_eq!(world.server.seen.len(), before + 1);
    world.send(alice, bob, "told already");
    world.settle();
    assert_eq!(world.count_events(bob, |body| matches!(body, EventBody::ProfileUpdated(_))), 1);
}

#[test]
fn an_older_profile_that_comes_later_changes_nothing() {
    let (mut world, alice, bob) = acquainted();
    world.fill_mailbox(bob, true);
    set(&mut world, alice, named("old"));
    world.settle();
    world.fill_mailbox(bob, false);
    set(&mut world, alice, named("new"));
    world.settle();
    assert_eq!(name(&world, bob, alice).as_deref(), Some("new"));
    let before = world.server.seen.len();
    world.advance(Duration::from_secs(70));
    assert!(world.server.seen.len() > before, "the old one was tried again");
    assert_eq!(name(&world, bob, alice).as_deref(), Some("new"));
}

#[test]
fn a_profile_that_was_lost_comes_again_within_a_day_of_writing() {
    let (mut world, alice, bob) = acquainted();
    let next = world.server.seen.len();
    world.server.swallow.insert(next);
    set(&mut world, alice, named("Alice"));
    world.settle();
    world.send(alice, bob, "hello?");
    world.settle();
    assert_eq!(known(&world, bob, alice), None);
    world.advance(A_DAY);
    world.send(alice, bob, "hello again");
    world.settle();
    assert_eq!(name(&world, bob, alice).as_deref(), Some("Alice"));
}

#[test]
fn whoever_lost_everything_is_told_again_on_the_new_session() {
    let (mut world, alice, bob) = acquainted();
    set(&mut world, alice, named("Alice"));
    world.settle();
    let rows = &mut world.nodes[bob].rows;
    rows.delete_range(Table::Sessions, b"sid", 0..=u64::MAX).unwrap();
    rows.delete(Place::new(Table::Peers, b"profile", b"alice")).unwrap();
    for text in ["one", "two"] {
        world.send(alice, bob, text);
        world.settle();
    }
    assert_eq!(known(&world, bob, alice), None);
    // the third that does not open asks for a new session, on which all of them come again
    world.send(alice, bob, "three");
    world.settle();
    assert_eq!(name(&world, bob, alice).as_deref(), Some("Alice"));
}

#[test]
fn another_identity_of_the_same_name_neither_changes_nor_inherits_a_profile() {
    let (mut world, alice, bob) = acquainted();
    set(&mut world, bob, named("the real one"));
    world.settle();
    world.go_offline(bob);
    let other = world.user_with_keys("bob", 5);
    world.settle();
    set(&mut world, other, ProfileSet { bot: Some(true), ..named("the real one, too") });
    world.send(other, alice, "it is me");
    world.advance(Duration::from_secs(120));
    let user: Username = "bob".parse().unwrap();
    let rival = peers::get(&world.nodes[alice].rows, &user).unwrap().unwrap().rival.unwrap();
    assert_eq!(name(&world, alice, bob).as_deref(), Some("the real one"));
    let (fingerprint, head) = (rival.log.fingerprint(), rival.log.head());
    world.go_offline(alice);
    world.command(alice, |txn| chatd::engine::trust::accept(txn, &user, &fingerprint, &head)).unwrap();
    assert_eq!(known(&world, alice, bob), None, "what the former said goes with it");
    world.come_online(alice);
    world.advance(Duration::from_secs(120));
    assert_eq!(name(&world, alice, other).as_deref(), Some("the real one, too"));
    assert_eq!(world.inbox(alice), ["bob: hi", "bob: it is me"]);
}

#[test]
fn nothing_is_told_to_nor_heard_of_a_blocked_user() {
    let (mut world, alice, bob) = acquainted();
    let user = world.name(alice);
    let block = |world: &mut World, blocked| world.command(bob, |txn| contacts::block(txn, &user, blocked)).unwrap();
    block(&mut world, true);
    set(&mut world, alice, named("Alice"));
    set(&mut world, bob, named("Bob"));
    world.settle();
    assert_eq!((known(&world, bob, alice), known(&world, alice, bob)), (None, None));
    let told = |body: &EventBody| matches!(body, EventBody::ProfileUpdated(news) if news.user.as_str() == "alice");
    assert_eq!(world.count_events(bob, told), 0);
    block(&mut world, false);
    world.advance(A_DAY);
    world.send(alice, bob, "friends again?");
    world.send(bob, alice, "yes");
    world.settle();
    assert_eq!(name(&world, bob, alice).as_deref(), Some("Alice"));
    assert_eq!(name(&world, alice, bob).as_deref(), Some("Bob"));
}

#[test]
fn a_contact_shows_what_the_user_says_beside_what_is_noted() {
    let (mut world, alice, bob) = acquainted();
    set(&mut world, bob, named("Bob the Builder"));
    world.settle();
    let contact = contacts::get(&world.nodes[alice].rows, &world.name(bob)).unwrap();
    assert_eq!((contact.alias, contact.profile.unwrap().display_name.unwrap()), (None, "Bob the Builder".to_owned()));
}

#[test]
fn what_could_fool_a_reader_is_refused_and_what_is_empty_is_taken_away() {
    let (mut world, alice, bob) = acquainted();
    let too_long = "é".repeat(41);
    for hostile in ["a\u{1b}[2J", "two\nlines", "\u{202e}ecila", "in\u{200b}visible", &too_long] {
        let refused = world.command(alice, |txn| profile::set(txn, named(hostile)));
        assert!(is_invalid(&refused, "display_name"), "{hostile:?}: {refused:?}");
    }
    let wordy = ProfileSet { display_name: None, about: Some("x".repeat(501)), bot: None };
    let refused = world.command(alice, |txn| profile::set(txn, wordy));
    assert!(is_invalid(&refused, "about"));
    set(&mut world, alice, named("Alice 👩\u{200d}🚀"));
    set(&mut world, alice, ProfileSet { about: Some("grüß dich".to_owned()), ..named("") });
    world.settle();
    let left = Profile { display_name: None, about: Some("grüß dich".to_owned()), bot: false };
    assert_eq!(known(&world, bob, alice), Some(left));
}

/// Writes the row of an own profile as a daemon that was tampered with would.
fn tamper(world: &mut World, who: usize, profile: &content::Profile) {
    let user = world.name(who);
    let place = Place::new(Table::State, b"profile", user.as_str().as_bytes());
    world.nodes[who].rows.put(place, 0, &cbor::encode(profile)).unwrap();
}

#[test]
fn an_overlong_profile_is_dropped_and_a_hostile_one_kept_as_it_came() {
    let (mut world, alice, bob) = acquainted();
    let hostile = content::Profile { display_name: "\u{202e}x\u{1b}[2J".to_owned(), version: 5, ..Default::default() };
    tamper(&mut world, alice, &hostile);
    world.send(alice, bob, "one");
    world.settle();
    assert_eq!(name(&world, bob, alice), Some(hostile.display_name));
    let overlong = content::Profile { display_name: "x".repeat(81), version: 6, ..Default::default() };
    tamper(&mut world, alice, &overlong);
    world.send(alice, bob, "two");
    world.settle();
    assert!(name(&world, bob, alice).unwrap().starts_with('\u{202e}'));
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: one", "alice: two"], "and nothing is shown of it");
}

#[test]
fn posts_of_somebody_who_said_to_be_a_bot_say_so() {
    let (mut world, alice, bob) = acquainted();
    let before = world.say(alice, "beep");
    set(&mut world, alice, ProfileSet { bot: Some(true), ..named("Beeper") });
    world.settle();
    world.say(alice, "boop");
    world.settle();
    let flags: Vec<_> = world.chat(bob, history::ROOM).iter().map(|post| post.from_bot).collect();
    assert_eq!(flags, [false, true]);
    assert!(!from_bot(&world, alice, before));
}

#[test]
fn whatever_happens_on_a_bad_line_everybody_written_to_ends_with_the_newest() {
    for seed in 500..515 {
        let mut world = World::seeded(seed);
        let people = [world.user("alice"), world.user("bob"), world.user("carol")];
        world.settle();
        (world.cuts, world.crashes) = (10, if seed % 2 == 0 { 4 } else { 0 });
        for n in 0..25 {
            let (who, other) = (people[world.below(3)], people[world.below(3)]);
            match world.below(3) {
                0 => set(&mut world, who, named(&n.to_string())),
                1 if who != other => drop(world.send(who, other, &n.to_string())),
                _ => world.go_offline(who),
            }
            world.come_online(other);
            let pause = world.below(4) as u64 * 60;
            world.advance(Duration::from_millis(pause));
        }
        world.calm();
        for (who, other) in people.into_iter().flat_map(|who| people.map(|other| (who, other))) {
            let chat = history::private(&world.name(other));
            let wrote = world.chat(who, &chat).iter().any(|message| message.mine);
            let own = profile::own(&world.nodes[who].rows, &world.name(who)).unwrap().display_name;
            let expected = own.filter(|_| wrote && who != other);
            assert_eq!(name(&world, other, who), expected, "seed {seed}: {who} to {other}");
        }
    }
}

#[test]
fn a_message_that_waits_for_its_peer_takes_the_profile_of_then_along() {
    let mut world = World::new();
    let alice = world.user("alice");
    world.settle();
    set(&mut world, alice, named("young"));
    world.try_send(alice, Target::User("bob".parse().unwrap()), "are you there?", None).unwrap();
    world.go_offline(alice);
    set(&mut world, alice, named("grown"));
    let bob = world.user("bob");
    world.settle();
    world.come_online(alice);
    world.advance(Duration::from_secs(120));
    let told: Vec<_> = world.events(bob).iter().filter(|event| event.kind == "profile.updated").cloned().collect();
    assert_eq!((name(&world, bob, alice).as_deref(), told.len()), (Some("grown"), 1));
}

#[test]
fn a_stolen_device_does_not_have_the_last_word_on_a_profile() {
    let (mut world, alice, bob) = acquainted();
    let stolen = world.another_device(alice);
    world.settle();
    let last =
        content::Profile { display_name: "Mallory".to_owned(), version: (1 << 53) - 1, ..content::Profile::default() };
    tamper(&mut world, stolen, &last);
    world.send(stolen, bob, "it is me");
    world.settle();
    assert!(world.inbox(bob).contains(&"alice: it is me".to_owned()));
    world.revoke(alice, &[stolen]);
    world.settle();
    set(&mut world, alice, named("Alice"));
    world.settle();
    assert_eq!(name(&world, bob, alice).as_deref(), Some("Alice"));
    // nor where a version was taken in before such ones were refused, or made by a clock that was wrong
    tamper(&mut world, alice, &last);
    set(&mut world, alice, named("Alice again"));
    world.settle();
    assert_eq!(name(&world, bob, alice).as_deref(), Some("Alice again"));
}
