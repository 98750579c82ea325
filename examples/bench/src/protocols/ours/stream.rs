//! The transport after its handshake, as rustls is for the peers: a stream whose bytes are frames.

use std::fmt::Display;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use chat_protocol::limits::PACK_RECORD_BYTES;
use chat_protocol::record::{Opener, Record, Sealer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::frames::RawFrame;
use super::now;

/// Sealed bytes that may wait for the socket before a write waits too.
const MOST_WAITING: usize = 256 * 1024;
const READ_BYTES: usize = 16 * 1024;

/// One connection. Whoever writes hands over whole frames; pings are answered in passing.
pub(super) struct Stream {
    io: TcpStream,
    sealer: Sealer,
    opener: Opener,
    /// Opened frames, and how much of them was read.
    plain: Vec<u8>,
    taken: usize,
    /// Sealed records, and how much of them was written.
    out: Vec<u8>,
    written: usize,
    ended: bool,
}

fn broken(error: impl Display) -> io::Error {
    io::Error::other(error.to_string())
}

impl Stream {
    pub(super) const fn new(io: TcpStream, sealer: Sealer, opener: Opener) -> Self {
        Self { io, sealer, opener, plain: Vec::new(), taken: 0, out: Vec::new(), written: 0, ended: false }
    }

    /// Opens every record that is there.
    fn open_all(&mut self) -> io::Result<()> {
        while let Some(record) = self.opener.next(now()).map_err(broken)? {
            match record {
                Record::Data(frames) => self.plain.extend_from_slice(&frames),
                Record::Ping => self.sealer.seal(&Record::Pong, now(), &mut self.out),
                Record::Pong => {}
                Record::Close => self.ended = true,
            }
        }
        // a pong leaves at once if the socket takes it, else with what is written next
        while let Ok(bytes @ 1..) = self.io.try_write(&self.out[self.written..]) {
            self.written += bytes;
        }
        self.tidy();
        Ok(())
    }

    fn tidy(&mut self) {
        if self.written == self.out.len() {
            self.out.clear();
            self.out.shrink_to(32 * 1024);
            self.written = 0;
        }
    }

    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.out.len() {
            match ready!(Pin::new(&mut self.io).poll_write(context, &self.out[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.written += bytes,
            }
        }
        self.tidy();
        Poll::Ready(Ok(()))
    }

    /// How many bytes of whole frames fit one record.
    fn packed(frames: &[u8]) -> io::Result<usize> {
        let mut packed = 0;
        while packed < frames.len() {
            let frame = RawFrame::first(&frames[packed..]).ok_or_else(|| broken("a write of less than a frame"))?;
            if packed > 0 && packed + frame.bytes > PACK_RECORD_BYTES {
                break;
            }
            packed += frame.bytes;
        }
        Ok(packed)
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = &mut *self;
        loop {
            if me.taken < me.plain.len() {
                let bytes = to.remaining().min(me.plain.len() - me.taken);
                to.put_slice(&me.plain[me.taken..me.taken + bytes]);
                me.taken += bytes;
                if me.taken == me.plain.len() {
                    me.plain.clear();
                    me.plain.shrink_to(64 * 1024);
                    me.taken = 0;
                }
                return Poll::Ready(Ok(()));
            }
            if me.ended {
                return Poll::Ready(Ok(()));
            }
            let mut bytes = [0_u8; READ_BYTES];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut me.io).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            me.opener.feed(read.filled());
            me.open_all()?;
        }
    }
}

impl AsyncWrite for Stream {
    /// Takes all of it, or nothing.
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, frames: &[u8]) -> Poll<io::Result<usize>> {
        let me = &mut *self;
        if me.out.len() - me.written > MOST_WAITING {
            ready!(me.poll_out(context))?;
        }
        let mut rest = frames;
        while !rest.is_empty() {
            let (record, behind) = rest.split_at(Self::packed(rest)?);
            me.sealer.seal(&Record::Data(record.to_vec()), now(), &mut me.out);
            rest = behind;
        }
        if let Poll::Ready(done) = me.poll_out(context) {
            done?;
        }
        Poll::Ready(Ok(frames.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
