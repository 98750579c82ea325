//! No two families meet, and none changes its place, its keys or its values unseen.

#![expect(clippy::disallowed_methods, reason = "the golden files and the sources are read")]

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::codec::Codec;
use super::families;
use super::family::{Family, Scoped, Single};
use super::key::Key;
use super::samples::{Sample, SampleKey};
use crate::store::{Place, Table};

/// A family as it is declared, with samples of what it holds.
pub(super) struct Declared {
    name: String,
    version: u32,
    table: Table,
    scope: Names,
    key: Names,
    scopes: Vec<Vec<u8>>,
    keys: Vec<Vec<u8>>,
    values: Vec<Vec<u8>>,
    /// Whether these bytes are read as the sample with this number.
    reads: fn(&[u8], usize) -> bool,
    /// Whether these bytes are read at all.
    is_read: fn(&[u8]) -> bool,
}

/// The byte strings that a label and a type of key allow.
struct Names {
    label: &'static str,
    starts: &'static [&'static str],
    len: (usize, usize),
}

impl Names {
    const fn one(label: &'static str) -> Self {
        Self { label, starts: &[""], len: (0, 0) }
    }

    const fn of<K: Key + ?Sized>(label: &'static str) -> Self {
        Self { label, starts: K::STARTS, len: K::LEN }
    }

    /// Whether some byte string may be of both.
    fn meet(&self, other: &Self) -> bool {
        let starts = |names: &Self| names.starts.iter().map(|start| [names.label, start].concat()).collect::<Vec<_>>();
        let len = |names: &Self| (names.label.len() + names.len.0, names.label.len().saturating_add(names.len.1));
        let ((low, high), (other_low, other_high)) = (len(self), len(other));
        let ours = starts(self);
        let alike = |theirs: &String| ours.iter().any(|own| own.starts_with(theirs) || theirs.starts_with(own));
        low <= other_high && other_low <= high && starts(other).iter().any(alike)
    }
}

/// What the list of families asks of each.
pub(super) trait Describe {
    fn describe(&self, name: String, version: u32) -> Declared;
}

impl Declared {
    pub(super) fn of(name: &str, version: u32, family: &dyn Describe) -> Self {
        family.describe(name.to_lowercase(), version)
    }

    fn meets(&self, other: &Self) -> bool {
        // whoever reads a whole scope finds what else is in it, but single rows are read by their keys alone
        let single = |declared: &Self| declared.key.len == (0, 0);
        let keys_meet = !single(self) || !single(other) || self.key.meet(&other.key);
        self.table == other.table && self.scope.meet(&other.scope) && keys_meet
    }

    /// What is to be in its file: the table, and samples of scopes, keys and values in hexadecimal digits.
    fn golden(&self) -> String {
        let mut text = format!("table {}\n", self.table.number());
        for (what, samples) in [("scope", &self.scopes), ("key", &self.keys), ("value", &self.values)] {
            for sample in samples {
                let hex = sample.iter().fold(String::new(), hex);
                writeln!(text, "{}", format!("{what} {hex}").trim_end()).unwrap();
            }
        }
        text
    }

    fn file(&self) -> PathBuf {
        golden_dir().join(format!("{}.{}.txt", self.name, self.version))
    }
}

fn hex(mut text: String, byte: &u8) -> String {
    write!(text, "{byte:02x}").unwrap();
    text
}

/// The values in the text of a golden file.
fn values(golden: &str) -> Vec<Vec<u8>> {
    golden.lines().filter_map(|line| line.strip_prefix("value")).map(|hex| bytes_of(hex.trim())).collect()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rows/golden")
}

fn describe<C: Codec<Value: Sample>>(
    (name, version): (String, u32),
    table: Table,
    (scope, scopes): (Names, Vec<Vec<u8>>),
    (key, keys): (Names, Vec<Vec<u8>>),
) -> Declared {
    let values = C::Value::samples().iter().map(C::write).collect();
    let reads = |bytes: &[u8], nth: usize| C::read(bytes).as_ref() == C::Value::samples().get(nth);
    Declared {
        name,
        version,
        table,
        scope,
        key,
        scopes,
        keys,
        values,
        reads,
        is_read: |bytes| C::read(bytes).is_some(),
    }
}

impl<K: SampleKey + ?Sized, C: Codec<Value: Sample>> Describe for Family<K, C> {
    fn describe(&self, name: String, version: u32) -> Declared {
        let Cow::Borrowed(scope) = self.scope else { panic!("a family that is declared has no owned scope") };
        let keys = (Names::of::<K>(""), K::sample_bytes());
        describe::<C>((name, version), self.table, (Names::one(label(scope)), vec![scope.to_vec()]), keys)
    }
}

