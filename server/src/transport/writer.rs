//! Takes everything that waits for a connection, packs it into records, writes it in one go.
//!
//! Under load one token and one system call carry many frames; alone, a frame leaves at once: nothing
//! ever waits for company.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chat_protocol::limits::PACK_RECORD_BYTES;
use chat_protocol::record::{Record, Sealer};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock;
use crate::counters::Closed;
use crate::router::outbox::{Batch, Outbox};

/// A buffer that grew beyond this is given back when the queue is empty.
const KEEP_BYTES: usize = 32 * 1024;
/// Time for the goodbye to a connection that must not stay.
const SHORT_GOODBYE: Duration = Duration::from_millis(500);

/// The writing half of a connection.
pub(super) struct Writer {
    pub(super) socket: OwnedWriteHalf,
    pub(super) sealer: Sealer,
    pub(super) outbox: Arc<Outbox>,
    /// Time for one write, and for an ordinary goodbye.
    pub(super) deadline: Duration,
}

impl Writer {
    /// Writes until the connection ends; then nothing more is sent on it.
    pub(super) async fn run(mut self) {
        let mut out = Vec::new();
        loop {
            let mut batch = self.outbox.next().await;
            self.seal(&mut batch, &mut out);
            if let Err(why) = self.write(&out).await {
                self.outbox.sever(why);
                return;
            }
            out.clear();
            out.shrink_to(KEEP_BYTES);
            if batch.close.is_some() {
                let _closed = self.socket.shutdown().await;
                // nothing more can be said: whoever still works on an answer need not wait for it
                self.outbox.sever(Closed::Io);
                return;
            }
        }
    }

    /// Seals a batch into `out`. The goodbye comes last.
    fn seal(&mut self, batch: &mut Batch, out: &mut Vec<u8>) {
        let now = clock::running();
        if std::mem::take(&mut batch.pong) {
            self.sealer.seal(&Record::Pong, now, out);
        }
        if std::mem::take(&mut batch.ping) {
            self.sealer.seal(&Record::Ping, now, out);
        }
        while !batch.frames.is_empty() {
            self.sealer.seal(&Record::Data(pack(&mut batch.frames)), now, out);
        }
        if batch.goodbye {
            self.sealer.seal(&Record::Close, now, out);
        }
    }

    /// Writes all of it, as slowly as the peer reads, as long as it reads.
    async fn write(&mut self, mut out: &[u8]) -> Result<(), Closed> {
        while !out.is_empty() {
            match self.socket.try_write(out) {
                Ok(0) => return Err(Closed::Io),
                Ok(written) => out = out.get(written..).unwrap_or_default(),
                Err(full) if full.kind() == ErrorKind::WouldBlock => self.room().await?,
                Err(_) => return Err(Closed::Io),
            }
        }
        Ok(())
    }

    /// Waits until the peer has read some of what waits in the socket. Without that the stream stays torn, so the caller
    /// severs the connection.
    async fn room(&self) -> Result<(), Closed> {
        // both only wait
        tokio::select! {
            ready = self.socket.writable() => ready.map_err(|_| Closed::Io)?,
            why = overdue(&self.outbox, self.deadline) => return Err(why),
        }
        self.outbox.was_read();
        Ok(())
    }
}

/// The body of the next record: as many frames as fit, at least one.
fn pack(frames: &mut VecDeque<Bytes>) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(frame) = frames.front()
        && (body.is_empty() || body.len() + frame.len() <= PACK_RECORD_BYTES)
    {
        body.extend_from_slice(frame);
        frames.pop_front();
    }
    body
}

/// Resolves when a write has taken too long: sooner once the connection is to end.
async fn overdue(outbox: &Outbox, deadline: Duration) -> Closed {
    let ended = async {
        outbox.ending().await;
        let since = outbox.closed_at().unwrap_or_else(Instant::now);
        sleep_until(since + goodbye(outbox, deadline)).await;
    };
    // all three only wait
    tokio::select! {
        () = outbox.severed() => {}
        () = sleep(deadline) => {}
        () = ended => {}
    }
    outbox.closed().unwrap_or(Closed::SlowReader)
}

fn goodbye(outbox: &Outbox, deadline: Duration) -> Duration {
    match outbox.closed() {
        Some(Closed::Shutdown | Closed::ByPeer) => deadline,
        _ => deadline.min(SHORT_GOODBYE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_filled_and_a_long_frame_goes_alone() {
        let mut frames: VecDeque<_> =
            [8_000, 8_000, 8_000, 60_000, 10].into_iter().map(|len| Bytes::from(vec![0; len])).collect();
        let mut lengths = Vec::new();
        while !frames.is_empty() {
            lengths.push(pack(&mut frames).len());
        }
        assert_eq!(lengths, [16_000, 8_000, 60_000, 10]);
    }
}
