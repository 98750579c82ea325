//! `-` is standard input or output, limits are met, and a closed output ends what waits.

use std::process::Stdio;
use std::time::Duration;

use super::fake::PASSWORD;
use super::*;

/// Far beyond what any of it takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn with_input(served: &Served, args: &[&str], input: &str) -> (i32, String) {
    let output = at(served, args).write_stdin(input.to_owned()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn listening_ends_with_its_reader_though_nothing_happens() {
    let served = serve();
    served.fake.receive("bob", "the only one");
    let mut listener = tokio::process::Command::new(env!("CARGO_BIN_EXE_chatctl"))
        .args(["listen", "--since", "start"])
        .env_clear()
        .env("CHATD_SOCKET", &served.path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let reader = listener.stdout.take().unwrap();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(reader));
    assert!(lines.next_line().await.unwrap().unwrap().ends_with("bob: the only one"));
    drop(lines);
    let ended = tokio::time::timeout(PATIENCE, listener.wait()).await.expect("it is still there").unwrap();
    assert_eq!(ended.code(), Some(0));
}

/// A verb whose reader goes at once, while there is nothing to read; its exit code and what it said.
async fn unheard(served: &Served, args: &[&str]) -> (i32, String) {
    let mut verb = tokio::process::Command::new(env!("CARGO_BIN_EXE_chatctl"));
    verb.args(args).env_clear().env("CHATD_SOCKET", &served.path).stdin(Stdio::null()).kill_on_drop(true);
    let mut verb = verb.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(verb.stdout.take());
    let ended = tokio::time::timeout(PATIENCE, verb.wait_with_output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{args:?} is still there")).unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_ends_with_its_reader_and_claims_no_success() {
    let served = serve();
    served.fake.state().waits = true;
    let (code, told) = unheard(&served, &["send", "@bob", "hi", "--wait", "delivered", "--timeout", "10m"]).await;
    assert!(code == 74 && told.contains("nobody reads the output any more"), "{told}");
    let sent =
        served.fake.state().messages.iter().map(|message| (message.id, message.text.clone())).collect::<Vec<_>>();
    let [(id, text)] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(text, "hi", "who goes early takes nothing back");
    let wait = json!({ "id": id, "state": "read", "timeout_ms": 600_000 }).to_string();
    assert_eq!(unheard(&served, &["rpc", "msg.wait", &wait]).await.0, 74);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_met_however_long_the_messages_are() {
    let served = serve();
    // Of the longest texts some seventeen fit an answer.
    let long = "red ".repeat(15_000);
    for number in 0..40 {
        served.fake.receive("bob", &format!("{number} {long}"));
    }
    let numbers = |args: &[&str]| -> Vec<usize> {
        let out = says(&served, &[args, &["--json"]].concat());
        let text = |line: &str| serde_json::from_str::<Value>(line).unwrap()["text"].as_str().unwrap().to_owned();
        out.lines().map(|line| text(line).split(' ').next().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(numbers(&["history", "@bob", "--limit", "40"]), (0..40).collect::<Vec<_>>());
    assert_eq!(numbers(&["history", "@bob", "--limit", "30"]), (10..40).collect::<Vec<_>>());
    let second = served.fake.state().messages[1].id.to_uuid();
    assert_eq!(numbers(&["history", "@bob", "--limit", "30", "--after", &second]), (2..32).collect::<Vec<_>>());
    let last = served.fake.state().messages[39].id.to_uuid();
    assert_eq!(numbers(&["history", "@bob", "--limit", "30", "--before", &last]), (9..39).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_asks_on_until_its_limit_is_met() {
    let served = serve();
    for number in 0..50 {
        served.fake.receive("bob", &format!("red {number}"));
    }
    assert_eq!(says(&served, &["search", "red", "--limit", "50"]).lines().count(), 50);
    let (code, out, err) = run(&served, &["search", "red", "--limit", "45"]);
    assert_eq!((code, out.lines().count()), (0, 45));
    assert!(err.starts_with("there are more"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_to_a_hyphen_goes_to_standard_output() {
    let served = serve();
    served.fake.receive("bob", "one");
    served.fake.receive("bob", "two");
    let out = says(&served, &["export", "-"]);
    let texts: Vec<_> = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["text"].clone()).collect();
    assert_eq!(texts, ["one", "two"]);
    assert!(!std::path::Path::new("-").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_files_named_by_a_hyphen_are_lines_of_stdin() {
    let served = serve();
    let input = format!("the-invite\n{PASSWORD}\n");
    let args = ["register", "alice", "--invite-file", "-", "--password-file", "-"];
    assert_eq!(with_input(&served, &args, &input).0, 0);
    assert_eq!(served.fake.state().secrets, ["the-invite", PASSWORD]);
    let args = ["passwd", "--password-file", "-", "--new-password-file", "-"];
    assert_eq!(with_input(&served, &args, &format!("{PASSWORD}\nnext\n")).0, 0);
    assert_eq!(served.fake.state().secrets[2..], [PASSWORD, "next"]);

    let token = says(&served, &["token", "create", "bot", "--scope", "send", "--json", "--out", "-"]);
    let token = serde_json::from_str::<Value>(&token).unwrap()["token"].as_str().unwrap().to_owned();
    let (code, out) = with_input(&served, &["--token-file", "-", "send", "@bob", "hi"], &token);
    assert!(code == 0 && out.starts_with("queued to @bob"), "{out}");
    assert_eq!(with_input(&served, &["--token-file", "-", "history", "@bob"], &token).0, 77, "with its rights alone");
    let both = format!("{token}\nhello\n");
    assert_eq!(with_input(&served, &["--token-file", "-", "send", "@bob", "-"], &both).0, 64, "no token is sent");
    assert_eq!(served.fake.state().messages.len(), 1);
    let parts = ["register", "alice", "--server", "h:1", "--server-key", "k", "--secret-key-file", "-"];
    assert_eq!(
        with_input(&served, &[&parts[..], &["--password-stdin"]].concat(), "pw\n").0,
        64,
        "chatd reads that one"
    );
}

#[test]
fn help_that_cannot_be_written_was_not_given() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_chatctl"));
    let output = command.arg("help").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(74));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_a_note_and_a_line_about_oneself_are_read_from_standard_input_and_names_are_not() {
    let served = serve();
    assert_eq!(with_input(&served, &["kv", "set", "bot", "state", "-"], "{\"step\":2}\n").0, 0);
    assert_eq!(says(&served, &["kv", "get", "bot", "state"]), "{\"step\":2}\n");
    let about = with_input(&served, &["profile", "set", "--about", "-"], "tells what broke\n");
    assert_eq!(about, (0, "about: \"tells what broke\"\n".to_owned()));
    let note = with_input(&served, &["contact", "set", "@bob", "--note", "-"], "likes tea\n");
    assert_eq!(note, (0, "@bob  note: likes tea\n".to_owned()));
    for name in [&["profile", "set", "--name", "-"][..], &["contact", "set", "@bob", "--alias", "-"]] {
        assert_eq!(with_input(&served, name, "x\n"), (64, String::new()), "{name:?}");
    }
    let (code, _, err) = run(&served, &["mute", "@bob", "always"]);
    assert!(code == 64 && err.contains("2h or 7d, `forever`, or `off`"), "{err}");
}
