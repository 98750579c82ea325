//! The Python package and its bots, on the real programs: killed where it hurts, they answer everything once.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Instant;

use chat_stories::{DEADLINE, Person, Process, Stage, binaries};
use serde_json::{Value, json};

/// A Python that knows nothing of the tester's own, and leaves nothing beside the sources.
fn python() -> Command {
    let mut command = Command::new("python3");
    command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("PYTHONDONTWRITEBYTECODE", "1");
    command.current_dir(binaries::repository().join("examples/python"));
    command
}

#[test]
fn the_package_passes_its_own_tests() {
    let tests = binaries::repository().join("examples/python/tests");
    let names = fs::read_dir(tests).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut modules: Vec<_> = names.filter(|name| name.starts_with("test_") && name.ends_with(".py")).collect();
    modules.sort();
    assert!(!modules.is_empty());
    for module in modules {
        let mut command = python();
        command.args(["-m", "unittest", &format!("tests.{}", module.trim_end_matches(".py"))]);
        let outcome = Process::run(&module, command, "");
        assert_eq!(outcome.code, Some(0), "{module}:\n{}", outcome.stderr);
    }
}

/// One of the bots, on its owner's daemon.
fn bot(owner: &Person, script: &str, words: &[&str]) -> Process {
    let mut command = python();
    command.env("CHATD_DATA_DIR", owner.data()).arg(script).args(words);
    let bot = Process::start(script, command);
    bot.line("that it listens", |line| line.contains("listen").then_some(()));
    bot
}

fn answers(history: &[String]) -> Vec<&str> {
    history.iter().filter_map(|line| line.strip_prefix("robot: ")).collect()
}

#[test]
fn a_bot_killed_among_many_messages_answers_each_once() {
    let stage = Stage::open();
    let (mut alice, mut robot) = (stage.member("alice"), stage.member("robot"));
    let mut echo = bot(&robot, "echo_bot.py", &[]);
    let texts: Vec<_> = (0..200).map(|number| format!("text {number}")).collect();
    let sends = texts.iter().map(|text| json!({"to": "@robot", "text": text})).collect();
    assert!(alice.pipeline("msg.send", sends).iter().all(Result::is_ok));
    for point in ["text 20", "text 60", "text 100"] {
        alice.hears("@robot", "robot", point);
        echo.kill();
        echo = bot(&robot, "echo_bot.py", &[]);
    }
    alice.hears("@robot", "robot", "text 120");
    robot.kill();
    robot.start();
    alice.hears("@robot", "robot", "text 199");
    alice.send("@robot", "the end");
    alice.hears("@robot", "robot", "the end");
    let outcome = echo.stop();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let history = alice.history("@robot");
    assert_eq!(answers(&history), [texts.iter().map(String::as_str).collect(), vec!["the end"]].concat());
}

#[test]
fn a_deployment_is_confirmed_across_a_restart_and_runs_at_most_once() {
    let stage = Stage::open();
    let (mut alice, mut mallory, robot) = (stage.member("alice"), stage.member("mallory"), stage.member("robot"));
    let home = stage.room("deploy");
    let (settings, runs, hold) = (home.join("settings.json"), home.join("runs"), home.join("hold"));
    let command = "echo began >> \"$0\"; echo \"rolling out $2\"; while [ -e \"$1\" ]; do sleep 0.1; done";
    let targets = json!({"web": ["sh", "-c", command, runs, hold, "web"], "broken": ["false"]});
    fs::write(&settings, json!({"allow": ["alice"], "targets": targets}).to_string()).unwrap();
    let words = [settings.to_str().unwrap()];

    let first = bot(&robot, "deploy_bot.py", &words);
    mallory.send("@robot", "/deploy web");
    mallory.hears("@robot", "robot", "you are not allowed to deploy");
    mallory.send("@robot", "yes");
    let hostile = format!("/deploy \"$(touch {})\"", home.join("shell").display());
    alice.send("@robot", &hostile);
    alice
        .event("the targets", |event| event["data"]["text"].as_str().unwrap_or("").ends_with("there are: broken, web"));
    alice.send("@robot", "/deploy web");
    alice.hears("@robot", "robot", "reply yes to deploy web, it expires in 60 s");
    first.kill();

    let second = bot(&robot, "deploy_bot.py", &words);
    alice.send("@robot", "yes");
    alice.hears("@robot", "robot", "deploying web");
    alice.hears("@robot", "robot", "rolling out web");
    alice.event("the outcome", |event| event["data"]["text"].as_str().unwrap_or("").starts_with("web: done after"));

    fs::write(&hold, "").unwrap();
    alice.send("@robot", "/deploy web");
    alice.send("@robot", "yes");
    let twice = || fs::read_to_string(&runs).unwrap().lines().count() == 2;
    let until = Instant::now() + DEADLINE;
    while !twice() && Instant::now() < until {
        thread::yield_now();
    }
    second.kill();
    let third = bot(&robot, "deploy_bot.py", &words);
    alice.hears("@robot", "robot", "web: I was interrupted and do not know the outcome");
    alice.send("@robot", "yes");
    alice.hears("@robot", "robot", "there is nothing to confirm");
    fs::remove_file(&hold).unwrap();
    alice.send("@robot", "/deploy broken");
    alice.send("@robot", "yes");
    alice.event("the failure", |event| event["data"]["text"].as_str().unwrap_or("").contains("exit code 1"));
    let _ = third.stop();
    assert!(twice(), "what was interrupted is not begun again");
    assert!(!home.join("shell").exists(), "nothing of the chat reaches a shell");
    assert_eq!(answers(&mallory.history("@robot")), ["you are not allowed to deploy"]);
}

/// Posts JSON, and returns the status.
fn post(address: &str, body: &Value) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let body = body.to_string();
    let head = format!("POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n");
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn an_alert_is_taken_only_when_it_is_stored_and_told_once() {
    let stage = Stage::open();
    let (mut ops, mut robot) = (stage.member("ops"), stage.member("robot"));
    let webhook = bot(&robot, "alertmanager_bot.py", &["--to", "@ops", "--listen", "127.0.0.1:0"]);
    let address = webhook.line("where", |line| line.strip_prefix("listening on ").map(str::to_owned));
    let alert = |status: &str| {
        json!({"version": "4", "groupKey": "{}:{}", "status": status, "commonLabels": {"alertname": "Disk"}, "alerts": [{
            "status": status, "labels": {"alertname": "Disk"}, "annotations": {"summary": "it is full"},
            "startsAt": "2030-01-01T00:00:00Z"}]})
    };
    assert_eq!(post(&address, &alert("firing")), "200");
    robot.kill();
    assert_eq!(post(&address, &alert("resolved")), "503");
    robot.start();
    for status in ["firing", "resolved", "resolved", "firing"] {
        assert_eq!(post(&address, &alert(status)), "200");
    }
    ops.hears("@robot", "robot", "✅ Disk: resolved\n- resolved: it is full; since 2030-01-01 00:00");
    robot.send("@ops", "that was all");
    ops.hears("@robot", "robot", "that was all");
    assert_eq!(ops.history("@robot").len(), 3, "{:?}", ops.history("@robot"));
}
