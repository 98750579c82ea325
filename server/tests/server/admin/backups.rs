//! `backup` and `restore`: what they make, what they refuse, and in which words.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chat_server::store::copy::SCHEMA;

use super::operator::{Operator, Running, mode};

/// The line of the manifest that names the schema.
fn schema(number: usize) -> String {
    format!("\"schema\": {number}")
}

/// A operator with two adopted accounts, and its backup.
fn backed_up() -> (Operator, PathBuf) {
    let operator = Operator::set_up();
    operator.adopt(&["alice", "bob"]);
    let file = operator.root.path().join("chat.backup");
    let made = operator.run(&["backup", file.to_str().unwrap()]);
    assert_eq!(
        (made.code, made.err.as_str()),
        (0, "Everything is in ROOT/chat.backup; it holds the keys of the server: keep it as you keep them\n")
    );
    (operator, file)
}

/// A restore of this file at another operator.
fn restore(operator: &Operator, file: &Path, more: &[&str]) -> (i32, String) {
    let outcome = operator.run(&[&["restore", file.to_str().unwrap()], more].concat());
    (outcome.code, outcome.err.replace(file.to_str().unwrap(), "FILE"))
}

fn tar(words: &[&str]) -> String {
    let output = Command::new("tar").args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn backup_is_a_private_tar_file_that_any_tool_reads() {
    let (operator, file) = backed_up();
    assert_eq!(mode(&file), 0o600);
    let path = file.to_str().unwrap();
    let members: Vec<_> = tar(&["-tf", path]).lines().map(str::to_owned).collect();
    assert_eq!(members.first().map(String::as_str), Some("server.key"));
    assert_eq!(members.last().map(String::as_str), Some("manifest.json"));
    assert_eq!(tar(&["-xOf", path, "rows/chat_app.ndjson"]), "[1,\"alice\",\"x\"]\n[2,\"bob\",\"x\"]\n");
    let manifest: serde_json::Value = serde_json::from_str(&tar(&["-xOf", path, "manifest.json"])).unwrap();
    assert_eq!((&manifest["format"], &manifest["schema"]), (&1.into(), &SCHEMA.into()));
    let again = operator.run(&["backup", path]);
    assert_eq!(again.code, 73);
    assert_eq!(
        again.err,
        "Error: ROOT/chat.backup exists already\nHint: name another file: a backup never replaces one\n"
    );
    let left: Vec<_> = fs::read_dir(operator.root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "nothing else stays: {left:?}");
}

#[test]
fn restored_server_has_the_keys_the_settings_and_the_accounts() {
    let (operator, file) = backed_up();
    let other = Operator::new();
    assert_eq!(
        restore(&other, &file, &[]),
        (
            0,
            "Restored: 2 accounts, 0 waiting messages, 0 posts in the room\n\
             What happened after the backup was made is gone: README.md, \"After a restore\", says what that means\n"
                .to_owned()
        )
    );
    for name in ["server.key", "secret.key", "server.toml"] {
        assert_eq!(fs::read(other.data().join(name)).unwrap(), fs::read(operator.data().join(name)).unwrap(), "{name}");
        assert_eq!(mode(&other.data().join(name)), 0o600);
    }
    assert_eq!(other.run(&["user", "list"]).out, operator.run(&["user", "list"]).out);
    assert_eq!(other.run(&["invite"]).out, operator.run(&["invite"]).out);
    let again = restore(&other, &file, &[]);
    assert_eq!(
        again,
        (
            73,
            "Keeping the server.toml that is there\n\
             Error: the database sqlite:ROOT/data/chat.db is not empty\n\
             Hint: name an empty one: `--database URL`; or, to lose what is in it, `--force`\n"
                .to_owned()
        )
    );
}

#[test]
fn restore_over_another_server_needs_force_and_keeps_its_keys() {
    let (_operator, file) = backed_up();
    let other = Operator::set_up();
    other.adopt(&["carol"]);
    let key = fs::read(other.data().join("server.key")).unwrap();
    let (code, words) = restore(&other, &file, &[]);
    assert_eq!(code, 73);
    assert!(words.contains("Error: ROOT/data/secret.key is of another server\nHint: "), "{words}");
    assert_eq!(other.run(&["user", "list"]).out, "carol\tno devices\n", "nothing was changed");
    let (code, words) = restore(&other, &file, &["--force"]);
    assert_eq!(code, 0, "{words}");
    assert!(words.contains("Everything in sqlite:ROOT/data/chat.db is replaced\n"), "{words}");
    assert!(words.contains("What was in ROOT/data/server.key is in ROOT/data/server.key.before-restore\n"), "{words}");
    assert_eq!(fs::read(other.data().join("server.key.before-restore")).unwrap(), key);
    assert_eq!(other.run(&["user", "list"]).out, "alice\tno devices\nbob\tno devices\n");
}

#[test]
fn restore_refuses_while_a_server_runs() {
    let (operator, file) = backed_up();
    let mut server = Running::start(operator.command(&["run", "--listen", "127.0.0.1:0"]));
    let (code, words) = restore(&operator, &file, &["--force"]);
    assert_eq!(code, 75);
    assert!(words.starts_with("Error: another chat-server runs on ROOT/data\n"), "{words}");
    let beside = operator.root.path().join("beside.backup");
    assert_eq!(operator.run(&["backup", beside.to_str().unwrap()]).code, 0, "a backup works beside it");
    assert_eq!(server.stop(), Some(0));
}

/// What a command prints as it is, its exit code, and what it says.
fn through(operator: &Operator, words: &[&str], input: &[u8]) -> (Vec<u8>, i32, String) {
    let output = assert_cmd::Command::from_std(operator.command(words)).write_stdin(input).output().unwrap();
    (output.stdout, output.status.code().unwrap(), super::operator::talk(&String::from_utf8(output.stderr).unwrap()))
}

#[test]
fn dash_is_standard_output_of_a_backup_and_standard_input_of_a_restore() {
    let (operator, _file) = backed_up();
    let (archive, code, said) = through(&operator, &["backup", "-"], b"");
    assert_eq!(code, 0);
    assert_eq!(said, "Everything is on its way; it holds the keys of the server: keep it as you keep them\n");
    let left: Vec<_> = fs::read_dir(operator.root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "no file is called -: {left:?}");
    let other = Operator::new();
    let (_, code, said) = through(&other, &["restore", "-"], &archive);
    assert_eq!(code, 0, "{said}");
    assert_eq!(other.run(&["user", "list"]).out, "alice\tno devices\nbob\tno devices\n");
    let (cut, code, said) = through(&Operator::new(), &["restore", "-"], &archive[..archive.len() / 2]);
    assert_eq!((cut.len(), code), (0, 65), "{said}");
    let (archive, _, said) = through(&operator, &["backup", "-", "--json"], b"");
    let made: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((made["file"].as_str(), archive.is_empty()), (Some("-"), false), "what was made is said beside it");
}

#[test]
fn backup_whose_reader_goes_away_fails() {
    let (operator, _file) = backed_up();
    let mut command = operator.command(&["backup", "-"]);
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(74));
}

