//! What is said of an account that is not ready, and what every verb says when it fails: each names what helps then.

use chat_protocol::rpc::types::{AccountState, AccountStatusAnswer, ConnectionState, ConnectionTrouble};
use chat_protocol::rpc::{Kind, RpcError};

use super::*;

/// The account of alice on this device, in this state.
fn account(state: AccountState) -> AccountStatusAnswer {
    AccountStatusAnswer {
        state,
        user: Some(fake::user("alice")),
        server: Some("chat.example:8897".to_owned()),
        device_id: None,
        fingerprint: None,
        reset_at_ms: None,
        own_reset_at_ms: None,
        digits: None,
        confirmed: None,
        requests: 0,
    }
}

fn password(served: &Served) -> String {
    let path = served.path.with_file_name("password");
    std::fs::write(&path, fake::PASSWORD).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_the_only_device_reads_of_reset_wherever_it_asks() {
    let served = serve();
    let waits = Kind::ApprovalRequired.into();
    served.fake.state().enrolment = Some(waits);
    let password = password(&served);
    let (code, _, err) = run(&served, &["login", "alice", "--password-file", &password]);
    assert!(code == 77 && err.contains("`chatctl reset NAME`"), "{err}");
    for state in [AccountState::ApprovalRequired, AccountState::Refused, AccountState::Revoked] {
        served.fake.state().account = Some(account(state));
        let (_, out, err) = run(&served, &["doctor"]);
        assert!((out + &err).contains("chatctl reset alice"), "doctor, {state:?}");
        if state != AccountState::Revoked {
            let (_, out, err) = run(&served, &["status"]);
            assert!((out + &err).contains("`chatctl reset alice`"), "status, {state:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_that_waits_has_a_code_of_its_own_and_is_shown_until_it_is_done() {
    let served = serve();
    let password = password(&served);
    let (code, out, err) = run(&served, &["reset", "alice", "--confirm", "alice", "--password-file", &password]);
    assert_eq!((code, out.as_str()), (79, ""));
    assert!(err.starts_with("Error: the reset waits until 2023-11-14"), "{err}");
    let (code, out, err) =
        run(&served, &["reset", "alice", "--confirm", "alice", "--password-file", &password, "--json"]);
    let (answer, told): (Value, Value) = (serde_json::from_str(&out).unwrap(), serde_json::from_str(&err).unwrap());
    assert_eq!((code, &answer["state"]), (79, &json!("waiting")));
    assert_eq!((&told["error"]["data"]["kind"], &told["error"]["exit_code"]), (&json!("reset_waits"), &json!(79)));
    for state in [AccountState::Unfinished, AccountState::ApprovalRequired, AccountState::LoggedOut] {
        served.fake.state().account = Some(AccountStatusAnswer { own_reset_at_ms: Some(fake::NOW), ..account(state) });
        let (_, out, _) = run(&served, &["status"]);
        assert!(out.contains("waits until 2023-11-14"), "{out}");
        let (_, out, _) = run(&served, &["doctor"]);
        assert_eq!(out.matches("waits until 2023-11-14").count(), 1, "{out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_verb_says_of_a_logged_out_account_that_there_is_none() {
    let served = serve();
    served.fake.state().account = Some(account(AccountState::LoggedOut));
    for verb in ["status", "doctor"] {
        let (_, out, err) = run(&served, &[verb]);
        let said = out + &err;
        assert!(said.contains("chatctl login alice") && !said.contains("no account"), "{verb}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entrance_that_did_not_reach_the_server_is_said_to_be_over() {
    let served = serve();
    let password = password(&served);
    served.fake.state().enrolment = Some(RpcError::new(Kind::ServerUnreachable, "cannot reach 127.0.0.1:9"));
    for verb in ["register", "login"] {
        let args = [verb, "alice", "--server", "h:1", "--server-key", "k", "--secret-key-file", "f"];
        let (code, _, err) = run(&served, &[&args[..], &["--password-file", &password]].concat());
        assert!(code == 69 && err.contains("say the same again") && !err.contains("keeps trying"), "{verb}: {err}");
    }
    served.fake.state().refuses.insert("bob".to_owned(), Kind::ServerUnreachable.into());
    let (_, _, err) = run(&served, &["send", "@bob", "hi", "--json"]);
    let told: Value = serde_json::from_str(&err).unwrap();
    let hint = told["error"]["data"]["hint"].as_str().unwrap();
    assert!(hint.contains("chatd goes on trying to connect"), "JSON has the hint too: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_there_already_has_nothing_to_do_with_logging_in() {
    let served = serve();
    let taken = served.path.with_file_name("taken");
    std::fs::write(&taken, "").unwrap();
    let (code, _, err) = run(&served, &["export", taken.to_str().unwrap()]);
    let shown = taken.display();
    assert_eq!(
        (code, err),
        (
            73,
            format!(
                "Error: cannot make {shown}\nCaused by: there is a file of that name already\n\
                 Hint: name a file that is not there yet, or remove that one first\n"
            )
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_too_long_says_how_long_it_is_and_what_fits() {
    let served = serve();
    for (text, bytes) in [("🦊".repeat(16_000), 64_000), ("a".repeat(61_441), 61_441), ("é".repeat(31_000), 62_000)]
    {
        let output = at(&served, &["send", "@bob", "-"]).write_stdin(text).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(75), "{err}");
        let wanted = format!("Error: the text has {bytes} bytes, and at most 61440 fit into a message\n");
        assert!(err.starts_with(&wanted), "{err}");
    }
    let output = at(&served, &["rpc", "msg.send", "-"]).write_stdin("🦊".repeat(300_000)).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.starts_with("Error: the parameters have 1200000 bytes, and at most 1048576 fit into a call\n"),
        "{err}"
    );
    let output = at(&served, &["send", "@bob", "-"]).write_stdin(vec![0xff]).output().unwrap();
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .starts_with("Error: the text is not UTF-8: `iconv -t UTF-8` makes it that\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_none_offers_only_what_there_is() {
    let served = serve();
    for target in ["#ops", "bob", "chat:1"] {
        let (code, _, err) = run(&served, &["send", target, "hi"]);
        assert!(code == 64 && err.contains("write `@user`, `room:public` or `self`"), "{err}");
        assert!(!err.contains("#group") && !err.contains("chat's id"), "{err}");
    }
}

/// What doctor finds wrong and how it is mended, as one text.
fn wrong(served: &Served) -> String {
    let (_, out, _) = run(served, &["doctor"]);
    let lines: Vec<_> = out.lines().skip_while(|line| !line.starts_with("WRONG")).take(2).collect();
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_what_keeps_the_server_away_and_what_mends_that() {
    let served = serve();
    served.fake.state().info.data_dir = served.path.parent().unwrap().to_str().unwrap().to_owned();
    let mut connection = served.fake.state().health.connection.clone();
    connection.state = ConnectionState::Offline;
    for (trouble, mend) in [
        (Some(ConnectionTrouble::Unreachable), "can be reached from here"),
        (Some(ConnectionTrouble::Keys), "chatctl login alice --invite-file FILE"),
        (Some(ConnectionTrouble::Incompatible), "install the version of chatd that the server speaks"),
        (Some(ConnectionTrouble::Lost), "chatctl rpc net.kick"),
        (None, "chatctl rpc net.kick"),
    ] {
        connection.trouble = trouble;
        served.fake.state().health.connection = connection.clone();
        let said = wrong(&served);
        assert!(said.contains(mend), "{trouble:?}: {said}");
        assert_eq!(said.contains("can be reached"), trouble == Some(ConnectionTrouble::Unreachable), "{said}");
    }
    served.fake.state().health.store.failure = Some("no space left for the database".to_owned());
    let said = wrong(&served);
    assert!(said.contains("no space left for the database") && said.contains("make room there"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_are_deleted_only_for_who_says_so_twice() {
    let served = serve();
    let (code, out, err) = run(&served, &["logout", "--forget-keys"]);
    assert_eq!((code, out.as_str()), (64, ""));
    assert!(err.contains("`chatctl logout --forget-keys --yes`"), "{err}");
    let asked = terminal::typed(&served, &["logout", "--forget-keys"], "no\n");
    assert!(asked.contains("Type yes to delete them") && asked.contains("nothing was deleted"), "{asked}");
    assert!(served.fake.state().logged_in);
    let asked = terminal::typed(&served, &["logout", "--forget-keys"], "yes\n");
    assert!(asked.ends_with("logged out\n") && !served.fake.state().logged_in, "{asked}");
    assert_eq!(says(&served, &["logout", "--forget-keys", "--yes"]), "logged out\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_of_a_revoked_device_works_as_it_is_written() {
    let served = serve();
    served.fake.state().account = Some(account(AccountState::Revoked));
    for verb in ["status", "doctor"] {
        let (_, out, err) = run(&served, &[verb]);
        let said = out + &err;
        assert!(said.contains("chatctl logout --forget-keys --yes") && said.contains("chatctl login alice"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_that_are_missing_are_asked_for_at_once_or_named_at_once() {
    let served = serve();
    let output = at(&served, &["passwd", "--password-stdin"]).write_stdin("only one line\n").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), err.contains("no line with the new password")), (Some(64), true), "{err}");
    let old = password(&served);
    for args in [&["passwd"][..], &["passwd", "--password-file", &old]] {
        let (code, _, err) = run(&served, args);
        assert_eq!(code, 64);
        let flags = ["--password-file", "--new-password-file", "--password-stdin"];
        assert!(flags.iter().all(|flag| err.contains(flag)), "{err}");
    }
    assert!(served.fake.state().secrets.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_would_be_refused_is_not_to_be_typed_twice() {
    let served = serve();
    let invite = password(&served);
    let shown = terminal::typed(&served, &["register", "alice", "--invite-file", &invite], "short\n");
    assert!(shown.contains("at least 8 bytes, this one is 5 long") && !shown.contains("Password again"), "{shown}");
    assert!(!shown.contains("the invite"), "the invite is not what is wrong: {shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_an_entrance_is_the_parameter_that_is_named() {
    let served = serve();
    let password = password(&served);
    for (path, word) in
        [("password", "another password"), ("confirm", "--confirm NAME"), ("invite", "chat-server invite")]
    {
        served.fake.state().enrolment = Some(RpcError::invalid(path, "not so"));
        let (code, _, err) = run(&served, &["login", "alice", "--password-file", &password]);
        assert!(code == 64 && err.contains(word), "{path}: {err}");
        assert_eq!(err.contains("chat-server invite"), path == "invite", "{path}: {err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_parameter_names_the_verb_that_was_said() {
    let served = serve();
    served.fake.state().refuses.insert("bob".to_owned(), RpcError::invalid("ttl_s", "not here"));
    let (code, _, err) = run(&served, &["send", "@bob", "hi"]);
    assert!(code == 64 && err.ends_with("Hint: `chatctl help send` shows what can be said\n"), "{err}");
    let (code, _, err) = run(&served, &["token", "create", "ci", "--rate", "0"]);
    assert!(code == 64 && !err.contains("VERB"), "{err}");
    let (code, _, err) = run(&served, &["passwd"]);
    assert!(code == 64 && !err.contains("`chatctl help`"), "{err}");
    let (code, _, err) = run(&served, &["listen", "--type", "message.nwe"]);
    assert!(code == 64 && err.contains("message.new") && err.contains("presence"), "{err}");
}
