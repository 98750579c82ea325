//! The daemon's ways in: JSON-RPC 2.0 for scripts, bots and chatctl, over a Unix socket, pipes and a loopback port.
//!
//! On the socket the first byte decides: a capital letter begins a request of HTTP, whatever else a line of JSON.
//! [`Server`] answers them all from one [`Api`]. Parsing, limits, rights, order and subscriptions live here; what a
//! call means lives in the daemon's `Handle` for its method. A caller that is slow, silent or hostile costs only its own connection.
//!
//! Tasks: one per connection, which stops its own writer; one per call in flight; one per
//! subscription. All end when the connection does, and every connection when `shutdown` is cancelled.

mod access;
mod acks;
mod active_consumers;
mod authorize;
mod connection;
mod filter;
mod http;
mod lines;
mod methods;
mod outbound;
mod own;
mod params;
mod pull;
mod reply;
mod requests;
mod seats;
mod serial;
mod service;
mod socket;
mod subscribe;
mod transport;

pub use access::MAX_TOKEN_CONNECTIONS;
pub use connection::FINISH_WITHIN;
pub use http::Policy;
pub use seats::{MAX_CONNECTIONS, MAX_NAMELESS};
pub use socket::{Bound, SocketError, bind, bind_port, same_user};

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chat_protocol::rpc::MAX_LINE_BYTES;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::api::Api;
use access::Access;
use connection::Connection;
use http::{Endpoint, Web};
use lines::Lines;
use seats::{EXTRA_WITHIN, Nameless, Seat, Seats};
use service::Caller;
use transport::{LineSink, PipeLines};

/// How long to wait after the system had no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers callers until it is told to end.
#[derive(Clone)]
pub struct Server {
    table: Arc<methods::MethodTable>,
    shutdown: CancellationToken,
    /// The caller's seat, as long as it has not said who it is and has to.
    nameless: Option<Nameless>,
}

impl Server {
    /// Answers from `api`, until `shutdown` is cancelled.
    #[must_use]
    pub fn new<A: Api>(api: Arc<A>, shutdown: CancellationToken) -> Self {
        Self { table: Arc::new(methods::MethodTable::new(api)), shutdown, nameless: None }
    }

    /// Serves the Unix socket until shutdown, and until every connection has ended.
    ///
    /// Ending takes at most twice [`FINISH_WITHIN`]: first calls in flight are answered, then subscribers get
    /// what is in the log.
    pub async fn socket(self, listener: UnixListener) {
        let (_, moved) = mpsc::channel(1);
        self.sockets(listener, moved).await;
    }

    /// The same of a socket whose place another may take; connections through the former go on.
    pub(crate) async fn sockets(self, current: UnixListener, moved: mpsc::Receiver<UnixListener>) {
        self.serve(Seats::default(), Sockets { current, moved }, Self::on_socket).await;
    }

    /// Serves HTTP on a loopback port, to callers with a token. Ends as [`Self::socket`] does.
    pub async fn port(self, listener: TcpListener, policy: watch::Receiver<Policy>) {
        self.serve(Seats::guarded(), listener, move |server, stream| {
            server.web(Endpoint::Port(policy.clone())).serve(stream)
        })
        .await;
    }

    /// Serves one caller that is the owner over a pair of pipes, to its last word.
    pub async fn pipes(self, input: impl AsyncRead + Unpin + Send, output: impl AsyncWrite + Unpin + Send + 'static) {
        self.connection().run(PipeLines::new(input, MAX_LINE_BYTES), LineSink::new(output)).await;
    }

    /// Serves whoever is accepted, each in a task of its own.
    async fn serve<L: Listener, F>(self, seats: Seats, mut listener: L, on: impl Fn(Self, L::Stream) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let connections = TaskTracker::new();
        loop {
            // A connection that is dropped half-accepted at shutdown is one nobody serves any more.
            let (stream, caller) = tokio::select! {
                () = self.shutdown.cancelled() => break,
                caller = listener.next() => caller,
            };
            let Some(seat) = seats.take(caller, &self.shutdown) else { continue };
            let served = on(Self { shutdown: seat.end.clone(), nameless: seat.nameless(), ..self.clone() }, stream);
            connections.spawn(seated(seat, served));
        }
        connections.close();
        connections.wait().await;
    }

    /// Finds out what the caller speaks, by its first byte.
    async fn on_socket(self, stream: UnixStream) {
        let (input, output) = stream.into_split();
        let mut input = BufReader::new(input);
        let first = tokio::select! {
            () = self.shutdown.cancelled() => return,
            first = input.fill_buf() => match first {
                Ok([first, ..]) => *first,
                _ => return,
            },
        };
        if first.is_ascii_uppercase() {
            self.web(Endpoint::Socket).serve(tokio::io::join(input, output)).await;
        } else {
            self.connection().run(Lines::new(input, MAX_LINE_BYTES), LineSink::new(output)).await;
        }
    }

    /// A new connection of the owner.
    fn connection(&self) -> Connection {
        Connection::new(Arc::clone(&self.table), Caller::new(Access::Owner, None), self.shutdown.child_token())
    }

    fn web(&self, endpoint: Endpoint) -> Web {
        Web::new(Arc::clone(&self.table), endpoint, self.shutdown.clone(), self.nameless.clone())
    }
}

/// Serves a caller for as long as the seat allows.
async fn seated(seat: Seat, served: impl Future<Output = ()>) {
    if !seat.extra {
        return served.await;
    }
    let mut served = pin!(served);
    // what was begun is still answered when the time is over
    tokio::select! {
        () = &mut served => return,
        () = tokio::time::sleep(EXTRA_WITHIN) => seat.end.cancel(),
    }
    served.await;
}

/// Where callers come in.
trait Listener {
    type Stream;

    /// The next caller, and its process where the system tells.
    fn next(&mut self) -> impl Future<Output = (Self::Stream, Option<i32>)> + Send;
}

/// The Unix socket, which may be another one tomorrow.
struct Sockets {
    current: UnixListener,
    /// What takes its place.
    moved: mpsc::Receiver<UnixListener>,
}

impl Listener for Sockets {
    type Stream = UnixStream;

    /// Of our own user.
    async fn next(&mut self) -> (UnixStream, Option<i32>) {
        loop {
            // both only wait: whichever comes first, nothing is lost with the other
            let accepted = tokio::select! {
                Some(moved) = self.moved.recv() => {
                    self.current = moved;
                    continue;
                }
                accepted = self.current.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => match socket::check_peer(&stream) {
                    Ok(process) => return (stream, process),
                    Err(error) => warn!(%error, "a caller was refused"),
                },
                Err(error) => pause(&error).await,
            }
        }
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&mut self) -> (TcpStream, Option<i32>) {
        loop {
            match self.accept().await {
                Ok((stream, _)) => {
                    // events are small and awaited
                    let _ = stream.set_nodelay(true);
                    return (stream, None);
                }
                Err(error) => pause(&error).await,
            }
        }
    }
}

async fn pause(error: &std::io::Error) {
    debug!(%error, "no connection could be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
