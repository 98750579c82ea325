//! How the engine keeps its values in rows: one CBOR item each, and counters that never go back.

use chat_protocol::cbor;
use minicbor::{Decode, Encode};

use crate::store::{Place, Rows, RowsError, Table};

/// Reads the value in a place.
pub(crate) fn load<T>(rows: &dyn Rows, place: Place<'_>) -> Result<Option<T>, RowsError>
where
    T: for<'b> Decode<'b, ()>,
{
    rows.get(place)?.map(|bytes| decode(place.table, &bytes)).transpose()
}

/// Writes the value of a place under an order.
pub(crate) fn save<T: Encode<()>>(
    rows: &mut dyn Rows,
    place: Place<'_>,
    order: u64,
    value: &T,
) -> Result<(), RowsError> {
    rows.put(place, order, &cbor::encode(value))
}

/// Reads the value of a row that a scan found.
pub(crate) fn decode<T>(table: Table, bytes: &[u8]) -> Result<T, RowsError>
where
    T: for<'b> Decode<'b, ()>,
{
    cbor::decode_own(bytes).map_err(|_| RowsError::Corrupt(format!("a row of {table:?} cannot be read")))
}

/// A number that survives restarts and only grows, unless it is set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counter {
    /// Sequence of the newest event.
    Event,
    /// Counter in front of submit ids.
    Submit,
    /// Position of the newest outbox row.
    Outbox,
    /// Position of the newest message of the history.
    Message,
    /// Position of the latest activity of any chat.
    Activity,
    /// Mailbox sequence of the newest delivery that was taken, as the server numbers it.
    Mailbox,
    /// Deliveries that were ever taken, as they are counted here.
    Taken,
    /// Sequence up to which the public room is stored, as the server numbers it.
    Room,
    /// Where that stood when the connection was begun.
    RoomBefore,
    /// Epoch of the own sender sequences.
    Epoch,
    /// Sequence of the newest own bundle.
    Bundle,
    /// Newest entry of the journal of tokens.
    Audit,
    /// Newest message that waited for its author's account log.
    Ahead,
    /// When a reset of the account happens, in milliseconds; 0 while none waits.
    Reset,
    /// 1 while this clock and the server's are too far apart.
    Skewed,
}

impl Counter {
    const fn key(self) -> &'static [u8] {
        match self {
            Self::Event => b"event",
            Self::Submit => b"submit",
            Self::Outbox => b"outbox",
            Self::Message => b"message",
            Self::Activity => b"activity",
            Self::Mailbox => b"mailbox",
            Self::Taken => b"taken",
            Self::Room => b"room",
            Self::RoomBefore => b"room-before",
            Self::Epoch => b"epoch",
            Self::Bundle => b"bundle",
            Self::Audit => b"audit",
            Self::Ahead => b"ahead",
            Self::Reset => b"reset",
            Self::Skewed => b"skewed",
        }
    }

    fn place(self) -> Place<'static> {
        Place::new(Table::State, b"counter", self.key())
    }

    /// The number; 0 before it was ever set.
    pub(crate) fn get(self, rows: &dyn Rows) -> Result<u64, RowsError> {
        Ok(load(rows, self.place())?.unwrap_or(0))
    }

    /// Sets it.
    pub(crate) fn set(self, rows: &mut dyn Rows, value: u64) -> Result<(), RowsError> {
        save(rows, self.place(), 0, &value)
    }

    /// Adds one and returns the result.
    pub(crate) fn next(self, rows: &mut dyn Rows) -> Result<u64, RowsError> {
        let value = self.get(rows)?.saturating_add(1);
        self.set(rows, value)?;
        Ok(value)
    }
}
