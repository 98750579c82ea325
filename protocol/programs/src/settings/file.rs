//! What a file says, and in which line it is wrong.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Value};

use super::layers::{Layer, Origin, Problem, Wrong};
use super::value::RawSetting;
use super::{Key, Settings, read};

/// A file of settings that was read.
#[derive(Clone)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
}

impl Source {
    /// Longest file: far longer than one with every key and its comments.
    pub const MAX_BYTES: u64 = 64 * 1024;

    /// The file with these bytes.
    ///
    /// # Errors
    /// If they are no UTF-8.
    pub fn new(path: &Path, bytes: &[u8]) -> Result<Self, Wrong> {
        let with = |text: &str| Self { path: path.to_owned(), text: text.to_owned() };
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(with(text)),
            Err(error) => {
                let right = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let right = with(&String::from_utf8_lossy(right));
                Err(right.wrong(right.text.len(), Problem::Words("this is not UTF-8".to_owned())))
            }
        }
    }

    /// What it says; `meant` makes of a value what it stands for in this file, and refuses what may not be in it.
    ///
    /// # Errors
    /// What is no TOML, a key nobody knows, a value that does not fit or is refused.
    pub fn layer<C: Settings>(&self, meant: impl Fn(&Key, Value) -> Result<Value, Problem>) -> Result<Layer, Wrong> {
        let table = DeTable::parse(&self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.wrong(at, Problem::Words(error.message().to_owned()))
        })?;
        let (mut layer, mut raw) = (Layer::default(), Vec::new());
        self.gather::<C>("", table.into_inner(), &C::keys(), &mut raw)?;
        for (key, value, at) in raw {
            let value = meant(&key, value).map_err(|problem| self.wrong(at, problem))?;
            layer.set(&key.name, RawSetting::Toml(value), self.origin(at));
        }
        // also what another layer goes before has to fit
        read::<C>(&[&layer])?;
        Ok(layer)
    }

    fn gather<C: Settings>(
        &self,
        table: &str,
        pairs: DeTable<'_>,
        keys: &[Key],
        raw: &mut Vec<(Key, Value, usize)>,
    ) -> Result<(), Wrong> {
        for (name, value) in pairs {
            let (at, name) = (name.span().start, format!("{table}{}", name.get_ref()));
            let known = keys.iter().find(|key| key.name == name);
            match (known, value.into_inner()) {
                (Some(key), value) => raw.push((key.clone(), self.plain(at, value)?, at)),
                (None, DeValue::Table(inner)) if keys.iter().any(|key| key.split().0 == name) => {
                    self.gather::<C>(&format!("{name}."), inner, keys, raw)?;
                }
                (None, _) => return Err(self.wrong(at, Problem::unknown::<C>(name))),
            }
        }
        Ok(())
    }

    fn plain(&self, at: usize, value: DeValue<'_>) -> Result<Value, Wrong> {
        let value = Value::deserialize(ValueDeserializer::from(Spanned::new(0..0, value)));
        value.map_err(|error| self.wrong(at, Problem::Words(error.message().to_owned())))
    }

    /// Something wrong in it, behind so many bytes.
    #[must_use]
    pub fn wrong(&self, at: usize, problem: Problem) -> Wrong {
        Wrong { origin: self.origin(at), problem }
    }

    fn origin(&self, at: usize) -> Origin {
        let before = self.text.get(..at).unwrap_or_default();
        Origin::File { path: self.path.clone(), line: before.matches('\n').count() + 1 }
    }
}
