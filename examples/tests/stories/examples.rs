//! The examples do what they promise.

use std::fs;
use std::process::Command;

use chat_stories::{Person, Process, Stage, binaries};

fn bot(owner: &Person) -> Process {
    let mut command = Command::new("python3");
    command.env_clear().env("PATH", std::env::var("PATH").unwrap());
    command.arg(binaries::repository().join("examples/echo_bot.py"));
    command.arg(owner.data().join("chat.sock"));
    let bot = Process::start("echo_bot.py", command);
    bot.line("that it listens", |line| (line == "listening").then_some(()));
    bot
}

#[test]
fn the_echo_bot_answers_and_goes_on_where_it_was() {
    let stage = Stage::open();
    let (mut alice, mut echo) = (stage.member("alice"), stage.member("echo"));
    let first = bot(&echo);
    alice.send("@echo", "hello, bot");
    alice.hears("@echo", "echo", "hello, bot");
    first.kill();
    alice.send("@echo", "while you slept");
    echo.hears("@alice", "alice", "while you slept");
    let second = bot(&echo);
    alice.hears("@echo", "echo", "while you slept");
    echo.kill();
    second.line("that it lost its daemon", |line| line.contains("trying again").then_some(()));
    alice.send("@echo", "and now?");
    echo.start();
    alice.hears("@echo", "echo", "and now?");
    assert_eq!(alice.history("@echo").len(), 6, "each was answered once");
}

fn reminder(owner: &Person, stage: &Stage) -> Process {
    let mut command = binaries::program("reminder-bot", &stage.room("reminder"));
    command.arg(owner.data().join("chat.sock"));
    let bot = Process::start("reminder-bot", command);
    bot.line("that it listens", |line| (line == "listening").then_some(()));
    bot
}

#[test]
fn the_rust_bot_reminds_once_although_it_is_killed_in_between() {
    let stage = Stage::open();
    let (mut alice, owner) = (stage.member("alice"), stage.member("reminder"));
    let first = reminder(&owner, &stage);
    alice.send("@reminder", "/remind 2s tea is ready");
    alice.hears("@reminder", "reminder", "I will remind you in 2s");
    first.kill();
    let _second = reminder(&owner, &stage);
    alice.hears("@reminder", "reminder", "tea is ready");
    alice.send("@reminder", "/remind tea");
    alice.event("the explanation", |event| {
        event["data"]["text"].as_str().is_some_and(|text| text.starts_with("write for example"))
    });
    assert_eq!(alice.history("@reminder").len(), 5, "each was answered once");
}

#[test]
fn the_alert_is_sent_once_a_day_and_only_above_its_limit() {
    let stage = Stage::open();
    let (monitor, mut ops) = (stage.member("monitor"), stage.member("ops"));
    let alert = |limit: &str| {
        let mut command = binaries::script("alert.sh", &stage.room("monitor"));
        command.env("CHATD_DATA_DIR", monitor.data()).args(["@ops", limit, "/"]);
        let outcome = Process::run("alert.sh", command, "");
        assert_eq!(outcome.clone().success(), "", "cron mails whatever is printed");
        assert_eq!(outcome.stderr, "", "cron mails whatever is printed");
    };
    alert("101");
    alert("0");
    alert("0");
    let end = monitor.ctl(&["send", "@ops", "that was all"]);
    let _ = end.success();
    ops.hears("@monitor", "monitor", "that was all");
    let history = ops.history("@monitor");
    assert_eq!(history.len(), 2, "{history:?}");
    assert!(history[0].contains("more than 0 % full"), "{history:?}");
}

#[test]
fn the_quickstart_shows_everything_and_leaves_nothing() {
    let stage = Stage::dark();
    let home = stage.room("visitor");
    let mut command = binaries::script("quickstart.sh", &home);
    command.env("CHAT_BIN_DIR", binaries::directory());
    let shown = Process::run("quickstart.sh", command, "").success();
    for words in ["alice", "bob", "room:public", "gAAAAA", "chatctl"] {
        assert!(shown.contains(words), "`{words}` is missing in:\n{shown}");
    }
    let left: Vec<_> = fs::read_dir(&home).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
