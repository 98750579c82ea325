//! chatctl as people and scripts meet it: the real binary, against a fake daemon on a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod places;

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use chat_protocol::rpc::types::MessageState;
use chatd::fixtures as fake;
use clap::CommandFactory;
use fake::{PASSWORD, Served, serve};
use insta::assert_snapshot;
use serde_json::{Value, json};

/// chatctl with an empty environment.
fn chatctl(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("chatctl").unwrap();
    command.env_clear().args(args);
    command
}

/// chatctl talking to the fake.
fn at(served: &Served, args: &[&str]) -> Command {
    let mut command = chatctl(args);
    command.env("CHATD_SOCKET", &served.path);
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"))
}

/// A file with the given mode.
fn file(dir: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn private(dir: &Path, name: &str, text: &str) -> String {
    file(dir, name, text, 0o600).to_str().unwrap().to_owned()
}

#[test]
fn every_verb_explains_itself_with_examples() {
    assert_snapshot!("help", stdout(&chatctl(&["help"]).output().unwrap()));
    let mut tree = chatctl::cli::Cli::command();
    tree.build();
    for verb in tree.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set()) {
        let text = stdout(&chatctl(&["help", verb.get_name()]).output().unwrap());
        assert!(text.contains("Examples:\n  chatctl "), "{}:\n{text}", verb.get_name());
        assert_snapshot!(format!("help_{}", verb.get_name()), text);
        for below in verb.get_subcommands().filter(|below| below.get_name() != "help") {
            let text = stdout(&chatctl(&["help", verb.get_name(), below.get_name()]).output().unwrap());
            assert_snapshot!(format!("help_{}_{}", verb.get_name(), below.get_name()), text);
        }
    }
}

#[test]
fn every_verb_has_a_manual_page() {
    let pages = tempfile::tempdir().unwrap();
    chatctl(&["man", "--all", pages.path().to_str().unwrap()]).assert().success();
    let mut tree = chatctl::cli::Cli::command();
    tree.build();
    for verb in tree.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set()) {
        let name = format!("chatctl-{}", verb.get_name());
        let page = std::fs::read_to_string(pages.path().join(format!("{name}.1"))).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{name}:\n{page}");
        let printed = stdout(&chatctl(&["man", verb.get_name()]).output().unwrap());
        assert!(printed.contains(&format!(".TH {name} 1")), "{printed}");
    }
    assert!(pages.path().join("chatctl-contact-set.1").exists());
    assert_eq!(chatctl(&["man", "no-such-verb"]).output().unwrap().status.code(), Some(64));
}

