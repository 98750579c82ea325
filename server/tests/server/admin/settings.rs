//! `config`: what is set, where it comes from, and what is never shown.

use std::fs;

use super::operator::Operator;

/// The line of one key.
fn line<'a>(printed: &'a str, key: &str) -> &'a str {
    let found = printed.lines().find(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" =")));
    found.unwrap_or_else(|| panic!("{key} is not in\n{printed}"))
}

/// Words of a line, with single spaces.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_setting_is_printed_with_its_value_and_origin() {
    let operator = Operator::set_up();
    fs::write(operator.data().join("server.toml"), "public = \"chat.example.org:8897\"\n[mailbox]\ndays = 7\n")
        .unwrap();
    let mut command = operator.command(&["config", "--set", "room.days=3"]);
    command.env("CHAT_SERVER_RATES__SUBMITS_BURST", "9").env("CHAT_SERVER_LOG", "debug");
    let printed = operator.finish(command, "");
    assert_eq!((printed.code, printed.err.as_str()), (0, ""));
    for (key, wanted) in [
        ("public", "public = \"chat.example.org:8897\" # ROOT/data/server.toml, line 1"),
        ("mailbox.days", "mailbox.days = 7 # ROOT/data/server.toml, line 3"),
        ("rates.submits_burst", "rates.submits_burst = 9 # environment CHAT_SERVER_RATES__SUBMITS_BURST"),
        ("log", "log = \"debug\" # environment CHAT_SERVER_LOG"),
        ("room.days", "room.days = 3 # command line --set"),
        ("connections.drain_seconds", "connections.drain_seconds = 10 # default"),
        ("database", "database = \"sqlite:ROOT/data/chat.db\" # default"),
        ("#metrics.listen", "#metrics.listen = # not set"),
    ] {
        assert_eq!(words(line(&printed.out, key)), wanted);
    }
    fs::write(operator.data().join("server.toml"), &printed.out).unwrap();
    assert_eq!(operator.run(&["config"]).code, 0, "what it prints is a settings file");
}

#[test]
fn programs_get_the_settings_as_json() {
    let operator = Operator::set_up();
    let printed = operator.run(&["config", "--json", "--set", "room.days=3"]);
    let all: serde_json::Value = serde_json::from_str(&printed.out).unwrap();
    let of = |key: &str| all.as_array().unwrap().iter().find(|entry| entry["key"] == key).unwrap().clone();
    let origin = serde_json::json!({ "from": "command_line", "name": "--set" });
    assert_eq!(of("room.days"), serde_json::json!({ "key": "room.days", "value": 3, "origin": origin }));
    let origin = serde_json::json!({ "from": "file", "name": "ROOT/data/server.toml", "line": 2 });
    assert_eq!(of("public")["origin"], origin);
    assert!(of("metrics.listen")["value"].is_null());
}

#[test]
fn documented_file_is_printed_and_can_be_used() {
    let operator = Operator::new();
    let printed = operator.run(&["config", "--defaults"]);
    assert_eq!(printed.code, 0);
    assert!(printed.out.contains("\n[rates]\n"), "{}", printed.out);
    assert!(printed.out.contains("\n# Submits and posts per device and minute …\n#submits_per_minute = 600\n"));
    assert!(
        printed.out.contains("\n# A change counts at the next start.\n# For example:\n#listen = \"127.0.0.1:9108\"\n")
    );
    let operator = Operator::set_up();
    fs::write(operator.data().join("server.toml"), &printed.out).unwrap();
    assert_eq!(operator.run(&["invite"]).code, 0);
}

#[test]
fn atk_62_config_masks_the_password_of_the_database() {
    let operator = Operator::set_up();
    let url = "mysql://chat:hunter2@127.0.0.1:1/chat";
    for words in [["config", "--database", url].as_slice(), &["config", "--json", "--database", url]] {
        let printed = operator.run(words);
        assert!(printed.out.contains("mysql://chat:***@127.0.0.1:1/chat"), "{}", printed.out);
        assert!(!format!("{}{}", printed.out, printed.err).contains("hunter2"));
    }
    let mut by_seed = operator.command(&["config"]);
    by_seed.env("DB_HOST", "127.0.0.1:1").env("DB_USER", "chat").env("DB_PASS", "hunter2").env("DB_NAME", "chat");
    let printed = operator.finish(by_seed, "");
    assert!(line(&printed.out, "database").contains("mysql://chat:***@127.0.0.1:1/chat"), "{}", printed.out);
}
