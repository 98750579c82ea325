//! A disk without room: the daemon lives, says so, takes nothing it cannot keep, and goes on by itself.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Instant;

use chat_stories::disk::Disk;
use chat_stories::{DEADLINE, Process, Stage, binaries};
use serde_json::json;

#[test]
fn a_full_disk_is_said_and_nothing_is_taken_that_cannot_be_kept() {
    let stage = Stage::open();
    let mut alice = stage.stranger("alice");
    let Some(disk) = Disk::mount(&alice.data()) else {
        println!("no disk may be mounted here: not told");
        return;
    };
    // its log is on the same disk
    let mut log = OpenOptions::new().create(true).append(true).open(alice.data().join("chatd.log")).unwrap();
    alice.start_logging(log.try_clone().unwrap().into());
    let _ = alice.enter("register", &stage.server.invite()).success();
    alice.turns("online");
    let mut bob = stage.member("bob");
    bob.send("@alice", "hello");
    alice.hears("@bob", "bob", "hello");

    assert!(disk.fill());
    // not even in what is left of its last block is room for a line
    while log.write(b"\n").is_ok() {}
    let long = "x".repeat(60_000);
    let unkept = bob.send("@alice", &long);
    bob.sees(&unkept, "accepted");
    let until = Instant::now() + DEADLINE;
    let health = loop {
        let health = alice.call("daemon.health", json!({})).expect("it lives, and answers");
        if health["ready"] == false {
            break health;
        }
        assert!(Instant::now() < until, "{health}");
    };
    let reason = health["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("nothing can be stored: no space left"), "{health}");
    let refused = alice.call("msg.send", json!({"to": "@bob", "text": &long})).unwrap_err();
    assert!(refused.message.contains("no space left"), "{refused:?}");
    let status = bob.call("msg.status", json!({"id": unkept})).expect("a message");
    assert_eq!(status["state"], "accepted", "acknowledged, and kept nowhere");

    disk.empty();
    alice.hears("@bob", "bob", &long);
    bob.sees(&unkept, "delivered");
    assert_eq!(alice.call("daemon.health", json!({})).expect("health")["ready"], true);
    assert_eq!(alice.history("@bob").len(), 2);
    alice.stop();
}

/// A secret as Docker and Kubernetes hand it in: a link on a read-only mount to a file that everybody may read.
fn secret(at: &Path, text: &str) -> Option<(Disk, PathBuf)> {
    let disk = Disk::mount_volume(at)?;
    fs::create_dir(at.join("..data")).unwrap();
    let (file, link) = (at.join("..data/secret"), at.join("secret"));
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    symlink("..data/secret", &link).unwrap();
    disk.seal();
    Some((disk, link))
}

#[test]
fn volumes_and_secrets_of_a_container_are_used_and_what_others_see_is_said() {
    let stage = Stage::dark();
    let mut alice = stage.stranger("alice");
    let of_server = stage.room("volume");
    let mounted = (
        Disk::mount_volume(&alice.data()),
        Disk::mount_volume(&of_server),
        secret(&stage.room("secrets"), "correct horse"),
    );
    let (Some(_data), Some(_server), Some((_secrets, passphrase))) = mounted else {
        println!("no disk may be mounted here: not told");
        return;
    };
    alice.start_with(&["--passphrase-file", passphrase.to_str().unwrap()]);
    for what in [alice.data(), passphrase.canonicalize().unwrap()] {
        let line = format!("{} ", what.display());
        alice.says("that others may look", |said| {
            said.contains("other users of this machine may look") && format!("{said} ").contains(&line)
        });
    }
    alice.stop();
    let server = |words: &[&str]| {
        let mut command = binaries::program("chat-server", &stage.room("server"));
        command.args(words).arg("--data").arg(&of_server);
        Process::start("chat-server", command)
    };
    assert_eq!(server(&["init"]).finish().code, Some(0));
    let server = server(&["run", "--listen", "127.0.0.1:0"]);
    server.line("that it listens", |line| line.contains("listening on").then_some(()));
    assert_eq!(server.stop().code, Some(0));
    for file in fs::read_dir(&of_server).unwrap().map(Result::unwrap) {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }

    fs::set_permissions(alice.data(), fs::Permissions::from_mode(0o777)).unwrap();
    let told = Process::run("chatd", alice.chatd(), "");
    assert_eq!(told.code, Some(73));
    assert!(told.stderr.contains("as in ") && !told.stderr.contains("chmod"), "{}", told.stderr);
}
