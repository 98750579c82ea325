//! What a connection needs of whatever carries it: messages in, messages out.
//!
//! Newline-delimited JSON is here; WebSocket brings its own (`http::ws`).

use std::io;

use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt};

use super::lines::{Line, Lines};
use super::outbound::Outgoing;

/// The writer gathers what waits up to this much before it writes.
pub(super) const WRITE_BYTES: usize = 64 * 1024;

/// Where calls come from.
pub(super) trait Source: Send {
    /// The next message; `None` at the end, or when reading fails. Cancel-safe.
    fn next(&mut self) -> impl Future<Output = Option<Line>> + Send;
}

/// Where answers and events go.
pub(super) trait Sink: Send + 'static {
    /// Adds a message to what is written next, and says how many bytes that has now.
    fn add(&mut self, outgoing: &Outgoing) -> usize;

    /// Has the system take everything that was added.
    fn flush(&mut self) -> impl Future<Output = io::Result<()>> + Send;

    /// Says goodbye, once everything was flushed.
    fn close(self) -> impl Future<Output = ()> + Send;
}

impl<R: AsyncBufRead + Unpin + Send> Source for Lines<R> {
    async fn next(&mut self) -> Option<Line> {
        Self::next(self).await
    }
}

/// A message a line.
pub(super) struct LineSink<W> {
    output: W,
    bytes: Vec<u8>,
}

impl<W> LineSink<W> {
    pub(super) const fn new(output: W) -> Self {
        Self { output, bytes: Vec::new() }
    }
}

impl<W: AsyncWrite + Unpin + Send + 'static> Sink for LineSink<W> {
    fn add(&mut self, outgoing: &Outgoing) -> usize {
        self.bytes.extend_from_slice(outgoing.to_json().as_bytes());
        self.bytes.push(b'\n');
        self.bytes.len()
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.output.write_all(&self.bytes).await?;
        self.output.flush().await?;
        self.bytes.clear();
        self.bytes.shrink_to(WRITE_BYTES);
        Ok(())
    }

    async fn close(mut self) {
        // whoever is gone already need not be told
        let _ = self.output.shutdown().await;
    }
}
