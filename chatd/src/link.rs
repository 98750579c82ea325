//! Keeps the daemon connected: dials, logs in, hands frames both ways, and tries again when it ends.
//!
//! Two tasks, started by [`spawn`] and ended by [`LinkHandle::stop`] or when the daemon drops its receiver: one notices
//! when the machine slept, the other does the rest. It owns the socket and the records' keys, knows nothing of what the
//! frames mean, and never repeats a request: after [`LinkEvent::Offline`] nothing asked before counts as asked.
//!
//! ```text
//! Connecting ──▶ Online ──▶ Offline ──▶ (wait, or kick) ──▶ Connecting
//!                  └──▶ (kick, no sign of life) ──▶ Offline ──▶ Connecting at once
//!      ├───────────────────▶ Offline        network trouble: waits double, with jitter
//!      └───────────────────▶ AuthFailed     the server refused this device: long waits
//! ```

mod backoff;
mod connection;
mod converse;
mod event;
mod heard;
mod pinned;
mod wake;

use std::sync::Arc;
use std::time::Duration;

use chat_protocol::frame::{Frame, FrameKind};
use chat_protocol::handshake::ServerPublicKey;
use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::limits::MAX_RECORD_BYTES;
use chat_protocol::message::client::Login;
use chat_protocol::message::server::{Code, Refusal, Welcome};
use chat_protocol::record::max_body;
use chat_protocol::rpc::types::ConnectionTrouble;
use futures_util::FutureExt;
use rand::RngExt;
use thiserror::Error;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::backoff::Timing;
use self::backoff::{Backoff, jittered};
pub use self::connection::{CallError, ConnectError, Connection, Lost, Server};
use self::converse::{Around, Ended};
pub use self::event::{AuthFailure, LinkEvent};
pub use self::heard::Heard;
use self::pinned::{Announced, PinnedKeys};
use crate::clock;
use crate::report::Chain;

/// Requests that may wait for the writer: more than the engine and the callers together have open at once, however slow
/// the network is.
const REQUEST_QUEUE: usize = 256;
/// Room for kind, id and type around a payload.
const FRAME_HEAD_BYTES: usize = 16;

/// Signs a login for one connection: channel binding and proven server key in, signature out. Takes milliseconds.
pub type SignLogin = Arc<dyn Fn(&[u8; 32], &ServerPublicKey) -> Vec<u8> + Send + Sync>;

/// Keeps what a login proved and announced: the server's key, and the one that will replace it. Whether it could.
pub type PinKeys = Arc<dyn Fn(ServerPublicKey, Option<ServerPublicKey>) -> bool + Send + Sync>;

/// What a link needs to know.
#[derive(Clone)]
pub struct LinkSetup {
    /// Where to, and what must be proven.
    pub server: Server,
    /// The key the server announced as its next one, where no offline key vouches for it. It is tried first, and replaces the
    /// present one once it was proven.
    pub next_key: Option<ServerPublicKey>,
    /// Told when either key changes, before [`LinkEvent::Online`].
    pub pin: PinKeys,
    /// Whose account.
    pub user: Username,
    /// Which device.
    pub device: DeviceId,
    /// Its signature.
    pub sign: SignLogin,
    /// How patient to be.
    pub timing: Timing,
    /// Where it is noted when the server was last heard.
    pub heard: Heard,
}

impl std::fmt::Debug for LinkSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LinkSetup({} as {} at {})", self.user, self.device, self.server)
    }
}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// Too many wait already; ask again after the next answer.
    #[error("too many requests wait for the connection")]
    Full,
    /// No server would read a record that long.
    #[error("the request is larger than a record may be")]
    TooLarge,
    /// The link was stopped.
    #[error("the connection was stopped")]
    Stopped,
}

/// The daemon's end of a link. Dropping it stops the link.
#[derive(Debug)]
pub struct LinkHandle {
    requests: mpsc::Sender<Frame>,
    kick: Arc<Notify>,
    stop: CancellationToken,
}

