//! From columns to values and back, and what the driver's errors mean. Nothing here panics on a
//! value of a wrong kind, as the driver's own conversions would.

use chat_protocol::ids::Username;
use chat_protocol::time::Timestamp;
use mysql_async::prelude::{FromValue, Queryable};
use mysql_async::{Params, Row, Value};

use super::super::contract::{Cause, Mend, StoreError};
use super::super::types::DeviceState;

/// What can go wrong inside a transaction.
#[derive(Debug)]
pub(super) enum Fault {
    Driver(mysql_async::Error),
    Odd(&'static str),
    Unsuitable { why: String, mend: Mend },
    Late,
}

pub(super) type Sql<T> = Result<T, Fault>;

/// Deadlock, and a lock that took too long: the transaction was undone and may simply be repeated.
const COLLISIONS: [u16; 2] = [1205, 1213];
/// The server stops, is full, or closed the connection.
const PASSING: [u16; 10] = [1021, 1040, 1053, 1077, 1114, 1203, 1226, 1836, 1927, 3169];
/// The server does not let us in, or to these tables, or lets nobody write: no row is to blame.
const SHUT: [u16; 14] = [1044, 1045, 1049, 1129, 1130, 1142, 1143, 1227, 1290, 1698, 1820, 1862, 3118, 4151];
/// There is no database of that name.
const NOWHERE: u16 = 1049;
/// A second row with a unique value.
const DUPLICATE: u16 = 1062;

impl Fault {
    /// Whether the same transaction may succeed at once.
    pub(super) fn is_collision(&self) -> bool {
        self.code().is_some_and(|code| COLLISIONS.contains(&code))
    }

    pub(super) fn is_duplicate(&self) -> bool {
        self.code() == Some(DUPLICATE)
    }

    /// Whether the connection is gone.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Self::Driver(error) if error.is_fatal())
    }

    /// Whether one row may be to blame: the database understood and refused, or a value was not of its kind.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Odd(_)) || self.code().is_some_and(is_refusal)
    }

    fn code(&self) -> Option<u16> {
        match self {
            Self::Driver(mysql_async::Error::Server(error)) => Some(error.code),
            _ => None,
        }
    }
}

fn is_refusal(code: u16) -> bool {
    !COLLISIONS.contains(&code) && !PASSING.contains(&code) && !SHUT.contains(&code)
}

/// What the driver said, among the causes of an error.
fn driver<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a mysql_async::Error> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// An error that holds the driver's somewhere.
pub(super) fn wrapped(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    match driver(&error) {
        Some(mysql_async::Error::Server(server)) if is_refusal(server.code) => StoreError::Internal(Cause::from(error)),
        None => StoreError::Internal(Cause::from(error)),
        Some(_) => StoreError::Unavailable(Cause::from(error)),
    }
}

/// Whether the server does not let us in.
pub(super) fn is_shut(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(driver(error), Some(mysql_async::Error::Server(server)) if SHUT.contains(&server.code))
}

/// Whether the server has no database of that name.
pub(super) fn is_nowhere(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(driver(error), Some(mysql_async::Error::Server(server)) if server.code == NOWHERE)
}

impl From<mysql_async::Error> for Fault {
    fn from(error: mysql_async::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let refused = fault.is_refusal();
        match fault {
            Fault::Odd(what) => Self::Corrupt(what),
            Fault::Unsuitable { why, mend } => Self::Unsuitable { why, mend },
            Fault::Late => Self::Unavailable("the database did not answer in time".into()),
            Fault::Driver(error) if refused => Self::Internal(Cause::from(error)),
            Fault::Driver(error) => Self::Unavailable(Cause::from(error)),
        }
    }
}

/// A number as stored: those beyond the signed range, which only a forger sends, end at its edge.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn millis(at: Timestamp) -> i64 {
    int(at.as_millis())
}

pub(super) fn column<T: FromValue>(row: &mut Row, column: usize) -> Sql<T> {
    row.take_opt(column).and_then(Result::ok).ok_or(Fault::Odd("a column of a wrong kind"))
}

pub(super) fn signed(row: &mut Row, index: usize) -> Sql<i64> {
    column(row, index)
}

