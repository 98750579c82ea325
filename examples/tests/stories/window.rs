//! The desktop client, worked like a user works it, on a screen that is photographed.

use std::fs;

use chat_stories::{Person, Process, Screen, Stage, Window, binaries};
use serde_json::json;

const ROOM: &str = "room:public";

fn fill_in(window: &mut Window, person: &Person, again: Option<&str>, invite: &str) {
    window.fills("user", person.name());
    window.fills("password", &person.password);
    if let Some(again) = again {
        window.fills("again", again);
    }
    window.fills("invite", invite);
    window.does("press Return");
}

fn register(window: &mut Window, person: &Person, stage: &Stage) {
    window.does("see Your daemon has no account yet");
    fill_in(window, person, Some(&person.password), &stage.server.invite());
    window.does("see Everybody on this server reads this room, and the server can read it too");
}

/// Somebody registered and online, who has the window open.
fn at_the_window(stage: &Stage, screen: &Screen, name: &str) -> (Person, Window) {
    let person = stage.member(name);
    let mut window = Window::open(screen, &person.data());
    window.does("see Everybody on this server reads this room");
    (person, window)
}

fn read(person: &mut Person, chat: &str) {
    person.call("chat.mark_read", json!({"to": chat})).unwrap();
}

#[test]
fn whoever_has_no_account_registers_or_logs_in_at_the_window() {
    let (stage, screen) = (Stage::open(), Screen::open());
    let alice = stage.newcomer("alice");
    let mut window = Window::open(&screen, &alice.data());
    window.does("see Your daemon has no account yet");
    fill_in(&mut window, &alice, Some("something else"), &stage.server.invite());
    window.does("see The two passwords are not the same");
    window.does("click I have an account: log in");
    fill_in(&mut window, &alice, None, &stage.server.invite());
    window.does("see The server does not accept this user and password");
    window.does("click I am new here: register");
    let file = stage.room("alice").join("invite");
    fs::write(&file, stage.server.invite() + "\n").unwrap();
    window.fills("password", &alice.password);
    window.fills("again", &alice.password);
    window.all(&["into invite", "press BackSpace", &format!("file {}", file.display()), "click Register"]);
    window.does("see Everybody on this server reads this room");
    window.does(&format!("see Online as alice at {}", stage.server.address()));
    window.says("first words");
    window.all(&["see first words", "menu Log out…", "see Your keys and your history stay", "click Log out"]);
    window.does("see You are logged out");
    window.fills("password", &alice.password);
    window.all(&["press Return", "see Online as alice", "see first words"]);
    window.close();
}

#[test]
fn people_talk_through_the_window_in_public_and_in_private() {
    let (stage, screen) = (Stage::open(), Screen::open());
    let mut bob = stage.member("bob");
    let mut alice = stage.newcomer("alice");
    let mut window = Window::open(&screen, &alice.data());
    register(&mut window, &alice, &stage);

    window.does("online bob");
    let mut carol = stage.member("carol");
    window.does("online carol");
    carol.kill();
    window.does("offline carol");

    window.says("good morning, everybody");
    bob.hears(ROOM, "alice", "good morning, everybody");
    bob.send(ROOM, "good morning, alice");
    window.does("see good morning, alice");

    window.does("person bob");
    window.does("see End-to-end encrypted: only you and bob can read this · online");
    window.says("can we talk?");
    bob.hears("@alice", "alice", "can we talk?");
    window.does("see ✓✓");
    read(&mut bob, "@alice");
    window.does("see ✓✓ read");
    let answer = bob.send("@alice", "of corse");
    window.does("see of corse");
    bob.sees(&answer, "read");
    bob.call("msg.edit", json!({"id": answer, "text": "of course"})).unwrap();
    window.all(&["see of course", "see edited"]);
    bob.call("msg.react", json!({"id": answer, "emoji": "👍"})).unwrap();
    window.does("see 👍 bob");

    window.does("click Safety number");
    let digits = window.does("digits");
    let theirs = bob.call("identity.get", json!({"user": "alice"})).unwrap();
    assert_eq!(theirs["safety_number"], digits, "both sides see the same number");
    assert_eq!(digits.len(), 60);
    window.all(&["see Compare these digits with bob", "press Escape", "gone Compare these digits"]);

    photograph(&screen, &mut window);
    bob.call("msg.delete", json!({"id": answer, "scope": "all"})).unwrap();
    window.all(&["see message deleted", "gone of course", "gone 👍"]);
    window.close();
    alice.stop();
}

