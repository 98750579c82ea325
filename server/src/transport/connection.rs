//! One connection from its first byte to its last.

use std::sync::Arc;
use std::time::Duration;

use chat_protocol::frame::decode_frames;
use chat_protocol::limits::{DEAD_AFTER, MAX_HANDSHAKE_BYTES, PING_AFTER};
use chat_protocol::record::{Record, Sealer};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::reader::Reader;
use super::writer::Writer;
use crate::counters::{Closed, HandshakeFailure};
use crate::limits::Source;
use crate::router::outbox::{Outbox, OutboxLimits};
use crate::session::{Handshaking, Peer, Welcomed};
use crate::shared::{Permits, Queued, Shared};

/// Bytes that may wait in a socket, each way, which the system doubles for its own needs: so many more are read by a peer before what
/// is written now, a ping for example.
const SOCKET_BYTES: usize = 128 * 1024;

/// Serves one connection until it ends, and counts why it did.
pub(super) async fn run(shared: Arc<Shared>, mut stream: TcpStream, source: Source, permits: Permits) {
    let _best_effort = stream.set_nodelay(true);
    let _best_effort = set_socket_send_buffer_size(&stream, SOCKET_BYTES);
    let _best_effort = set_socket_recv_buffer_size(&stream, SOCKET_BYTES);
    let deadline = shared.config().connections.handshake;
    let shaken = timeout(deadline, shake_hands(&shared, &mut stream, source)).await;
    let why = match shaken.unwrap_or(Err(HandshakeFailure::Deadline)) {
        Ok(welcomed) => converse(&shared, stream, *welcomed, permits).await,
        Err(failure) => {
            shared.counters.handshakes.one(failure);
            closed(failure)
        }
    };
    tracing::debug!(?why, "connection closed");
    shared.counters.closed.one(why);
}

const fn closed(failure: HandshakeFailure) -> Closed {
    match failure {
        HandshakeFailure::Deadline => Closed::HandshakeDeadline,
        HandshakeFailure::Io => Closed::Io,
        HandshakeFailure::Stranger | HandshakeFailure::Replayed | HandshakeFailure::Version => Closed::Handshake,
    }
}

/// Reads exactly the client's first words and answers them; not a byte to whoever does not know the keys.
async fn shake_hands(
    shared: &Arc<Shared>,
    stream: &mut TcpStream,
    source: Source,
) -> Result<Box<Welcomed>, HandshakeFailure> {
    let handshaking = Handshaking::new(shared, source);
    let mut received = Vec::new();
    loop {
        let wanted = handshaking.wanted(&received)?.min(MAX_HANDSHAKE_BYTES);
        let have = received.len();
        if have >= wanted {
            break;
        }
        received.resize(wanted, 0);
        match stream.read(received.get_mut(have..).unwrap_or_default()).await {
            Ok(count) if count > 0 => received.truncate(have + count),
            _ => return Err(HandshakeFailure::Stranger),
        }
    }
    let (reply, welcomed) = handshaking.answer(&received)?;
    stream.write_all(&reply).await.map_err(|_| HandshakeFailure::Io)?;
    welcomed.map(Box::new).ok_or(HandshakeFailure::Version)
}

/// The conversation of a connection whose handshake is done. The writer ends after the goodbye or when
/// it is severed; the reader is never dropped while it works on a request.
async fn converse(shared: &Arc<Shared>, stream: TcpStream, welcomed: Welcomed, permits: Permits) -> Closed {
    let config = shared.config();
    let settings = &config.connections;
    let limits = OutboxLimits { bytes: settings.outbox_bytes, frames: settings.outbox_frames };
    let outbox = Arc::new(Outbox::new(limits, &shared.queued.outboxes));
    let (read_half, write_half) = stream.into_split();
    let writer = writer(write_half, welcomed.sealer, &outbox, settings.write);
    let writing = tokio::spawn(writer.run());
    let mut conversation = Conversation {
        reader: Reader::new(read_half, welcomed.opener),
        queued: shared.queued.clone(),
        silence: Silence::new(settings.login),
        outbox: Arc::clone(&outbox),
        permits,
    };
    let peer = Peer::Guest(welcomed.identity.guest(Arc::clone(shared), Arc::clone(&outbox)));
    let (peer, why) = conversation.run(shared, peer).await;
    peer.settle().await;
    match why {
        Closed::Truncated | Closed::Io | Closed::Dead | Closed::Record | Closed::Malformed => outbox.sever(why),
        _ => outbox.close(why),
    }
    let _written = writing.await;
    outbox.closed().unwrap_or(why)
}

