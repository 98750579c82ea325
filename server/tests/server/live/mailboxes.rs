//! Messages from one device to another: stored before accepted, brought in order, kept until acknowledged.

use std::sync::Arc;

use chat_protocol::frame::Frame;
use chat_protocol::ids::{DeviceId, Head, HeadHash};
use chat_protocol::message::client::{MailboxAck, Submit, UserHead};
use chat_protocol::message::server::{Code, Push};
use chat_server::config::Live;
use chat_server::counters::Closed;
use chat_server::mailbox::{self, Commits, Job};
use chat_server::store::SubmitRow;

use super::client::{End, now};
use super::world::{Person, World, addressed, settings, text_of};

#[tokio::test]
async fn message_reaches_the_addressed_device_and_nobody_else() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let mut carol = world.join("carol", 2).await;
    assert_eq!(alice.send(&bob, "psst").await.unwrap().full, []);
    let deliver = bob.client.delivery().await;
    assert_eq!((deliver.mailbox_seq, deliver.from, deliver.from_device), (1, alice.user.clone(), alice.id()));
    assert_eq!(text_of(&deliver.envelope), "psst");
    let overheard = carol.client.pushes_so_far().await;
    assert!(!overheard.iter().any(|push| matches!(push, Push::Deliver(_))), "{overheard:?}");
}

#[tokio::test]
async fn the_sender_is_who_logged_in_whatever_the_submit_says() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let mut mallory = world.join("mallory", 2).await;
    // a field that does not exist (key 9) is skipped, not believed
    let letter = mallory.letter(&bob, "it is me, alice");
    let mut frame = Frame::request(77, &letter);
    frame.payload[0] = 0xa4;
    frame.payload.push(9);
    frame.payload.extend(chat_protocol::cbor::encode(&alice.user));
    mallory.client.send(&[frame]).await;
    mallory.client.answer::<Submit>(77).await.unwrap();
    let deliver = bob.client.delivery().await;
    assert_eq!((deliver.from, deliver.from_device), (mallory.user.clone(), mallory.id()));
    alice.send(&bob, "I am alice").await.unwrap();
    assert_eq!(bob.client.delivery().await.from, alice.user);
}

#[tokio::test]
async fn message_to_an_absent_device_waits_and_is_pushed_at_login_before_the_marker() {
    let world = World::new().await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let (id, head) = (bob.id(), bob.head());
    let bob = bob.vanish(&world).await;
    for text in ["one", "two"] {
        let letter = Submit {
            submit_id: alice.next_submit(),
            heads: vec![head.clone()],
            to: vec![addressed(id, text)],
            group: None,
        };
        alice.client.call(&letter).await.unwrap();
    }
    let mut bob = bob.come_back(&world).await;
    assert_eq!((bob.logged_in.mailbox_acked, bob.logged_in.mailbox_last), (0, 2));
    assert_eq!(bob.drained().await, ["one", "two"]);
    bob.ack(2).await;
    let mut bob = bob.vanish(&world).await.come_back(&world).await;
    assert_eq!((bob.logged_in.mailbox_acked, bob.logged_in.mailbox_last), (2, 2));
    assert_eq!(bob.drained().await, [""; 0]);
}

#[tokio::test]
async fn server_restarted_between_submit_and_delivery_delivers() {
    let world = World::new().await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let letter = alice.letter(&bob, "after the restart");
    let bob = bob.vanish(&world).await;
    alice.client.call(&letter).await.unwrap();
    let world = world.restart(settings()).await;
    let mut bob = bob.come_back(&world).await;
    assert_eq!(bob.drained().await, ["after the restart"]);
}

#[tokio::test]
async fn same_submit_again_is_accepted_and_stored_once() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let letter = alice.letter(&bob, "once");
    let first = alice.client.call(&letter).await.unwrap();
    assert_eq!(alice.client.call(&letter).await.unwrap(), first);
    let world = world.restart(settings()).await;
    let mut alice = super::world::Absent::of(alice.device).come_back(&world).await;
    assert_eq!(alice.logged_in.submit_counter, 1);
    assert_eq!(alice.client.call(&letter).await.unwrap(), first);
    assert_eq!(bob.receive().await, (1, "once".into()));
    let mut bob = super::world::Absent::of(bob.device).come_back(&world).await;
    assert_eq!(bob.drained().await, ["once"]);
}

