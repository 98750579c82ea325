//! Several devices of one account live together: each sees what was said on the others, and what was read.

use chat_protocol::cbor;
use chat_protocol::ids::{DeviceId, Head, HeadHash, MessageId, Username};
use chat_protocol::message::{Blob, Envelope};
use chat_protocol::rpc::types::{MessageState, ProfileSet};
use chat_protocol::rpc::{EventBody, Target};
use chat_protocol::session::content::{Ack, Body, Content, Conversation, Heads, Receipt, SenderSeq, Text};
use chat_protocol::session::ratchet::Session;
use chatd::engine::history::SELF;
use chatd::engine::sessions::standings;
use chatd::engine::{amend, commands, history, profile};
use chatd::store::{Place, Rows, Table};
use minicbor::{Decode, Encode};

use crate::world::World;

/// A session as the engine keeps it.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Stored {
    #[n(0)]
    session: Session,
    #[n(1)]
    user: Username,
    #[n(2)]
    device: DeviceId,
    #[n(3)]
    init: Option<Blob>,
}

/// alice on two devices, and bob.
fn couple() -> (World, usize, usize, usize) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let tablet = world.another_device(alice);
    world.settle();
    (world, alice, tablet, bob)
}

impl World {
    /// A chat as its owner sees it, own messages marked.
    fn talk(&self, who: usize, chat: &str) -> Vec<String> {
        let said = |message: history::Message| format!("{}{}", if message.mine { "> " } else { "" }, message.text);
        self.chat(who, chat).into_iter().map(said).collect()
    }

    fn unread(&self, who: usize, chat: &str) -> u64 {
        history::chat(&self.nodes[who].rows, chat).unwrap().map_or(0, |chat| chat.unread)
    }

    /// `who` seals a text for a device of somebody that names `peer`'s chat.
    fn speak_in(&mut self, who: usize, to: usize, peer: usize, text: &str) {
        let text = Text { text: text.to_owned(), mentions: Vec::new(), ttl_s: None };
        self.forge_in(who, to, peer, Some(SenderSeq { epoch: 0, n: 9, first: Some(9) }), Body::Text(text));
    }

    /// `who` seals anything for a device of somebody that names `peer`'s chat.
    fn forge_in(&mut self, who: usize, to: usize, peer: usize, sender_seq: Option<SenderSeq>, body: Body) {
        let (device, peer) = (self.nodes[to].device, self.name(peer));
        let rows = &mut self.nodes[who].rows;
        let sid = standings(rows, &device).unwrap().sending().unwrap().id;
        let scope = [b"with:".as_slice(), device.as_bytes()].concat();
        let place = Place::new(Table::Sessions, &scope, sid.as_bytes());
        let mut stored: Stored = cbor::decode(&rows.get(place).unwrap().unwrap()).unwrap();
        let head = Head { seq: 0, hash: HeadHash::new([0; 32]) };
        let content = Content {
            conversation: Conversation::Direct(peer),
            id: MessageId::new([7; 16]),
            sender_seq,
            sent: self.now,
            heads: Heads { own: head, peer: head },
            acks: Vec::new(),
            body,
        };
        let sealed = stored.session.seal(&content.encode().unwrap()).unwrap();
        let init = stored.init.clone();
        self.nodes[who].rows.put(place, 0, &cbor::encode(&stored)).unwrap();
        self.deliver(who, to, Envelope { sid, header: sealed.header.into(), token: sealed.token.into(), init });
    }

    fn mark_read(&mut self, who: usize, chat: &str, up_to: Option<MessageId>) {
        self.command(who, |txn| commands::mark_read(txn, chat, up_to.as_ref())).unwrap();
    }
}

