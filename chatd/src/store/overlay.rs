//! Rows that were read or put lately, so that a row is opened once, and sealed once a transaction however often it
//! changes: the counters of the engine do with every message. And scopes that are known to be empty, as most are that are
//! looked through for what is due.
//!
//! Only the one connection that writes has this, and what it says is what that connection would read: nothing lives on here
//! that was deleted or replaced. Whatever reads more than one row by its scope has what was put there written first. A step that
//! fails is undone here as it is in the database, what was written meanwhile included; of a transaction that fails all is
//! forgotten. What a step replaces is kept until it has ended, beyond the bound.

use std::collections::{BTreeMap, HashMap, HashSet};

use chat_engine::store::{Place, Table};
use zeroize::Zeroizing;

/// Bytes of rows that are kept; then all are written and let go.
const MOST_BYTES: usize = 1 << 20;
/// Scopes that are remembered as empty, of a hundred bytes at most; then all are forgotten.
const MOST_EMPTY: usize = 1024;

/// An order and a value; `None` if it is known that there is no row.
pub(super) type Row = Option<(u64, Zeroizing<Vec<u8>>)>;

/// Where a row is, in the words of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    table: Table,
    scope: Box<[u8]>,
    key: Box<[u8]>,
}

impl Key {
    fn of(place: Place<'_>) -> Self {
        Self { table: place.table, scope: place.scope.into(), key: place.key.into() }
    }

    pub(super) const fn place(&self) -> Place<'_> {
        Place::new(self.table, &self.scope, &self.key)
    }
}

struct Entry {
    row: Row,
    stored: Stored,
    /// When it was put, if the database does not have it yet.
    unwritten: Option<u64>,
}

/// What the database has in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// It was not looked at.
    Unknown,
    /// No row.
    Nothing,
    /// A row with this order.
    Row(u64),
}

impl Stored {
    fn of(row: &Row) -> Self {
        row.as_ref().map_or(Self::Nothing, |(order, _)| Self::Row(*order))
    }
}

/// What a key and its entry take.
fn bytes(key: &Key, entry: &Entry) -> usize {
    let value = entry.row.as_ref().map_or(0, |(_, value)| value.len());
    size_of::<Entry>() + size_of::<Key>() + key.scope.len() + key.key.len() + value
}

/// How a change is undone.
enum Undo {
    /// The entry was another.
    Changed(Key, Option<Entry>),
    /// It was written over this, and by then was put at this time.
    Written(Key, Stored, u64),
}

/// What is known of the rows.
#[derive(Default)]
pub(super) struct Overlay {
    rows: HashMap<Key, Entry>,
    /// The keys of what is still to be written, by when it was put first.
    unwritten: BTreeMap<u64, Key>,
    empty: HashSet<(Table, Box<[u8]>)>,
    bytes: usize,
    puts: u64,
    /// Of the step that runs, the latest change last.
    undo: Option<Vec<Undo>>,
}

impl Overlay {
    /// The row of a place; `None` if nothing is known of it.
    pub(super) fn get(&self, place: Place<'_>) -> Option<&Row> {
        self.rows.get(&Key::of(place)).map(|entry| &entry.row)
    }

    /// A row was read.
    pub(super) fn read(&mut self, place: Place<'_>, row: Row) {
        self.set(Key::of(place), Entry { stored: Stored::of(&row), row, unwritten: None });
    }

    /// What the database has in a place, as far as that is known.
    pub(super) fn stored(&self, place: Place<'_>) -> Stored {
        self.rows.get(&Key::of(place)).map_or(Stored::Unknown, |entry| entry.stored)
    }

    /// A row was put, and is still to be written; one that was put before keeps its turn. One that is known as it is put
    /// changes nothing.
    pub(super) fn put(&mut self, place: Place<'_>, order: u64, value: &[u8]) {
        let key = Key::of(place);
        let known = self.rows.get(&key);
        if known.and_then(|entry| entry.row.as_ref()).is_some_and(|known| known.0 == order && **known.1 == *value) {
            return;
        }
        let stored = known.map_or(Stored::Unknown, |entry| entry.stored);
        let before = known.and_then(|entry| entry.unwritten);
        self.puts += 1;
        self.empty.remove(&(place.table, place.scope.into()));
        let row = Some((order, Zeroizing::new(value.to_vec())));
        self.set(key, Entry { row, stored, unwritten: before.or(Some(self.puts)) });
    }

