//! Account logs that go on in secret, fork, or are rolled back by the server.

use std::time::Duration;

use chat_protocol::identity::account_log::{AccountLog, Author};
use chat_protocol::ids::{DeviceId, Head, HeadHash};
use chat_protocol::rpc::types::HeldReason;
use chat_protocol::rpc::{EventBody, Target};
use chat_protocol::session::bundle::VerifiedBundle;
use chat_protocol::session::content::{Body, Content, Conversation, Heads, SenderSeq, kind};
use chat_protocol::session::init::{self, Own};
use chatd::engine::peers;

use crate::identities::{another, bob, peer, show};
use crate::lies::Shown;
use crate::world::{World, acquainted};

const MINUTES: Duration = Duration::from_secs(120);

/// Whether the log of bob that is pinned by `who` has ended a device.
fn has_revoked(world: &World, who: usize, device: &DeviceId) -> bool {
    peer(world, who).pinned.log.device(device).is_some_and(|device| device.revoked.is_some())
}

fn withheld(world: &World, who: usize) -> usize {
    world.count_events(who, |body| matches!(body, EventBody::IdentityLogWithheld(_)))
}

/// Alice and bob know each other; bob has a tablet, and alice knows it.
pub fn with_tablet() -> (World, usize, usize, usize) {
    let (mut world, alice, bob_) = acquainted();
    let tablet = world.another_device(bob_);
    world.settle();
    world.send(tablet, alice, "from the tablet");
    world.settle();
    world.send(alice, bob_, "i see");
    world.settle();
    (world, alice, bob_, tablet)
}

/// A content of `from` for `to`, on a session that is begun for it, as a daemon of one's own making could send it.
pub fn forge(world: &mut World, from: usize, to: usize, change: impl FnOnce(&mut Content)) {
    let (mine, theirs) = (world.log_of(from), world.log_of(to));
    let local = world.nodes[from].local.clone();
    let device = world.nodes[to].device;
    let bundle = world.server.bundle(device);
    let verified =
        VerifiedBundle::verify(&bundle, theirs.active(&device).unwrap()).unwrap().with_one_time(None).unwrap();
    let own = Own { keys: &local.keys, cert: &local.cert, log: &mine };
    let mut begun = init::initiate(own, &theirs, &verified, world.now, &mut world.chance).unwrap();
    let mut content = Content {
        conversation: Conversation::Direct(world.name(from)),
        id: chat_protocol::ids::MessageId::from_parts(world.now, [7; 10]),
        sender_seq: Some(SenderSeq { epoch: 9, n: 1, first: None }),
        sent: world.now,
        heads: Heads { own: mine.head(), peer: theirs.head() },
        acks: Vec::new(),
        body: Body::text("forged".to_owned()),
    };
    change(&mut content);
    let sealed = begun.session.seal(&content.encode().unwrap()).unwrap();
    let envelope = chat_protocol::message::Envelope {
        sid: begun.session.id(),
        header: sealed.header.into(),
        token: sealed.token.into(),
        init: Some(begun.init.into()),
    };
    world.deliver(from, to, envelope);
}

#[test]
fn atk_30_a_revocation_that_the_server_withholds_is_told_by_the_peer_itself() {
    let (mut world, alice, bob_, tablet) = with_tablet();
    world.show_only(bob_, Some(2));
    world.revoke(bob_, &[tablet]);
    world.settle();
    world.send(bob_, alice, "my tablet was stolen");
    world.settle();
    let device = world.nodes[tablet].device;
    assert!(has_revoked(&world, alice, &device), "the entries came end to end, before the message");
    let message = world.chat(alice, "@bob").into_iter().find(|m| m.text == "my tablet was stolen").unwrap();
    assert!(!message.unverified_log);
    world.advance(MINUTES);
    assert_eq!(withheld(&world, alice), 0, "nothing is missing");
}

