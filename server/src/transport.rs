//! The only place where bytes meet a socket.
//!
//! A stranger is cheap here: an address that opens too many connections is turned away before anything
//! is read, one connection costs less than 64 KiB until its login, a handshake has a deadline, and
//! nothing is ever answered to whoever does not know secret.key. No log line per stranger, only counts.

mod connection;
mod reader;
mod writer;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use crate::counters::Closed;
use crate::limits::Source;
use crate::shared::Shared;

/// Wait after `accept` failed for want of file descriptors or memory: time for others to leave.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);
/// Failures in a row after which the socket itself is taken for broken: a minute of trying.
const MAX_ACCEPT_FAILURES: u32 = 600;

/// Accepts until the server is to stop. Whoever is not admitted is closed without a byte.
///
/// # Errors
/// When the socket keeps failing for a minute.
pub(crate) async fn accept_loop(
    shared: &Arc<Shared>,
    listener: &TcpListener,
    connections: &TaskTracker,
) -> io::Result<()> {
    let (gate, mut failures) = (&shared.gate, 0);
    gate.is_accepting(true);
    loop {
        // accept is cancel-safe: a connection it did not return stays with the socket
        let accepted = tokio::select! {
            () = shared.stopping.cancelled() => {
                gate.is_accepting(false);
                return Ok(());
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                failures = 0;
                gate.is_accepting(true);
                admit(shared, connections, stream, from);
            }
            Err(error) if failures < MAX_ACCEPT_FAILURES => {
                // files come back when others leave, however long that takes; the socket is in order
                failures += u32::from(!out_of_files(&error));
                gate.is_accepting(false);
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_BACK_OFF).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn out_of_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

fn admit(shared: &Arc<Shared>, connections: &TaskTracker, stream: TcpStream, from: SocketAddr) {
    let source = Source::from(from.ip());
    let admitted = shared.limits().connections.check(&source).ok().and_then(|()| shared.gate.admit());
    match admitted {
        Some(permits) => {
            shared.counters.opened.one();
            connections.spawn(connection::run(Arc::clone(shared), stream, source, permits));
        }
        None => shared.counters.closed.one(Closed::Refused),
    }
}
