//! `chatctl chat` as somebody at a terminal sees it.

use std::path::Path;

use chat_stories::{Person, Stage, Terminal};
use serde_json::json;

/// Somebody's conversation, once it is there.
fn conversation(stage: &Stage, who: &Person, with: &str) -> Terminal {
    let terminal = Terminal::open(&stage.room("screen"), (70, 20), &who.chatctl(&["chat", with, "--color", "never"]));
    terminal
        .shows("who is online", |screen| screen.iter().any(|line| line.starts_with("* ") && line.contains("online")));
    terminal
}

/// The line that is being typed.
fn typed(screen: &[String]) -> &str {
    screen.last().map_or("", String::as_str)
}

/// Messages without their times.
fn said(screen: &[String]) -> Vec<&str> {
    screen.iter().filter_map(|line| line.split_once("Z ")).map(|(_, said)| said).collect()
}

#[test]
fn messages_come_in_while_a_line_is_typed_and_the_line_stays_whole() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let terminal = conversation(&stage, &alice, "@bob");
    terminal.types("half a li");
    terminal.shows_line("@bob> half a li");
    bob.send("@alice", "may I interrupt?");
    let screen = terminal.shows("the interruption", |screen| said(screen) == ["bob: may I interrupt?"]);
    assert_eq!(typed(&screen), "@bob> half a li");
    terminal.types("ne");
    terminal.presses(&["Enter"]);
    bob.hears("@alice", "alice", "half a line");
    terminal.shows("that it was delivered", |screen| said(screen)[1..] == ["alice: half a line (delivered)"]);
    bob.call("chat.mark_read", json!({"to": "@alice"})).unwrap();
    let screen = terminal.shows("that it was read", |screen| said(screen)[1..] == ["alice: half a line (read)"]);
    assert_eq!(typed(&screen), "@bob>");
    alice.event("what was shown marked as read", |event| event["type"] == "chat.read" && event["data"]["unread"] == 0);
}

#[test]
fn it_goes_on_by_itself_when_chatd_comes_back() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let terminal = conversation(&stage, &alice, "@bob");
    alice.kill();
    terminal.shows_line("* chatd is gone; what you write waits here until it is back");
    terminal.types("written while it was gone");
    terminal.presses(&["Enter"]);
    terminal.shows_line("* waits for chatd: written while it was gone");
    terminal.types("half typ");
    bob.send("@alice", "did you see this?");
    alice.start();
    let wanted = ["alice: written while it was gone (delivered)", "bob: did you see this?"];
    let screen = terminal.shows("both messages", |screen| {
        let mut said = said(screen);
        said.sort_unstable();
        said == wanted
    });
    assert!(screen.contains(&"* chatd is back".to_owned()));
    assert_eq!(typed(&screen), "@bob> half typ");
    assert_eq!(bob.history("@alice").iter().filter(|line| line.starts_with("alice")).count(), 1, "sent once");
}

