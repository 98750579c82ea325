//! Bytes from the socket, records to the session.

use chat_protocol::limits;
use chat_protocol::record::{Opener, Record, RecordError};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;

use crate::clock;
use crate::counters::Closed;

/// One read before login. With the opener's record of 8 KiB this stays far below the 64 KiB a stranger may cost.
pub(super) const GUEST_READ_BYTES: usize = 4 * 1024;
/// One read after login.
const READ_BYTES: usize = 16 * 1024;

/// The reading half of a connection.
pub(super) struct Reader {
    socket: OwnedReadHalf,
    opener: Opener,
    buffer: Vec<u8>,
}

impl Reader {
    pub(super) fn new(socket: OwnedReadHalf, opener: Opener) -> Self {
        Self { socket, opener, buffer: vec![0; GUEST_READ_BYTES] }
    }

    /// From now on records of full length are read.
    pub(super) fn logged_in(&mut self) {
        self.opener.set_limit(limits::MAX_RECORD_BYTES);
        self.buffer.resize(READ_BYTES, 0);
    }

    /// The next record; after a goodbye, and at the end of the stream, why it ended.
    ///
    /// Cancel-safe: what was read is in the opener before the next await.
    pub(super) async fn next(&mut self) -> Result<Record, Closed> {
        loop {
            if let Some(record) = self.opener.next(clock::running()).map_err(reason)? {
                return Ok(record);
            }
            match self.socket.read(&mut self.buffer).await {
                Ok(0) => return Err(self.opener.end().map_or_else(reason, |()| Closed::ByPeer)),
                Ok(count) => self.opener.feed(self.buffer.get(..count).unwrap_or_default()),
                Err(_) => return Err(Closed::Io),
            }
        }
    }
}

const fn reason(error: RecordError) -> Closed {
    match error {
        RecordError::Truncated => Closed::Truncated,
        _ => Closed::Record,
    }
}
