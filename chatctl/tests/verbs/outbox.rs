//! What waits and what failed is listed, and what was mistyped is sent to nobody.

use chat_protocol::rpc::types::{FailReason, MessageState, OutboxDelay, OutboxHealth};
use chat_protocol::rpc::{ChatId, Kind, Target};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_lists_what_waits_and_what_failed_and_status_names_it() {
    let served = serve();
    assert_eq!(says(&served, &["outbox"]), "");
    assert!(says(&served, &["status"]).contains("outbox       nothing waits\n"));
    for text in ["one", "two\u{1b}[2J", "three"] {
        says(&served, &["send", "@bob", text]);
    }
    {
        let mut state = served.fake.state();
        state.messages[0].state = Some(MessageState::Failed);
        state.messages[0].error = Some(FailReason::NotFound);
        state.messages[2].state = Some(MessageState::Accepted);
        state.health.outbox = OutboxHealth { queued: 1, failed: 1 };
    }
    let (code, out, err) = run(&served, &["outbox"]);
    assert_eq!(
        (code, out.as_str()),
        (
            0,
            "00000000-0000-0000-0000-000000000001  2023-11-14 22:13:20Z  @bob  failed: not found  one\n\
             00000000-0000-0000-0000-000000000002  2023-11-14 22:13:20Z  @bob  queued  two\\u{1b}[2J\n"
        )
    );
    assert!(err.contains("chatctl cancel ID") && err.contains("chatctl resend ID"), "{err}");
    let objects = says(&served, &["outbox", "--json"]);
    let first: Value = serde_json::from_str(objects.lines().next().unwrap()).unwrap();
    assert_eq!((objects.lines().count(), &first["error"]), (2, &json!("not_found")));
    assert!(says(&served, &["status"]).contains("outbox       1 waiting, 1 failed: see `chatctl outbox`\n"));
    assert!(says(&served, &["history", "@bob"]).contains("one (failed: not found)\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_the_server_does_not_know_is_refused_and_nothing_is_sent() {
    let served = serve();
    for _ in 0..2 {
        assert_eq!(run(&served, &["send", "@unknown", "hi"]).0, 66, "however often");
    }
    assert!(served.fake.state().messages.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_option_is_not_sent_as_a_text() {
    let served = serve();
    let id = served.fake.receive("bob", "hello").to_uuid();
    for args in [
        &["send", "@bob", "--requireonline"][..],
        &["send", "@bob", "-x"],
        &["send", "@bob", "--reply-to", &id, "-5"],
        &["edit", &id, "--everywhere"],
    ] {
        let output = at(&served, args).write_stdin("the disk is full").output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{args:?}: {told}");
        assert!(told.contains("stands behind `--`") && told.contains("`-` alone"), "{told}");
    }
    assert_eq!(served.fake.state().messages.len(), 1);
    let (code, out, err) = run(&served, &["send", "--json", "@bob", "--requireonline"]);
    let told: Value = serde_json::from_str(&err).unwrap();
    assert_eq!((code, out.as_str(), &told["error"]["exit_code"]), (64, "", &json!(64)));
    assert!(told["error"]["message"].as_str().unwrap().contains("`--`"), "{told}");
    let (_, _, err) = run(&served, &["status", "--nothing"]);
    assert!(!err.contains("stands behind"), "a verb without a text says nothing of texts: {err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_begins_with_a_hyphen_stands_behind_two_or_comes_from_stdin() {
    let served = serve();
    says(&served, &["send", "@bob", "--", "--requireonline"]);
    at(&served, &["send", "@bob", "-"]).write_stdin("-rf\n").assert().success();
    at(&served, &["send", "@bob", "--file", "-"]).write_stdin("from the pipe\n").assert().success();
    let id = served.fake.state().messages[0].id.to_uuid();
    says(&served, &["edit", &id, "--", "--require-online"]);
    let texts = || served.fake.state().messages.iter().map(|message| message.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(), ["--require-online", "-rf", "from the pipe"]);
    at(&served, &["edit", &id, "-"]).write_stdin("- better\n").assert().success();
    assert_eq!(texts()[0], "- better");
    assert_eq!(says(&served, &["kv", "set", "bot", "degrees", "-5"]), "version 1\n", "a number is a value");
    assert_eq!(run(&served, &["kv", "set", "bot", "degrees", "--if-versoin"]).0, 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_held_by_a_changed_identity_are_named_wherever_one_looks() {
    let served = serve();
    says(&served, &["send", "@bob", "one"]);
    served.fake.state().health.outbox = OutboxHealth { queued: 1, failed: 0 };
    for verb in ["outbox", "status", "doctor"] {
        let (_, out, err) = run(&served, &[verb]);
        assert!(!(out + &err).contains("identity"), "{verb} of one that leaves");
    }
    served.fake.state().messages[0].chat = (&Target::User(fake::user("changed"))).into();
    for verb in ["outbox", "status", "doctor"] {
        let (_, out, err) = run(&served, &[verb]);
        let said = out + &err;
        assert!(said.contains("identity of @changed has changed"), "{verb}: {said}");
        assert!(said.contains("chatctl trust show @changed"), "{verb}: {said}");
    }
    assert_eq!(run(&served, &["doctor"]).0, 1);
    let (_, out, _) = run(&served, &["outbox"]);
    assert!(
        out.ends_with("  @changed  held: identity changed  one\n"),
        "it is not in the line of those that leave: {out}"
    );
    let one: Value = serde_json::from_str(&says(&served, &["outbox", "--json"])).unwrap();
    assert_eq!(
        (&one["state"], &one["held"], &one["hint"]),
        (&json!("queued"), &json!("identity_changed"), &json!("chatctl trust show @changed"))
    );
    served.fake.state().messages[0].at_ms = Some(1_800_000_000_000);
    assert!(run(&served, &["outbox"]).1.contains("held: identity changed"), "also what is put off");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_ask_whether_messages_are_held_hears_so() {
    let served = serve();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let file = file.to_str().unwrap();
    assert_eq!(run(&served, &["token", "create", "watch", "--scope", "send", "--out", file]).0, 0);
    served.fake.state().health.outbox = OutboxHealth { queued: 1, failed: 0 };
    for verb in ["status", "doctor"] {
        let (_, out, err) = run(&served, &[verb, "--token-file", file]);
        let said = out + &err;
        assert!(said.contains("it could not be asked whether messages are held: the token lacks"), "{verb}: {said}");
        assert!(!said.contains("WRONG  it could not be asked"), "nothing is wrong with that: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_failed_are_named_by_doctor_as_by_status() {
    let served = serve();
    served.fake.state().health.outbox = OutboxHealth { queued: 2, failed: 3 };
    let (code, out, _) = run(&served, &["doctor"]);
    assert!(out.contains("WRONG  3 messages did not arrive\n       mend it: chatctl outbox, which says why;"), "{out}");
    assert!(code == 1 && out.contains("ok     2 messages wait to be sent\n"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_in_time_is_sent_again_only_under_its_own_key() {
    let served = serve();
    let wait = ["send", "@bob", "hi", "--wait", "accepted", "--timeout", "1ms"];
    let (code, _, err) = run(&served, &wait);
    assert!(code == 69 && err.contains("`chatctl outbox`") && !err.contains("--id"), "{err}");
    let retryable = |args: &[&str]| {
        let (_, _, err) = run(&served, &[&wait[..], args, &["--json"]].concat());
        serde_json::from_str::<Value>(&err).unwrap()["error"]["data"]["retryable"].clone()
    };
    assert_eq!(retryable(&[]), false, "it would be sent twice");
    assert_eq!(retryable(&["--id", "k"]), true);
    let (_, _, err) = run(&served, &[&wait[..], &["--id", "k"]].concat());
    assert!(err.contains("the same again with its --id goes on waiting"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_the_server_keeps_nobody_is_told_whether_it_was_fetched_or_waits_as_a_request() {
    let served = serve();
    says(&served, &["send", "@bob", "hi", "--id", "k"]);
    served.fake.state().messages[0].state = Some(MessageState::Accepted);
    let (code, _, err) = run(&served, &["send", "@bob", "hi", "--id", "k", "--wait", "delivered", "--timeout", "1ms"]);
    assert_eq!(
        (code, err.as_str()),
        (
            69,
            "Error: the message was not delivered in time: the server has accepted it and keeps it\n\
             Hint: @bob may not have fetched it, or not decided whether to hear you: nobody tells which of them; the same \
             again with its --id goes on waiting\n"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_not_waited_for_further_than_it_can_come() {
    let served = serve();
    for state in ["delivered", "read"] {
        let (code, out, err) = run(&served, &["send", "room:public", "hi", "--wait", state]);
        assert_eq!((code, out.as_str(), err.contains("--wait accepted")), (64, "", true), "{err}");
    }
    assert!(served.fake.state().messages.is_empty(), "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_several_words_is_to_be_quoted_and_an_edge_is_looked_for_in_its_chat() {
    let served = serve();
    let (code, _, err) = run(&served, &["send", "@bob", "hi", "there"]);
    assert!(code == 64 && err.contains("in quotes") && !err.contains("begins with"), "{err}");
    served.fake.receive("bob", "hello");
    let none = "00000000-0000-7000-8000-000000000000";
    for edge in ["--before", "--after"] {
        let (code, _, err) = run(&served, &["history", "@bob", edge, none]);
        assert!(
            code == 66 && err.ends_with("Hint: `chatctl history @bob --ids` shows the ids of its messages\n"),
            "{err}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_puts_off_is_listed_with_its_reason_and_the_time_of_the_next_try() {
    let served = serve();
    for to in ["@bob", "@carol"] {
        says(&served, &["send", to, "hi"]);
    }
    let full = ChatId::from(&Target::User(fake::user("bob")));
    let delay = |why, chat, until_ms| OutboxDelay { why, chat, until_ms };
    served.fake.state().delays = vec![delay(Kind::MailboxFull, Some(full), fake::NOW)];
    let (_, _, err) = run(&served, &["outbox"]);
    assert_eq!(
        err,
        "take one back with `chatctl cancel ID`\n\
         messages to @bob wait: the mailbox is full until they fetch what waits there; the next try is at 2023-11-14 \
         22:13:20Z\n"
    );
    let json = says(&served, &["outbox", "--json"]);
    let delays: Vec<_> =
        json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["delay"].clone()).collect();
    assert_eq!(
        delays,
        [json!({"why": "mailbox_full", "chat": "@bob", "until_ms": fake::NOW}), Value::Null],
        "what goes to carol has nothing to wait for"
    );
    served.fake.state().delays = vec![delay(Kind::RateLimited, None, fake::NOW)];
    let (_, _, err) = run(&served, &["outbox"]);
    assert!(err.contains("messages wait: the server limits how much is sent, or is busy; the next try"), "{err}");
}