    /// There is no row in a place any more, here or in the database; whether one was known here.
    pub(super) fn delete(&mut self, place: Place<'_>) -> bool {
        let key = Key::of(place);
        let known = self.rows.get(&key).is_some_and(|entry| entry.row.is_some());
        self.set(key, Entry { row: None, stored: Stored::Nothing, unwritten: None });
        known
    }

    /// Whether it is known that a scope has no rows.
    pub(super) fn is_empty(&self, table: Table, scope: &[u8]) -> bool {
        self.empty.contains(&(table, scope.into()))
    }

    /// A scope was looked through, and has no rows.
    pub(super) fn found_empty(&mut self, table: Table, scope: &[u8]) {
        if self.empty.len() >= MOST_EMPTY {
            self.empty.clear();
        }
        self.empty.insert((table, scope.into()));
    }

    /// Whatever is known of a scope, all of it written, is so no longer.
    pub(super) fn forget(&mut self, table: Table, scope: &[u8]) {
        for key in self.keys(|key, _| key.table == table && *key.scope == *scope) {
            self.unset(&key);
        }
    }

    fn set(&mut self, key: Key, entry: Entry) {
        let before = self.replace(key.clone(), Some(entry));
        self.changed(key, before);
    }

    fn unset(&mut self, key: &Key) {
        let before = self.replace(key.clone(), None);
        self.changed(key.clone(), before);
    }

    fn changed(&mut self, key: Key, before: Option<Entry>) {
        if let Some(undo) = &mut self.undo {
            undo.push(Undo::Changed(key, before));
        }
    }

    /// The one place where entries come and go.
    fn replace(&mut self, key: Key, entry: Option<Entry>) -> Option<Entry> {
        if let Some(entry) = &entry {
            self.bytes += bytes(&key, entry);
            if let Some(put) = entry.unwritten {
                self.unwritten.insert(put, key.clone());
            }
        }
        let (put, before) = match entry {
            Some(entry) => (entry.unwritten, self.rows.insert(key.clone(), entry)),
            None => (None, self.rows.remove(&key)),
        };
        if let Some(before) = &before {
            self.bytes -= bytes(&key, before);
            if let Some(gone) = before.unwritten.filter(|gone| Some(*gone) != put) {
                self.unwritten.remove(&gone);
            }
        }
        before
    }

    /// What is still to be written of a scope, or of all, in the order it was put first.
    pub(super) fn unwritten(&self, scope: Option<(Table, &[u8])>) -> Vec<Key> {
        let wanted = |key: &&Key| scope.is_none_or(|(table, scope)| key.table == table && *key.scope == *scope);
        self.unwritten.values().filter(wanted).cloned().collect()
    }

    fn keys(&self, wanted: impl Fn(&Key, &Entry) -> bool) -> Vec<Key> {
        self.rows.iter().filter(|(key, entry)| wanted(key, entry)).map(|(key, _)| key.clone()).collect()
    }

    /// A row is in the database as it is here.
    pub(super) fn written(&mut self, key: Key) {
        let Some(entry) = self.rows.get_mut(&key) else { return };
        let Some(put) = entry.unwritten.take() else { return };
        let stored = std::mem::replace(&mut entry.stored, Stored::of(&entry.row));
        self.unwritten.remove(&put);
        if let Some(undo) = &mut self.undo {
            undo.push(Undo::Written(key, stored, put));
        }
    }

    /// Whether more is kept than should be.
    pub(super) const fn is_full(&self) -> bool {
        self.bytes > MOST_BYTES
    }

    /// Lets go what is in the database too.
    pub(super) fn shrink(&mut self) {
        for key in self.keys(|_, entry| entry.unwritten.is_none()) {
            self.unset(&key);
        }
    }

    /// A step begins.
    pub(super) fn begin(&mut self) {
        self.undo = Some(Vec::new());
    }

    /// The step has ended well.
    pub(super) fn keep(&mut self) {
        self.undo = None;
    }

    /// The step is undone, and the database is as it was before it.
    pub(super) fn undo(&mut self) {
        // what the step deleted is there again
        self.empty.clear();
        for change in self.undo.take().unwrap_or_default().into_iter().rev() {
            match change {
                Undo::Written(key, stored, put) => {
                    if let Some(entry) = self.rows.get_mut(&key) {
                        (entry.stored, entry.unwritten) = (stored, Some(put));
                        self.unwritten.insert(put, key);
                    }
                }
                Undo::Changed(key, before) => drop(self.replace(key, before)),
            }
        }
    }
}