impl LinkHandle {
    /// Queues a request. `id` is the daemon's and comes back with the answer; the payload is that of type `number`.
    ///
    /// Taken while not online, it is dropped: only what is asked after [`LinkEvent::Online`] is sent.
    ///
    /// # Errors
    /// [`RequestError`]; never waits.
    pub fn request(&self, id: u64, number: u16, payload: Vec<u8>) -> Result<(), RequestError> {
        if payload.len() + FRAME_HEAD_BYTES > max_body(MAX_RECORD_BYTES) {
            return Err(RequestError::TooLarge);
        }
        let frame = Frame { kind: FrameKind::Request, id, number, payload };
        self.requests.try_send(frame).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => RequestError::Full,
            mpsc::error::TrySendError::Closed(_) => RequestError::Stopped,
        })
    }

    /// Ends a wait and tries to connect at once. While connected or connecting the server has a second to show that it
    /// is there; then the connection is begun anew.
    pub fn kick(&self) {
        self.kick.notify_one();
    }

    /// Says good-bye to the server and ends the task.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for LinkHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts a link. `events` is bounded: while it is full nothing is read from the server.
#[must_use]
pub fn spawn(setup: LinkSetup, events: mpsc::Sender<LinkEvent>) -> LinkHandle {
    let (sender, requests) = mpsc::channel(REQUEST_QUEUE);
    let (kick, stop) = (Arc::new(Notify::new()), CancellationToken::new());
    let link = Link {
        setup,
        pins_kept: true,
        events,
        requests,
        kick: Arc::clone(&kick),
        stop: stop.clone(),
        backoff: Backoff::default(),
    };
    let (kicked, stopped) = (Arc::clone(&kick), stop.clone());
    tokio::spawn(async move { wake::watch(&kicked, stopped, clock::now).await });
    tokio::spawn(link.run());
    LinkHandle { requests: sender, kick, stop }
}

struct Link {
    setup: LinkSetup,
    /// The server's keys in `setup` are those that were written down.
    pins_kept: bool,
    events: mpsc::Sender<LinkEvent>,
    requests: mpsc::Receiver<Frame>,
    kick: Arc<Notify>,
    stop: CancellationToken,
    backoff: Backoff,
}

/// Nobody listens any more.
struct Gone;

/// How an attempt failed.
enum Failure {
    Refused(AuthFailure),
    Trouble {
        reason: String,
        kind: ConnectionTrouble,
        at_least: Duration,
    },
    /// Kicked, and nothing came of it.
    Kicked,
    Gone,
}

impl From<Gone> for Failure {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl Link {
    async fn run(mut self) {
        let stop = self.stop.clone();
        // stopping during an attempt or a wait drops it; an established connection sees `stop` itself and says good-bye
        while let Ok(wait) = self.once(&stop).await {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.kick.notified() => self.backoff.reset(),
                () = stop.cancelled() => return,
            }
        }
    }

    /// One connection from beginning to end: how long to wait before the next.
    async fn once(&mut self, stop: &CancellationToken) -> Result<Duration, Gone> {
        self.tell(LinkEvent::Connecting).await?;
        let (kick, patience) = (Arc::clone(&self.kick), self.setup.timing.kick);
        let kicked = async {
            kick.notified().await;
            tokio::time::sleep(patience).await;
        };
        // whichever is dropped has only a connection to lose that nobody uses yet
        let attempt = tokio::select! {
            attempt = self.log_in() => attempt,
            () = kicked => Err(Failure::Kicked),
            () = stop.cancelled() => return Err(Gone),
        };
        let failure = match attempt {
            Ok(connection) => self.talk(connection, stop).await,
            Err(failure) => failure,
        };
        match failure {
            Failure::Gone => Err(Gone),
            Failure::Refused(reason) => {
                self.tell(LinkEvent::AuthFailed { reason }).await?;
                Ok(jittered(self.setup.timing.refused_wait, chance()))
            }
            Failure::Kicked => {
                self.backoff.reset();
                let reason = Lost::Silent.to_string();
                let (trouble, retry_at) = (ConnectionTrouble::Lost, clock::now());
                self.tell(LinkEvent::Offline { reason, trouble, retry_at }).await?;
                Ok(Duration::ZERO)
            }
            Failure::Trouble { reason, kind: trouble, at_least } => {
                // however long a server says: nobody would be told when it is ready after all
                let at_least = at_least.min(self.setup.timing.refused_wait);
                let wait = self.backoff.next(&self.setup.timing, chance()).max(at_least);
                tracing::info!(reason, wait_ms = wait.as_millis(), "offline");
                self.tell(LinkEvent::Offline { reason, trouble, retry_at: clock::now() + wait }).await?;
                Ok(wait)
            }
        }
    }

