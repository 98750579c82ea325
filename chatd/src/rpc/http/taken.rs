//! Knows when the system has taken what an HTTP connection had to say.
//!
//! hyper asks for more of a body than it has written, and gathers it in a buffer of its own. It flushes the stream below
//! whenever that buffer is empty: then everything it was handed before is out.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::rpc::outbound::Outgoing;

/// What hyper was handed and may not have written yet.
#[derive(Default)]
pub(super) struct Taken(Mutex<Vec<Outgoing>>);

impl Taken {
    /// Tells `outgoing` once it was written. To be called before hyper gets it.
    pub(super) fn hand(&self, outgoing: Outgoing) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(outgoing);
    }

    fn all(&self) {
        let written = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        written.iter().for_each(Outgoing::was_written);
    }
}

/// A stream whose flushes are noticed.
pub(super) struct Tapped<S> {
    stream: S,
    taken: Arc<Taken>,
}

impl<S> Tapped<S> {
    pub(super) const fn new(stream: S, taken: Arc<Taken>) -> Self {
        Self { stream, taken }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        if flushed.is_ok() {
            self.taken.all();
        }
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