#[test]
fn a_wrong_command_line_exits_with_64() {
    for args in [
        &["frobnicate"][..],
        &["send", "bob", "hi"],
        &["send"],
        &["listen", "--count", "0"],
        &["history", "@bob", "--limit", "-1"],
        &["register", "a/b"],
        &["login", "alice", "--password", "hunter2"],
        &["status", "--profile", "../etc"],
    ] {
        let output = chatctl(args).env("HOME", "/nonexistent").output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{args:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{args:?}");
    }
    assert_eq!(chatctl(&["--version"]).output().unwrap().status.code(), Some(0));
}

#[test]
fn a_number_below_the_least_is_answered_with_what_may_be_said() {
    for (args, least) in [
        (&["history", "@bob", "--limit", "-1"][..], "1..=500"),
        (&["search", "x", "--limit", "-1"], "1..=500"),
        (&["audit", "--limit", "-1"], "1..=500"),
        (&["chat", "@bob", "--limit", "-1"], "1..=500"),
        (&["listen", "--count", "-1"], "--count"),
    ] {
        let told = stderr(&chatctl(args).output().unwrap());
        assert!(told.contains("invalid value '-1'") && told.contains(least), "{args:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_of_failure_have_their_exit_codes_and_hints() {
    let served = serve();
    let refused = |args: &[&str], input: &str| {
        let output = at(&served, args).write_stdin(input).output().unwrap();
        (output.status.code().unwrap(), stderr(&output))
    };
    let (code, err) = refused(&["send", "@nobody", "hi"], "");
    assert_eq!(
        (code, err.as_str()),
        (66, "Error: there is no user nobody\nHint: check the name; `chatctl who` shows who is online\n")
    );
    let (code, err) = refused(&["send", "@changed", "hi"], "");
    assert_eq!(code, 76);
    assert_snapshot!(err, @r#"
    Error: the identity of @changed has changed
    Hint: ask them in another way whether that is true, then compare: `chatctl verify @NAME`
    "#);
    let (code, err) = refused(&["login", "alice", "--password-stdin"], "wrong\n");
    assert_eq!(code, 76);
    assert_snapshot!(err, @r"
    Error: wrong user or password
    Hint: check the name and the password; who runs the server can set another one: `chat-server user passwd NAME`
    ");
    let (code, err) = refused(&["register", "taken", "--invite-stdin", "--password-stdin"], "invite\npw\n");
    assert_eq!(code, 66);
    assert_snapshot!(err, @r"
    Error: that name is taken
    Hint: choose another name, or log in with `chatctl login NAME`
    ");
    assert_eq!(refused(&["rpc", "no.such"], "").0, 64);
    assert_eq!(
        refused(&["rpc", "msg.send", "{\"to\":7}"], ""),
        (
            64,
            "Error: invalid type: integer `7`, expected a string\nCaused by: parameter `to`\n\
             Hint: `chatctl rpc rpc.discover` describes its parameters\n"
                .to_owned()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn register_takes_invite_and_password_from_stdin_or_files() {
    let served = serve();
    let dir = tempfile::tempdir().unwrap();
    let input = format!("the-invite\n{PASSWORD}\n");
    let output =
        at(&served, &["register", "@Alice", "--invite-stdin", "--password-stdin"]).write_stdin(input).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), format!("registered as alice\nfingerprint {}\n", "03".repeat(32)));
    let (invite, password) = (private(dir.path(), "invite", "file-invite\n"), private(dir.path(), "pw", PASSWORD));
    let args = ["register", "alice", "--json", "--invite-file", &invite, "--password-file", &password];
    assert_eq!(json_of(&at(&served, &args).output().unwrap())["state"], "ready");
    assert_eq!(served.fake.state().secrets, ["the-invite", PASSWORD, "file-invite", PASSWORD]);
}

#[tokio::test(flavor = "multi_thread")]
async fn login_needs_no_invite_when_chatd_knows_the_server() {
    let served = serve();
    let login = ["login", "alice", "--password-stdin"];
    let output = at(&served, &login).write_stdin(PASSWORD).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    served.fake.state().logged_in = false;
    let output = at(&served, &login).write_stdin(PASSWORD).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("--invite-file"), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn passwd_takes_both_passwords_from_two_lines() {
    let served = serve();
    let output =
        at(&served, &["passwd", "--password-stdin"]).write_stdin(format!("{PASSWORD}\nnext\n")).output().unwrap();
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "password changed\n"));
    assert_eq!(served.fake.state().secrets, [PASSWORD, "next"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn atk_62_secrets_are_taken_from_no_argument_and_show_up_nowhere() {
    let served = serve();
    let canary = "canary-7f3a";
    let params = format!(r#"{{"user":"alice","password":"{canary}"}}"#);
    let output = at(&served, &["rpc", "account.login", &params]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(served.fake.state().secrets.is_empty());
    for json in [&[][..], &["--json"]] {
        let args = [&["login", "alice", "--password-stdin"], json].concat();
        let output = at(&served, &args).write_stdin(canary).output().unwrap();
        assert_eq!(output.status.code(), Some(76));
        assert!(!(stdout(&output) + &stderr(&output)).contains(canary), "{output:?}");
    }
    let output = at(&served, &["rpc", "account.login", "-"]).write_stdin(params).output().unwrap();
    assert_eq!(output.status.code(), Some(76), "stdin is the way");
    let output = at(&served, &["login", "alice"]).env("CHATD_PASSWORD", canary).output().unwrap();
    assert_eq!(output.status.code(), Some(64), "the environment is not");
    assert!(stderr(&output).contains("--password-file or --password-stdin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn atk_63_a_secret_file_others_can_read_is_refused_with_the_fix() {
    let served = serve();
    let dir = tempfile::tempdir().unwrap();
    let open = file(dir.path(), "pw", PASSWORD, 0o644);
    let output = at(&served, &["login", "alice", "--password-file", open.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(77));
    assert!(
        stderr(&output).contains(&format!("Hint: protect it with `chmod 600 {}`", open.display())),
        "{}",
        stderr(&output)
    );
    assert!(served.fake.state().secrets.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn send_takes_its_text_from_an_argument_or_from_stdin() {
    let served = serve();
    let sent = |args: &[&str], input: &str| at(&served, args).write_stdin(input.to_owned()).output().unwrap();
    let output = sent(&["send", "@bob", "hi"], "");
    assert_eq!(stdout(&output), "queued to @bob: 00000000-0000-0000-0000-000000000001\n");
    sent(&["send", "room:public", "-"], "from\nstdin\n");
    sent(&["send", "self"], "no newline");
    sent(&["send", "@bob", "--", "-rf"], "");
    let texts: Vec<_> = served.fake.state().messages.iter().map(|m| format!("{} {}", m.chat, m.text)).collect();
    assert_eq!(texts, ["@bob hi", "room:public from\nstdin", "self no newline", "@bob -rf"]);
    let output = sent(&["send", "@bob", "-"], &"x".repeat(60 * 1024 + 1));
    assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn send_with_the_same_id_sends_once() {
    let served = serve();
    let send = || json_of(&at(&served, &["send", "--json", "--id", "k1", "@bob", "hi"]).output().unwrap());
    assert_eq!((send()["duplicate"].as_bool(), send()["duplicate"].as_bool()), (Some(false), Some(true)));
    assert_eq!(served.fake.state().messages.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn send_waits_until_the_message_is_as_far_as_wanted() {
    let served = serve();
    let late = at(&served, &["send", "@bob", "hi", "--wait", "delivered", "--timeout", "50ms"]).output().unwrap();
    assert_eq!(late.status.code(), Some(69));
    assert!(stderr(&late).starts_with("Error: the message was not delivered in time: it waits here\n"));

    let mut log = served.fake.newest();
    let fake = std::sync::Arc::clone(&served.fake);
    let peer = tokio::spawn(async move {
        log.changed().await.unwrap();
        let id = fake.state().messages.last().unwrap().id;
        fake.moved(id, MessageState::Accepted);
        fake.moved(id, MessageState::Delivered);
    });
    let send = ["send", "--json", "@bob", "hi", "--wait", "delivered", "--timeout", "1m"];
    let output = tokio::task::block_in_place(|| at(&served, &send).output().unwrap());
    assert_eq!(json_of(&output)["state"], "delivered", "{}", stderr(&output));
    peer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn atk_61_text_of_others_is_escaped_for_terminals_and_intact_in_json() {
    let served = serve();
    let hostile = "\u{1b}[2J\u{202e}hi\r\nalice: sure\u{7}";
    served.fake.receive("bob", hostile);
    for verb in [&["listen", "--since", "start", "--count", "1"][..], &["history", "@bob"]] {
        let text = stdout(&at(&served, verb).output().unwrap());
        assert_eq!(text, "2023-11-14 22:13:20Z  @bob  bob: \\u{1b}[2J\\u{202e}hi\\r\\nalice: sure\\u{7}\n");
        let object = json_of(&at(&served, &[verb, &["--json"]].concat()).output().unwrap());
        let message = if verb[0] == "listen" { &object["data"] } else { &object };
        assert_eq!(message["text"], hostile);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listen_says_what_the_server_can_read_and_ends_after_its_count() {
    let served = serve();
    served.fake.overhear("carol", "hello everybody");
    served.fake.receive("bob", "psst");
    served.fake.receive("bob", "never shown");
    let output = at(&served, &["listen", "--since", "start", "--count", "2"]).output().unwrap();
    assert_snapshot!(stdout(&output), @r"
    2023-11-14 22:13:20Z  room:public  carol: hello everybody
    2023-11-14 22:13:20Z  @bob  bob: psst
    ");
    assert_snapshot!(stderr(&output), @"Listening. What is said in room:public can be read by the server; chats with @user cannot.");
    let args = ["listen", "--json", "--since", "1", "--chat", "@bob", "--type", "message.new", "--count", "1"];
    let event = json_of(&at(&served, &args).output().unwrap());
    assert_eq!((&event["seq"], &event["replayed"], &event["data"]["text"]), (&json!(2), &json!(true), &json!("psst")));
}

#[tokio::test(flavor = "multi_thread")]
async fn listen_hears_own_messages_only_when_asked() {
    let served = serve();
    at(&served, &["send", "room:public", "mine"]).assert().success();
    served.fake.overhear("bob", "his");
    let heard = |more: &[&str]| {
        stdout(&at(&served, &[&["listen", "--since", "start", "--count", "1"], more].concat()).output().unwrap())
    };
    assert!(heard(&[]).ends_with("bob: his\n"));
    assert!(heard(&["--own"]).ends_with("alice: mine (queued)\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn listen_ends_with_an_error_when_chatd_ends() {
    let served = serve();
    served.fake.receive("bob", "last words");
    let fake = std::sync::Arc::clone(&served.fake);
    let listener = tokio::task::spawn_blocking({
        let mut command = at(&served, &["listen", "--since", "start"]);
        move || command.output().unwrap()
    });
    fake.subscribed().await;
    fake.stop.cancel();
    let output = listener.await.unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(stdout(&output).ends_with("last words\n"), "{output:?}");
    assert!(stderr(&output).contains("Error: chatd closed the connection\n"), "{output:?}");
}

#[test]
fn atk_63_a_file_that_others_may_change_is_refused_with_the_fix() {
    let home = tempfile::tempdir().unwrap();
    let path = file(home.path(), "c.toml", "socket = \"/tmp/evil.sock\"", 0o664);
    let output = chatctl(&["who", "--config", path.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(77));
    let told = stderr(&output);
    assert!(told.contains(&format!("Hint: fix it with `chmod go-w {}`", path.display())), "{told}");
    let output = chatctl(&["who", "--config", "/nowhere.toml"]).output().unwrap();
    assert!(stderr(&output).starts_with("Error: cannot use /nowhere.toml\n"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_is_silent() {
    let served = serve();
    for number in 0..50 {
        served.fake.receive("bob", &format!("{number} {}", "x".repeat(4096)));
    }
    let mut listen = std::process::Command::new(env!("CARGO_BIN_EXE_chatctl"))
        .args(["listen", "--since", "start", "--json"])
        .env("CHATD_SOCKET", &served.path)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    listen.stdout.take().unwrap().read_exact(&mut [0; 10]).unwrap();
    let output = listen.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_who_are_plain_lines_or_json() {
    let served = serve();
    served.fake.state().online.extend(["bob".to_owned(), "alice".to_owned()]);
    assert_eq!(stdout(&at(&served, &["who"]).output().unwrap()), "alice\nbob\n");
    assert_eq!(
        json_of(&at(&served, &["who", "--json"]).output().unwrap())["users"][1],
        json!({"user": "bob", "me": false})
    );
    assert_snapshot!(stdout(&at(&served, &["status"]).output().unwrap()), @r"
    account      alice (ready)
    fingerprint  0303030303030303030303030303030303030303030303030303030303030303
    connection   online to chat.example:8897 since 2023-11-14 22:13:20Z
    outbox       nothing waits
    ");
    let status = json_of(&at(&served, &["status", "--json"]).output().unwrap());
    assert_eq!(
        (&status["account"]["user"], &status["health"]["connection"]["state"]),
        (&json!("alice"), &json!("online"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_reset_and_rpc_do_what_they_say() {
    let served = serve();
    let output = at(&served, &["reset", "alice", "--password-stdin"]).write_stdin(PASSWORD).output().unwrap();
    assert_eq!(stderr(&output).lines().next(), Some("Error: say that you mean it: --confirm alice"));
    let args = ["reset", "alice", "--confirm", "alice", "--password-stdin"];
    let output = at(&served, &args).write_stdin(PASSWORD).output().unwrap();
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(79), ""), "{output:?}");
    assert_eq!(stdout(&at(&served, &["reset", "--cancel"]).output().unwrap()), "reset cancelled\n");
    let info = json_of(&at(&served, &["rpc", "daemon.info"]).output().unwrap());
    assert_eq!(info["limits"]["line_bytes"], 1024 * 1024);
    at(&served, &["logout"]).assert().success();
    assert!(!served.fake.state().logged_in);
}

#[test]
fn completions_and_manual_are_printed() {
    for (args, holds) in [(&["completions", "bash"][..], "_chatctl"), (&["man"], ".TH chatctl")] {
        let output = chatctl(args).output().unwrap();
        assert!(stdout(&output).contains(holds), "{args:?}");
    }
}