#[tokio::test]
async fn atk_09_unacknowledged_messages_come_again_after_a_cut() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    for text in ["one", "two", "three"] {
        alice.send(&bob, text).await.unwrap();
        bob.receive().await;
    }
    bob.ack(1).await;
    let before = world.counters.closed.get(Closed::Truncated);
    let mut bob = bob.vanish(&world).await.come_back(&world).await;
    super::world::until(|| world.counters.closed.get(Closed::Truncated) > before).await;
    assert_eq!(bob.drained().await, ["two", "three"]);
}

#[tokio::test]
async fn at_most_a_window_is_in_flight_and_acknowledgements_open_it() {
    let mut config = settings();
    config.mailbox.delivery_window = 2;
    let world = World::with(config).await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    for n in 1..=5 {
        alice.send(&bob, &format!("{n}")).await.unwrap();
    }
    assert_eq!(bob.receive().await, (1, "1".into()));
    assert_eq!(bob.receive().await, (2, "2".into()));
    let early = bob.client.pushes_so_far().await;
    assert!(!early.iter().any(|push| matches!(push, Push::Deliver(_))), "{early:?}");
    bob.ack(2).await;
    assert_eq!(bob.receive().await, (3, "3".into()));
    assert_eq!(bob.receive().await, (4, "4".into()));
    bob.ack(4).await;
    assert_eq!(bob.receive().await, (5, "5".into()));
}

#[tokio::test]
async fn acknowledgement_of_what_never_was_is_refused() {
    let world = World::new().await;
    let mut bob = world.join("bob", 1).await;
    assert_eq!(bob.client.refused(&MailboxAck { seq: 1 }).await, Code::BadRequest);
}

#[tokio::test]
async fn submit_under_the_wrong_head_is_stale_and_stores_nothing() {
    let world = World::new().await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let mut wrong = alice.letter(&bob, "hi");
    wrong.heads = vec![UserHead { head: alice.device.log.head(), ..bob.head() }];
    let refusal = alice.client.call(&wrong).await.unwrap_err();
    assert_eq!((refusal.code, refusal.heads), (Code::Stale, Some(vec![bob.head()])));
    wrong.heads = vec![];
    assert_eq!(alice.client.refused(&wrong).await, Code::Stale);
    wrong.heads = vec![bob.head()];
    alice.client.call(&wrong).await.expect("the same submit under the right head");
    assert_eq!(world.store.mailbox_state(bob.id()).await.unwrap().last, 1);
}

#[tokio::test]
async fn device_of_nobody_is_not_found() {
    let world = World::new().await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let mut letter = alice.letter(&bob, "hi");
    letter.to.push(addressed(DeviceId::new([0xee; 16]), "hi"));
    assert_eq!(alice.client.refused(&letter).await, Code::NotFound);
    assert_eq!(world.store.mailbox_state(bob.id()).await.unwrap().last, 0, "nothing was stored");
}

#[tokio::test]
async fn malformed_and_oversized_submits_are_refused() {
    let world = World::new().await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let empty = Submit { to: vec![], ..alice.letter(&bob, "hi") };
    assert_eq!(alice.client.refused(&empty).await, Code::BadRequest);
    let mut twice = alice.letter(&bob, "hi");
    twice.to.push(addressed(bob.id(), "hi"));
    assert_eq!(alice.client.refused(&twice).await, Code::BadRequest);
    let mut header = alice.letter(&bob, "hi");
    header.to[0].envelope.header.0.pop();
    assert_eq!(alice.client.refused(&header).await, Code::BadRequest);
    let huge = alice.letter(&bob, &"x".repeat(70_000));
    assert_eq!(alice.client.refused(&huge).await, Code::TooLarge);
    let device = |n: u16| DeviceId::new(std::array::from_fn(|at| n.to_be_bytes()[at % 2]));
    let many = (0..257).map(|n| addressed(device(n), "hi")).collect();
    let many = Submit { to: many, ..alice.letter(&bob, "hi") };
    assert_eq!(alice.client.refused(&many).await, Code::TooLarge);
}

