//! The server while its database dies and comes back.

use chat_protocol::frame::Frame;
use chat_protocol::message::client::{PresenceWatch, Submit};
use chat_protocol::message::server::Code;
use chat_server::store;

use crate::mariadb::MariaDb;
use crate::world::{Person, World, settings};

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
