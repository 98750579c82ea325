//! Shows settings to people and programs: what counts and who said so, or everything that could be said.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use toml::Value;

use super::{Effect, Entry, Key, Origin, Origins, Settings, entries};

/// Column of the origins, where the line is short enough.
const COLUMN: usize = 48;

/// A line of a file with this value, and who said so.
#[must_use]
pub fn line(entry: &Entry) -> String {
    match &entry.value {
        Some(value) => format!("{:COLUMN$} # {}", format!("{} = {value}", entry.key.name), entry.origin),
        None => format!("{:COLUMN$} # not set", format!("#{} =", entry.key.name)),
    }
}

/// The same for programs: `{"key": ..., "value": ..., "origin": {"from": ..., "name": ...}}`.
#[must_use]
pub fn object(entry: &Entry) -> Json {
    let origin = match &entry.origin {
        Origin::Default => json!({"from": "default", "name": null}),
        Origin::File { path, line } => json!({"from": "file", "name": path.display().to_string(), "line": line}),
        Origin::Environment(name) => json!({"from": "environment", "name": name}),
        Origin::CommandLine(option) => json!({"from": "command_line", "name": option}),
    };
    json!({"key": entry.key.name, "value": entry.value, "origin": origin})
}

/// A file with every key, explained and commented out, with its default or an example: `head` in comments, then the
/// keys, each with what `also` says of it.
#[must_use]
pub fn documented<C: Settings>(head: &[&str], also: impl Fn(&Key) -> Option<String>) -> String {
    let mut text: String = head.iter().map(|line| format!("# {line}\n")).collect();
    let mut table = String::new();
    for entry in entries(&C::default(), &Origins::new()) {
        let (of, name) = entry.key.split();
        if of != table {
            // writing into a string cannot fail
            let _ = write!(text, "\n[{of}]\n");
            of.clone_into(&mut table);
        }
        let _ = write!(text, "\n{}", explained(&entry, name, also(&entry.key)));
    }
    text
}

fn explained(entry: &Entry, name: &str, also: Option<String>) -> String {
    let mut text: String = entry.key.about.iter().map(|line| format!("#{line}\n")).collect();
    let effect = (entry.key.effect == Effect::Restart).then(|| "A change counts at the next start.".to_owned());
    let also: Vec<_> = also.into_iter().chain(effect).collect();
    if !also.is_empty() {
        let _ = writeln!(text, "# {}", also.join(" "));
    }
    let example = entry.key.example.map(|example| Value::String(example.to_owned()));
    if entry.value.is_none() {
        text.push_str("# For example:\n");
    }
    let value = entry.value.clone().or(example).map(|value| value.to_string());
    let _ = writeln!(text, "#{name} = {}", value.unwrap_or_default());
    text
}