#[tokio::test]
async fn full_mailbox_is_named_and_only_when_all_are_full_the_submit_fails() {
    let mut config = settings();
    config.mailbox.messages = 1;
    let world = World::with(config).await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let carol = world.join("carol", 2).await;
    alice.send(&bob, "fills it").await.unwrap();
    assert_eq!(alice.send(&bob, "one too many").await.unwrap_err().code, Code::MailboxFull);
    let mut both = alice.letter(&bob, "hi");
    both.to.push(addressed(carol.id(), "hi"));
    both.heads.push(carol.head());
    assert_eq!(alice.client.call(&both).await.unwrap().full, [bob.id()]);
}

#[tokio::test]
async fn submits_beyond_the_rate_are_told_to_wait() {
    let mut config = settings();
    (config.rates.submits_per_minute, config.rates.submits_burst) = (1, 2);
    let world = World::with(config).await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    for _ in 0..2 {
        alice.send(&bob, "hi").await.unwrap();
    }
    let refusal = alice.send(&bob, "hi").await.unwrap_err();
    assert!(refusal.code == Code::RateLimited && refusal.retry_after_ms.is_some_and(|wait| wait > 0));
}

#[tokio::test]
async fn envelopes_are_counted_in_however_few_submits_and_to_the_account() {
    let mut config = settings();
    config.rates.envelopes_per_minute = 10;
    let world = World::with(config).await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let (mut carol, mut further) = (world.join("carol", 2).await, world.further(&alice, 3).await);
    let crowd = |counted: &mut Person, count: u16| {
        let to = (0..count).map(|n| addressed(DeviceId::new(std::array::from_fn(|at| n.to_be_bytes()[at % 2])), "hi"));
        Submit { to: to.collect(), ..counted.letter(&bob, "hi") }
    };
    // ten minutes at once; who is written to does not matter
    let (most, more) = (crowd(&mut alice, 75), crowd(&mut alice, 26));
    assert_eq!(alice.client.refused(&most).await, Code::NotFound);
    let refusal = alice.client.call(&more).await.unwrap_err();
    assert!(refusal.code == Code::RateLimited && refusal.retry_after_ms.is_some_and(|wait| wait > 0));
    let (fits, rest) = (crowd(&mut further, 25), crowd(&mut further, 1));
    assert_eq!(further.client.refused(&fits).await, Code::NotFound);
    assert_eq!(further.client.refused(&rest).await, Code::RateLimited, "of all its devices");
    carol.send(&bob, "hi").await.unwrap();
    let largest = crowd(&mut carol, 256);
    assert_eq!(carol.client.refused(&largest).await, Code::RateLimited);
    let head = Head { seq: 1, hash: HeadHash::new([0; _]) };
    let nobody = |n| UserHead { user: format!("nobody{n}").parse().unwrap(), head };
    let claims = Submit { heads: (0..100).map(nobody).collect(), ..carol.letter(&bob, "hi") };
    assert_eq!(carol.client.refused(&claims).await, Code::RateLimited, "heads that are claimed count alike");
}

#[tokio::test]
async fn bytes_submitted_beyond_the_rate_are_told_to_wait() {
    let mut config = settings();
    config.rates.submit_bytes_per_minute = 1_000;
    let world = World::with(config).await;
    let (mut alice, mut carol) = (world.join("alice", 0).await, world.join("carol", 2).await);
    let bob = world.join("bob", 1).await;
    // ten minutes at once; one that is longer than these takes all of them
    alice.send(&bob, &"x".repeat(20_000)).await.unwrap();
    let refusal = alice.send(&bob, "hi").await.unwrap_err();
    assert!(refusal.code == Code::RateLimited && refusal.retry_after_ms.is_some_and(|wait| wait > 0));
    carol.send(&bob, "hi").await.unwrap();
}

#[tokio::test]
async fn what_fits_the_rate_is_refused_behind_what_did_not() {
    let mut config = settings();
    config.rates.submit_bytes_per_minute = 1_000;
    let world = World::with(config).await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    // of the ten thousand at once
    alice.send(&bob, &"x".repeat(6_000)).await.unwrap();
    assert_eq!(alice.send(&bob, &"x".repeat(6_000)).await.unwrap_err().code, Code::RateLimited);
    assert_eq!(alice.send(&bob, "short").await.unwrap_err().code, Code::RateLimited);
}

