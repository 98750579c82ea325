//! Names, profiles and scopes are completed by asking chatctl, and nothing of it is obeyed.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use chat_protocol::rpc::types::FailReason;

use super::*;

/// What bash offers for a line of words, of which it replaces the last part.
fn in_bash(served: &Served, line: &str, part: &str) -> Vec<String> {
    in_bash_after("", served, line, part)
}

/// The same, when the shell has done something first.
fn in_bash_after(before: &str, served: &Served, line: &str, part: &str) -> Vec<String> {
    let file = script(served, "bash");
    let ask = format!(
        "set -u; source '{}'; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; read -r -a COMP_WORDS <<<\"$COMP_LINE\"; \
         COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); {before} _chatctl_words chatctl '{part}' ''; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        file.display()
    );
    asked(served, "bash", &["--norc", "-c", &ask])
}

/// What completes in a shell, in a file of its own.
fn script(served: &Served, shell: &str) -> PathBuf {
    let script = at(served, &["completions", shell]).output().unwrap().stdout;
    let file = served.path.with_file_name(format!("completions.{shell}"));
    std::fs::write(&file, script).unwrap();
    file
}

/// What a shell that finds chatctl prints.
fn asked(served: &Served, shell: &str, args: &[&str]) -> Vec<String> {
    let programs = Path::new(env!("CARGO_BIN_EXE_chatctl")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let home = served.path.parent().unwrap();
    let mut command = std::process::Command::new(shell);
    command.args(args).env_clear().env("PATH", path).env("CHATD_SOCKET", &served.path).env("HOME", home);
    let output =
        command.current_dir(home).output().unwrap_or_else(|error| panic!("{shell}: {error}; `make test-setup`"));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// What fish offers for a line, without what it says of each.
fn in_fish(served: &Served, line: &str) -> Vec<String> {
    let file = script(served, "fish");
    let ask = format!("source '{}'; complete -C '{line}'", file.display());
    let offered = asked(served, "fish", &["--no-config", "-c", &ask]);
    offered.into_iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

/// What becomes of each line in a zsh of its own terminal when Tab is pressed.
fn in_zsh(served: &Served, lines: &[&str]) -> Vec<String> {
    let file = script(served, "zsh");
    let ask = format!(
        r#"
            zmodload zsh/zpty; mkfifo told; exec 3<>told
            print -r -- 'PROMPT=; autoload -Uz compinit; compinit -u -D; source "{}"
                tell() {{ print -r -- "$BUFFER" > told; BUFFER= }}
                zle -N tell; bindkey "^T" tell; bindkey "^I" complete-word' > begin
            zpty shell zsh -f -i
            zpty -w shell 'source ./begin'
            for line in "$@"; do
                zpty -w -n shell "$line"$'\t\C-t'
                read -r -u 3 answer
                print -r -- "$answer"
            done
            zpty -d shell
        "#,
        file.display()
    );
    asked(served, "zsh", &[&["-f", "-c", &ask, "ask"], lines].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn zsh_and_fish_complete_verbs_options_and_names() {
    let served = serve();
    served.fake.state().online.extend(["bob".to_owned(), "alice".to_owned()]);
    let lines = [
        ("chatctl sen", "send"),
        ("chatctl device appr", "approve"),
        ("chatctl send --require-o", "--require-online"),
        ("chatctl send @b", "@bob"),
        ("chatctl contact show b", "bob"),
        ("chatctl token create x --scope adm", "admin"),
        ("chatctl listen --type message.n", "message.new"),
        ("chatctl --profile def", "default"),
    ];
    let typed: Vec<&str> = lines.iter().map(|(line, _)| *line).collect();
    let of_zsh = in_zsh(&served, &typed);
    for ((line, word), became) in lines.iter().zip(&of_zsh) {
        let (before, _) = line.rsplit_once(' ').unwrap();
        let offered = in_fish(&served, line);
        assert!(offered.contains(&(*word).to_owned()), "fish, {line}: {offered:?}");
        assert_eq!(became.trim_end(), format!("{before} {word}"), "zsh");
    }
    assert_eq!(of_zsh.len(), lines.len());
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
    assert_eq!(in_bash(&served, "chatctl listen --type message.n", "message.n"), ["message.new"]);
    assert_eq!(in_bash(&served, "chatctl listen --type=message.n", "message.n"), ["message.new"]);
    let without_a_line = "unset COMP_LINE COMP_POINT;";
    assert_eq!(in_bash_after(without_a_line, &served, "chatctl send --reply", "--reply"), ["--reply-to"]);
    assert_eq!(in_bash_after(without_a_line, &served, "chatctl send @ber", "@ber"), ["@bert"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_nobody_has_are_not_offered() {
    let served = serve();
    for (name, identity, error) in [
        ("nosuch", "new", Some(FailReason::NotFound)),
        ("new", "new", None),
        ("met", "tofu", Some(FailReason::NotFound)),
    ] {
        served.fake.receive(name, "hi");
        let mut last = served.fake.state().messages.pop().unwrap();
        last.error = error;
        let chat = json!({
            "id": format!("@{name}"), "kind": "direct", "title": "", "end_to_end": true, "unread": 0,
            "last": last, "peer": name, "identity": identity
        });
        served.fake.state().chats.push(serde_json::from_value(chat).unwrap());
    }
    assert_eq!(in_bash(&served, "chatctl send @", "@"), ["@met", "@new"]);
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