fn writer(socket: tokio::net::tcp::OwnedWriteHalf, sealer: Sealer, outbox: &Arc<Outbox>, deadline: Duration) -> Writer {
    Writer { socket, sealer, outbox: Arc::clone(outbox), deadline }
}

struct Conversation {
    reader: Reader,
    queued: Queued,
    silence: Silence,
    outbox: Arc<Outbox>,
    permits: Permits,
}

impl Drop for Conversation {
    /// However a conversation ends, its writer does too.
    fn drop(&mut self) {
        self.outbox.sever(Closed::Io);
    }
}

impl Conversation {
    /// Hands records to the peer's state until one side ends it.
    async fn run(&mut self, shared: &Shared, mut peer: Peer) -> (Peer, Closed) {
        loop {
            // every branch is cancel-safe: the reader keeps what it has read, the others only wait
            let record = tokio::select! {
                biased;
                () = self.outbox.ending() => return (peer, self.outbox.closed().unwrap_or(Closed::Io)),
                () = shared.stopping.cancelled() => return (peer, Closed::Shutdown),
                () = sleep_until(self.silence.next()) => match self.silence_expired() {
                    Expired::Nothing => continue,
                    Expired::Ping => {
                        self.outbox.ping();
                        continue;
                    }
                    Expired::Over(why) => return (peer, why),
                },
                record = self.reader.next() => record,
            };
            peer = match self.take(record, peer).await {
                (peer, None) => peer,
                (peer, Some(why)) => return (peer, why),
            };
            self.silence.broken(Instant::now());
        }
    }

    /// Who still reads what was written is not dead, however long that takes: its pong comes behind it.
    fn silence_expired(&mut self) -> Expired {
        if self.reader.waits_for_place() {
            // that it is silent is our doing; it hears meanwhile that somebody is here
            self.silence.broken(Instant::now());
            return Expired::Ping;
        }
        if let Some(read_at) = self.outbox.read_at() {
            self.silence.broken(read_at);
        }
        self.silence.expired(Instant::now())
    }

    async fn take(&mut self, record: Result<Record, Closed>, peer: Peer) -> (Peer, Option<Closed>) {
        match record {
            Ok(Record::Data(body)) => self.frames(&body, peer).await,
            Ok(Record::Ping) => {
                self.outbox.pong();
                (peer, None)
            }
            Ok(Record::Pong) => (peer, None),
            Ok(Record::Close) => (peer, Some(Closed::ByPeer)),
            Err(why) => (peer, Some(why)),
        }
    }

    /// A record whose frames do not all parse is not processed at all.
    async fn frames(&mut self, body: &[u8], mut peer: Peer) -> (Peer, Option<Closed>) {
        let Ok(frames) = decode_frames(body) else { return (peer, Some(Closed::Malformed)) };
        // who keeps a place among the long records has to read its answers as fast as anybody has to show life
        let until = self.reader.has_place().then(|| Instant::now() + DEAD_AFTER);
        for frame in frames {
            if !answerable(&self.outbox, until).await {
                return (peer, Some(Closed::SlowReader));
            }
            peer = peer.take(frame).await;
            if let Peer::Closing(why) = peer {
                return (peer, Some(why));
            }
            if let Peer::Ready(ready) = &peer
                && self.permits.guest.take().is_some()
            {
                self.reader.logged_in(self.queued.record_places(ready.user()));
                self.silence.logged_in();
            }
            if let Some(why) = self.outbox.closed() {
                return (peer, Some(why));
            }
        }
        self.reader.release_place();
        (peer, None)
    }
}