#[tokio::test]
async fn what_is_refused_is_read_no_faster_than_a_megabyte_a_second_after_sixteen() {
    const SUBMITS: usize = 50;
    let world = World::new().await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    // to one device several times, which is against the rules
    let mut letter = alice.letter(&bob, &"x".repeat(60_000));
    letter.to = vec![letter.to[0].clone(); 6];
    let began = std::time::Instant::now();
    let mut asked = Vec::new();
    for _ in 0..SUBMITS {
        asked.push(alice.client.ask(&letter).await);
    }
    for id in asked {
        assert_eq!(alice.client.answer::<Submit>(id).await.unwrap_err().code, Code::BadRequest);
    }
    // the last is answered before it is waited for
    let megabytes = (SUBMITS - 1) * 6 * 60_000 / 1_000_000;
    assert!(began.elapsed() >= std::time::Duration::from_secs(megabytes as u64 - 16), "{:?}", began.elapsed());
}

#[tokio::test]
async fn many_submits_in_flight_share_commits_and_arrive_in_order() {
    const LETTERS: usize = 200;
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let letters: Vec<_> = (0..LETTERS).map(|n| alice.letter(&bob, &format!("{n}"))).collect();
    let before = world.counters.commits.count();
    let frames: Vec<_> = letters.iter().zip(1000..).map(|(letter, id)| Frame::request(id, letter)).collect();
    alice.client.send(&frames).await;
    for n in 0..LETTERS {
        assert_eq!(bob.receive().await, (n as u64 + 1, format!("{n}")));
    }
    for id in (1000..).take(LETTERS) {
        alice.client.answer::<Submit>(id).await.unwrap();
    }
    let commits = world.counters.commits.count() - before;
    assert!(commits < LETTERS as u64, "{commits} commits for {LETTERS} submits");
}

#[tokio::test]
async fn alone_every_submit_has_its_own_commit_and_waits_for_no_timer() {
    let mut world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let before = world.counters.commits.count();
    for n in 1..=10 {
        alice.send(&bob, "alone").await.unwrap();
        assert_eq!((world.counters.commits.count() - before, bob.receive().await.0), (n, n));
    }
    let (mailbox, queue) = mailbox::queue(8);
    let commits = Commits {
        store: world.store.clone(),
        router: world.router.clone(),
        counters: world.counters.clone(),
        settings: Arc::new(Live::new(settings())),
    };
    tokio::spawn(mailbox::commit_loop(commits, queue));
    // a server that has ended has no timers either
    world.stop();
    world.ended().await.unwrap();
    let (answer, answered) = tokio::sync::oneshot::channel();
    let submit = alice.letter(&bob, "with the clock stopped");
    let to = submit.to.iter().map(|to| (to.device, chat_protocol::cbor::encode(&to.envelope).into())).collect();
    let row = SubmitRow {
        sender: alice.id(),
        submit_id: submit.submit_id,
        heads: submit.heads,
        group: submit.group,
        to,
        at: now(),
    };
    tokio::time::pause();
    // a timer, were there one, would let this clock jump
    let began = tokio::time::Instant::now();
    let answer = Box::new(move |result| drop(answer.send(result)));
    mailbox.take(Job::Submit { row, from: alice.user.clone(), answer });
    answered.await.unwrap().unwrap();
    assert_eq!(began.elapsed(), std::time::Duration::ZERO);
}

#[tokio::test]
async fn newer_login_of_a_device_replaces_the_older_one() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let mut newer = super::world::Absent::of(bob.device.clone()).come_back(&world).await;
    assert_eq!(bob.client.end().await, End::Goodbye);
    alice.send(&bob, "which one?").await.unwrap();
    assert_eq!(newer.receive().await, (1, "which one?".into()));
}

#[tokio::test]
async fn stopping_server_answers_what_was_asked_and_says_goodbye() {
    let mut world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let letter = alice.letter(&bob, "last words");
    let id = alice.client.ask(&letter).await;
    bob.receive().await;
    world.stop();
    assert!(alice.client.answer_frame(id).await.is_some());
    assert_eq!(alice.client.end().await, End::Goodbye);
    assert_eq!(bob.client.end().await, End::Goodbye);
    world.ended().await.unwrap();
    assert_eq!(world.counters.closed.get(Closed::Shutdown), 2);
}