#[test]
fn atk_30_where_the_entries_are_kept_back_too_the_message_is_flagged_and_told_once() {
    let (mut world, alice, bob_, tablet) = with_tablet();
    world.show_only(bob_, Some(2));
    world.revoke(bob_, &[tablet]);
    world.settle();
    // the server loses what goes before the message
    world.server.swallow.insert(world.server.seen.len());
    world.send(bob_, alice, "stolen");
    world.advance(Duration::from_secs(30));
    assert!(!world.inbox(alice).contains(&"bob: stolen".to_owned()), "the server has a minute to show the log");
    world.advance(Duration::from_secs(40));
    let message = world.chat(alice, "@bob").into_iter().find(|m| m.text == "stolen").unwrap();
    assert!(message.unverified_log);
    assert_eq!(withheld(&world, alice), 1);
    world.crash(alice);
    world.send(bob_, alice, "hello?");
    world.advance(MINUTES);
    assert_eq!(withheld(&world, alice), 1, "once");
    assert!(world.chat(alice, "@bob").iter().any(|m| m.text == "hello?" && m.unverified_log));

    world.show_only(bob_, None);
    world.send(bob_, alice, "now?");
    world.advance(MINUTES);
    let device = world.nodes[tablet].device;
    assert!(has_revoked(&world, alice, &device), "whatever names the head has it asked for again");
    world.send(bob_, alice, "and now?");
    world.advance(MINUTES);
    assert!(world.chat(alice, "@bob").iter().any(|m| m.text == "and now?" && !m.unverified_log));
}

#[test]
fn atk_30_an_answer_with_an_old_head_brings_the_missing_entries() {
    let (mut world, alice, bob_, tablet) = with_tablet();
    world.show_only(bob_, Some(2));
    world.revoke(bob_, &[tablet]);
    world.settle();
    let device = world.nodes[tablet].device;
    // and goes on taking messages for it
    world.server.let_in(device);
    world.send(alice, bob_, "how are you?");
    world.advance(Duration::from_secs(5));
    assert!(has_revoked(&world, alice, &device), "alice's message named an old head of bob's log");
}

#[test]
fn atk_30_an_account_hears_from_its_peers_what_the_server_keeps_from_it() {
    let (mut world, alice, bob_) = acquainted();
    // the server shows the others a device that bob's own one is not told of
    let thief = world.another_device(bob_);
    world.settle();
    world.send(alice, bob_, "you have a tablet?");
    world.settle();
    world.go_offline(bob_);
    world.settle();
    let secret = world.another_device(thief);
    world.send(thief, alice, "and another one");
    world.advance(MINUTES);
    world.server.own_too.insert(bob());
    world.server.takes_all = true;
    world.show_only(bob_, Some(2));
    let added = world.nodes[secret].device;
    assert!(peer(&world, alice).pinned.log.active(&added).is_some());

    world.come_online(bob_);
    world.settle();
    assert!(world.own_log(bob_).active(&added).is_none(), "the server says nothing of it");
    world.send(bob_, alice, "just me");
    world.advance(MINUTES);
    assert!(world.own_log(bob_).active(&added).is_some(), "alice does");
}

impl World {
    /// The log of its account, as a daemon has it.
    fn own_log(&self, who: usize) -> AccountLog {
        peers::get(&self.nodes[who].rows, &self.name(who)).unwrap().unwrap().pinned.log
    }

    /// Contents with entries of account logs that `from` sent to `to`, as far as sizes tell: submits beyond messages.
    fn submits(&self, from: usize, to: usize) -> usize {
        let (from, to) = (self.nodes[from].device, self.nodes[to].device);
        self.server.seen.iter().filter(|(by, s)| *by == from && s.to.iter().any(|a| a.device == to)).count()
    }
}

#[test]
fn logs_are_told_once_and_nobody_answers_an_answer() {
    let (mut world, alice, bob_, tablet) = with_tablet();
    world.server.takes_all = true;
    world.show_only(bob_, Some(2));
    world.revoke(bob_, &[tablet]);
    world.settle();
    let before = (world.submits(alice, bob_), world.submits(bob_, alice));
    for n in 0..10 {
        world.send(bob_, alice, &n.to_string());
        world.settle();
    }
    world.advance(Duration::from_secs(30 * 60));
    let after = (world.submits(alice, bob_), world.submits(bob_, alice));
    assert_eq!(after.1 - before.1, 11, "ten messages, and the entries once");
    assert!(after.0 - before.0 <= 11, "receipts, and nothing that answers the entries");
}

