//! HTTP/1.1 on the Unix socket and, if the configuration says so, on a loopback port.
//!
//! ```text
//! POST /rpc           one call or batch as body, its answer as body
//! GET  /ws            WebSocket: a message each way is what a line is on the socket
//! GET  /events        server-sent events; `Last-Event-ID` goes on where the reader was
//! GET  /openrpc.json  this API's document
//! GET  /health/live, /health/ready
//! ```
//! Refuses, before anything is read: names of hosts that are not this machine's (a page that had its own name point
//! here), origins nobody allowed, and, on the port, whoever has no token. Headers have to come within
//! [`HEADERS_WITHIN`], and a connection ends with the rights of whoever calls on it: soon, if there are none.

mod access;
mod call;
mod events;
mod health;
mod metrics;
mod refusal;
mod taken;
mod ws;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::routing::{get, post};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::debug;

use super::access::Access;
use super::connection::FINISH_WITHIN;
use super::methods::MethodTable;
use super::seats::Nameless;
use super::service::Caller;
use taken::{Taken, Tapped};

/// How long the head of a request may take.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// Where a reader of server-sent events says how far it was.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Who may reach the port from a browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Names of this machine besides `localhost` and the loopback addresses; with a port only on that one.
    pub hosts: Vec<String>,
    /// Origins that may call, as browsers write them: `https://example.org`.
    pub origins: Vec<String>,
}

/// Where requests come in.
#[derive(Clone, Debug)]
pub(super) enum Endpoint {
    /// The Unix socket: whoever may open it is the owner, unless a token says otherwise.
    Socket,
    /// A loopback port: every user and every page of this machine can reach it. Who may call can change.
    Port(watch::Receiver<Policy>),
}

/// What the handlers of one connection share.
#[derive(Clone)]
pub(super) struct Web {
    table: Arc<MethodTable>,
    endpoint: Arc<Endpoint>,
    /// Cancelled when the daemon ends.
    shutdown: CancellationToken,
    /// Counts what goes on behind a request of this connection: WebSockets and streams of events.
    lasting: TaskTracker,
    /// Who called last on this connection.
    caller: Arc<Caller>,
    /// What this connection has to write.
    taken: Arc<Taken>,
}

impl Endpoint {
    /// Who calls without a token.
    const fn stranger(&self) -> Access {
        match self {
            Self::Socket => Access::Owner,
            Self::Port(_) => Access::Nobody,
        }
    }
}

impl Web {
    pub(super) fn new(
        table: Arc<MethodTable>,
        endpoint: Endpoint,
        shutdown: CancellationToken,
        nameless: Option<Nameless>,
    ) -> Self {
        let caller = Caller::new(endpoint.stranger(), nameless);
        Self {
            table,
            endpoint: Arc::new(endpoint),
            shutdown,
            lasting: TaskTracker::new(),
            caller,
            taken: Arc::default(),
        }
    }

    /// Speaks HTTP with one caller until it leaves, has no rights any more, or the daemon ends.
    pub(super) async fn serve(self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self { shutdown, lasting, caller, taken, .. } = self.clone();
        let service = TowerToHyperService::new(router(self));
        let mut server = hyper::server::conn::http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
        let mut connection =
            std::pin::pin!(server.serve_connection(TokioIo::new(Tapped::new(io, taken)), service).with_upgrades());
        let over = async {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = caller.ended() => {}
            }
        };
        let ended = tokio::select! {
            ended = &mut connection => ended,
            // whoever has not said who it is is owed no answer, and its seat is another's by now
            () = over => match caller.is_nobody() {
                true => Ok(()),
                false => {
                    connection.as_mut().graceful_shutdown();
                    timeout(2 * FINISH_WITHIN, connection).await.unwrap_or(Ok(()))
                }
            },
        };
        if let Err(error) = ended {
            debug!(%error, "an HTTP connection ended");
        }
        lasting.close();
        lasting.wait().await;
    }
}

fn router(web: Web) -> Router {
    let cross = cross_origin(&web.endpoint);
    Router::new()
        .route("/rpc", post(call::answer))
        .route("/ws", get(ws::upgrade))
        // a question about its head alone would begin a subscription, and end the one that its consumer has
        .route("/events", get(events::stream).head(refusal::other_method))
        .route("/openrpc.json", get(call::document))
        .route("/metrics", get(metrics::text))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(refusal::nowhere)
        .method_not_allowed_fallback(refusal::other_method)
        // the one handler that takes a body bounds it itself
        .layer(DefaultBodyLimit::disable())
        .layer(cross)
        .with_state(web)
}

/// Lets a browser know which pages may read the answers: those that may call.
fn cross_origin(endpoint: &Endpoint) -> CorsLayer {
    let origins = match endpoint {
        Endpoint::Socket => Vec::new(),
        Endpoint::Port(policy) => {
            policy.borrow().origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect()
        }
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, LAST_EVENT_ID])
}
