//! The only place where bytes meet a socket.
//!
//! A stranger is cheap here: an address that opens too many connections is turned away before anything
//! is read, one connection costs less than 64 KiB until its login, a handshake has a deadline, and
//! nothing is ever answered to whoever does not know secret.key. No log line per stranger, only counts.

mod connection;
mod reader;
mod replays;
mod writer;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

pub(crate) use replays::Replays;

use crate::counters::Closed;
use crate::limits::Source;
use crate::serve::Shared;

/// Wait after `accept` failed for want of file descriptors or memory: time for others to leave.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);
/// Failures in a row after which the socket itself is taken for broken: a minute of trying.
const MAX_ACCEPT_FAILURES: u32 = 600;

/// What a connection holds while it lives.
pub(crate) struct Permits {
    /// One of all connections.
    _connection: OwnedSemaphorePermit,
    /// One of those that have not logged in; given back at login.
    pub(crate) guest: Option<OwnedSemaphorePermit>,
}

/// The bounds of the accept loop.
struct Gate {
    connections: Arc<Semaphore>,
    guests: Arc<Semaphore>,
}

impl Gate {
    fn new(shared: &Shared) -> Self {
        let permits = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        let settings = &shared.config.connections;
        Self { connections: permits(settings.most), guests: permits(settings.most_guests) }
    }

    fn admit(&self, shared: &Shared, source: Source) -> Option<Permits> {
        shared.limits.connections.check(&source).ok()?;
        Some(Permits {
            _connection: Arc::clone(&self.connections).try_acquire_owned().ok()?,
            guest: Some(Arc::clone(&self.guests).try_acquire_owned().ok()?),
        })
    }
}

/// Accepts until the server is to stop. Whoever is not admitted is closed without a byte.
///
/// # Errors
/// When the socket keeps failing for a minute.
pub(crate) async fn accept_loop(
    shared: &Arc<Shared>,
    listener: &TcpListener,
    connections: &TaskTracker,
) -> io::Result<()> {
    let (gate, mut failures) = (Gate::new(shared), 0);
    loop {
        // accept is cancel-safe: a connection it did not return stays with the socket
        let accepted = tokio::select! {
            () = shared.stopping.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                failures = 0;
                admit(shared, &gate, connections, stream, from);
            }
            Err(error) if failures < MAX_ACCEPT_FAILURES => {
                failures += 1;
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_BACK_OFF).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn admit(shared: &Arc<Shared>, gate: &Gate, connections: &TaskTracker, stream: TcpStream, from: SocketAddr) {
    let source = Source::from(from.ip());
    match gate.admit(shared, source) {
        Some(permits) => {
            connections.spawn(connection::run(Arc::clone(shared), stream, source, permits));
        }
        None => shared.counters.connection_closed(Closed::Refused),
    }
}
