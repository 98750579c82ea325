//! An older copy of somebody's data is put back, by accident or by a backup: it is noticed, and talk goes on.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use chat_stories::{Person, Stage};

/// Copies the files of a directory whose daemon does not run.
fn copy(from: &Path, to: &Path, which: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_file() && which(&name) {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

/// Alice and bob talk, alice's data is copied, they talk on, and the copy, or a part of it, comes back.
fn restored(stage: &Stage, which: impl Fn(&str) -> bool) -> (Person, Person) {
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    talk(&mut alice, &mut bob, "monday");
    alice.stop();
    let yesterday = tempfile::tempdir().unwrap();
    copy(&alice.data(), yesterday.path(), |_| true);
    alice.start();
    talk(&mut alice, &mut bob, "tuesday");
    alice.stop();
    copy(yesterday.path(), &alice.data(), which);
    let mut again = Person::new("alice", alice.data().parent().unwrap());
    again.start();
    again.online();
    (again, bob)
}

fn talk(alice: &mut Person, bob: &mut Person, day: &str) {
    for n in 1..=2 {
        let text = format!("{day} {n}");
        alice.send("@bob", &text);
        bob.hears("@alice", "alice", &text);
        let id = bob.send("@alice", &text);
        alice.hears("@bob", "bob", &text);
        bob.sees(&id, "delivered");
    }
}

/// Both talk on, and neither sees anything twice. That alice is told of bob's receipt shows that she opens what he sends.
fn goes_on(alice: &mut Person, bob: &mut Person) {
    let id = alice.send("@bob", "wednesday");
    bob.hears("@alice", "alice", "wednesday");
    alice.sees(&id, "delivered");
    for history in [alice.history("@bob"), bob.history("@alice")] {
        assert_eq!(history.iter().collect::<BTreeSet<_>>().len(), history.len(), "{history:?}");
    }
    assert_eq!(bob.history("@alice").len(), 9, "bob has every word of both");
}

#[test]
fn atk_51_yesterdays_data_comes_back_and_the_server_knows_better() {
    let stage = Stage::open();
    let (mut alice, mut bob) = restored(&stage, |_| true);
    goes_on(&mut alice, &mut bob);
    assert!(alice.said().contains("the server knows of later states"), "{}", alice.said());
}

#[test]
fn atk_51_yesterdays_database_comes_back_and_the_file_beside_it_knows_better() {
    let stage = Stage::open();
    let (mut alice, mut bob) = restored(&stage, |name| name.starts_with("store.db"));
    goes_on(&mut alice, &mut bob);
    assert!(alice.said().contains("older than what was noted beside it"), "{}", alice.said());
}
