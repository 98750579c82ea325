//! People talk: in public, in private, both at once, and one after the other.

use chat_stories::Stage;
use serde_json::json;

const ROOM: &str = "room:public";

#[test]
fn three_talk_in_public_and_see_who_is_there() {
    let stage = Stage::open();
    let [mut alice, mut bob, mut carol] = ["alice", "bob", "carol"].map(|name| stage.member(name));
    alice.send(ROOM, "good morning");
    bob.hears(ROOM, "alice", "good morning");
    bob.send(ROOM, "morning, alice");
    carol.hears(ROOM, "bob", "morning, alice");
    carol.send(ROOM, "am I late?");
    for person in [&mut alice, &mut bob, &mut carol] {
        person.hears(ROOM, "carol", "am I late?");
        let said = ["alice: good morning", "bob: morning, alice", "carol: am I late?"];
        assert_eq!(person.history(ROOM), said, "as {} saw it", person.name());
    }
    assert_eq!(alice.ctl(&["who"]).success().lines().count(), 3);
    let who = alice.call("presence.list", json!({})).unwrap();
    let names: Vec<_> = who["users"].as_array().unwrap().iter().map(|user| user["user"].as_str().unwrap()).collect();
    assert_eq!(names, ["alice", "bob", "carol"]);
}

#[test]
fn a_listener_learns_who_comes_and_goes_without_asking() {
    let stage = Stage::open();
    let mut alice = stage.member("alice");
    let mut bob = stage.member("bob");
    let names =
        |event: &serde_json::Value, who: &str| event["type"] == "presence" && event["data"][who] == json!(["bob"]);
    alice.event("bob coming online", |event| names(event, "online"));
    bob.kill();
    alice.event("bob going offline", |event| names(event, "offline"));
}

#[test]
fn a_private_chat_goes_both_ways_whoever_begins() {
    let stage = Stage::open();
    for (first, second) in [("alice", "bob"), ("dora", "carl")] {
        let (mut first, mut second) = (stage.member(first), stage.member(second));
        let question = first.send(&second.at(), "are you there?");
        second.hears(&first.at(), first.name(), "are you there?");
        first.sees(&question, "delivered");
        let answer = second.send(&first.at(), "yes, and nobody else reads this");
        first.hears(&second.at(), second.name(), "yes, and nobody else reads this");
        second.sees(&answer, "delivered");
        let open = first.call("chat.open", json!({"to": second.at()})).unwrap();
        assert_eq!(open["devices"][0]["session"], "confirmed", "{open}");
        let said = [
            format!("{}: are you there?", first.name()),
            format!("{}: yes, and nobody else reads this", second.name()),
        ];
        assert_eq!(first.history(&second.at()), said);
        assert_eq!(second.history(&first.at()), said);
    }
}

#[test]
fn both_begin_at_once_and_every_message_arrives_once() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let (to_bob, to_alice) = (bob.at(), alice.at());
    for n in 0..5 {
        alice.send(&to_bob, &format!("a{n}"));
        bob.send(&to_alice, &format!("b{n}"));
    }
    for n in 0..5 {
        alice.hears(&to_bob, "bob", &format!("b{n}"));
        bob.hears(&to_alice, "alice", &format!("a{n}"));
    }
    let by = |history: Vec<String>, who: &str| -> Vec<String> {
        history.into_iter().filter(|line| line.starts_with(who)).collect()
    };
    for (mut history, chat) in [(alice.history(&to_bob), &mut alice), (bob.history(&to_alice), &mut bob)] {
        assert_eq!(history.len(), 10, "{}: {history:?}", chat.name());
        assert_eq!(by(history.clone(), "alice"), (0..5).map(|n| format!("alice: a{n}")).collect::<Vec<_>>());
        history.retain(|line| line.starts_with("bob"));
        assert_eq!(history, (0..5).map(|n| format!("bob: b{n}")).collect::<Vec<_>>());
    }
    let after = alice.send(&to_bob, "settled?");
    alice.sees(&after, "delivered");
}

#[test]
fn who_was_offline_reads_it_all_on_coming_back() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let hello = alice.send("@bob", "one before");
    bob.hears("@alice", "alice", "one before");
    alice.sees(&hello, "delivered");
    bob.stop();
    let waiting: Vec<_> = (0..20).map(|n| alice.send("@bob", &format!("while you were out {n}"))).collect();
    for id in &waiting {
        alice.sees(id, "accepted");
    }
    bob.start();
    bob.event("sync.done", |event| event["type"] == "sync.done" && event["data"]["replayed"].as_u64() >= Some(20));
    let mut expected = vec!["alice: one before".to_owned()];
    expected.extend((0..20).map(|n| format!("alice: while you were out {n}")));
    assert_eq!(bob.history("@alice"), expected);
    for id in &waiting {
        alice.sees(id, "delivered");
    }
}

#[test]
fn a_first_message_waits_for_somebody_who_is_offline() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    bob.stop();
    let id = alice.send("@bob", "we have not met");
    alice.sees(&id, "accepted");
    alice.stop();
    bob.start();
    bob.hears("@alice", "alice", "we have not met");
    bob.send("@alice", "now we have");
    alice.start();
    alice.hears("@bob", "bob", "now we have");
    alice.sees(&id, "delivered");
}

#[test]
fn everything_is_possible_from_the_command_line() {
    let stage = Stage::open();
    let (alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let _ = alice.ctl(&["send", "@bob", "as an argument"]).success();
    let _ = alice.ctl_with(&["send", "@bob", "-"], "from a pipe\nin two lines\n").success();
    bob.hears("@alice", "alice", "as an argument");
    bob.hears("@alice", "alice", "from a pipe\nin two lines");
    let sent = bob.ctl(&["--json", "send", "@alice", "machine to machine", "--wait", "delivered"]).success();
    let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();
    assert!(sent["id"].is_string(), "{sent}");
    let history = alice.ctl(&["history", "@bob"]).success();
    assert!(history.contains("machine to machine"), "{history}");
    let status = alice.ctl(&["status"]).success();
    assert!(status.contains("alice") && status.contains("online"), "{status}");
}