    async fn log_in(&mut self) -> Result<Connection, Failure> {
        let mut connection = self.dial().await.map_err(|error| trouble(error.trouble(), error))?;
        let setup = &self.setup;
        let (sign, binding, key) = (Arc::clone(&setup.sign), connection.channel_binding, connection.server_key);
        let signed = tokio::task::spawn_blocking(move || sign(&binding, &key)).await.map_err(lost)?;
        let login =
            Login { user: setup.user.clone(), device: setup.device, signature: signed.into(), acceptance: None };
        let asked = Instant::now();
        let logged_in = connection.call(&login).await.map_err(|error| match error {
            CallError::Refused(refusal) => refused(&refusal),
            CallError::Lost(why) => lost(why),
        })?;
        let round_trip = asked.elapsed();
        self.pin(&connection).await;
        // what was asked before is no longer wanted: the daemon asks again once it hears that it is online
        while self.requests.try_recv().is_ok() {}
        self.setup.heard.now();
        tracing::info!(server = %self.setup.server, "online");
        let (welcome, server_offset_ms) = (connection.welcome.clone(), connection.server_offset_ms);
        self.tell(LinkEvent::Online { welcome, logged_in, server_offset_ms, round_trip }).await?;
        Ok(connection)
    }

    async fn dial(&self) -> Result<Connection, ConnectError> {
        let LinkSetup { server, timing, .. } = &self.setup;
        let pinned = self.pinned();
        if let Some(next) = pinned.asked_first() {
            match Connection::dial(&Server { key: next, ..server.clone() }, timing).await {
                // it is not in use yet
                Err(ConnectError::Keys { .. }) => {}
                dialled => return dialled,
            }
        }
        Connection::dial(&Server { key: pinned.key, ..server.clone() }, timing).await
    }

    fn pinned(&self) -> PinnedKeys {
        PinnedKeys::new(self.setup.server.key, self.setup.next_key, self.setup.server.offline_key)
    }

    /// Only a server that proved a pinned key is heard about the next one.
    async fn pin(&mut self, connection: &Connection) {
        let Welcome { next_key, next_key_proof, .. } = &connection.welcome;
        let announced = next_key.as_ref().and_then(|key| ServerPublicKey::try_from(&**key).ok());
        let announced = announced.map(|key| Announced { key, proof: next_key_proof.as_deref() });
        let PinnedKeys { key, next, .. } = self.pinned().proven(connection.server_key, announced);
        if self.pins_kept && (key, next) == (self.setup.server.key, self.setup.next_key) {
            return;
        }
        (self.setup.server.key, self.setup.next_key) = (key, next);
        let pin = Arc::clone(&self.setup.pin);
        // a row that could not be written is written at the next login
        self.pins_kept = tokio::task::spawn_blocking(move || pin(key, next)).await.unwrap_or(false);
    }

    async fn talk(&mut self, connection: Connection, stop: &CancellationToken) -> Failure {
        let began = Instant::now();
        let timing = self.setup.timing;
        let Self { setup, events, requests, kick, .. } = self;
        let around = Around { events, timing: &timing, kick, heard: &setup.heard };
        let ended = converse::converse(connection, requests, around, stop).await;
        // a kick that came while connected was for this connection, not for the wait after it
        let _ = self.kick.notified().now_or_never();
        if began.elapsed() >= timing.steady_after {
            self.backoff.reset();
        }
        match ended {
            Ended::Stopped => Failure::Gone,
            Ended::Kicked => Failure::Kicked,
            Ended::Lost(why) => lost(why),
        }
    }

    /// Waits while the daemon is busy: events are never dropped and stay in order.
    async fn tell(&self, event: LinkEvent) -> Result<(), Gone> {
        self.events.send(event).await.map_err(|_| Gone)
    }
}

fn lost(error: impl std::error::Error + 'static) -> Failure {
    trouble(ConnectionTrouble::Lost, error)
}

fn trouble(kind: ConnectionTrouble, error: impl std::error::Error + 'static) -> Failure {
    Failure::Trouble { reason: Chain(&error).to_string(), kind, at_least: Duration::ZERO }
}

/// Tells a server that does not want this device from one that is merely busy.
fn refused(refusal: &Refusal) -> Failure {
    match refusal.code {
        Code::Denied | Code::NotFound => Failure::Refused(AuthFailure::Denied),
        Code::Revoked => Failure::Refused(AuthFailure::Revoked),
        Code::ApprovalRequired => Failure::Refused(AuthFailure::ApprovalRequired),
        code => Failure::Trouble {
            reason: format!("the server did not take the login: {code:?}"),
            kind: ConnectionTrouble::Busy,
            at_least: Duration::from_millis(refusal.retry_after_ms.unwrap_or(0)),
        },
    }
}

fn chance() -> f64 {
    rand::rng().random_range(0.0..=1.0)
}
