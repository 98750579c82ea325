//! What monitoring sees: metrics and health over HTTP, on an address of its own.
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | all metrics |
//! | `/health/live` | 200 while the process can answer |
//! | `/health/ready` | 200 while it receives: connections are accepted and the database answers; else 503 and why |
//!
//! No chat travels here and nobody is named. It is for this machine or a private network: there is no
//! password and no encryption. A few short connections at once, so that whoever calls here
//! takes nothing from those who chat; it holds nothing that would keep a server from ending.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::counters::Counters;
use crate::metrics::{self, Moment};
use crate::router::Router;
use crate::shared::{ConnectionLimits, Queued, Shared};
use crate::store::SharedStore;
use crate::work::FairPool;

/// Connections at once: a scraper, a load balancer and somebody who looks. More are closed unread.
const CONNECTIONS: usize = 16;
/// Time for the head of a request.
const HEAD: Duration = Duration::from_secs(5);
/// Time for a whole connection, which is one request.
const WHOLE: Duration = Duration::from_secs(10);
/// Longest head of a request, in bytes.
const HEAD_BYTES: usize = 8 * 1024;
/// A database that has not answered by then does not answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer of the database is believed: many who ask are one question.
const BELIEVED: Duration = Duration::from_secs(1);
/// Wait after `accept` failed.
const BACK_OFF: Duration = Duration::from_millis(100);
/// Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is looked at. Cheap to clone.
#[derive(Clone)]
pub struct Status(Arc<Watched>);

struct Watched {
    counters: Arc<Counters>,
    router: Arc<Router>,
    store: SharedStore,
    gate: Arc<ConnectionLimits>,
    passwords: Arc<FairPool>,
    queued: Queued,
    stopping: CancellationToken,
    born: Instant,
    started: Duration,
    answered: Mutex<Option<(Instant, bool)>>,
}

impl Status {
    pub(crate) fn of(shared: &Shared) -> Self {
        Self(Arc::new(Watched {
            counters: Arc::clone(&shared.counters),
            router: Arc::clone(&shared.router),
            store: Arc::clone(&shared.store),
            gate: Arc::clone(&shared.gate),
            passwords: Arc::clone(&shared.passwords),
            queued: shared.queued.clone(),
            stopping: shared.stopping.clone(),
            born: Instant::now(),
            started: Duration::from_millis(clock::now().as_millis()),
            answered: Mutex::default(),
        }))
    }

    /// Serves until it is dropped; whoever starts it ends it.
    pub async fn serve(self, listener: TcpListener) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(BACK_OFF).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
            let status = self.clone();
            tokio::spawn(async move {
                let _over = timeout(WHOLE, status.converse(stream)).await;
                drop(permit);
            });
        }
    }

    async fn converse(self, stream: TcpStream) {
        let answer = service_fn(|request: Request<Incoming>| {
            let status = self.clone();
            async move { Ok::<_, Infallible>(status.answer(request.method(), request.uri().path()).await) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD).keep_alive(false).max_buf_size(HEAD_BYTES);
        if let Err(error) = http.serve_connection(TokioIo::new(stream), answer).await {
            tracing::debug!(%error, "a connection for metrics and health failed");
        }
    }

    async fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let (status, text) = match path {
            "/metrics" | "/health/live" | "/health/ready" if !matches!(*method, Method::GET | Method::HEAD) => {
                (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned())
            }
            "/metrics" => self.metrics().await,
            "/health/live" => (StatusCode::OK, "live\n".to_owned()),
            "/health/ready" => match self.unready().await {
                None => (StatusCode::OK, "ready\n".to_owned()),
                Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            },
            _ => (StatusCode::NOT_FOUND, "there are /metrics, /health/live and /health/ready\n".to_owned()),
        };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        let kind = if path == "/metrics" { TEXT_FORMAT } else { "text/plain; charset=utf-8" };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }

    async fn metrics(&self) -> (StatusCode, String) {
        let (connections, guests) = self.0.gate.open();
        let now = Moment {
            connections,
            guests,
            devices: self.0.router.count(),
            passwords: self.0.passwords.in_line(),
            for_readers: self.0.queued.outboxes.used(),
            for_commits: self.0.queued.submits.used(),
            long_records: self.0.queued.records_used(),
            started: self.0.started,
            uptime: self.0.born.elapsed(),
            ready: self.unready().await.is_none(),
        };
        match metrics::text(&self.0.counters, &now) {
            Ok(text) => (StatusCode::OK, text),
            Err(error) => {
                tracing::error!(%error, "metrics could not be written");
                (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n".to_owned())
            }
        }
    }

    /// Why nothing can be received now, if so.
    async fn unready(&self) -> Option<&'static str> {
        if self.0.stopping.is_cancelled() {
            return Some("the server is ending");
        }
        if !self.0.gate.is_open() {
            return Some("connections are not accepted");
        }
        (!self.database_answers().await).then_some("the database does not answer")
    }

    async fn database_answers(&self) -> bool {
        let mut answered = self.0.answered.lock().await;
        if let Some((at, answers)) = *answered
            && at.elapsed() < BELIEVED
        {
            return answers;
        }
        let answers = matches!(timeout(PATIENCE, self.0.store.ping()).await, Ok(Ok(())));
        *answered = Some((Instant::now(), answers));
        answers
    }
}
