//! Who said what: one layer for each that can, and the place in it at which something is wrong.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::ArgMatches;
use clap::parser::ValueSource;
use thiserror::Error;

use super::value::{Misfit, RawSetting};
use super::{Key, Layered, Settings};
use crate::private::Quoted;

/// Who said something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nobody.
    #[default]
    Default,
    /// A file.
    File {
        /// Which.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
    /// A variable.
    Environment(String),
    /// An option.
    CommandLine(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}, line {line}", Quoted::from(path.as_path())),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::CommandLine(option) => write!(f, "command line {option}"),
        }
    }
}

/// Something that cannot be used, and where it was said.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{origin}: {problem}")]
pub struct Wrong {
    /// Where.
    pub origin: Origin,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Problem {
    /// Something else, in words without the value.
    #[error("{0}")]
    Words(String),
    /// A key nobody knows.
    #[error("unknown key `{key}`; {}", advice(.nearest, help))]
    Unknown {
        /// The key.
        key: String,
        /// What may have been meant.
        nearest: Option<String>,
        /// The command that lists every key.
        help: &'static str,
    },
    /// The value is of another kind.
    #[error("`{key}` takes {wanted}{}", if *quotes { ", in quotes" } else { "" })]
    Kind {
        /// The key.
        key: String,
        /// What it takes.
        wanted: &'static str,
        /// It was said in a file, without the quotes that a text has there.
        quotes: bool,
    },
    /// The value is refused.
    #[error("`{key}`: {why}")]
    Refused {
        /// The key.
        key: String,
        /// Why.
        why: String,
    },
}

fn advice(nearest: &Option<String>, help: &str) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("`{help}` lists all there are"),
    }
}

impl Problem {
    /// A key nobody knows.
    pub(super) fn unknown<C: Settings>(key: String) -> Self {
        Self::Unknown { nearest: nearest::<C>(&key), key, help: C::HELP }
    }

    fn misfit(key: String, raw: &RawSetting, misfit: Misfit) -> Self {
        let quotes = matches!(raw, RawSetting::Toml(value) if !value.is_str());
        match misfit {
            // numbers and lists have none
            Misfit::Kind(wanted) if wanted.starts_with("a whole") || wanted.starts_with("a list") => {
                Self::Kind { key, wanted, quotes: false }
            }
            Misfit::Kind(wanted) => Self::Kind { key, wanted, quotes },
            Misfit::Refused(why) => Self::Refused { key, why },
        }
    }
}

/// Likeness from which on a name is a slip and not another word: six letters of ten are right, or two of three.
const ALIKE: f64 = 0.6;

/// The known key that looks most like `name`, if any does.
fn nearest<C: Settings>(name: &str) -> Option<String> {
    let like = strsim::normalized_damerau_levenshtein;
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    // whoever left out the table meant the last part, and a word of it may be all that is remembered
    let likeness = |key: &Key| {
        let words = key.split().1.split('_').map(|word| like(word, &last(name)));
        words.fold(like(&key.name, name).max(like(key.split().1, name)), f64::max)
    };
    let nearest = C::keys().into_iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)))?;
    (likeness(&nearest) >= ALIKE).then_some(nearest.name)
}

/// What one of them said.
#[derive(Clone, Debug, Default)]
pub struct Layer(BTreeMap<String, (RawSetting, Origin)>);

impl Layer {
    /// Notes what was said of a key.
    pub fn set(&mut self, key: &str, raw: RawSetting, origin: Origin) {
        self.0.insert(key.to_owned(), (raw, origin));
    }

    /// What was said of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&(RawSetting, Origin)> {
        self.0.get(key)
    }

    /// Takes back what was said of a key.
    pub fn forget(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// What variables say: `<prefix>TABLE__KEY`. Those in `others` are no settings.
    ///
    /// # Errors
    /// A variable with the prefix that names no key.
    pub fn environment<C: Settings>(
        prefix: &str,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        others: &[&str],
    ) -> Result<Self, Wrong> {
        let mut layer = Self::default();
        for (name, value) in variables {
            let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(prefix)) else { continue };
            if !others.contains(&rest) {
                let origin = Origin::Environment(format!("{prefix}{rest}"));
                layer.set_known::<C>(&rest.to_ascii_lowercase().replace("__", "."), value, origin)?;
            }
        }
        Ok(layer)
    }

    /// What `--set KEY=VALUE` says; the last one of a key counts.
    ///
    /// # Errors
    /// What is no such pair, and keys nobody knows.
    pub fn pairs<C: Settings>(pairs: &[String]) -> Result<Self, Wrong> {
        let mut layer = Self::default();
        for pair in pairs {
            let origin = || Origin::CommandLine("--set".to_owned());
            let no_pair = || Problem::Words("takes KEY=VALUE".to_owned());
            let (key, value) = pair.split_once('=').ok_or_else(|| Wrong { origin: origin(), problem: no_pair() })?;
            layer.set_known::<C>(key.trim(), value.into(), origin())?;
        }
        Ok(layer)
    }

    /// What options say, and what clap read from their variables, which are called as the options are: a key
    /// `http.listen` is `--http-listen` and `<prefix>HTTP_LISTEN`.
    #[must_use]
    pub fn options<C: Settings>(matches: &ArgMatches, prefix: &str) -> [Self; 2] {
        let (mut line, mut environment) = (Self::default(), Self::default());
        for key in C::keys() {
            let id = key.option_id();
            let raw = matches.try_get_raw(&id).ok().flatten().and_then(|mut values| values.next_back());
            let Some(raw) = raw.map(|text| RawSetting::Text(text.to_owned())) else { continue };
            match matches.value_source(&id) {
                Some(ValueSource::CommandLine) => {
                    line.set(&key.name, raw, Origin::CommandLine(format!("--{}", id.replace('_', "-"))));
                }
                Some(ValueSource::EnvVariable) => {
                    let name = format!("{prefix}{}", id.to_ascii_uppercase());
                    environment.set(&key.name, raw, Origin::Environment(name));
                }
                _ => {}
            }
        }
        [line, environment]
    }

    fn set_known<C: Settings>(&mut self, key: &str, value: OsString, origin: Origin) -> Result<(), Wrong> {
        if !C::keys().iter().any(|known| known.name == key) {
            return Err(Wrong { origin, problem: Problem::unknown::<C>(key.to_owned()) });
        }
        self.set(key, RawSetting::Text(value), origin);
        Ok(())
    }

    /// Puts what was said over what counted until now.
    pub(super) fn lay_over<C: Settings>(&self, layered: &mut Layered<C>) -> Result<(), Wrong> {
        let Layered { config, origins } = layered;
        let mut wrong = None;
        config.visit(Key::default(), &mut |key, slot| {
            let Some((raw, origin)) = self.get(&key.name) else { return };
            match slot.set(raw) {
                Ok(()) => drop(origins.insert(key.name, origin.clone())),
                Err(misfit) => {
                    let problem = Problem::misfit(key.name, raw, misfit);
                    wrong.get_or_insert(Wrong { origin: origin.clone(), problem });
                }
            }
        });
        wrong.map_or(Ok(()), Err)
    }
}