/// Waits until a request may be answered; whether that was in time.
async fn answerable(outbox: &Outbox, until: Option<Instant>) -> bool {
    match until {
        Some(until) => timeout_at(until, outbox.answerable()).await.is_ok(),
        None => {
            outbox.answerable().await;
            true
        }
    }
}

/// When to ask whether the peer is still there, and when to give it up.
#[derive(Debug)]
struct Silence {
    since: Instant,
    pings: u32,
    login_until: Option<Instant>,
}

/// What a silence has led to.
#[derive(Debug, PartialEq, Eq)]
enum Expired {
    Nothing,
    Ping,
    Over(Closed),
}

impl Silence {
    fn new(login: Duration) -> Self {
        let now = Instant::now();
        Self { since: now, pings: 0, login_until: Some(now + login) }
    }

    fn broken(&mut self, at: Instant) {
        if at > self.since {
            (self.since, self.pings) = (at, 0);
        }
    }

    fn logged_in(&mut self) {
        self.login_until = None;
    }

    fn next(&self) -> Instant {
        let ping = self.since + PING_AFTER * (self.pings + 1);
        let next = ping.min(self.since + DEAD_AFTER);
        self.login_until.map_or(next, |until| next.min(until))
    }

    fn expired(&mut self, now: Instant) -> Expired {
        if self.login_until.is_some_and(|until| now >= until) {
            Expired::Over(Closed::LoginDeadline)
        } else if now >= self.since + DEAD_AFTER {
            Expired::Over(Closed::Dead)
        } else if now >= self.since + PING_AFTER * (self.pings + 1) {
            self.pings += 1;
            Expired::Ping
        } else {
            Expired::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use chat_protocol::limits::MAX_RECORD_BYTES_GUEST;

    use super::super::reader::GUEST_READ_BYTES;
    use super::*;

    #[test]
    fn silence_leads_to_two_pings_and_then_to_the_end() {
        let mut silence = Silence::new(Duration::from_secs(3600));
        silence.logged_in();
        let start = silence.since;
        assert_eq!(silence.next(), start + PING_AFTER);
        assert_eq!(silence.expired(start + PING_AFTER / 2), Expired::Nothing);
        assert_eq!(silence.expired(start + PING_AFTER), Expired::Ping);
        assert_eq!(silence.expired(start + PING_AFTER * 2), Expired::Ping);
        assert_eq!(silence.next(), start + DEAD_AFTER);
        assert_eq!(silence.expired(start + DEAD_AFTER), Expired::Over(Closed::Dead));
        silence.broken(start + DEAD_AFTER);
        assert_eq!(silence.next(), start + DEAD_AFTER + PING_AFTER);
    }

    /// Bytes of the state of an async function, whatever it is waiting for.
    fn size_of_task<A, B, C, D, F>(_: fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    fn size_of_method<A, F>(_: fn(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn atk_08_a_stranger_costs_less_than_64_kib() {
        let tasks = size_of_task(run) + size_of_method(Writer::run);
        // the handshake's bytes and state are gone before the records' buffers are there; a buffer may be twice what it holds
        let reading = GUEST_READ_BYTES + 2 * (MAX_RECORD_BYTES_GUEST + 4 + GUEST_READ_BYTES);
        let opened = MAX_RECORD_BYTES_GUEST;
        let answers = 2 * MAX_RECORD_BYTES_GUEST;
        assert!(tasks + reading + opened + answers < 64 * 1024, "{tasks} bytes of tasks");
    }

    #[test]
    fn guests_have_a_deadline_however_talkative() {
        let mut silence = Silence::new(Duration::from_secs(10));
        let start = silence.since;
        silence.broken(start + Duration::from_secs(9));
        assert_eq!(silence.expired(start + Duration::from_secs(10)), Expired::Over(Closed::LoginDeadline));
    }
}
