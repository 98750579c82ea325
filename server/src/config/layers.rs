//! Puts the settings together: command line over environment over file over default.
//!
//! Every setting can be given in each layer: `submits_burst = 9` in the table `[rates]` of
//! `server.toml`, `CHAT_SERVER_RATES__SUBMITS_BURST=9` in the environment, `--set rates.submits_burst=9`.
//! Error texts name keys and lines, never values: a value may hold a password.

use std::collections::BTreeMap;

use thiserror::Error;
use toml::{Table, Value};
use tracing_subscriber::EnvFilter;

use super::Config;
use super::table::Origin;

/// Prefix of the environment variables that are settings.
pub const ENV_PREFIX: &str = "CHAT_SERVER_";
/// Names a file that holds what `CHAT_SERVER_DATABASE` would say: for the credentials of a service manager, since others may
/// see the environment.
pub const DATABASE_FILE: &str = "CHAT_SERVER_DATABASE_FILE";
/// Variables with the prefix that are no settings.
const NOT_SETTINGS: [&str; 2] = ["DATA", "DATABASE_FILE"];

/// Settings that cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The file is not TOML.
    #[error("line {line}: {message}")]
    Syntax {
        /// Line of the file.
        line: usize,
        /// What is wrong, without the line's text.
        message: String,
    },
    /// A key nobody knows, or a value that does not fit its key.
    #[error("{0}")]
    Meaning(String),
    /// Not `KEY=VALUE`.
    #[error("`--set` takes KEY=VALUE, as in `--set rates.submits_burst=5000`")]
    Pair,
}

/// The settings, and where each that somebody set comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layered {
    /// The settings.
    pub config: Config,
    /// Origins by key; what is missing is a default.
    pub origins: BTreeMap<String, Origin>,
}

/// Reads `file`, then lays environment and `--set` pairs over it.
///
/// # Errors
/// [`ConfigError`] for unknown keys and values that do not fit.
pub fn read(
    file: &str,
    env: impl IntoIterator<Item = (String, String)>,
    sets: &[String],
) -> Result<Config, ConfigError> {
    layered(file, "", env, sets).map(|layered| layered.config)
}

/// The same, with the origin of each value. `path` names the file.
///
/// # Errors
/// As [`read`].
pub fn layered(
    file: &str,
    path: &str,
    env: impl IntoIterator<Item = (String, String)>,
    sets: &[String],
) -> Result<Layered, ConfigError> {
    let mut table = file.parse::<Table>().map_err(|error| syntax(file, &error))?;
    let mut origins = in_file(&table, path);
    for (name, text) in env {
        if let Some(key) = name.strip_prefix(ENV_PREFIX).filter(|key| !NOT_SETTINGS.contains(key)) {
            let key = key.to_ascii_lowercase().replace("__", ".");
            put(&mut table, &key, &text)?;
            origins.insert(key, Origin::Environment(name));
        }
    }
    for pair in sets {
        let (key, text) = pair.split_once('=').ok_or(ConfigError::Pair)?;
        put(&mut table, key.trim(), text)?;
        origins.insert(key.trim().to_owned(), Origin::CommandLine);
    }
    let config: Config = Value::Table(table).try_into().map_err(meaning)?;
    Ok(Layered { config: check(config)?, origins })
}

fn in_file(table: &Table, path: &str) -> BTreeMap<String, Origin> {
    let keys = table.iter().flat_map(|(key, value)| match value.as_table() {
        Some(section) => section.keys().map(|inner| format!("{key}.{inner}")).collect(),
        None => vec![key.clone()],
    });
    keys.map(|key| (key, Origin::File(path.to_owned()))).collect()
}

/// Writes `text` at `section.key`, as what it looks like: a number, or text.
fn put(table: &mut Table, path: &str, text: &str) -> Result<(), ConfigError> {
    let value = text.parse().map_or_else(|_| Value::String(text.to_owned()), Value::Integer);
    let Some((section, key)) = path.split_once('.') else {
        table.insert(path.to_owned(), value);
        return Ok(());
    };
    let section_table = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    let inner = section_table.as_table_mut().ok_or_else(|| ConfigError::Meaning(format!("`{section}` has no keys")))?;
    inner.insert(key.to_owned(), value);
    Ok(())
}

fn syntax(file: &str, error: &toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| file.get(..span.start)).unwrap_or("");
    ConfigError::Syntax { line: before.matches('\n').count() + 1, message: error.message().to_owned() }
}

fn meaning(error: toml::de::Error) -> ConfigError {
    ConfigError::Meaning(error.message().to_owned())
}

