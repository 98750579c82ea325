//! Tokens are made, shown once, used from private files, and ended.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_printed_alone_and_its_rights_are_told_beside() {
    let served = serve();
    let args = ["token", "create", "deploy", "--scope", "send,react", "--allow-to", "@bob", "--expires", "30d"];
    let (code, out, err) = run(&served, &[&args[..], &["--chat", "@bob", "--rate", "6"]].concat());
    assert_eq!((code, out.lines().count()), (0, 1), "{err}");
    assert!(
        err.starts_with("token deploy: send,react; only in @bob; writes only to @bob; 6 calls a minute; until 20"),
        "{err}"
    );
    let listed = says(&served, &["token", "list"]);
    assert!(listed.starts_with("deploy  send,react  only in @bob  writes only to @bob  6 calls a minute  until "));
    assert!(!listed.contains(out.trim()), "it is shown once");
    assert_eq!(run(&served, &["token", "create", "deploy", "--scope", "send"]).0, 66);
    assert_eq!(says(&served, &["token", "revoke", "deploy"]), "revoked\n");
    assert_eq!(says(&served, &["token", "list"]), "");
    for wrong in [&["token", "create", "x"][..], &["token", "create", "x", "--scope", "owner"]] {
        assert_eq!(run(&served, wrong).0, 64, "{wrong:?}");
    }
    let (_, _, err) = run(&served, &["token", "create", "mute", "--scope", "send", "--allow-to-nobody"]);
    assert!(err.contains("writes only to nobody"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_a_private_file_opens_what_it_says_and_nothing_else() {
    let served = serve();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let file = path.to_str().unwrap();
    let (code, out, err) = run(&served, &["token", "create", "bot", "--scope", "send", "--out", file]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(says(&served, &["--token-file", file, "send", "@bob", "hi"]).starts_with("queued to @bob"));
    let mut denied = at(&served, &["history", "@bob"]);
    assert_eq!(denied.env("CHATD_TOKEN_FILE", file).output().unwrap().status.code(), Some(77));
    let audit = says(&served, &["audit"]);
    let lines: Vec<_> = audit.lines().map(|line| line.split("  ").skip(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines, ["bot msg.list  refused: forbidden_scope", "bot msg.send @bob allowed"]);
    assert_eq!(
        run(&served, &["token", "create", "other", "--scope", "send", "--out", file]).0,
        73,
        "nothing is overwritten"
    );
    assert!(!says(&served, &["token", "list"]).contains("other"), "and no token is made that nobody can read");
}

#[tokio::test(flavor = "multi_thread")]
async fn atk_63_a_token_file_that_others_can_read_is_not_used() {
    let served = serve();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "whatever\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let file = path.to_str().unwrap();
    let (code, _, err) = run(&served, &["--token-file", file, "who"]);
    assert_eq!(code, 77);
    assert!(err.contains(&format!("Hint: protect it with `chmod 600 {file}`")), "{err}");
    let (_, out, _) = run(&served, &["--token-file", file, "doctor"]);
    assert!(out.contains(&format!("WRONG  the token in {file} is open to others\n       mend it: chmod 600 {file}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn atk_62_a_token_is_taken_from_no_argument_and_no_variable() {
    let served = serve();
    let canary = "canary-9c1b";
    assert_eq!(run(&served, &["who", "--token", canary]).0, 64);
    let hello = format!(r#"{{"api":"1","client":"x","token":"{canary}"}}"#);
    let (code, _, err) = run(&served, &["rpc", "hello", &hello]);
    assert!(code == 64 && !err.contains(canary), "{err}");
    assert_eq!(run(&served, &["rpc", "audit.list", r#"{"token":"deploy"}"#]).0, 0, "there it is a name");
    let mut command = at(&served, &["who"]);
    assert_eq!(command.env("CHATD_TOKEN", canary).output().unwrap().status.code(), Some(0), "it means nothing");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, canary).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (code, out, err) = run(&served, &["--token-file", path.to_str().unwrap(), "who"]);
    assert_eq!(code, 77);
    assert!(!(out + &err).contains(canary));
}
