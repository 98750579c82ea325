//! `config`: the settings as `run` would use them, and where each comes from.

use chat_programs::settings::{self, Layer, Layered, Origin, Setting, line, object};
use serde_json::json;
use toml::Value;

use super::home::Home;
use super::output::{self, Done, print, say};
use crate::config::Config;
use crate::config::public::EVERYWHERE;
use crate::failure::Failure;
use crate::store::DatabaseUrl;

/// How the file begins that is printed.
const HEAD: [&str; 3] = [
    "Settings of chat-server. A line with a key shows its default, or an example where there is none; remove the # to",
    "change it. A change counts at the next SIGHUP, or, where that is said, at the next start. `chat-server config` shows",
    "what counts: --set rates.submits_burst=9 before CHAT_SERVER_RATES__SUBMITS_BURST=9 before this file.",
];

pub(super) fn config(home: &Home, defaults: bool) -> Done {
    if defaults {
        return print(settings::documented::<Config>(&HEAD, |_| None).as_bytes());
    }
    let layered = home.layered(&Layer::default())?;
    let mut found = settings::entries(&layered.config, &layered.origins);
    for entry in found.iter_mut().filter(|entry| entry.value.is_none()) {
        match entry.key.name.as_str() {
            "database" => (entry.value, entry.origin) = implied_database(home, &layered)?,
            "listen" => (entry.value, entry.origin) = implied_address(&layered),
            _ => {}
        }
    }
    if home.json {
        return output::object(&json!(found.iter().map(object).collect::<Vec<_>>()));
    }
    found.iter().try_for_each(|entry| say(&line(entry)))
}

/// The database that is used when no setting names one.
fn implied_database(home: &Home, layered: &Layered<Config>) -> Result<(Option<Value>, Origin), Failure> {
    let url = home.database(&layered.config)?;
    let origin = match url {
        DatabaseUrl::Sqlite(_) => Origin::Default,
        DatabaseUrl::Mysql(_) => Origin::Environment("DB_HOST, DB_USER, DB_PASSWORD, DB_NAME, or .env".to_owned()),
    };
    Ok((url.shown(), origin))
}

/// The address that is listened on when no setting names one.
fn implied_address(layered: &Layered<Config>) -> (Option<Value>, Origin) {
    let address = layered.config.listens_on();
    let by_public = layered.origins.get("public").filter(|_| address != EVERYWHERE);
    (address.shown(), by_public.cloned().unwrap_or_default())
}