#[test]
fn atk_30_nothing_of_a_revoked_device_is_shown_and_nothing_sent_to_it() {
    let (mut world, alice, bob_, tablet) = with_tablet();
    world.go_offline(alice);
    world.settle();
    let device = world.nodes[tablet].device;
    world.send(tablet, alice, "sent before, it claims");
    world.settle();
    world.revoke(bob_, &[tablet]);
    world.send(bob_, alice, "stolen");
    world.advance(MINUTES);
    // what waits of the tablet is delivered after the revocation
    let mut held = world.take_mailbox(alice);
    held.sort_by_key(|deliver| deliver.from_device == device);
    world.come_online(alice);
    world.settle();
    for deliver in held {
        let from = if deliver.from_device == device { tablet } else { bob_ };
        world.deliver(from, alice, deliver.envelope);
    }
    world.advance(MINUTES);
    assert!(world.inbox(alice).contains(&"bob: stolen".to_owned()));
    assert!(!world.inbox(alice).iter().any(|line| line.contains("it claims")));
    let held = |body: &EventBody| matches!(body, EventBody::MessageHeld(held) if held.why == HeldReason::DeviceRevoked);
    assert!(world.count_events(alice, held) >= 1);

    let before = world.server.seen.len();
    world.send(alice, bob_, "to you alone");
    world.advance(MINUTES);
    let to: Vec<DeviceId> =
        world.server.seen[before..].iter().flat_map(|(_, s)| s.to.iter().map(|t| t.device)).collect();
    assert!(to.contains(&world.nodes[bob_].device) && !to.contains(&device));
}

#[test]
fn atk_29_an_older_a_gapped_or_a_foreign_log_changes_nothing() {
    let (mut world, alice, bob_, tablet) = with_tablet();
    let pinned = peer(&world, alice).pinned;
    let whole = world.log_of(bob_);
    let mut entries: Vec<Vec<u8>> = whole.entries_from(0).map(<[u8]>::to_vec).collect();
    let carols = another(&world, 5).entries_from(0).map(<[u8]>::to_vec).next().unwrap();
    let signed_by_nobody = {
        let mut entry = entries[1].clone();
        let last = entry.len() - 1;
        entry[last] ^= 1;
        entry
    };
    let lies = [vec![entries[0].clone()], vec![entries[1].clone()], vec![entries[0].clone(), carols], {
        entries[1] = signed_by_nobody;
        entries.clone()
    }];
    for lie in lies {
        let head = Head { seq: 7, hash: HeadHash::new([7; 32]) };
        world.server.shown.insert(bob(), Shown { entries: lie, head });
        let grew = chat_protocol::message::server::LogGrew { user: bob(), head };
        let device = world.nodes[alice].device;
        world.push(&device, chat_protocol::message::server::Push::LogGrew(grew));
        world.advance(MINUTES);
        assert_eq!(peer(&world, alice).pinned, pinned);
    }
    let alarms = |body: &EventBody| matches!(body, EventBody::IdentityChanged(_) | EventBody::IdentityForkEvidence(_));
    assert_eq!(world.count_events(alice, alarms), 0, "what is not valid is nothing at all");
    assert!(world.nodes[tablet].engine.is_online());
}

#[test]
fn atk_29_a_fork_leaves_the_pin_and_is_kept_beside_it() {
    let (mut world, alice, bob_, _) = with_tablet();
    let pinned = peer(&world, alice).pinned.log;
    let old = AccountLog::verify(&bob(), &pinned.entries_from(0).take(1).collect::<Vec<_>>()).unwrap();
    let fork = world.grown(&old, bob_);
    show(&mut world, &fork);
    drop(world.try_send(alice, Target::User(bob()), "hm", None));
    world.advance(MINUTES);
    assert_eq!(world.count_events(alice, |body| matches!(body, EventBody::IdentityChanged(_))), 1);
    let now = peer(&world, alice);
    assert_eq!((now.pinned.log, now.rival.unwrap().log), (pinned, fork));
}