#[test]
fn every_device_sees_both_sides_of_a_talk() {
    let (mut world, alice, tablet, bob) = couple();
    world.send(bob, alice, "hi");
    world.settle();
    world.send(alice, bob, "hello from the laptop");
    world.settle();
    let id = world.send(tablet, bob, "and from the tablet");
    world.settle();
    let whole = ["hi", "> hello from the laptop", "> and from the tablet"];
    assert_eq!(world.talk(alice, "@bob"), whole);
    assert_eq!(world.talk(tablet, "@bob"), whole);
    assert_eq!(world.inbox(bob), ["alice: hello from the laptop", "alice: and from the tablet"]);
    assert_eq!(world.state(tablet, id), MessageState::Delivered);
    assert_eq!(world.state(alice, id), MessageState::Accepted, "as far as is known there");
}

#[test]
fn what_another_own_device_got_is_not_delivered() {
    let (mut world, alice, tablet, bob) = couple();
    world.go_offline(bob);
    let id = world.send(alice, bob, "are you there?");
    world.settle();
    assert_eq!(world.talk(tablet, "@bob"), ["> are you there?"]);
    assert_eq!(world.state(alice, id), MessageState::Accepted);
    world.come_online(bob);
    world.settle();
    assert_eq!(world.state(alice, id), MessageState::Delivered);
}

#[test]
fn changes_by_another_own_device_count_on_every_device() {
    let (mut world, alice, tablet, bob) = couple();
    let (one, two) = (world.send(alice, bob, "one"), world.send(alice, bob, "two"));
    world.settle();
    world.command(tablet, |txn| amend::edit(txn, &one, "won".to_owned())).unwrap();
    world.command(tablet, |txn| amend::delete_everywhere(txn, &two)).unwrap();
    world.command(tablet, |txn| amend::react(txn, &one, "👍", false)).unwrap();
    world.settle();
    for who in [alice, tablet, bob] {
        let chat = if who == bob { "@alice" } else { "@bob" };
        let (_, changed) = history::get(&world.nodes[who].rows, &one).unwrap().unwrap();
        assert_eq!((changed.text.as_str(), changed.reactions.len()), ("won", 1));
        assert!(history::get(&world.nodes[who].rows, &two).unwrap().unwrap().1.deleted);
        assert_eq!(world.chat(who, chat).len(), 2);
    }
}

#[test]
fn what_was_read_on_one_device_is_read_on_all() {
    let (mut world, alice, tablet, bob) = couple();
    let first = world.send(bob, alice, "one");
    world.send(bob, alice, "two");
    world.settle();
    assert_eq!((world.unread(alice, "@bob"), world.unread(tablet, "@bob")), (2, 2));
    world.mark_read(alice, "@bob", Some(first));
    world.settle();
    assert_eq!((world.unread(alice, "@bob"), world.unread(tablet, "@bob")), (1, 1));
    world.mark_read(tablet, "@bob", None);
    world.settle();
    assert_eq!((world.unread(alice, "@bob"), world.unread(tablet, "@bob")), (0, 0));
    assert_eq!(world.state(bob, first), MessageState::Read);
    assert_eq!(world.count_events(alice, |body| matches!(body, EventBody::ChatRead(_))), 2);
}

#[test]
fn what_was_read_before_it_came_is_read_when_it_comes() {
    let (mut world, alice, tablet, bob) = couple();
    world.send(bob, alice, "seen by the laptop");
    world.settle();
    world.go_offline(tablet);
    world.send(bob, alice, "while the tablet is off");
    world.settle();
    world.mark_read(alice, "@bob", None);
    world.settle();
    world.come_online(tablet);
    world.settle();
    assert_eq!(world.talk(tablet, "@bob").len(), 2);
    assert_eq!(world.unread(tablet, "@bob"), 0);
}

#[test]
fn what_a_stolen_device_called_read_is_unread_once_it_is_revoked() {
    let (mut world, alice, stolen, bob) = couple();
    world.send(stolen, bob, "hi");
    world.settle();
    world.send(bob, alice, "hello");
    world.settle();
    let most = (1 << 53) - 1;
    let ack = Ack { device: world.nodes[bob].device, epoch: most, below: most, given_up: Vec::new() };
    world.forge_in(stolen, alice, bob, None, Body::Receipt(Receipt { read: vec![ack] }));
    world.settle();
    assert_eq!(world.unread(alice, "@bob"), 0, "it is believed while it is a device of the account");
    world.revoke(alice, &[stolen]);
    world.settle();
    world.send(bob, alice, "did you see this?");
    world.settle();
    assert_eq!(world.unread(alice, "@bob"), 1);
}

