//! The settings as a table: every key with what is said about it and its value, made from the one declaration of
//! them, so that neither the documented file nor what `chat-server config` prints can drift from what is read.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use toml::Value;

use super::{Config, Registration};
use crate::store::DatabaseUrl;

/// One setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its place: `rates.submits_burst`.
    pub key: String,
    /// What it is for, in lines.
    pub doc: &'static [&'static str],
    /// Its value, passwords left out; absent where it is not set.
    pub value: Option<Value>,
    /// A value to be shown where there is none by default.
    pub example: Option<&'static str>,
}

/// Where a setting stands in the table, and what is said about it.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) section: &'a str,
    pub(super) key: &'static str,
    pub(super) doc: &'static [&'static str],
    pub(super) example: Option<&'static str>,
}

/// What can stand in the table: a value, or a section of them.
pub(super) trait Listed {
    fn list(&self, at: At<'_>, entries: &mut Vec<Entry>);
}

impl At<'_> {
    fn path(&self) -> String {
        if self.section.is_empty() { self.key.to_owned() } else { format!("{}.{}", self.section, self.key) }
    }

    fn entry(self, value: Option<Value>) -> Entry {
        Entry { key: self.path(), doc: self.doc, value, example: self.example }
    }
}

/// Values by what they look like in the file.
macro_rules! values {
    ($($type:ty: $value:ident => $shown:expr,)*) => {
        $(impl Listed for $type {
            fn list(&self, at: At<'_>, entries: &mut Vec<Entry>) {
                let $value = self;
                entries.push(at.entry($shown));
            }
        })*
    };
}

values! {
    u32: value => Some(Value::Integer(i64::from(*value))),
    u64: value => Some(Value::Integer(i64::try_from(*value).unwrap_or(i64::MAX))),
    usize: value => Some(Value::Integer(i64::try_from(*value).unwrap_or(i64::MAX))),
    Duration: value => Some(Value::Integer(i64::try_from(value.as_secs()).unwrap_or(i64::MAX))),
    SocketAddr: value => Some(Value::String(value.to_string())),
    Option<SocketAddr>: value => value.map(|value| Value::String(value.to_string())),
    Option<String>: value => value.clone().map(Value::String),
    Option<DatabaseUrl>: value => value.as_ref().map(|value| Value::String(value.masked())),
    Registration: value => Value::try_from(value).ok(),
}

impl Config {
    /// Every setting, in the order of the declaration.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.list(At { section: "", key: "", doc: &[], example: None }, &mut entries);
        entries
    }
}

/// A `server.toml` in which every key is explained and commented out, with its default or an example.
#[must_use]
pub fn documented() -> String {
    let mut text =
        "# Settings of chat-server. Every line with a key shows its default; remove the # to change it.\n".to_owned();
    let mut section = "";
    let entries = Config::default().entries();
    for entry in &entries {
        let (place, key) = entry.key.rsplit_once('.').unwrap_or(("", &entry.key));
        if place != section {
            section = place;
            // writing into a string cannot fail
            let _ = write!(text, "\n[{section}]\n");
        }
        let _ = write!(text, "\n{}", explained(entry, key));
    }
    text
}

fn explained(entry: &Entry, key: &str) -> String {
    let mut text: String = entry.doc.iter().map(|line| format!("#{line}\n")).collect();
    let example = entry.example.map(|example| Value::String(example.to_owned()));
    if entry.value.is_none() {
        text.push_str("# Not set by default; for example:\n");
    }
    let value = entry.value.clone().or(example).map(|value| value.to_string());
    let _ = writeln!(text, "#{key} = {}", value.unwrap_or_default());
    text
}

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "origin", content = "from")]
pub enum Origin {
    /// Nobody set it.
    #[default]
    Default,
    /// This file.
    File(String),
    /// This variable of the environment.
    Environment(String),
    /// `--set`, or an option of its own.
    CommandLine,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{path}"),
            Self::Environment(name) => write!(f, "environment: {name}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::layers;
    use super::*;

    /// The documented file with every setting switched on.
    fn switched_on() -> String {
        let is_key = |line: &str| line.strip_prefix('#').is_some_and(|rest| rest.starts_with(char::is_lowercase));
        documented()
            .lines()
            .map(|line| if is_key(line) { format!("{}\n", &line[1..]) } else { format!("{line}\n") })
            .collect()
    }

    #[test]
    fn documented_file_changes_nothing_as_it_is() {
        assert_eq!(layers::read(&documented(), [], &[]).unwrap(), Config::default());
    }

    #[test]
    fn documented_file_has_every_key_with_its_default_and_a_reason() {
        let entries = Config::default().entries();
        let on = layers::read(&switched_on(), [], &[]).unwrap().entries();
        for (default, on) in entries.iter().zip(&on) {
            assert_eq!(default.key, on.key);
            let wanted = default.value.clone().or(default.example.map(|text| Value::String(text.to_owned())));
            assert_eq!(on.value, wanted, "{}", on.key);
            assert!(!default.doc.is_empty() && default.doc.iter().all(|line| line.starts_with(' ')), "{}", on.key);
        }
        let lines = switched_on().lines().filter(|line| line.starts_with(char::is_lowercase)).count();
        assert_eq!(lines, entries.len());
    }

    #[test]
    fn table_knows_the_keys_that_are_read_and_no_others() {
        for entry in Config::default().entries() {
            let (section, key) = entry.key.split_once('.').unwrap_or(("", &entry.key));
            let words =
                layers::read("", [], &[format!("{section}{}unknown_key=1", if section.is_empty() { "" } else { "." })]);
            // the error about an unknown key lists the known ones
            assert!(words.unwrap_err().to_string().contains(&format!("`{key}`")), "{}", entry.key);
        }
    }
}
