//! The control socket: newline-delimited JSON-RPC 2.0 for scripts, bots and chatctl.
//!
//! [`serve`] takes connections and answers them from any [`Api`]. Parsing, limits, order and
//! subscriptions live here; what a call means lives behind the trait. A caller that is slow, silent
//! or hostile costs only its own connection.
//!
//! Tasks: one per connection, which stops its own writer; one per call in flight; one per
//! subscription. All end when the connection does, and every connection when `shutdown` is cancelled.

mod acks;
mod connection;
mod filter;
mod lines;
mod methods;
mod outlet;
mod pull;
mod readers;
mod requests;
mod service;
mod socket;
mod subscribe;

pub use socket::{Bound, SocketError, bind, same_user};

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::api::Api;
use connection::Connection;

/// Most connections at once: more scripts than one person runs.
pub const MAX_CONNECTIONS: usize = 256;
/// How long calls in flight, and then the last events and bytes, may take once a connection ends.
pub const FINISH_WITHIN: Duration = Duration::from_secs(5);
/// How long to wait after the system had no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` is cancelled and every connection has ended.
///
/// Ending takes at most twice [`FINISH_WITHIN`]: first calls in flight are answered, then subscribers get
/// what is in the log.
pub async fn serve(listener: UnixListener, api: Arc<dyn Api>, shutdown: CancellationToken) {
    let offer = Arc::new(methods::Offer::new(api));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    let mut number = 0;
    while let Some((stream, place)) = next_caller(&listener, &places, &shutdown).await {
        number += 1;
        let connection = Connection::new(number, Arc::clone(&offer), shutdown.child_token());
        connections.spawn(async move {
            connection.run(stream).await;
            drop(place);
        });
    }
    connections.close();
    connections.wait().await;
}

/// Names of all methods, in no order: what the document has to describe.
#[must_use]
pub fn method_names(api: Arc<dyn Api>) -> Vec<&'static str> {
    methods::Offer::new(api).orders.into_keys().collect()
}

type Place = tokio::sync::OwnedSemaphorePermit;

/// The next caller of our own user, or `None` at shutdown.
async fn next_caller(
    listener: &UnixListener,
    places: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(UnixStream, Place)> {
    let accept = async {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        Some((accept_own(listener).await, place))
    };
    // A connection that is dropped half-accepted at shutdown is one nobody serves any more.
    tokio::select! {
        () = shutdown.cancelled() => None,
        caller = accept => caller,
    }
}

async fn accept_own(listener: &UnixListener) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match socket::check_peer(&stream) {
                Ok(()) => return stream,
                Err(error) => warn!(%error, "a caller was refused"),
            },
            Err(error) => {
                debug!(%error, "no connection could be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