#[test]
fn notes_to_oneself_are_on_every_device() {
    let (mut world, alice, tablet, _) = couple();
    let id = world.try_send(alice, Target::Myself, "milk", None).unwrap().id;
    world.settle();
    assert_eq!((world.talk(tablet, SELF), world.unread(tablet, SELF)), (vec!["> milk".to_owned()], 0));
    world.command(tablet, |txn| amend::edit(txn, &id, "oat milk".to_owned())).unwrap();
    world.settle();
    assert_eq!(world.talk(alice, SELF), ["> oat milk"]);
}

#[test]
fn both_devices_of_both_sides_keep_the_order_of_each_author_on_a_bad_line() {
    for seed in 0..6 {
        let mut world = World::seeded(seed);
        let (alice, bob) = (world.user("alice"), world.user("bob"));
        let (tablet, phone) = (world.another_device(alice), world.another_device(bob));
        world.settle();
        (world.cuts, world.crashes) = (12, 24);
        for n in 0..4 {
            for (who, to, name) in [(alice, bob, "a"), (tablet, bob, "t"), (bob, alice, "b"), (phone, alice, "p")] {
                world.send(who, to, &format!("{name}{n}"));
            }
            world.settle();
        }
        world.calm();
        for who in [alice, tablet, bob, phone] {
            let chat = if who == alice || who == tablet { "@bob" } else { "@alice" };
            let talk: Vec<_> = world.chat(who, chat).into_iter().map(|message| message.text).collect();
            assert_eq!(talk.len(), 16, "seed {seed}: {talk:?}");
            for author in ["a", "t", "b", "p"] {
                let of: Vec<_> = talk.iter().filter(|text| text.starts_with(author)).collect();
                assert!(of.is_sorted(), "seed {seed}: {talk:?}");
            }
        }
    }
}

#[test]
fn a_profile_set_on_one_device_is_the_accounts() {
    let (mut world, alice, tablet, bob) = couple();
    world.send(alice, bob, "hi");
    world.settle();
    let wanted = ProfileSet { display_name: Some("Alice".to_owned()), about: None, bot: None };
    world.command(tablet, |txn| profile::set(txn, wanted)).unwrap();
    world.send(tablet, bob, "hello");
    world.settle();
    let me = world.name(alice);
    assert_eq!(profile::own(&world.nodes[alice].rows, &me).unwrap().display_name.as_deref(), Some("Alice"));
}

#[test]
fn a_new_device_begins_empty_and_hears_what_follows() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.send(bob, alice, "before");
    world.settle();
    let tablet = world.another_device(alice);
    world.settle();
    world.send(bob, alice, "after");
    world.settle();
    assert_eq!(world.inbox(tablet), ["bob: after"]);
}

#[test]
fn atk_70_only_another_own_device_may_name_another_chat() {
    let (mut world, alice, tablet, bob) = couple();
    let carol = world.user("carol");
    world.send(bob, alice, "hi");
    world.settle();
    // bob's daemon writes as if it were one of alice's, into her chat with carol
    world.speak_in(bob, alice, carol, "nothing of the kind");
    world.settle();
    for who in [alice, tablet] {
        assert!(world.chat(who, "@carol").is_empty());
    }
    let shown = world.chat(alice, "@bob");
    assert_eq!((shown.len(), shown[1].kind), (2, history::MessageKind::Unsupported), "a marker where it came from");
    // the same words of another own device are alice's own, where they belong
    world.send(tablet, carol, "hello carol");
    world.settle();
    assert_eq!(world.talk(alice, "@carol"), ["> hello carol"]);
}

