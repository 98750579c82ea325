//! Rows of one kind: read and written by their keys and as their values, nothing else.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

use zeroize::Zeroizing;

use crate::rows::codec::Codec;
use crate::rows::key::Key;
use crate::store::{Direction, Place, Rows, RowsError, Table};

/// Any order.
const ALL: RangeInclusive<u64> = 0..=u64::MAX;

/// Rows that are read together, one for each key.
///
/// Every method fails with [`RowsError`]: those of the store, and [`RowsError::Corrupt`] for a value that cannot be read.
pub struct Family<K: ?Sized, C> {
    pub(super) table: Table,
    pub(super) scope: Cow<'static, [u8]>,
    of: PhantomData<fn(&K) -> C>,
}

impl<K: Key + ?Sized, C: Codec> Family<K, C> {
    pub(super) const fn new(table: Table, label: &'static str) -> Self {
        Self { table, scope: Cow::Borrowed(label.as_bytes()), of: PhantomData }
    }

    /// The value under a key.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn get(&self, rows: &dyn Rows, key: &K) -> Result<Option<C::Value>, RowsError> {
        get::<C>(rows, Place::new(self.table, &self.scope, &bytes(key)))
    }

    /// Whether there is a row under a key.
    pub(crate) fn has(&self, rows: &dyn Rows, key: &K) -> Result<bool, RowsError> {
        Ok(rows.get(Place::new(self.table, &self.scope, &bytes(key)))?.is_some())
    }

    /// Writes the row of a key, in place of the value and the order it had.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn put(&self, rows: &mut dyn Rows, key: &K, order: u64, value: &C::Value) -> Result<(), RowsError> {
        put::<C>(rows, Place::new(self.table, &self.scope, &bytes(key)), order, value)
    }

    /// Removes the row of a key; says whether there was one.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn delete(&self, rows: &mut dyn Rows, key: &K) -> Result<bool, RowsError> {
        rows.delete(Place::new(self.table, &self.scope, &bytes(key)))
    }

    /// Orders within `range` and their values, at most `limit`.
    pub(crate) fn scan(
        &self,
        rows: &dyn Rows,
        range: RangeInclusive<u64>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(u64, C::Value)>, RowsError> {
        rows.scan(self.table, &self.scope, range, direction, limit)?
            .into_iter()
            .map(|(order, bytes)| Ok((order, read::<C>(self.table, bytes)?)))
            .collect()
    }

    /// Every value, the lowest order first.
    pub(crate) fn all(&self, rows: &dyn Rows) -> Result<Vec<C::Value>, RowsError> {
        let found = self.scan(rows, ALL, Direction::Ascending, usize::MAX)?;
        Ok(found.into_iter().map(|(_, value)| value).collect())
    }

    /// The lowest order and its value.
    pub(crate) fn first(&self, rows: &dyn Rows) -> Result<Option<(u64, C::Value)>, RowsError> {
        Ok(self.scan(rows, ALL, Direction::Ascending, 1)?.pop())
    }

    /// Removes the rows with an order in `range`.
    pub(crate) fn delete_range(&self, rows: &mut dyn Rows, range: RangeInclusive<u64>) -> Result<(), RowsError> {
        rows.delete_range(self.table, &self.scope, range).map(drop)
    }

    /// Removes every row.
    pub(crate) fn clear(&self, rows: &mut dyn Rows) -> Result<(), RowsError> {
        self.delete_range(rows, ALL)
    }

    /// The highest order; `None` if there is no row.
    pub(crate) fn last_order(&self, rows: &dyn Rows) -> Result<Option<u64>, RowsError> {
        rows.last_order(self.table, &self.scope)
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self, rows: &dyn Rows) -> Result<bool, RowsError> {
        Ok(self.last_order(rows)?.is_none())
    }

    /// How many rows there are.
    pub(crate) fn count(&self, rows: &dyn Rows) -> Result<u64, RowsError> {
        rows.count(self.table, &self.scope)
    }
}

/// A family for each of something: a device, a chat.
pub struct Scoped<S: ?Sized, K: ?Sized, C> {
    pub(super) table: Table,
    pub(super) label: &'static str,
    of: PhantomData<fn(&S, &K) -> C>,
}

impl<S: Key + ?Sized, K: Key + ?Sized, C: Codec> Scoped<S, K, C> {
    pub(super) const fn new(table: Table, label: &'static str) -> Self {
        Self { table, label, of: PhantomData }
    }

    /// The rows of one.
    pub(crate) fn of(&self, one: &S) -> Family<K, C> {
        let mut scope = self.label.as_bytes().to_vec();
        one.write(&mut scope);
        Family { table: self.table, scope: Cow::Owned(scope), of: PhantomData }
    }
}

/// The one row of its kind.
pub struct Single<C> {
    pub(super) place: Place<'static>,
    of: PhantomData<fn() -> C>,
}

impl<C: Codec> Single<C> {
    pub(super) const fn new(table: Table, label: &'static str, key: &'static str) -> Self {
        Self { place: Place::new(table, label.as_bytes(), key.as_bytes()), of: PhantomData }
    }

    /// The value, if there is a row.
    ///
    /// # Errors
    /// [`RowsError`]; [`RowsError::Corrupt`] for a value that cannot be read.
    pub fn get(&self, rows: &dyn Rows) -> Result<Option<C::Value>, RowsError> {
        get::<C>(rows, self.place)
    }

    /// Writes the row.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn put(&self, rows: &mut dyn Rows, value: &C::Value) -> Result<(), RowsError> {
        put::<C>(rows, self.place, 0, value)
    }

    /// Removes the row; says whether there was one.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn delete(&self, rows: &mut dyn Rows) -> Result<bool, RowsError> {
        rows.delete(self.place)
    }
}

fn get<C: Codec>(rows: &dyn Rows, place: Place<'_>) -> Result<Option<C::Value>, RowsError> {
    rows.get(place)?.map(|bytes| read::<C>(place.table, bytes)).transpose()
}

fn put<C: Codec>(rows: &mut dyn Rows, place: Place<'_>, order: u64, value: &C::Value) -> Result<(), RowsError> {
    rows.put(place, order, &Zeroizing::new(C::write(value)))
}

fn read<C: Codec>(table: Table, bytes: Vec<u8>) -> Result<C::Value, RowsError> {
    let bytes = Zeroizing::new(bytes);
    C::read(&bytes).ok_or_else(|| RowsError::Corrupt(format!("a row of {table:?} cannot be read")))
}

fn bytes<K: Key + ?Sized>(key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.write(&mut bytes);
    bytes
}
