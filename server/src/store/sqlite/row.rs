//! From columns to values and back. SQLite has signed 64-bit integers only.

use chat_protocol::ids::Username;
use chat_protocol::time::Timestamp;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::super::contract::{Cause, StoreError};
use super::super::types::DeviceState;

pub(super) type Sql<T> = rusqlite::Result<T>;

/// A number as stored: those beyond the signed range, which only a forger sends, end at its edge.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn millis(at: Timestamp) -> i64 {
    int(at.as_millis())
}

/// A count below nothing, which only an error can leave, is nothing.
fn not_negative(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(super) fn uint(row: &Row<'_>, column: usize) -> Sql<u64> {
    row.get::<_, i64>(column).map(not_negative)
}

/// As [`uint`], 0 for a row that an outer join did not find.
pub(super) fn uint_or_zero(row: &Row<'_>, column: usize) -> Sql<u64> {
    row.get::<_, Option<i64>>(column).map(|value| not_negative(value.unwrap_or(0)))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> Sql<Timestamp> {
    uint(row, column).map(Timestamp::from_millis)
}

/// A time where 0 is none.
pub(super) fn some_time(row: &Row<'_>, column: usize) -> Sql<Option<Timestamp>> {
    uint_or_zero(row, column).map(|ms| (ms != 0).then_some(Timestamp::from_millis(ms)))
}

/// An id, hash or key of fixed length.
pub(super) fn id<T: for<'a> TryFrom<&'a [u8]>>(row: &Row<'_>, column: usize) -> Sql<T> {
    let value = row.get_ref(column)?;
    value.as_blob().ok().and_then(|bytes| T::try_from(bytes).ok()).ok_or_else(|| odd(column, "wrong length"))
}

/// As [`id`], none for a row that an outer join did not find.
pub(super) fn some_id<T: for<'a> TryFrom<&'a [u8]>>(row: &Row<'_>, column: usize) -> Sql<Option<T>> {
    if row.get_ref(column)?.data_type() == Type::Null { Ok(None) } else { id(row, column).map(Some) }
}

/// A name as an adopted row spells it, in its canonical form.
pub(super) fn user(row: &Row<'_>, column: usize) -> Sql<Username> {
    Username::existing(&text(row, column)?).map_err(|_| odd(column, "not a user name"))
}

/// Text, whatever a foreign hand has put there.
pub(super) fn text(row: &Row<'_>, column: usize) -> Sql<String> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(_) | ValueRef::Null => String::new(),
    })
}

pub(super) fn state(row: &Row<'_>, column: usize) -> Sql<DeviceState> {
    let state = u8::try_from(row.get::<_, i64>(column)?).ok().and_then(DeviceState::from_code);
    state.ok_or_else(|| odd(column, "unknown device state"))
}

fn odd(column: usize, why: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, why.into())
}

/// Runs a cached statement and tells how many rows it changed.
pub(super) fn run<P: Params>(db: &Connection, sql: &str, params: P) -> Sql<usize> {
    db.prepare_cached(sql)?.execute(params)
}

/// The one row a cached statement finds.
pub(super) fn one<T, P: Params>(
    db: &Connection,
    sql: &str,
    params: P,
    read: impl FnOnce(&Row<'_>) -> Sql<T>,
) -> Sql<Option<T>> {
    db.prepare_cached(sql)?.query_row(params, read).optional()
}

/// All rows a cached statement finds.
pub(super) fn many<T, P: Params>(
    db: &Connection,
    sql: &str,
    params: P,
    read: impl FnMut(&Row<'_>) -> Sql<T>,
) -> Sql<Vec<T>> {
    db.prepare_cached(sql)?.query_map(params, read)?.collect()
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase, OutOfMemory,
            SystemIoFailure,
        };
        match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked | DiskFull | SystemIoFailure | OutOfMemory | CannotOpen) => {
                Self::Unavailable(Cause::from(error))
            }
            Some(DatabaseCorrupt) => Self::Corrupt("the database file is damaged"),
            Some(NotADatabase) => Self::Corrupt("the file is not a SQLite database"),
            None if matches!(error, rusqlite::Error::FromSqlConversionFailure(..)) => {
                Self::Corrupt("a value of a wrong kind")
            }
            _ => Self::Internal(Cause::from(error)),
        }
    }
}
