//! Settings in layers: command line over environment over files over defaults, key by key.
//!
//! A program declares each key once, with [`settings!`](crate::settings!): name, type, default, what is said of it and
//! when a change counts. Files are read, variables and options compared, and documents written from that. What is
//! unknown or does not fit is refused with the place it was said at and what helps, never with the value: that may be a
//! password.

mod declare;
mod file;
mod layers;
mod show;
mod value;

use std::collections::BTreeMap;

use toml::Value;

pub use declare::{Part, Slot};
pub use file::Source;
pub use layers::{Layer, Origin, Problem, Wrong};
pub use show::{documented, line, object};
pub use value::{Misfit, RawSetting, Setting};

/// When a changed value counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// When the settings are read again, at a SIGHUP.
    #[default]
    Reload,
    /// At the next start.
    Restart,
}

/// A setting as it is declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// Its name: `table.key`, or `key` at the top.
    pub name: String,
    /// What it is for, in lines that begin with a blank.
    pub about: &'static [&'static str],
    /// A value that is shown where there is none by default.
    pub example: Option<&'static str>,
    /// When a change counts.
    pub effect: Effect,
}

impl Key {
    /// Its table, empty at the top, and its name there.
    #[must_use]
    pub fn split(&self) -> (&str, &str) {
        self.name.rsplit_once('.').unwrap_or(("", &self.name))
    }

    /// What clap calls its option, if it has one.
    #[must_use]
    pub fn option_id(&self) -> String {
        self.name.replace('.', "_")
    }
}

/// All settings of a program.
pub trait Settings: Part + Default {
    /// The command that lists every key.
    const HELP: &'static str;

    /// Its keys, in the order of their declaration, which is that of a file: the top comes before the tables.
    #[must_use]
    fn keys() -> Vec<Key> {
        entries(&Self::default(), &Origins::new()).into_iter().map(|entry| entry.key).collect()
    }
}

/// Who said what counts, by the name of the key; what is missing is a default.
pub type Origins = BTreeMap<String, Origin>;

/// The settings that count.
#[derive(Clone, Debug)]
pub struct Layered<C> {
    /// The values.
    pub config: C,
    /// Who said so.
    pub origins: Origins,
}

/// A setting, its value and who said so, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Which.
    pub key: Key,
    /// What counts, passwords left out; absent where nothing is set.
    pub value: Option<Value>,
    /// Who said so.
    pub origin: Origin,
}

/// Works out what counts; `layers` begin with the one that counts most.
///
/// # Errors
/// A value that does not fit its key, in whichever layer.
pub fn read<C: Settings>(layers: &[&Layer]) -> Result<Layered<C>, Wrong> {
    let mut layered = Layered { config: C::default(), origins: Origins::new() };
    layers.iter().rev().try_for_each(|layer| layer.lay_over(&mut layered))?;
    Ok(layered)
}

/// Every setting as it is shown, in the order of the declaration.
#[must_use]
pub fn entries<C: Part>(config: &C, origins: &Origins) -> Vec<Entry> {
    let mut entries = Vec::new();
    config.clone().visit(Key::default(), &mut |key, slot| {
        let origin = origins.get(&key.name).cloned().unwrap_or_default();
        entries.push(Entry { value: slot.shown(), key, origin });
    });
    entries
}

/// The keys whose shown values differ.
#[must_use]
pub fn changed(before: &[Entry], after: &[Entry]) -> Vec<Key> {
    let pairs = before.iter().zip(after);
    pairs.filter(|(before, after)| before.value != after.value).map(|(_, after)| after.key.clone()).collect()
}

#[cfg(test)]
mod tests;