/// Refuses values with which nothing would work.
fn check(config: Config) -> Result<Config, ConfigError> {
    let refuse = |words: &str| Err(ConfigError::Meaning(words.to_owned()));
    if !(4..=31).contains(&config.passwords.bcrypt_cost) {
        return refuse("`passwords.bcrypt_cost` must be from 4 to 31");
    }
    if let Some(log) = &config.log
        && EnvFilter::try_new(log).is_err()
    {
        return refuse("`log` is not a log filter, as in `chat_server=debug,warn`");
    }
    let zeros = [
        ("passwords.at_once", config.passwords.at_once),
        ("connections.most", config.connections.most),
        ("connections.most_guests", config.connections.most_guests),
        ("connections.requests_at_once", config.connections.requests_at_once),
        ("connections.outbox_frames", config.connections.outbox_frames),
        ("mailbox.queue", config.mailbox.queue),
        ("mailbox.commit_at_once", config.mailbox.commit_at_once),
    ];
    if let Some((key, _)) = zeros.into_iter().find(|(_, value)| *value == 0) {
        return refuse(&format!("`{key}` must be at least 1"));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn nothing_given_means_the_defaults_of_the_protocol() {
        let config = read("", [], &[]).unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.listens_on().port(), 8897);
        assert_eq!((config.rates.submits_per_minute, config.rates.submits_burst), (600, 2_000));
        assert_eq!((config.mailbox.messages, config.mailbox.per_sender), (100_000, 10_000));
        assert_eq!(config.retention().submits, Duration::from_secs(31 * 24 * 60 * 60));
    }

    #[test]
    fn command_line_wins_over_environment_over_file() {
        let file = "[rates]\nsubmits_burst = 1\nfailed_logins = 1\nregistrations_per_hour = 1\n";
        let env = env(&[("CHAT_SERVER_RATES__SUBMITS_BURST", "2"), ("CHAT_SERVER_RATES__FAILED_LOGINS", "2")]);
        let rates = read(file, env, &["rates.submits_burst=3".to_owned()]).unwrap().rates;
        assert_eq!((rates.submits_burst, rates.failed_logins, rates.registrations_per_hour), (3, 2, 1));
    }

    #[test]
    fn unknown_keys_are_errors_in_every_layer() {
        let words = "unknown field `burts`";
        let errors = [
            read("[rates]\nburts = 1", [], &[]),
            read("", env(&[("CHAT_SERVER_RATES__BURTS", "1")]), &[]),
            read("", [], &["rates.burts=1".to_owned()]),
        ];
        for error in errors {
            assert!(error.unwrap_err().to_string().starts_with(words));
        }
    }

    #[test]
    fn every_setting_is_in_the_readme() {
        let readme = include_str!("../../README.md");
        for entry in Config::default().entries() {
            assert!(readme.contains(&format!("| `{}` |", entry.key)), "{}", entry.key);
        }
    }

    #[test]
    fn every_value_knows_where_it_comes_from() {
        let file = "listen = \"127.0.0.1:1\"\n[rates]\nsubmits_burst = 1\nfailed_logins = 1\n";
        let name = "CHAT_SERVER_RATES__SUBMITS_BURST";
        let layered = layered(file, "/s.toml", env(&[(name, "2")]), &["mailbox.days=3".to_owned()]).unwrap();
        let origin = |key: &str| layered.origins.get(key).cloned().unwrap_or_default();
        assert_eq!(origin("listen"), Origin::File("/s.toml".to_owned()));
        assert_eq!(origin("rates.failed_logins"), Origin::File("/s.toml".to_owned()));
        assert_eq!(origin("rates.submits_burst"), Origin::Environment(name.to_owned()));
        assert_eq!(origin("mailbox.days"), Origin::CommandLine);
        assert_eq!(origin("room.days"), Origin::Default);
    }

    #[test]
    fn options_of_the_command_line_are_not_settings() {
        let env = env(&[("CHAT_SERVER_DATA", "/x"), ("CHAT_SERVER_LOG", "debug"), ("PATH", "/bin")]);
        assert_eq!(read("", env, &[]).unwrap().log.as_deref(), Some("debug"));
    }

    #[test]
    fn values_with_which_nothing_works_are_refused() {
        for pair in ["passwords.bcrypt_cost=3", "mailbox.queue=0", "listen=nowhere", "listen.port=1"] {
            assert!(read("", [], &[pair.to_owned()]).is_err(), "{pair}");
        }
    }

    #[test]
    fn atk_62_errors_and_debug_never_show_a_password() {
        let file = "database = \"mysql://chat:hunter2@\n";
        let broken = read(file, [], &[]).unwrap_err();
        assert!(!format!("{broken} {broken:?}").contains("hunter2"));
        let wrong = read("database = \"mysql://chat:hunter2@[x\"", [], &[]).unwrap_err();
        assert!(!format!("{wrong} {wrong:?}").contains("hunter2"));
        let config = read("database = \"mysql://chat:hunter2@db/chat\"", [], &[]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(format!("{config:?}").contains("mysql://chat@db:3306/chat"));
    }
}
