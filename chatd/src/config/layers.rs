//! Whose word counts: command line over environment over user file over system file over default.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::keys::{KEYS, Key, Kind};

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// See [`Kind::Path`].
    Path(PathBuf),
    /// See [`Kind::Text`].
    Text(String),
    /// See [`Kind::Address`].
    Address(SocketAddr),
    /// See [`Kind::Texts`].
    Texts(Vec<String>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Text(text) => f.write_str(text),
            Self::Address(address) => write!(f, "{address}"),
            Self::Texts(texts) => f.write_str(&texts.join(", ")),
        }
    }
}

/// Who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody.
    Default,
    /// The file of all users.
    SystemFile(PathBuf),
    /// The profile's file.
    UserFile(PathBuf),
    /// A variable.
    Environment(String),
    /// An option.
    CommandLine(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::SystemFile(path) | Self::UserFile(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::CommandLine(option) => write!(f, "command line {option}"),
        }
    }
}

/// What one of them said.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    values: BTreeMap<&'static str, (Value, Origin)>,
    /// The passphrase is to be asked for.
    asks: bool,
}

impl Layer {
    /// Notes a value.
    pub fn say(&mut self, key: &'static Key, value: Value, origin: Origin) {
        self.values.insert(key.name, (value, origin));
    }

    /// What was said about a key.
    #[must_use]
    pub fn about(&self, key: &Key) -> Option<&(Value, Origin)> {
        self.values.get(key.name)
    }

    /// The path said for a key.
    #[must_use]
    pub fn path(&self, key: &Key) -> Option<&Path> {
        match self.about(key) {
            Some((Value::Path(path), _)) => Some(path),
            _ => None,
        }
    }

    /// Whether anything was said about what opens the store.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.asks || KEYS.into_iter().any(|key| key.opens() && self.about(key).is_some())
    }

    /// Whether the passphrase is to be asked for.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.asks
    }
}

/// What counts about a key, from the first layer that says anything; `None` if none does.
#[must_use]
pub fn choose<'l>(key: &Key, layers: &[&'l Layer]) -> Option<&'l (Value, Origin)> {
    // a key file in a file does not count any more once a passphrase is named on the command line
    let decides = |layer: &&&Layer| layer.about(key).is_some() || (key.opens() && layer.opens());
    layers.iter().find(decides)?.about(key)
}

/// What was said on the command line and in the environment.
#[must_use]
pub fn said(matches: &ArgMatches) -> [Layer; 2] {
    let (mut line, mut environment) = (Layer::default(), Layer::default());
    line.asks = matches.get_flag("passphrase");
    for key in KEYS {
        let Some((option, value)) = key.option().zip(value(key, matches)) else { continue };
        match matches.value_source(&key.option_id()) {
            Some(ValueSource::CommandLine) => {
                let name = format!("--{}", option.get_long().unwrap_or_default());
                line.say(key, value, Origin::CommandLine(name));
            }
            Some(ValueSource::EnvVariable) => {
                environment.say(key, value, Origin::Environment(key.variable().unwrap_or_default()));
            }
            _ => {}
        }
    }
    [line, environment]
}

fn value(key: &Key, matches: &ArgMatches) -> Option<Value> {
    let id = &key.option_id();
    match key.kind {
        Kind::Path => matches.try_get_one(id).ok().flatten().cloned().map(Value::Path),
        Kind::Text => matches.try_get_one(id).ok().flatten().cloned().map(Value::Text),
        Kind::Address => matches.try_get_one(id).ok().flatten().copied().map(Value::Address),
        Kind::Texts => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys;
    use super::*;

    fn layer(said: &[(&'static Key, &str)]) -> Layer {
        let mut layer = Layer::default();
        for (key, text) in said {
            layer.say(key, Value::Text((*text).to_owned()), Origin::CommandLine((*text).to_owned()));
        }
        layer
    }

    #[test]
    fn the_first_layer_that_says_something_counts() {
        let (high, low) = (layer(&[(&keys::LOG, "high")]), layer(&[(&keys::LOG, "low"), (&keys::IMPORT_KEY, "low")]));
        let chosen = |key| choose(key, &[&high, &low]).map(|(value, _)| value.to_string());
        assert_eq!(chosen(&keys::LOG).as_deref(), Some("high"));
        assert_eq!(chosen(&keys::IMPORT_KEY).as_deref(), Some("low"));
        assert_eq!(chosen(&keys::HTTP_LISTEN), None);
    }

    #[test]
    fn one_word_on_what_opens_the_store_replaces_all_below_it() {
        let high = layer(&[(&keys::KEY_FILE, "key")]);
        let low = layer(&[(&keys::PASSPHRASE_FILE, "passphrase")]);
        assert_eq!(choose(&keys::PASSPHRASE_FILE, &[&high, &low]), None);
        let asking = Layer { asks: true, ..Layer::default() };
        assert_eq!(choose(&keys::PASSPHRASE_FILE, &[&asking, &low]), None);
        assert!(choose(&keys::PASSPHRASE_FILE, &[&low, &high]).is_some());
    }
}