impl<S: SampleKey + ?Sized, K: SampleKey + ?Sized, C: Codec<Value: Sample>> Describe for Scoped<S, K, C> {
    fn describe(&self, name: String, version: u32) -> Declared {
        let scope = |one: &Vec<u8>| [self.label.as_bytes(), one].concat();
        let scopes = (Names::of::<S>(self.label), S::sample_bytes().iter().map(scope).collect());
        describe::<C>((name, version), self.table, scopes, (Names::of::<K>(""), K::sample_bytes()))
    }
}

impl<C: Codec<Value: Sample>> Describe for Single<C> {
    fn describe(&self, name: String, version: u32) -> Declared {
        let Place { table, scope, key } = self.place;
        let (scopes, keys) = (vec![scope.to_vec()], vec![key.to_vec()]);
        describe::<C>((name, version), table, (Names::one(label(scope)), scopes), (Names::one(label(key)), keys))
    }
}

fn label(bytes: &'static [u8]) -> &'static str {
    str::from_utf8(bytes).unwrap()
}

#[test]
fn no_two_families_have_a_place_in_common() {
    let all = families();
    for (nth, one) in all.iter().enumerate() {
        for other in all.iter().skip(nth + 1) {
            assert!(!one.meets(other), "{} and {} may share a scope", one.name, other.name);
        }
    }
}

#[test]
fn labels_that_begin_another_scope_are_noticed() {
    let names = |label, len| Names { label, starts: &[""], len };
    for (one, other, meet) in [
        (Names::one("kv"), Names::one("kv"), true),
        (Names::one("kv:me"), names("kv:", (1, 64)), true),
        (Names::one("kv"), names("kv:", (1, 64)), false),
        (names("for:", (16, 16)), names("for:", (27, 174)), false),
        (names("a", (1, 2)), names("ab", (1, 2)), true),
        (names("", (16, 16)), Names::one("aged"), false),
        (Names { label: "", starts: &["@", "self"], len: (4, 151) }, Names::one("seen:"), false),
        (Names { label: "", starts: &["@", "self"], len: (4, 151) }, Names::one("self"), true),
    ] {
        assert_eq!((one.meet(&other), other.meet(&one)), (meet, meet), "{} and {}", one.label, other.label);
    }
}

/// `WRITE_GOLDEN=1` writes the files that are missing. None that is there is ever written over.
#[test]
fn every_family_has_the_place_and_the_bytes_it_always_had() {
    for family in families() {
        if std::env::var_os("WRITE_GOLDEN").is_some() && !family.file().exists() {
            fs::write(family.file(), family.golden()).unwrap();
        }
        let name = format!("{} in version {}", family.name, family.version);
        let golden = fs::read_to_string(family.file())
            .unwrap_or_else(|_| panic!("{name} has no golden file: set WRITE_GOLDEN=1 for this test to write it"));
        assert_eq!(golden, family.golden(), "{name} is stored otherwise: see the head of rows.rs");
        for (nth, bytes) in values(&golden).iter().enumerate() {
            assert!((family.reads)(bytes, nth), "{name}: value {nth} is read as something else");
        }
    }
}

#[test]
fn what_former_versions_of_a_family_wrote_is_still_read() {
    let families = families();
    for entry in fs::read_dir(golden_dir()).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        let file = entry.file_name().into_string().unwrap();
        let (name, version) = file.strip_suffix(".txt").and_then(|file| file.split_once('.')).unwrap();
        let family = families.iter().find(|family| family.name == name).unwrap_or_else(|| panic!("{file} is nobody's"));
        assert!(version.parse::<u32>().unwrap() <= family.version, "{file} is of a version that nobody declares");
        for value in values(&fs::read_to_string(entry.path()).unwrap()) {
            assert!((family.is_read)(&value), "{file}: {name} cannot be read any more");
        }
    }
}

#[test]
fn nobody_else_names_a_place_or_a_table() {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = |file: &Path| {
        [engine.join("src/rows"), engine.join("src/store"), engine.join("../src/store")]
            .iter()
            .any(|room| file.starts_with(room) || *file == room.with_extension("rs"))
    };
    let mut left = vec![engine.join("src"), engine.join("../src")];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if !own(&path) {
            let text = fs::read_to_string(&path).unwrap();
            for word in ["Place::new", "Table::"] {
                let named = |(at, _)| !text[..at].ends_with(char::is_alphanumeric);
                assert!(!text.match_indices(word).any(named), "{}: {word} is for rows.rs", path.display());
            }
        }
    }
}
