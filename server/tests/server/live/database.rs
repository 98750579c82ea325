//! The server while its database dies and comes back.

use chat_protocol::frame::Frame;
use chat_protocol::message::client::{PresenceWatch, RoomPost, Submit};
use chat_protocol::message::server::Code;
use chat_server::store;
use rusqlite::Connection;

use super::world::{Person, World, register, settings};
use crate::support::mariadb::MariaDb;

/// Sends the same bytes until they are accepted, as a daemon does.
async fn insist(person: &mut Person, letter: &Submit) {
    while let Err(refusal) = person.client.call(letter).await {
        assert_eq!(refusal.code, Code::Busy);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_killed_under_load_is_ridden_out_and_every_message_arrives_once() {
    const LETTERS: usize = 100;
    let mut database = MariaDb::start();
    assert!(database.execute("CREATE DATABASE chat"));
    let opened = store::open(&database.url("chat").parse().unwrap()).await.unwrap();
    let world = World::over(opened.store, settings()).await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let letters: Vec<_> = (0..LETTERS).map(|n| alice.letter(&bob, &format!("{n}"))).collect();
    let frames: Vec<_> = letters.iter().zip(1000..).map(|(letter, id)| Frame::request(id, letter)).collect();
    alice.client.send(&frames).await;
    bob.receive().await;
    tokio::task::block_in_place(|| database.kill());
    let lost = alice.letter(&bob, "while it is away");
    assert_eq!(alice.client.refused(&lost).await, Code::Busy);
    bob.client.call(&PresenceWatch { visible: true }).await.expect("connections stay, and answer what needs no rows");
    tokio::task::block_in_place(|| database.restart());
    for (letter, id) in letters.iter().zip(1000..) {
        if let Err(refusal) = alice.client.answer::<Submit>(id).await {
            assert_eq!(refusal.code, Code::Busy);
            insist(&mut alice, letter).await;
        }
    }
    insist(&mut alice, &lost).await;
    let (mut texts, mut seq) = (vec!["0".to_owned()], 1);
    while texts.len() <= LETTERS {
        let (next, text) = bob.receive().await;
        assert_eq!(next, seq + 1, "no gap, no repetition");
        seq = next;
        texts.push(text);
    }
    let mut wanted: Vec<_> = (0..LETTERS).map(|n| n.to_string()).chain(["while it is away".to_owned()]).collect();
    texts.sort();
    wanted.sort();
    assert_eq!(texts, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_that_hangs_makes_submits_busy_within_a_bound_and_recovers_by_itself() {
    let database = MariaDb::start();
    assert!(database.execute("CREATE DATABASE chat"));
    let opened = store::open(&database.url("chat").parse().unwrap()).await.unwrap();
    let world = World::over(opened.store, settings()).await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    alice.send(&bob, "before").await.unwrap();
    tokio::task::block_in_place(|| database.freeze(true));
    let letter = alice.letter(&bob, "while it hangs");
    let id = alice.client.ask(&letter).await;
    bob.client.call(&PresenceWatch { visible: true }).await.expect("nobody else waits for it");
    // the client of these tests waits for 20 s, and for nothing longer
    let refused = alice.client.answer::<Submit>(id).await.unwrap_err();
    assert!(refused.code == Code::Busy && refused.retry_after_ms.is_some(), "{refused:?}");
    tokio::task::block_in_place(|| database.freeze(false));
    insist(&mut alice, &letter).await;
    assert_eq!(bob.receive().await.1, "before");
    assert_eq!(bob.receive().await, (2, "while it hangs".into()));
}

#[tokio::test]
async fn atk_84_below_the_floor_of_free_disk_nothing_is_stored_and_what_was_acknowledged_still_goes() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    alice.send(&bob, "before").await.unwrap();
    let (seq, _) = bob.receive().await;
    let mut config = settings();
    config.mailbox.free_disk = u64::MAX;
    world.reload.apply(config).unwrap();
    let letter = alice.letter(&bob, "no room");
    let refusal = alice.client.call(&letter).await.unwrap_err();
    assert_eq!((refusal.code, refusal.retry_after_ms), (Code::Busy, Some(60_000)));
    let post = RoomPost { submit_id: alice.next_submit(), text: "no room".into() };
    assert_eq!(alice.client.refused(&post).await, Code::Busy);
    assert_eq!(world.guest().await.refused(&register("carol")).await, Code::Busy);
    bob.ack(seq).await;
    assert_eq!(world.store.mailbox_state(bob.id()).await.unwrap().messages, 0);
    world.reload.apply(settings()).unwrap();
    insist(&mut alice, &letter).await;
    assert_eq!(bob.receive().await.1, "no room");
}

/// Somebody else's write transaction on the file of a server.
pub fn locked(world: &World) -> Connection {
    let db = Connection::open(world.dir.path().join("chat.db")).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    db
}

#[tokio::test]
async fn nobody_hears_accepted_before_the_rows_are_committed() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let lock = locked(&world);
    let letter = alice.letter(&bob, "not yet");
    let id = alice.client.ask(&letter).await;
    // both were answered something that was asked later: neither has heard of the letter
    alice.client.call(&PresenceWatch { visible: true }).await.unwrap();
    let overheard = bob.client.pushes_so_far().await;
    assert!(!alice.client.has_answer(id), "accepted, and stored nowhere");
    assert!(!overheard.iter().any(|push| matches!(push, chat_protocol::message::server::Push::Deliver(_))));
    lock.execute_batch("COMMIT").unwrap();
    alice.client.answer::<Submit>(id).await.unwrap();
    assert_eq!(bob.receive().await, (1, "not yet".into()));
}

#[tokio::test]
async fn file_that_stays_locked_makes_submits_busy_and_nothing_is_lost() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let lock = locked(&world);
    let letter = alice.letter(&bob, "in the end");
    assert_eq!(alice.client.refused(&letter).await, Code::Busy);
    bob.client.call(&PresenceWatch { visible: true }).await.expect("connections stay");
    lock.execute_batch("COMMIT").unwrap();
    insist(&mut alice, &letter).await;
    assert_eq!(bob.receive().await, (1, "in the end".into()));
}
