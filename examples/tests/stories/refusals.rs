//! What goes wrong says so: each with its words and its exit code.

use chat_stories::{Outcome, Stage};

/// The first line of standard error, and the exit code.
fn refusal(outcome: &Outcome) -> (Option<i32>, &str) {
    assert_eq!(outcome.stdout, "", "an error is talk, not data");
    (outcome.code, outcome.stderr.lines().next().unwrap_or_default())
}

#[test]
fn a_wrong_password_and_an_unknown_user_sound_the_same() {
    let stage = Stage::open();
    let _alice = stage.member("alice");
    let mut wrong = chat_stories::Person::new("alice", &stage.room("elsewhere"));
    wrong.start();
    wrong.password = "not what she chose".to_owned();
    let unknown = stage.newcomer("mallory");
    let (wrong, unknown) =
        (wrong.enter("login", &stage.server.invite()), unknown.enter("login", &stage.server.invite()));
    assert_eq!(refusal(&wrong), (Some(76), "Error: the server does not accept this user and password"));
    assert_eq!((wrong.code, wrong.stderr), (unknown.code, unknown.stderr));
}

#[test]
fn a_taken_name_is_refused() {
    let stage = Stage::open();
    let _alice = stage.member("alice");
    let mut other = chat_stories::Person::new("ALICE", &stage.room("elsewhere"));
    other.start();
    let taken = other.enter("register", &stage.server.invite());
    assert_eq!(refusal(&taken), (Some(66), "Error: the name alice is taken"));
}

#[test]
fn an_invite_of_another_server_is_refused_without_a_byte_of_password() {
    let (stage, other) = (Stage::open(), Stage::open());
    let alice = stage.newcomer("alice");
    let (_, keys) = other.server.invite().split_once('#').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let wrong = alice.enter("register", &format!("chat://{}/#{keys}", stage.server.address()));
    assert_eq!(wrong.code, Some(69), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("invite"), "{}", wrong.stderr);
}

#[test]
fn a_damaged_invite_is_refused_before_anything_is_sent() {
    let stage = Stage::open();
    let alice = stage.newcomer("alice");
    let invite = stage.server.invite();
    let damaged = alice.enter("register", &invite[..invite.len() - 4]);
    assert_eq!(damaged.code, Some(64), "{}", damaged.stderr);
    assert!(damaged.stderr.contains("invite"), "{}", damaged.stderr);
    assert!(!damaged.stderr.contains(&invite[30..50]), "an invite is a secret");
}

#[test]
fn a_used_personal_invite_is_refused() {
    let mut stage = Stage::dark();
    stage.server.set("registration=invite");
    stage.server.start();
    let invite = stage.server.invite();
    let (alice, bob) = (stage.newcomer("alice"), stage.newcomer("bob"));
    let _ = alice.enter("register", &invite).success();
    let again = bob.enter("register", &invite);
    assert_eq!(again.code, Some(69), "{}", again.stderr);
    assert!(again.stderr.contains("invite"), "{}", again.stderr);
}

#[test]
fn without_a_server_registering_says_where_it_looked() {
    let mut stage = Stage::open();
    let alice = stage.newcomer("alice");
    let invite = stage.server.invite();
    stage.server.kill();
    let lost = alice.enter("register", &invite);
    assert_eq!(lost.code, Some(69), "{}", lost.stderr);
    assert!(lost.stderr.contains(stage.server.address()), "{}", lost.stderr);
}

#[test]
fn without_a_daemon_every_verb_says_how_to_start_one() {
    let stage = Stage::open();
    let alice = stage.stranger("alice");
    for words in [&["status"][..], &["who"], &["send", "@bob", "hi"], &["history", "@bob"], &["listen"]] {
        let lost = alice.ctl(words);
        assert_eq!(refusal(&lost), (Some(69), "Error: chatd is not running"), "{words:?}");
        assert!(lost.stderr.contains("Hint: start it with `chatd"), "{words:?}: {}", lost.stderr);
    }
    let lost = alice.enter("register", &stage.server.invite());
    assert_eq!(refusal(&lost), (Some(69), "Error: chatd is not running"));
}

#[test]
fn nothing_can_be_sent_without_an_account_or_to_nobody() {
    let stage = Stage::open();
    let newcomer = stage.newcomer("zoe");
    let early = newcomer.ctl(&["send", "@bob", "hi"]);
    assert_eq!(early.code, Some(77), "{}", early.stderr);
    let alice = stage.member("alice");
    let nowhere = alice.ctl(&["send", "bob", "hi"]);
    assert_eq!(nowhere.code, Some(64), "{}", nowhere.stderr);
    let nobody = alice.ctl(&["send", "@nobody", "hi", "--wait", "delivered", "--timeout", "30s"]);
    assert_eq!(refusal(&nobody), (Some(66), "Error: there is no user nobody: nothing was sent"));
}