#[test]
fn backups_that_were_packed_or_encrypted_are_named_with_how_to_undo_it() {
    let (operator, file) = backed_up();
    let packed = Command::new("gzip").arg("-c").arg(&file).output().unwrap().stdout;
    let beside = operator.root.path().join("packed");
    fs::write(&beside, &packed).unwrap();
    let other = Operator::new();
    assert_eq!(
        restore(&other, &beside, &[]),
        (
            65,
            "Error: FILE is not a backup as it was made: it went through gzip\n\
             Hint: nothing was changed; undo that on the way: `gunzip -c FILE | chat-server restore -`\n"
                .to_owned()
        )
    );
    let (_, code, said) = through(&other, &["restore", "-"], &packed);
    assert_eq!(code, 65);
    assert!(
        said.starts_with("Error: standard input is not a backup")
            && said.contains("`gunzip -c | chat-server restore -`"),
        "{said}"
    );
    fs::write(&beside, "age-encryption.org/v1\n").unwrap();
    assert!(restore(&other, &beside, &[]).1.contains("`age -d FILE | chat-server restore -`"));
    assert!(!other.data().exists());
}

#[test]
fn damaged_backups_are_refused_before_anything_is_written() {
    let (operator, file) = backed_up();
    let whole = fs::read(&file).unwrap();
    let at = whole.windows(5).position(|bytes| bytes == b"alice").unwrap();
    let mut changed = whole.clone();
    changed[at] = b'A';
    let cases = [
        (changed, "Error: rows/chat_app.ndjson is damaged: it differs from what the manifest says\n"),
        (whole[..whole.len() / 2].to_vec(), "Error: not a whole backup of a chat server: "),
        (b"something else".to_vec(), "Error: not a whole backup of a chat server: "),
        (Vec::new(), "Error: not a whole backup of a chat server: its manifest is missing\n"),
    ];
    for (bytes, wanted) in cases {
        let broken = operator.root.path().join("broken");
        fs::write(&broken, bytes).unwrap();
        let other = Operator::new();
        let (code, words) = restore(&other, &broken, &[]);
        assert_eq!(code, 65, "{words}");
        assert!(words.starts_with(wanted), "{words}");
        assert!(words.ends_with("Hint: nothing was changed; take another backup\n"), "{words}");
        assert!(!other.data().exists());
    }
}

