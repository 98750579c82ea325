//! A disk without room: the daemon lives, says so, takes nothing it cannot keep, and goes on by itself.

use std::time::Instant;

use chat_stories::disk::Disk;
use chat_stories::{DEADLINE, Stage};
use serde_json::json;

#[test]
fn a_full_disk_is_said_and_nothing_is_taken_that_cannot_be_kept() {
    let stage = Stage::open();
    let mut alice = stage.stranger("alice");
    let Some(disk) = Disk::mount(&alice.data()) else {
        println!("no disk may be mounted here: not told");
        return;
    };
    alice.start();
    let _ = alice.enter("register", &stage.server.invite()).success();
    alice.turns("online");
    let mut bob = stage.member("bob");
    bob.send("@alice", "hello");
    alice.hears("@bob", "bob", "hello");

    assert!(disk.fill());
    let long = "x".repeat(60_000);
    let unkept = bob.send("@alice", &long);
    bob.sees(&unkept, "accepted");
    let until = Instant::now() + DEADLINE;
    let health = loop {
        let health = alice.call("daemon.health", json!({})).expect("it lives, and answers");
        if health["ready"] == false {
            break health;
        }
        assert!(Instant::now() < until, "{health}");
    };
    let reason = health["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("nothing can be stored: no space left"), "{health}");
    let refused = alice.call("msg.send", json!({"to": "@bob", "text": &long})).unwrap_err();
    assert!(refused.message.contains("no space left"), "{refused:?}");
    let status = bob.call("msg.status", json!({"id": unkept})).expect("a message");
    assert_eq!(status["state"], "accepted", "acknowledged, and kept nowhere");

    disk.empty();
    alice.hears("@bob", "bob", &long);
    bob.sees(&unkept, "delivered");
    assert_eq!(alice.call("daemon.health", json!({})).expect("health")["ready"], true);
    assert_eq!(alice.history("@bob").len(), 2);
    alice.stop();
}
