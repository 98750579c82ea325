//! `config`: the settings as `run` would use them, and where each comes from.

use serde::Serialize;
use serde_json::json;
use toml::Value;

use super::home::Home;
use super::output::{Done, object, print, say};
use crate::config::layers::Layered;
use crate::config::public::EVERYWHERE;
use crate::config::table::{self, Entry, Origin};
use crate::failure::Failure;
use crate::store::DatabaseUrl;

/// Column of the origins, where the line is short enough.
const COLUMN: usize = 48;

pub(super) fn config(home: &Home, defaults: bool) -> Done {
    if defaults {
        return print(table::documented().as_bytes());
    }
    let layered = home.layered(&[])?;
    let found = layered.config.entries().into_iter().map(|entry| {
        let origin = layered.origins.get(&entry.key).cloned().unwrap_or_default();
        (entry, origin)
    });
    let mut found: Vec<_> = found.collect();
    for (entry, origin) in found.iter_mut().filter(|(entry, _)| entry.value.is_none()) {
        match entry.key.as_str() {
            "database" => (entry.value, *origin) = implied_database(home, &layered)?,
            "listen" => (entry.value, *origin) = implied_address(&layered),
            _ => {}
        }
    }
    if home.json {
        return object(&json!(found.iter().map(shown).collect::<Vec<_>>()));
    }
    found.iter().try_for_each(|(entry, origin)| say(&line(entry, origin)))
}

/// The database that is used when no setting names one.
fn implied_database(home: &Home, layered: &Layered) -> Result<(Option<Value>, Origin), Failure> {
    let url = home.database(&layered.config)?;
    let origin = match url {
        DatabaseUrl::Sqlite(_) => Origin::Default,
        DatabaseUrl::Mysql(_) => Origin::Environment("DB_HOST, DB_USER, DB_PASSWORD, DB_NAME, or .env".to_owned()),
    };
    Ok((Some(Value::String(url.masked())), origin))
}

/// The address that is listened on when no setting names one.
fn implied_address(layered: &Layered) -> (Option<Value>, Origin) {
    let address = layered.config.listens_on();
    let by_public = layered.origins.get("public").filter(|_| address != EVERYWHERE);
    (Some(Value::String(address.to_string())), by_public.cloned().unwrap_or_default())
}

/// A line of a server.toml with these values.
fn line(entry: &Entry, origin: &Origin) -> String {
    match &entry.value {
        Some(value) => {
            let pair = format!("{} = {value}", entry.key);
            format!("{pair:COLUMN$} # {origin}")
        }
        None => format!("{:COLUMN$} # not set", format!("#{} =", entry.key)),
    }
}

/// A setting for programs.
#[derive(Serialize)]
struct Shown<'a> {
    key: &'a str,
    value: &'a Option<Value>,
    #[serde(flatten)]
    origin: &'a Origin,
}

fn shown((entry, origin): &(Entry, Origin)) -> Shown<'_> {
    Shown { key: &entry.key, value: &entry.value, origin }
}