/// A count below nothing, which only an error can leave, is nothing.
fn not_negative(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(super) fn uint(row: &mut Row, index: usize) -> Sql<u64> {
    column::<i64>(row, index).map(not_negative)
}

/// As [`uint`], 0 for a row that an outer join did not find.
pub(super) fn uint_or_zero(row: &mut Row, index: usize) -> Sql<u64> {
    column::<Option<i64>>(row, index).map(|value| not_negative(value.unwrap_or(0)))
}

pub(super) fn time(row: &mut Row, index: usize) -> Sql<Timestamp> {
    uint(row, index).map(Timestamp::from_millis)
}

/// A time where 0 is none.
pub(super) fn some_time(row: &mut Row, index: usize) -> Sql<Option<Timestamp>> {
    uint_or_zero(row, index).map(|ms| (ms != 0).then_some(Timestamp::from_millis(ms)))
}

pub(super) fn blob(row: &mut Row, index: usize) -> Sql<Vec<u8>> {
    column(row, index)
}

/// An id, hash or key of fixed length.
pub(super) fn id<T: for<'a> TryFrom<&'a [u8]>>(row: &mut Row, index: usize) -> Sql<T> {
    id_of(&blob(row, index)?)
}

/// As [`id`], none for a row that an outer join did not find.
pub(super) fn some_id<T: for<'a> TryFrom<&'a [u8]>>(row: &mut Row, index: usize) -> Sql<Option<T>> {
    column::<Option<Vec<u8>>>(row, index)?.map(|bytes| id_of(&bytes)).transpose()
}

fn id_of<T: for<'a> TryFrom<&'a [u8]>>(bytes: &[u8]) -> Sql<T> {
    T::try_from(bytes).map_err(|_| Fault::Odd("an id of a wrong length"))
}

/// Text, whatever a foreign hand has put there; none is empty.
pub(super) fn text(row: &mut Row, index: usize) -> Sql<String> {
    let bytes: Option<Vec<u8>> = column(row, index)?;
    Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
}

/// A name as an adopted row spells it, in its canonical form.
pub(super) fn user(row: &mut Row, index: usize) -> Sql<Username> {
    Username::existing(&text(row, index)?).map_err(|_| Fault::Odd("not a user name"))
}

pub(super) fn state(row: &mut Row, index: usize) -> Sql<DeviceState> {
    let state = u8::try_from(signed(row, index)?).ok().and_then(DeviceState::from_code);
    state.ok_or(Fault::Odd("unknown device state"))
}

/// Runs a statement and tells how many rows it changed.
pub(super) async fn run<C: Queryable>(db: &mut C, sql: impl AsRef<str>, params: impl Into<Params> + Send) -> Sql<u64> {
    let result = db.exec_iter(sql.as_ref(), params.into()).await?;
    let changed = result.affected_rows();
    result.drop_result().await?;
    Ok(changed)
}

/// The one row a statement finds.
pub(super) async fn one<C: Queryable, T>(
    db: &mut C,
    sql: &str,
    params: impl Into<Params> + Send,
    read: impl FnOnce(&mut Row) -> Sql<T>,
) -> Sql<Option<T>> {
    let row: Option<Row> = db.exec_first(sql, params.into()).await?;
    row.map(|mut row| read(&mut row)).transpose()
}

/// All rows a statement finds.
pub(super) async fn many<C: Queryable, T>(
    db: &mut C,
    sql: impl AsRef<str>,
    params: impl Into<Params> + Send,
    mut read: impl FnMut(&mut Row) -> Sql<T>,
) -> Sql<Vec<T>> {
    let rows: Vec<Row> = db.exec(sql.as_ref(), params.into()).await?;
    rows.into_iter().map(|mut row| read(&mut row)).collect()
}

/// `?, ?, ?` for a list of `len` values, after [`padded`].
pub(super) fn marks(one: &str, len: usize) -> String {
    vec![one; len].join(", ")
}

/// Repeats the last value up to a power of two: few statement texts, so they stay prepared.
pub(super) fn padded<T: Clone>(mut values: Vec<T>) -> Vec<T> {
    if let Some(last) = values.last().cloned() {
        values.resize(values.len().next_power_of_two(), last);
    }
    values
}

pub(super) fn value(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}
