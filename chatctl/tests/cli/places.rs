//! Where a daemon is looked for, and what is said when it is not there.

use std::io::Read;
use std::path::Path;

use chat_protocol::rpc::paths::{LOCK, SOCKET_SIGN};
use serde_json::{Value, json};

use super::fake::serve;
use super::{chatctl, file, private, stderr, stdout};

#[test]
fn without_a_daemon_the_error_says_how_to_start_it() {
    let run = |args: &[&str]| {
        let output = chatctl(args).output().unwrap();
        (output.status.code(), stdout(&output), stderr(&output))
    };
    let (code, out, err) = run(&["status", "--socket", "/nonexistent/chatd/default.sock"]);
    assert_eq!((code, out.as_str()), (Some(69), ""));
    assert_eq!(
        err,
        "Error: chatd is not running\n\
         Caused by: /nonexistent/chatd/default.sock: no such file or directory\n\
         Hint: start it with `chatd`, or `systemctl --user start chatd`\n"
    );
    let (_, _, err) = run(&["who", "--profile", "work", "--socket", "/nonexistent/x.sock"]);
    assert!(err.ends_with("Hint: start it with `chatd --profile work`\n"), "{err}");
    for verb in [&["register", "alice"][..], &["login", "alice"], &["send", "@bob", "hi"], &["listen"], &["logout"]] {
        let (code, _, err) = run(&[verb, &["--socket", "/nonexistent/x.sock"]].concat());
        assert_eq!(code, Some(69), "{verb:?}: {err}");
    }
    let (_, _, err) = run(&["who", "--json", "--socket", "/nonexistent/x.sock"]);
    let told: Value = serde_json::from_str(&err).unwrap();
    assert_eq!((&told["error"]["exit_code"], &told["error"]["data"]["kind"]), (&json!(69), &json!("not_running")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_names_a_wrong_socket_is_told_the_right_one_of_a_daemon_that_runs() {
    let (dir, served) = (tempfile::tempdir().unwrap(), serve());
    // as a daemon leaves them: its process, and where it answers
    let mut daemon = named_chatd(dir.path());
    private(dir.path(), SOCKET_SIGN, &format!("{}\n", served.path.display()));
    let data = dir.path().to_str().unwrap();
    let output = chatctl(&["status", "--data-dir", data, "--socket", "/nonexistent/x.sock"]).output().unwrap();
    let hint = format!("answers elsewhere: `chatctl --socket {} status`\n", served.path.display());
    assert!(stderr(&output).ends_with(&hint) && !stderr(&output).contains("kill"), "{}", stderr(&output));
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

/// A process that has the name of the daemon and its lock, and nothing else of it.
fn named_chatd(data: &Path) -> std::process::Child {
    let lock = private(data, LOCK, "");
    let mut daemon = std::process::Command::new("bash");
    daemon.args(["-c", "echo -n chatd > /proc/$$/comm; exec 9< \"$0\"; echo; read", &lock]);
    daemon.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut daemon = daemon.spawn().unwrap();
    daemon.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    std::fs::write(lock, format!("{}\n", daemon.id())).unwrap();
    daemon
}

#[test]
fn a_daemon_that_ended_is_not_called_running_and_one_that_runs_is_not_called_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = named_chatd(dir.path());
    let status = || stderr(&chatctl(&["status", "--data-dir", dir.path().to_str().unwrap()]).output().unwrap());
    // its socket went with the runtime directory, and the new one is not there yet
    let told = status();
    assert!(told.starts_with("Error: chatd does not answer there\n"), "{told}");
    assert!(told.contains(&format!("Hint: chatd runs as process {}, ", daemon.id())), "{told}");
    daemon.kill().unwrap();
    // it ends, and nobody has waited for it
    let process = rustix::process::Pid::from_child(&daemon);
    let ended = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(process), ended).unwrap();
    let told = status();
    assert!(told.starts_with("Error: chatd is not running\n") && !told.contains("kill"), "{told}");
    daemon.wait().unwrap();
}

#[test]
fn a_daemon_started_with_another_data_home_is_named() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("elsewhere/chatd/namesake");
    std::fs::create_dir_all(&data).unwrap();
    let mut daemon = named_chatd(&data);
    let looks = |args: &[&str]| stderr(&chatctl(args).env("HOME", home.path()).output().unwrap());
    let told = looks(&["status", "--profile", "namesake"]);
    let hint = format!("process {} with other data", daemon.id());
    assert!(
        told.contains(&hint) && told.contains(&format!("`chatctl --data-dir {} status`", data.display())),
        "{told}"
    );
    for other in [&["status", "--profile", "another"][..], &["status", "--profile", "namesake", "--data-dir", "/x"]] {
        assert!(!looks(other).contains("other data"), "{other:?}");
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_in_the_file_of_the_daemon_is_found() {
    let served = serve();
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("chatd")).unwrap();
    let text = format!("log = \"debug\"\nsocket = {:?}\n", served.path);
    let path = file(&home.path().join("chatd"), "bot.toml", &text, 0o644);
    let who = |args: &[&str]| chatctl(args).env("XDG_CONFIG_HOME", home.path()).output().unwrap();
    assert_eq!(who(&["who", "--profile", "bot"]).status.code(), Some(0));
    assert_eq!(who(&["who", "--config", path.to_str().unwrap()]).status.code(), Some(0));
    assert_eq!(who(&["who"]).status.code(), Some(69), "another profile has another file");
    // a data directory that was named has its own socket
    assert_eq!(who(&["who", "--profile", "bot", "--data-dir", "/nowhere"]).status.code(), Some(69));
}