/// Keeps a picture for whoever wants to see it, and makes sure that there is something on it.
fn photograph(screen: &Screen, window: &mut Window) {
    let target = binaries::repository().join("target");
    fs::create_dir_all(&target).unwrap();
    let photo = target.join("window.png");
    window.does(&format!("photo {}", photo.display()));
    assert!(screen.colours() > 50, "the screen shows {} colours", screen.colours());
    assert!(fs::read(&photo).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn what_nobody_looked_at_is_counted_until_it_was_seen() {
    let (stage, screen) = (Stage::open(), Screen::open());
    let mut bob = stage.member("bob");
    let (_alice, mut window) = at_the_window(&stage, &screen, "alice");
    window.does("titled Chat · alice");
    bob.send("@alice", "one");
    let last = bob.send("@alice", "two");
    window.all(&["badge @bob 2", "titled (2) Chat · alice"]);
    window.all(&["press Control-Tab", "see only you and bob can read this", "see ──  new  ──"]);
    bob.sees(&last, "read");
    window.all(&["badge @bob 0", "titled Chat · alice"]);
    bob.send(ROOM, "lunch?");
    window.all(&["badge room:public 1", "chat room:public", "see lunch?", "badge room:public 0"]);
    window.close();
}

#[test]
fn the_window_waits_for_its_daemon_and_misses_nothing() {
    let (stage, screen) = (Stage::open(), Screen::open());
    let mut bob = stage.member("bob");
    let (mut alice, mut window) = at_the_window(&stage, &screen, "alice");
    bob.send("@alice", "before");
    window.all(&["chat @bob", "see before"]);
    alice.kill();
    window.does("see chatd is not running. Start it with:  chatd --data-dir");
    window.does("type a thought that must not get lost");
    for n in 0..5 {
        bob.send("@alice", &format!("meanwhile {n}"));
    }
    alice.start();
    window.all(&["see meanwhile 4", "see Online as alice", "press Return", "see a thought that must not get lost"]);
    bob.hears("@alice", "alice", "a thought that must not get lost");
    window.close();

    alice.kill();
    let mut window = Window::open(&screen, &alice.data());
    window.does("see chatd is not running");
    alice.start();
    window.all(&["chat @bob", "see before", "see meanwhile 0", "see a thought that must not get lost"]);
    window.close();
}

#[test]
fn older_messages_come_when_one_looks_for_them() {
    let (stage, screen) = (Stage::open(), Screen::open());
    let mut alice = stage.member("alice");
    let notes = (0..150).map(|n| json!({"to": "self", "text": format!("note number {n:03}")})).collect();
    assert!(alice.pipeline("msg.send", notes).iter().all(Result::is_ok));
    let mut window = Window::open(&screen, &alice.data());
    window.all(&["chat self", "see note number 149", "gone note number 050", "press Prior", "see ↓ Newest"]);
    window.all(&["seek note number 000", "click ↓ Newest", "gone ↓ Newest"]);
    window.close();
}

#[test]
fn the_window_sends_nothing_after_an_identity_changed_until_that_was_decided() {
    let (mut stage, screen) = (Stage::dark(), Screen::open());
    stage.server.set("accounts.reset_wait_seconds=0");
    stage.server.start();
    let mut bob = stage.member("bob");
    let (_alice, mut window) = at_the_window(&stage, &screen, "alice");
    window.does("person bob");
    window.says("hello, bob");
    bob.hears("@alice", "alice", "hello, bob");
    bob.kill();
    let mut again = Person::new("bob", &stage.room("elsewhere"));
    again.start();
    let invite = stage.server.invite();
    let _ = again.enter("reset", &invite).waits();
    let done = again.enter("reset", &invite).success();
    assert!(done.starts_with("the account has a new identity"), "{done}");
    again.online();
    again.send("@alice", "it is me, on a new machine");

    window.all(&["see bob's identity changed. Nothing is sent until", "type are you sure", "press Return"]);
    window.all(&["see are you sure", "click Look at it…", "see THE NEW ONE", "click Decide later"]);
    window.all(&["see bob's identity changed. Nothing", "click Look at it…", "click Accept the new identity"]);
    window.all(&["see taken at first sight, not compared", "click Close", "gone identity changed"]);
    window.does("press Return");
    again.hears("@alice", "alice", "are you sure");
    window.close();
}

#[test]
fn atk_61_hostile_texts_do_not_fool_or_freeze_the_window() {
    let (stage, screen) = (Stage::open(), Screen::open());
    let mut bob = stage.member("bob");
    let (_alice, mut window) = at_the_window(&stage, &screen, "alice");
    bob.send("@alice", "evil \u{202e}txt.exe \u{1b}[31m\u{200b}");
    for huge in
        ["x".repeat(60_000), "line\n".repeat(12_000), "🎂👩‍🚀".repeat(4_000), "a\u{301}\u{302}\u{303}".repeat(8_000)]
    {
        bob.send("@alice", &huge);
    }
    bob.send("@alice", "the last one");
    window.all(&["chat @bob", "see evil \\u{202e}txt.exe \\u{1b}[31m\\u{200b}", "see the last one"]);
    window.does("see show more: 58,000 characters");
    window.says("still here");
    bob.hears("@alice", "alice", "still here");
    window.close();
}

#[test]
fn the_windows_parts_keep_their_promises_without_a_screen() {
    let stage = Stage::dark();
    let mut command = binaries::tool("python3", &stage.room("anybody"));
    command.current_dir(binaries::repository().join("examples/desktop")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.args(["-m", "unittest", "discover", "-t", ".", "-s", "tests"]);
    let outcome = Process::run("unittest", command, "");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}
