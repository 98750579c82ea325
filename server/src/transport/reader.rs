//! Bytes from the socket, records to the session.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use chat_protocol::limits;
use chat_protocol::record::{Opener, Record, RecordError};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;

use crate::clock;
use crate::counters::Closed;
use crate::shared::{RecordPlace, RecordPlaces};

/// One read before login. With the opener's record of 8 KiB this stays far below the 64 KiB a stranger may cost.
pub(super) const GUEST_READ_BYTES: usize = 4 * 1024;
/// One read after login.
const READ_BYTES: usize = 16 * 1024;

/// Records up to about this length need no place among the long ones: most submits, posts and all other requests.
const SHORT_RECORD_BYTES: usize = 32 * 1024;

/// The reading half of a connection.
pub(super) struct Reader {
    socket: OwnedReadHalf,
    opener: Opener,
    /// Bytes of one read at most.
    most: usize,
    /// Bytes fed since the last whole record.
    unfinished: usize,
    /// Where places for long records come from; nowhere before login, when there are no long ones.
    places: Option<RecordPlaces>,
    /// The place of a long record, until it was taken in.
    place: Option<RecordPlace>,
}

impl Reader {
    pub(super) fn new(socket: OwnedReadHalf, opener: Opener) -> Self {
        Self { socket, opener, most: GUEST_READ_BYTES, unfinished: 0, places: None, place: None }
    }

    /// From now on records of full length are read.
    pub(super) fn logged_in(&mut self, places: RecordPlaces) {
        self.places = Some(places);
        self.opener.set_limit(limits::MAX_RECORD_BYTES);
        self.most = READ_BYTES;
    }

    /// Whether this connection waits for its turn to send a long record.
    pub(super) fn waits_for_place(&self) -> bool {
        self.places.as_ref().is_some_and(RecordPlaces::waits)
    }

    /// Whether a long record is being taken in.
    pub(super) const fn has_place(&self) -> bool {
        self.place.is_some()
    }

    /// The record was taken in: another connection may send a long one.
    pub(super) fn release_place(&mut self) {
        self.place = None;
    }

    /// The next record; after a goodbye, and at the end of the stream, why it ended.
    ///
    /// Cancel-safe: what was read is in the opener before the next await.
    pub(super) async fn next(&mut self) -> Result<Record, Closed> {
        loop {
            if let Some(record) = self.opener.next(clock::running()).map_err(reason)? {
                self.unfinished = 0;
                return Ok(record);
            }
            if self.unfinished > SHORT_RECORD_BYTES
                && self.place.is_none()
                && let Some(places) = &mut self.places
            {
                self.place = poll_fn(|context| places.poll(context)).await;
            }
            match poll_fn(|context| self.poll_read(context)).await {
                Ok(0) => return Err(self.opener.end().map_or_else(reason, |()| Closed::ByPeer)),
                Ok(count) => self.unfinished += count,
                Err(_) => return Err(Closed::Io),
            }
        }
    }

    /// Hands what has come to the opener; how much that was. The buffer lives on the stack: an idle connection keeps none.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(space.get_mut(..self.most).unwrap_or_default());
        ready!(Pin::new(&mut self.socket).poll_read(context, &mut buffer))?;
        self.opener.feed(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

const fn reason(error: RecordError) -> Closed {
    match error {
        RecordError::Truncated => Closed::Truncated,
        _ => Closed::Record,
    }
}
