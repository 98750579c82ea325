//! Names, profiles and scopes are completed by asking chatctl, and nothing of it is obeyed.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::time::Duration;

use super::*;

/// What bash offers for a line of words, of which it replaces the last part.
fn in_bash(served: &Served, line: &str, part: &str) -> Vec<String> {
    in_bash_after("", served, line, part)
}

/// The same, when the shell has done something first.
fn in_bash_after(before: &str, served: &Served, line: &str, part: &str) -> Vec<String> {
    let script = String::from_utf8(at(served, &["completions", "bash"]).output().unwrap().stdout).unwrap();
    let file = served.path.with_file_name("completions.bash");
    std::fs::write(&file, script).unwrap();
    let ask = format!(
        "set -u; source '{}'; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; read -r -a COMP_WORDS <<<\"$COMP_LINE\"; \
         COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); {before} _chatctl_words chatctl '{part}' ''; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        file.display()
    );
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_chatctl")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut bash = std::process::Command::new("bash");
    bash.args(["--norc", "-c", &ask]).env_clear().env("PATH", path).env("CHATD_SOCKET", &served.path);
    let output = bash.output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_completes_names_scopes_and_options() {
    let served = serve();
    served.fake.state().online.extend(["bob".to_owned(), "bert".to_owned(), "alice".to_owned()]);
    says(&served, &["contact", "set", "@carol", "--note", "tea"]);
    assert_eq!(in_bash(&served, "chatctl send @b", "@b"), ["@bert", "@bob"]);
    assert_eq!(in_bash(&served, "chatctl send @b", "b"), ["bert", "bob"], "where bash takes @ for the end of a word");
    assert_eq!(in_bash(&served, "chatctl send room:p", "p"), ["public"]);
    assert_eq!(in_bash(&served, "chatctl contact show ca", "ca"), ["carol"]);
    assert_eq!(in_bash(&served, "chatctl search x --chat=@bo", "@bo"), ["@bob"]);
    assert_eq!(in_bash(&served, "chatctl token create x --scope send,rea", "send,rea").len(), 3);
    assert_eq!(in_bash(&served, "chatctl send --reply", "--reply"), ["--reply-to"], "what clap knows is still there");
    let without_a_line = "unset COMP_LINE COMP_POINT;";
    assert_eq!(in_bash_after(without_a_line, &served, "chatctl send --reply", "--reply"), ["--reply-to"]);
    assert_eq!(in_bash_after(without_a_line, &served, "chatctl send @ber", "@ber"), ["@bert"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_is_completed_for_the_daemon_that_it_names_and_in_silence() {
    let served = serve();
    served.fake.state().online.insert("bob".to_owned());
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("chatd")).unwrap();
    for name in ["work.toml", "work.bak", "$(reboot).toml"] {
        std::fs::write(home.path().join("chatd").join(name), "").unwrap();
    }
    let complete = |words: &[&str]| {
        let mut command = Command::cargo_bin("chatctl").unwrap();
        command.env_clear().env("XDG_CONFIG_HOME", home.path()).env("HOME", home.path());
        let output = command.args(["complete", "--", "chatctl"]).args(words).output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{words:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let socket = served.path.to_str().unwrap();
    assert_eq!(complete(&["--socket", socket, "send", "@"]), "@bob\n");
    assert_eq!(complete(&["send", "@"]), "", "no daemon, no names");
    assert_eq!(complete(&["--profile", "w"]), "work\n");
    assert_eq!(complete(&["--profile", ""]), "default\nwork\n");
    assert_eq!(complete(&["send", "@bob", "te"]), "");
}

/// What is offered at this socket with this token and standard input; nothing if it hangs.
async fn completed(socket: &std::path::Path, token: &str, stdin: impl Into<Stdio>) -> Option<String> {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_chatctl"));
    command.args(["complete", "--", "chatctl", "send", ""]).env_clear().kill_on_drop(true).stdin(stdin);
    command.env("CHATD_SOCKET", socket).env("CHATD_TOKEN_FILE", token);
    let output = tokio::time::timeout(Duration::from_secs(20), command.output()).await.ok()?.unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn a_daemon_that_does_not_answer_holds_up_no_shell() {
    let room = tempfile::tempdir().unwrap();
    let (socket, token) = (room.path().join("socket"), room.path().join("token"));
    let _silent = UnixListener::bind(&socket).unwrap();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(&token).unwrap().write_all(b"a token\n").unwrap();
    // connected is it by the kernel; nobody takes the token
    let offered = completed(&socket, token.to_str().unwrap(), Stdio::null()).await.expect("the shell hangs");
    assert!(offered.contains("room:public"), "{offered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn completing_takes_nothing_from_the_input_of_the_shell() {
    let served = serve();
    served.fake.state().online.insert("bob".to_owned());
    for token in ["-", "/dev/stdin"] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"what is typed next\n").unwrap();
        drop(writer);
        let offered = completed(&served.path, token, reader.try_clone().unwrap()).await.expect("it waits for a line");
        assert!(!offered.contains("bob"), "with whose rights? {offered}");
        let mut left = String::new();
        std::io::Read::read_to_string(&mut { reader }, &mut left).unwrap();
        assert_eq!(left, "what is typed next\n", "{token}");
    }
}