#[test]
fn atk_archives_with_foreign_members_or_versions_are_refused() {
    let (_operator, file) = backed_up();
    let root = tempfile::tempdir().unwrap();
    let unpacked = root.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let dir = unpacked.to_str().unwrap();
    tar(&["-xf", file.to_str().unwrap(), "-C", dir]);
    let names = tar(&["-tf", file.to_str().unwrap()]);
    let packed = root.path().join("packed");
    let pack = |names: &[&str]| {
        tar(&[&["-cf", packed.to_str().unwrap(), "-C", dir], names].concat());
        restore(&Operator::new(), &packed, &[])
    };
    let names: Vec<_> = names.lines().collect();
    assert_eq!(pack(&names).0, 0, "another tar made the same");
    fs::write(unpacked.join("more"), "x").unwrap();
    assert!(pack(&[&["more"], names.as_slice()].concat()).1.contains("Error: "), "a member nobody named");
    std::os::unix::fs::symlink("/etc/passwd", unpacked.join("link")).unwrap();
    assert!(pack(&[&["link"], names.as_slice()].concat()).1.contains("something in it is not a plain file"));
    assert!(pack(&names[1..]).1.contains("Error: "), "without the server's key");
    fs::write(unpacked.join("a\u{1b}[2Jb"), "x").unwrap();
    let words = pack(&[&["a\u{1b}[2Jb"], names.as_slice()].concat()).1;
    assert!(words.contains("a\\u{1b}[2Jb") && !words.contains('\u{1b}'), "atk_61: {words}");
    let manifest = fs::read_to_string(unpacked.join("manifest.json")).unwrap();
    let hostile = manifest
        .replace("\"version\": \"", "\"version\": \"\\u001b]0;\u{9b}")
        .replace(&schema(SCHEMA), &schema(SCHEMA + 2));
    fs::write(unpacked.join("manifest.json"), hostile).unwrap();
    let words = pack(&names).1;
    assert!(
        words.contains("chat-server \\u{1b}]0;\\u{9b}") && !words.contains(['\u{1b}', '\u{9b}']),
        "atk_61: {words}"
    );
    fs::write(unpacked.join("manifest.json"), manifest.replace(&schema(SCHEMA), &schema(SCHEMA + 1))).unwrap();
    let (code, words) = pack(&names);
    assert_eq!(code, 65);
    let told =
        format!("for schema {}; this program restores schema {SCHEMA}\nHint: restore it with chat-server ", SCHEMA + 1);
    assert!(words.contains(&told), "{words}");
}