#[test]
fn a_data_directory_that_becomes_another_device_misses_nothing() {
    let (mut world, alice, tablet, bob) = couple();
    for text in ["one", "two", "three"] {
        world.send(bob, alice, text);
        world.settle();
    }
    let ended = world.send(tablet, bob, "sealed by the tablet that was");
    world.revoke(alice, &[tablet]);
    world.settle();
    // its user forgot the keys, kept the history, and logged in again
    let new = world.another_device(alice);
    world.nodes[new].rows = world.nodes[tablet].rows.clone();
    world.settle();
    world.send(bob, alice, "four");
    world.settle();
    world.send(new, bob, "here again");
    world.settle();
    let talk = world.talk(new, "@bob");
    assert_eq!(talk[..3], ["one", "two", "three"]);
    assert_eq!(talk[talk.len() - 2..], ["four", "> here again"]);
    assert!(world.inbox(bob).contains(&"alice: here again".to_owned()));
    assert!(world.inbox(bob).contains(&"alice: sealed by the tablet that was".to_owned()));
    assert_eq!(world.state(new, ended), MessageState::Delivered);
}

/// bob writes to alice, whose tablet was let in and has published nothing.
fn lagging(seed: u64) -> (World, usize, usize, usize) {
    let mut world = World::seeded(seed);
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    let tablet = world.another_device(alice);
    world.go_offline(tablet);
    (world, alice, tablet, bob)
}

#[test]
fn a_device_without_keys_holds_up_nobody_and_gets_everything_later_in_order() {
    for seed in 0..6 {
        let (mut world, alice, tablet, bob) = lagging(seed);
        for text in ["one", "two"] {
            world.send(bob, alice, text);
            world.settle();
        }
        let three = world.send(bob, alice, "three");
        world.send(alice, bob, "four");
        world.settle();
        assert_eq!(world.inbox(alice), ["bob: one", "bob: two", "bob: three"], "seed {seed}");
        assert_eq!(world.state(bob, three), MessageState::Delivered);
        world.crash(bob);
        (world.cuts, world.crashes) = (10, 20);
        world.come_online(tablet);
        world.send(bob, alice, "five");
        world.settle();
        world.calm();
        let shown: Vec<_> = world.chat(tablet, "@bob").into_iter().map(|message| message.text).collect();
        assert_eq!(shown.len(), 5, "seed {seed}: {shown:?}");
        let of_bob: Vec<_> = shown.iter().filter(|text| *text != "four").collect();
        assert_eq!(of_bob, ["one", "two", "three", "five"], "seed {seed}");
        let lost = |body: &EventBody| matches!(body, EventBody::MessageMissing(_));
        assert_eq!(world.count_events(tablet, lost), 0, "seed {seed}");
    }
}

#[test]
fn what_waits_for_a_lagging_device_is_sealed_as_it_stands_then_and_goes_with_it() {
    let (mut world, alice, tablet, bob) = lagging(1);
    let (kept, gone) = (world.send(bob, alice, "kept"), world.send(bob, alice, "gone"));
    world.settle();
    world.command(bob, |txn| amend::delete_everywhere(txn, &gone)).unwrap();
    world.settle();
    world.come_online(tablet);
    world.settle();
    world.advance(std::time::Duration::from_secs(90));
    let shown: Vec<_> = world.chat(tablet, "@bob").into_iter().filter(|message| !message.deleted).collect();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].id, kept);

    // a device that is revoked before it was ready never gets what waited
    let (mut world, alice, tablet, bob) = lagging(2);
    world.send(bob, alice, "never");
    world.settle();
    world.revoke(alice, &[tablet]);
    world.settle();
    world.send(bob, alice, "to one");
    world.settle();
    assert_eq!(world.inbox(alice), ["bob: never", "bob: to one"]);
    let device = world.nodes[tablet].device;
    assert!(world.server.seen.iter().all(|(_, submit)| submit.to.iter().all(|to| to.device != device)));
}
