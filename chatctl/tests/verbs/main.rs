//! The verbs about messages, contacts, chats and the log, against a fake daemon on a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod account;
mod devices;
mod doctor;
mod memory;
mod outbox;
mod pipes;
mod readme;
mod requests;
mod service;
mod shells;
mod terminal;
mod tokens;
mod trust;
mod window;

use std::process::Output;

use assert_cmd::Command;
use chat_protocol::rpc::EventBody;
use chat_protocol::rpc::events::PresenceChanged;
use chat_protocol::rpc::types::Profile;
use chatd::fixtures as fake;
use fake::{Served, serve};
use serde_json::{Value, json};

fn at(served: &Served, args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("chatctl").unwrap();
    command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("CHATD_SOCKET", &served.path).args(args);
    command
}

fn run(served: &Served, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = at(served, args).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn says(served: &Served, args: &[&str]) -> String {
    let (code, out, err) = run(served, args);
    assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_edited_reacted_to_cancelled_sent_again_and_deleted() {
    let served = serve();
    let id = served.fake.receive("bob", "hello").to_uuid();
    assert!(says(&served, &["edit", &id, "hello, all"]).ends_with("bob: hello, all\n"));
    let reacted: Value = serde_json::from_str(&says(&served, &["react", &id, "👍", "--json"])).unwrap();
    assert_eq!(reacted["reactions"], json!([{"emoji": "👍", "users": ["alice"]}]));
    assert_eq!(says(&served, &["cancel", &id]), "cancelled\n");
    assert!(says(&served, &["resend", &id]).starts_with("queued to @bob: "));
    assert_eq!(says(&served, &["delete", &id, "--everywhere"]), "deleted\n");
    let (code, _, err) = run(&served, &["edit", "00000000-0000-7000-8000-000000000000", "x"]);
    assert_eq!(
        (code, err.as_str()),
        (66, "Error: not found\nHint: `chatctl history TARGET --ids` shows the ids of messages\n")
    );
    assert_eq!(run(&served, &["edit", "nonsense", "x"]).0, 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_found_and_written_to_a_file() {
    let served = serve();
    served.fake.receive("bob", "the red fox");
    served.fake.receive("bob", "a blue car");
    let found = says(&served, &["search", "red"]);
    assert!(found.contains("the red fox") && !found.contains("blue"), "{found}");
    let (code, out, err) = run(&served, &["search", "green"]);
    assert!(code == 0 && out.is_empty() && err.starts_with("no message has all of these words"), "{code} {out} {err}");
    let told = says(&served, &["export", "out.md", "--format", "md"]);
    assert!(told.starts_with("2 messages in /") && told.ends_with("/out.md\n"), "{told}");
    assert_eq!(says(&served, &["unread", "--format", "{messages} in {chats}"]), "2 in 1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_chats_settings_and_values_are_kept() {
    let served = serve();
    assert_eq!(
        says(&served, &["contact", "set", "@bob", "--alias", "Bobby", "--note", "tea"]),
        "@bob  alias: Bobby  note: tea\n"
    );
    assert_eq!(says(&served, &["contact", "block", "bob"]), "@bob  alias: Bobby  note: tea  blocked\n");
    assert_eq!(says(&served, &["contact", "list"]), "@bob  alias: Bobby  note: tea  blocked\n");
    assert_eq!(run(&served, &["contact", "set", "bob"]).0, 64);
    served.fake.receive("bob", "hello");
    assert_eq!(says(&served, &["mute", "@bob", "forever"]), "@bob is quiet\n");
    assert!(says(&served, &["mute", "@bob", "8h"]).starts_with("@bob is quiet until 2"));
    assert_eq!(says(&served, &["mute", "@bob", "off"]), "@bob makes itself heard\n");
    assert_eq!(says(&served, &["archive", "@bob"]), "@bob is put away until somebody writes\n");
    assert!(says(&served, &["settings", "--read-receipts", "no"]).starts_with("--read-receipts false\n"));
    assert_eq!(says(&served, &["kv", "set", "bot", "state", r#"{"step":2}"#]), "version 1\n");
    assert_eq!(says(&served, &["kv", "get", "bot", "state"]), "{\"step\":2}\n");
    assert_eq!(run(&served, &["kv", "set", "bot", "state", "3", "--if-version", "7"]).0, 65);
    assert_eq!(says(&served, &["kv", "list", "bot"]), "state {\"step\":2}\n");
    assert_eq!(says(&served, &["kv", "delete", "bot", "state"]), "forgotten\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_accounts_say_of_themselves_stands_behind_who_they_are() {
    let served = serve();
    assert_eq!(
        says(&served, &["profile", "set", "--name", "Build server", "--bot", "yes"]),
        "calls themselves: \"Build server\"  bot\n"
    );
    assert_eq!(says(&served, &["profile", "set", "--bot", "no"]), "calls themselves: \"Build server\"\n");
    assert_eq!(says(&served, &["profile"]), "calls themselves: \"Build server\"\n");
    let claimed = Profile { display_name: Some("x\"  @alice\u{1b}[2J\u{202e}".to_owned()), about: None, bot: true };
    served.fake.state().profiles.insert("bob".parse().unwrap(), claimed);
    assert_eq!(
        says(&served, &["profile", "show", "@bob"]),
        "@bob  calls themselves: \"x\\\"  @alice\\u{1b}[2J\\u{202e}\"  bot\n"
    );
    let said: Value = serde_json::from_str(&says(&served, &["profile", "show", "bob", "--json"])).unwrap();
    assert_eq!(said["bot"], json!(true));
    let (code, _, err) = run(&served, &["profile", "show", "carol"]);
    assert_eq!(
        (code, err.as_str()),
        (66, "Error: not found\nHint: check the name; `chatctl who` shows who is online\n")
    );
    assert_eq!(run(&served, &["profile", "set"]).0, 64);
    assert_eq!(run(&served, &["profile", "set", "--bot", "perhaps"]).0, 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_goes_on_where_its_command_succeeded() {
    let served = serve();
    let listen = |command: &str, count: &str| {
        run(&served, &["listen", "--consumer", "bot", "--type", "message.new", "--exec", command, "--count", count])
    };
    served.fake.state().consumers.insert("bot".parse().unwrap(), 0);
    for text in ["one", "two", "$(touch pwned)"] {
        served.fake.receive("bob", text);
    }
    let (code, out, _) = listen(r#"echo "$CHAT_SEQ $CHAT_TYPE $CHAT_CHAT $CHAT_FROM""#, "1");
    assert_eq!((code, out.as_str()), (0, "1 message.new @bob bob\n"));
    assert_eq!(served.fake.state().consumers[&"bot".parse().unwrap()], 1);
    let (_, out, _) = listen("cat", "2");
    let texts: Vec<_> =
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["data"]["text"].clone()).collect();
    assert_eq!(texts, ["two", "$(touch pwned)"], "what others wrote is data");
    assert_eq!(says(&served, &["consumers"]).split("  ").next(), Some("bot"));
    assert_eq!(says(&served, &["consumers", "forget", "bot"]), "forgotten\n");
    let (code, _, err) = run(&served, &["consumers", "forget", "bot"]);
    assert!(code == 66 && err.contains("`chatctl consumers` shows those there are"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_keeps_failing_acknowledges_nothing() {
    let served = serve();
    served.fake.state().consumers.insert("bot".parse().unwrap(), 0);
    served.fake.receive("bob", "hello");
    let counter = served.path.with_file_name("tries");
    let command = format!("echo x >> {}; exit 3", counter.display());
    let (code, _, err) = run(&served, &["listen", "--consumer", "bot", "--exec", &command]);
    assert_eq!(code, 70);
    assert!(err.contains("failed 5 times\nCaused by: exit status: 3"), "{err}");
    assert_eq!(std::fs::read_to_string(counter).unwrap().lines().count(), 5);
    assert_eq!(served.fake.state().consumers[&"bot".parse().unwrap()], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn atk_61_nothing_of_others_reaches_a_terminal_raw_and_json_keeps_it() {
    let served = serve();
    let hostile = "red\u{1b}[2J\u{202e}\nbob: yes";
    served.fake.receive("bob", hostile);
    says(&served, &["contact", "set", "bob", "--note", hostile]);
    says(&served, &["kv", "set", "bot", "key\u{1b}[2J", hostile]);
    for verb in [&["search", "red"][..], &["history", "@bob"], &["contact", "list"], &["kv", "list", "bot"]] {
        let text = says(&served, verb);
        assert!(!text.contains(['\u{1b}', '\u{202e}']) && text.lines().count() == 1, "{verb:?}: {text:?}");
        let json = says(&served, &[verb, &["--json"]].concat());
        let kept: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert!(kept.to_string().contains(&json!(hostile).to_string()), "{verb:?}: {kept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_without_a_terminal_is_refused_with_what_scripts_use() {
    let served = serve();
    let (code, out, err) = run(&served, &["chat", "@bob"]);
    assert_eq!((code, out.as_str()), (64, ""));
    assert_eq!(
        err.lines().next().unwrap(),
        "Error: chat needs a terminal: scripts use `chatctl send TARGET -` and `chatctl listen --chat TARGET`"
    );
    let (code, _, err) = run(&served, &["chat", "@bob", "--json"]);
    assert!(code == 64 && err.contains("a conversation has no JSON"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_is_no_line_of_text_and_stays_in_json() {
    let served = serve();
    let ids = ["one", "two", "three"].map(|text| served.fake.receive("bob", text).to_uuid());
    says(&served, &["delete", &ids[1]]);
    served.fake.state().log[1].data["deleted"] = json!(true);
    served.fake.state().log[1].data["text"] = json!("");
    let listen = ["listen", "--since", "start", "--count", "2"];
    for verb in [&["history", "@bob"][..], &["history", "@bob", "--ids"], &listen] {
        let (code, text, _) = run(&served, verb);
        assert_eq!(code, 0, "{verb:?}");
        let ends: Vec<_> = text.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(ends, ["one", "three"], "{verb:?}");
    }
    let json = says(&served, &["history", "@bob", "--json"]);
    let deleted: Vec<_> =
        json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["deleted"] == true).collect();
    assert_eq!(deleted, [false, true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_of_history_counts_what_is_shown() {
    let served = serve();
    let ids = ["one", "two", "three", "four"].map(|text| served.fake.receive("bob", text).to_uuid());
    says(&served, &["delete", &ids[2]]);
    let lines = |more: &[&str]| says(&served, &[&["history", "@bob"], more].concat()).lines().count();
    assert_eq!((lines(&["--limit", "3"]), lines(&["--limit", "3", "--json"])), (3, 3));
    assert_eq!((lines(&["--limit", "2", "--after", &ids[0]]), lines(&["--limit", "9"])), (2, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_nobody_are_refused_by_every_verb_that_takes_one() {
    let served = serve();
    let verbs: [&[&str]; 15] = [
        &["contact", "block", "@nobody"],
        &["contact", "set", "@nobody", "--alias", "x"],
        &["contact", "show", "@nobody"],
        &["mute", "@nobody", "8h"],
        &["archive", "@nobody"],
        &["history", "@nobody"],
        &["search", "word", "--chat", "@nobody"],
        &["search", "word", "--from", "@nobody"],
        &["listen", "--chat", "@nobody", "--count", "1"],
        &["export", "-", "--chat", "@nobody"],
        &["export", "/nonexistent/x", "--chat", "@nobody"],
        &["trust", "policy", "--chat", "@nobody"],
        &["trust", "policy", "strict", "--chat", "@nobody"],
        &["token", "create", "bot", "--scope", "send", "--allow-to", "@nobody"],
        &["token", "create", "bot", "--scope", "send", "--chat", "self,@nobody"],
    ];
    for verb in verbs {
        let (code, out, err) = run(&served, verb);
        assert_eq!((code, out.as_str()), (66, ""), "{verb:?}: {err}");
        assert!(err.starts_with("Error: there is no user nobody\nHint: check the name"), "{verb:?}: {err}");
    }
    assert_eq!(says(&served, &["token", "list"]), "", "nothing was made");
    says(&served, &["contact", "block", "@bob"]);
    says(&served, &["history", "@bob"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_prints_the_ids_that_other_verbs_want() {
    let served = serve();
    let id = served.fake.receive("bob", "hello").to_uuid();
    assert!(says(&served, &["history", "@bob", "--ids"]).starts_with(&format!("{id}  2023-11-14 ")));
}

#[tokio::test(flavor = "multi_thread")]
async fn listen_prints_volatile_events_and_gaps_as_json() {
    let served = serve();
    for number in 0..3 {
        served.fake.receive("bob", &number.to_string());
    }
    served.fake.trim(2);
    let out = says(&served, &["listen", "--json", "--since", "start", "--count", "1"]);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["type"], "message.new", "start is what there is");
    let out = says(&served, &["listen", "--json", "--since", "1", "--count", "1"]);
    let gap: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&gap["type"], &gap["data"]), (&json!("gap"), &json!({"from": 2, "to": 2})));
    // another daemon: what listened to this one before may not have ended there, and would be taken for the listener
    let served = serve();
    let fake = std::sync::Arc::clone(&served.fake);
    let listener = tokio::task::spawn_blocking({
        let mut command = at(&served, &["listen", "--json", "--count", "1"]);
        move || command.output().unwrap()
    });
    fake.subscribed().await;
    let online = vec![fake::user("carol")];
    fake.say(&EventBody::Presence(PresenceChanged { online, offline: Vec::new() }));
    let heard: Value = serde_json::from_slice(&listener.await.unwrap().stdout).unwrap();
    assert_eq!((&heard["type"], &heard["data"]["online"]), (&json!("presence"), &json!(["carol"])));
}