#[test]
fn atk_72_a_fork_signed_by_a_revoked_device_is_evidence_once_and_blocks_nobody() {
    let (mut world, alice, bob_, tablet) = with_tablet();
    let old = world.log_of(bob_);
    world.revoke(bob_, &[tablet]);
    world.settle();
    world.send(bob_, alice, "stolen");
    world.settle();
    let honest = world.log_of(bob_);
    for victim in [bob_, tablet] {
        let thief = world.nodes[tablet].local.clone();
        let author = Author { key: &thief.keys.signing, cert: &thief.cert, at: world.now };
        let revoked = vec![world.nodes[victim].device];
        let entry = old.revoke_devices(author, revoked, &mut world.chance).unwrap();
        let mut fork = old.clone();
        fork.extend(&[entry]).unwrap();
        show(&mut world, &fork);
        let grew = chat_protocol::message::server::LogGrew { user: bob(), head: Head { seq: 9, ..fork.head() } };
        let device = world.nodes[alice].device;
        world.push(&device, chat_protocol::message::server::Push::LogGrew(grew));
        world.advance(MINUTES);
        world.crash(alice);
        world.advance(MINUTES);
    }
    let evidence = |body: &EventBody| matches!(body, EventBody::IdentityForkEvidence(fork) if fork.by == world.nodes[tablet].device && fork.seq == 2);
    assert_eq!(world.count_events(alice, evidence), 1);
    let now = peer(&world, alice);
    assert_eq!((&now.pinned.log, &now.rival, now.others.len()), (&honest, &None, 2));
    show(&mut world, &honest);
    world.send(alice, bob_, "still with you");
    world.advance(Duration::from_secs(15 * 60));
    assert!(world.inbox(bob_).contains(&"alice: still with you".to_owned()));

    world.show_only(bob_, None);
    let phone = world.another_device(bob_);
    world.settle();
    world.send(phone, alice, "my new phone");
    world.advance(MINUTES);
    assert!(world.inbox(alice).contains(&"bob: my new phone".to_owned()), "sessions that begin later are heard");
}

#[test]
fn atk_70_a_message_that_names_somebody_elses_chat_never_appears_there() {
    let (mut world, alice, bob_) = acquainted();
    let carol = world.user("carol");
    world.settle();
    world.send(carol, alice, "hello from carol");
    world.settle();
    forge(&mut world, bob_, alice, |content| content.conversation = Conversation::Direct("carol".parse().unwrap()));
    world.settle();
    let carols: Vec<_> = world.chat(alice, "@carol").into_iter().map(|message| message.text).collect();
    assert_eq!(carols, ["hello from carol"]);
    let bobs = world.chat(alice, "@bob");
    assert!(bobs.iter().any(|message| message.kind == chatd::engine::history::MessageKind::Unsupported));
    assert!(!bobs.iter().any(|message| message.text == "forged"));
}

#[test]
fn a_head_of_another_history_is_flagged_and_never_a_fork() {
    let (mut world, alice, bob_) = acquainted();
    forge(&mut world, bob_, alice, |content| content.heads.own.hash = HeadHash::new([9; 32]));
    world.advance(MINUTES);
    let message = world.chat(alice, "@bob").into_iter().find(|message| message.text == "forged").unwrap();
    assert!(message.unverified_log);
    let alarms = |body: &EventBody| matches!(body, EventBody::IdentityChanged(_) | EventBody::IdentityForkEvidence(_));
    assert_eq!(world.count_events(alice, alarms), 0);
}

#[test]
fn entries_of_somebody_elses_log_are_not_taken_from_a_peer() {
    let (mut world, alice, bob_) = acquainted();
    let carol = world.user("carol");
    world.settle();
    world.send(carol, alice, "hello");
    world.settle();
    let grown = {
        let log = world.log_of(carol);
        world.grown(&log, carol)
    };
    let entries = grown.entries_from(1).map(|entry| entry.to_vec().into()).collect();
    forge(&mut world, bob_, alice, |content| {
        content.sender_seq = None;
        content.body =
            Body::LogEntries(chat_protocol::session::content::LogEntries { user: "carol".parse().unwrap(), entries });
        assert_eq!(content.body.kind(), kind::LOG_ENTRIES);
    });
    world.settle();
    let carols = peers::get(&world.nodes[alice].rows, &"carol".parse().unwrap()).unwrap().unwrap();
    assert_eq!(carols.pinned.log.head().seq, 0);
}

#[test]
fn a_peer_that_names_a_head_of_ours_that_does_not_exist_is_told_once() {
    let (mut world, alice, bob_) = acquainted();
    for n in 0..3 {
        forge(&mut world, bob_, alice, |content| {
            content.heads.peer = Head { seq: 50, hash: HeadHash::new([9; 32]) };
            content.id = chat_protocol::ids::MessageId::from_parts(content.sent, [n; 10]);
        });
        world.advance(MINUTES);
    }
    let told =
        |body: &EventBody| matches!(body, EventBody::IdentityLogWithheld(about) if about.user.as_str() == "alice");
    assert_eq!(world.count_events(alice, told), 1);
    assert!(world.chat(alice, "@bob").iter().any(|message| message.text == "forged" && !message.unverified_log));
}
