//! A short run of `make chaos`: everything is killed, nothing is lost.

use chat_stories::{Process, binaries};

fn chaos(database: &str, home: &std::path::Path) {
    let mut command = binaries::program("chaos", home);
    command.args(["--database", database, "--messages", "900", "--kills", "12"]);
    command.env("CHAT_BIN_DIR", binaries::directory());
    let outcome = Process::run_within(&format!("chaos on {database}"), command, "", 6);
    assert_eq!(outcome.code, Some(0), "{}\n{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stdout.contains(": 0 lost, 0 repeated, 0 out of order"), "{}", outcome.stdout);
}

#[test]
fn on_sqlite_nothing_is_lost_repeated_or_reordered_while_everything_is_killed() {
    let home = tempfile::tempdir().unwrap();
    chaos("sqlite", home.path());
}

#[test]
fn on_mariadb_nothing_is_lost_repeated_or_reordered_while_everything_is_killed() {
    let home = tempfile::tempdir().unwrap();
    chaos("mariadb", home.path());
}
