//! Numbers that never go back.

use crate::rows::COUNTERS;
use crate::rows::key::Key;
use crate::store::{Rows, RowsError};

/// A number that survives restarts and only grows, unless it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Generation of the mailbox that was last named: numbers of another one do not compare with that.
    MailboxGeneration,
    /// Deliveries that were ever taken, as they are counted here.
    Taken,
    /// Deliveries that were ever remembered in the rows that are here.
    Remembered,
    /// 1 once what older programs did not count was counted.
    Counted,
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
    /// Bytes of all events that were ever appended, also of those that went.
    EventBytes,
    /// Bytes of all values that programs keep.
    KvBytes,
    /// Newest message of a request.
    Requested,
    /// Bytes of all requests.
    RequestBytes,
    /// 1 while this clock and the server's are too far apart.
    Skewed,
}

impl Counter {
    const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Submit => "submit",
            Self::Outbox => "outbox",
            Self::Message => "message",
            Self::Activity => "activity",
            Self::Mailbox => "mailbox",
            Self::MailboxGeneration => "mailbox-generation",
            Self::Taken => "taken",
            Self::Remembered => "remembered",
            Self::Counted => "counted",
            Self::Room => "room",
            Self::RoomBefore => "room-before",
            Self::Epoch => "epoch",
            Self::Bundle => "bundle",
            Self::Audit => "audit",
            Self::Ahead => "ahead",
            Self::Reset => "reset",
            Self::EventBytes => "event-bytes",
            Self::KvBytes => "kv-bytes",
            Self::Requested => "requested",
            Self::RequestBytes => "request-bytes",
            Self::Skewed => "skewed",
        }
    }

    /// The number; 0 before it was ever set.
    pub(crate) fn get(self, rows: &dyn Rows) -> Result<u64, RowsError> {
        Ok(COUNTERS.get(rows, &self)?.unwrap_or(0))
    }

    /// Sets it.
    pub(crate) fn set(self, rows: &mut dyn Rows, value: u64) -> Result<(), RowsError> {
        COUNTERS.put(rows, &self, 0, &value)
    }

    /// Adds one and returns the result.
    pub(crate) fn next(self, rows: &mut dyn Rows) -> Result<u64, RowsError> {
        let value = self.get(rows)?.saturating_add(1);
        self.set(rows, value)?;
        Ok(value)
    }
}

impl Key for Counter {
    const LEN: (usize, usize) = (1, usize::MAX);

    fn write(&self, bytes: &mut Vec<u8>) {
        self.name().write(bytes);
    }
}