#[test]
fn commands_change_what_stands_on_the_screen() {
    let stage = Stage::open();
    let (alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    bob.send("@alice", "tea or coffee?");
    let terminal = conversation(&stage, &alice, "@bob");
    terminal.shows("the question", |screen| said(screen) == ["bob: tea or coffee?"]);
    let says = |line: &str| {
        terminal.types(line);
        terminal.presses(&["Enter"]);
    };
    says("/reply te");
    terminal.shows("the answer", |screen| said(screen)[1..] == ["alice (to \"tea or coffee?\"): te (delivered)"]);
    says("/edit");
    terminal.shows("the answer to be changed", |screen| typed(screen) == "@bob> /edit te");
    says("a");
    terminal
        .shows("it changed", |screen| said(screen)[1..] == ["alice (to \"tea or coffee?\"): tea (edited) (delivered)"]);
    terminal.types("/rea");
    terminal.presses(&["Tab"]);
    terminal.shows("the command completed", |screen| typed(screen).starts_with("@bob> /react"));
    says("+1");
    terminal.shows("the sign", |screen| said(screen)[0] == "bob: tea or coffee? [+1 alice]");
    // typed faster than the line is drawn
    terminal.presses(&["/", "d", "e", "l", "Tab"]);
    terminal.shows("the other command completed", |screen| typed(screen).starts_with("@bob> /delete"));
    terminal.presses(&["Enter"]);
    terminal.shows("it deleted", |screen| said(screen)[1].ends_with(": (deleted)"));
    terminal.pastes("one\ntwo\n");
    terminal.presses(&["Enter"]);
    bob.hears("@alice", "alice", "one\ntwo");
    says("/etc/passwd");
    terminal.shows("that it is no command", |screen| {
        screen.contains(&"* there is no /etc/passwd: see /help, or write //etc/passwd to send".to_owned())
    });
    assert_eq!(typed(&terminal.shows("it still", |_| true)), "@bob> /etc/passwd", "it stays to be mended");
    terminal.presses(&["Home"]);
    says("/");
    bob.hears("@alice", "alice", "/etc/passwd");
}

#[test]
fn older_messages_and_a_new_size_leave_the_line_whole() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    for number in 0..30 {
        bob.send("@alice", &format!("number {number}"));
    }
    alice.hears("@bob", "bob", "number 29");
    let terminal = conversation(&stage, &alice, "@bob");
    terminal.shows("the newest", |screen| said(screen).contains(&"bob: number 29"));
    terminal.types("not lost");
    terminal.presses(&["PPage"]);
    let screen = terminal.shows("older ones", |screen| said(screen).contains(&"bob: number 15"));
    assert_eq!(typed(&screen), "@bob> not lost");
    terminal.resizes(50, 15);
    bob.send("@alice", "after the change");
    let screen = terminal.shows("the next", |screen| said(screen).contains(&"bob: after the change"));
    assert_eq!(typed(&screen), "@bob> not lost");
}

#[test]
fn it_is_left_by_a_key_and_nothing_typed_stays_anywhere() {
    let stage = Stage::open();
    let (alice, _bob) = (stage.member("alice"), stage.member("bob"));
    let terminal = conversation(&stage, &alice, "@bob");
    terminal.types("canary never sent");
    terminal.shows_line("@bob> canary never sent");
    terminal.presses(&["C-c"]);
    terminal.shows("an empty line", |screen| typed(screen) == "@bob>");
    terminal.types("canary that was sent");
    terminal.presses(&["Enter"]);
    terminal.shows("it delivered", |screen| said(screen) == ["alice: canary that was sent (delivered)"]);
    terminal.presses(&["Up"]);
    terminal.shows("it again", |screen| typed(screen) == "@bob> canary that was sent");
    terminal.presses(&["C-c"]);
    terminal.shows("an empty line", |screen| typed(screen) == "@bob>");
    terminal.presses(&["C-c"]);
    assert_eq!(terminal.ends(), 0);
    assert!(!holds(&stage.room("alice"), b"canary"), "something typed is on the disk");
}

#[test]
fn the_public_room_says_who_comes_and_who_goes() {
    let stage = Stage::open();
    let (alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let terminal = conversation(&stage, &alice, "room:public");
    terminal.shows_line("* online: bob");
    bob.stop();
    terminal.shows_line("* bob went offline");
    let mut carol = stage.member("carol");
    terminal.shows_line("* carol came online");
    carol.send("room:public", "good evening");
    terminal.shows("it said", |screen| said(screen) == ["carol: good evening"]);
    terminal.types("/quit");
    terminal.presses(&["Enter"]);
    assert_eq!(terminal.ends(), 0);
}

/// Whether a file below `directory` has these bytes.
fn holds(directory: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        std::fs::read(&path).is_ok_and(|text| text.windows(bytes.len()).any(|window| window == bytes))
    })
}
