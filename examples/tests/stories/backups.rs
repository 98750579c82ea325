//! A server is lost and restored from its backup; people go on talking.

use std::fs;
use std::path::PathBuf;

use chat_stories::{Database, Stage};

/// A backup of the stage's server, made beside it.
fn backup(stage: &Stage) -> PathBuf {
    let file = stage.room("backups").join("chat.backup");
    let _ = stage.server.admin(&["backup", file.to_str().unwrap()]).success();
    file
}

/// The server's disk is gone; another one gets the backup.
fn lose_and_restore(stage: &mut Stage, file: &std::path::Path) {
    stage.server.kill();
    fs::rename(stage.server.data(), stage.room("lost").join("data")).unwrap();
    let _ = stage.server.admin(&["restore", file.to_str().unwrap()]).success();
    stage.server.start();
}

#[test]
fn people_go_on_talking_after_a_restore_and_nothing_of_the_backup_is_lost() {
    let mut stage = Stage::open();
    let (mut alice, mut bob, mut carol) = (stage.member("alice"), stage.member("bob"), stage.member("carol"));
    alice.send("@bob", "one");
    bob.hears("@alice", "alice", "one");
    alice.send("@carol", "read this when you are back");
    carol.hears("@alice", "alice", "read this when you are back");
    carol.stop();
    let waiting = alice.send("@carol", "and this");
    alice.sees(&waiting, "accepted");
    alice.send("room:public", "in the backup");
    bob.hears("room:public", "alice", "in the backup");
    let file = backup(&stage);
    for n in 0..20 {
        alice.send("@bob", &format!("after the backup {n}"));
        alice.send("room:public", &format!("post after the backup {n}"));
    }
    bob.hears("@alice", "alice", "after the backup 19");
    bob.hears("room:public", "alice", "post after the backup 19");

    lose_and_restore(&mut stage, &file);
    carol.start();
    carol.hears("@alice", "alice", "and this");
    for n in 0..5 {
        let id = alice.send("@bob", &format!("after the restore {n}"));
        alice.send("room:public", &format!("post after the restore {n}"));
        bob.hears("@alice", "alice", &format!("after the restore {n}"));
        bob.hears("room:public", "alice", &format!("post after the restore {n}"));
        alice.sees(&id, "delivered");
    }
    bob.send("@alice", "I am here too");
    alice.hears("@bob", "bob", "I am here too");
    assert_eq!(bob.history("@alice").len(), 27, "each once: {:?}", bob.history("@alice"));
    assert_eq!(bob.history("room:public").len(), 26, "{:?}", bob.history("room:public"));
    for (who, person) in [("alice", &alice), ("bob", &bob), ("carol", &carol)] {
        let undecryptable = person.events().iter().filter(|event| event["type"] == "message.undecryptable").count();
        assert_eq!(undecryptable, 0, "{who}: {:?}", person.events());
    }
    let mut dave = stage.member("dave");
    dave.send("@bob", "a session that begins after the restore");
    bob.hears("@dave", "dave", "a session that begins after the restore");
}

#[test]
fn server_moves_from_sqlite_to_mariadb_by_its_backup() {
    let mut stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    alice.send("@bob", "on SQLite");
    bob.hears("@alice", "alice", "on SQLite");
    bob.stop();
    let waiting = alice.send("@bob", "on the way");
    alice.sees(&waiting, "accepted");
    stage.server.stop();
    let file = backup(&stage);
    let database = Database::start("");
    stage.server.use_database(&database.url());
    lose_and_restore(&mut stage, &file);
    bob.start();
    bob.hears("@alice", "alice", "on the way");
    alice.online();
    alice.send("@bob", "on MariaDB");
    bob.hears("@alice", "alice", "on MariaDB");
    assert_eq!(bob.history("@alice").len(), 3);
    assert_eq!(database.query("SELECT username FROM chat_app ORDER BY id"), "alice\nbob\n");
}
