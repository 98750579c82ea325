//! What a connection needs of whatever carries it: messages in, messages out.
//!
//! Newline-delimited JSON is here; WebSocket brings its own (`http::ws`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;

use super::lines::{Line, Lines};
use super::outbound::Outgoing;

/// The writer gathers what waits up to this much before it writes.
pub(super) const WRITE_BYTES: usize = 64 * 1024;

/// Where calls come from.
pub(super) trait Source: Send {
    /// The next message; `None` at the end, or when reading fails. Cancel-safe.
    fn next(&mut self) -> impl Future<Output = Option<Line>> + Send;

    /// Resolves once nobody is at the other end, neither to write nor to read. Loses no message. Cancel-safe.
    fn hung_up(&mut self) -> impl Future<Output = ()> + Send;
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

impl Source for Lines<BufReader<OwnedReadHalf>> {
    async fn next(&mut self) -> Option<Line> {
        Self::next(self).await
    }

    async fn hung_up(&mut self) {
        hung_up(self.input().get_ref().as_ref().as_fd()).await;
    }
}

/// A message a line, from two pipes: the one written to shows by itself when nobody reads it any more.
pub(super) struct PipeLines<R>(Lines<BufReader<R>>);

impl<R: AsyncRead + Unpin> PipeLines<R> {
    pub(super) fn new(input: R, limit: usize) -> Self {
        Self(Lines::new(BufReader::new(input), limit))
    }
}

impl<R: AsyncRead + Unpin + Send> Source for PipeLines<R> {
    async fn next(&mut self) -> Option<Line> {
        self.0.next().await
    }

    async fn hung_up(&mut self) {
        std::future::pending().await
    }
}

/// Resolves once the socket is shut in both directions, which its reader cannot tell from an end of input alone.
///
/// Watches a copy of the descriptor: taking readiness from the socket itself would take it from its writer.
async fn hung_up(socket: BorrowedFd<'_>) {
    let copy = socket.try_clone_to_owned().and_then(|copy| UnixStream::from_std(copy.into()));
    // Out of descriptors: whoever hung up is noticed when it is written to.
    let Ok(copy) = copy else { return std::future::pending().await };
    while let Ok(ready) = copy.ready(Interest::WRITABLE).await {
        if ready.is_write_closed() {
            return;
        }
        // Forgets the readiness, so that the next change is waited for.
        let _ = copy.try_io(Interest::WRITABLE, || io::Result::<()>::Err(io::ErrorKind::WouldBlock.into()));
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
