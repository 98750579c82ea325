//! Shows settings to people and programs: what counts and who said so, or everything that could be said.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::keys::{Effect, KEYS, Key};
use super::layers::{Origin, Value};
use super::{Config, Setting};

/// What counts, as a table.
#[must_use]
pub fn table(config: &Config) -> String {
    let rows: Vec<[String; 3]> = config.settings.iter().map(row).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count()).max();
    let (first, second) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
    let mut text = String::new();
    for [key, value, origin] in &rows {
        // writing into a string cannot fail
        let _ = writeln!(text, "{key:first$}  {value:second$}  {origin}");
    }
    text
}

fn row(setting: &Setting) -> [String; 3] {
    let value = setting.value.as_ref().map(ToString::to_string).filter(|text| !text.is_empty());
    [setting.key.name.to_owned(), value.unwrap_or_else(|| "-".to_owned()), setting.origin.to_string()]
}

/// What counts, one JSON object a line.
#[must_use]
pub fn lines(config: &Config) -> String {
    config.settings.iter().fold(String::new(), |text, setting| format!("{text}{}\n", object(setting)))
}

fn object(setting: &Setting) -> Json {
    let (from, name) = match &setting.origin {
        Origin::Default => ("default", None),
        Origin::SystemFile(path) => ("system_file", Some(path.display().to_string())),
        Origin::UserFile(path) => ("user_file", Some(path.display().to_string())),
        Origin::Environment(name) => ("environment", Some(name.clone())),
        Origin::CommandLine(option) => ("command_line", Some(option.clone())),
    };
    let value = setting.value.as_ref().map(|value| match value {
        Value::Texts(texts) => json!(texts),
        other => json!(other.to_string()),
    });
    json!({"key": setting.key.name, "value": value, "origin": {"from": from, "name": name}})
}

/// A file with every key, explained and commented out.
#[must_use]
pub fn defaults() -> String {
    let mut text = String::from(
        "# Settings of chatd. ~/.config/chatd/<profile>.toml is read for one profile, `default` unless another is\n\
         # named; /etc/chatd/chatd.toml for all. Options and variables count before both, and paths may begin with\n\
         # ~/. Only you, or root, may have the right to write these files. `chatd config` shows what counts.\n",
    );
    let mut table = "";
    // keys of the top level come before all tables, as TOML wants it: a test holds the order of `KEYS` to it
    for key in KEYS {
        let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if of != table {
            let _ = write!(text, "\n[{of}]\n");
            table = of;
        }
        text.push_str(&entry(key, name));
    }
    text
}

fn entry(key: &Key, name: &str) -> String {
    let about = key.about.iter().fold(String::new(), |text, line| format!("{text}# {line}\n"));
    let spoken = key.option().and_then(|option| Some(format!("--{}, {}. ", option.get_long()?, key.variable()?)));
    let effect = match key.effect {
        Effect::Reload => "A change counts at the next SIGHUP.",
        Effect::Restart => "A change counts at the next start.",
    };
    let also = format!("# {}{effect}\n", spoken.unwrap_or_default());
    format!("\n{about}# Default: {}.\n{also}#{name} = {}\n", key.unset, key.example)
}

#[cfg(test)]
mod tests {
    use chat_protocol::rpc::paths::Given;

    use super::super::file::{Source, Whose};
    use super::*;

    #[test]
    fn the_printed_file_says_nothing_and_every_key_in_it_is_understood() {
        let given = Given { home: Some("/home/alice".into()), ..Given::default() };
        let layer = |text: String| Source { path: "/c".into(), text, whose: Whose::User }.layer(&given);
        let printed = defaults();
        let silent = layer(printed.clone()).unwrap();
        assert!(KEYS.iter().all(|key| silent.about(key).is_none()));
        for key in KEYS {
            let name = key.name.rsplit('.').next().unwrap();
            let line = format!("\n#{name} = ");
            assert_eq!(printed.matches(&line).count(), 1, "{name} is there once");
            let spoken = layer(printed.replace(&line, &format!("\n{name} = "))).unwrap();
            assert!(spoken.about(key).is_some(), "{name} is where it belongs");
        }
        assert!(printed.lines().all(|line| line.chars().count() <= 120), "lines fit on a screen");
    }
}
