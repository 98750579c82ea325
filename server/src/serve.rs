//! The running server: everything its tasks share, and its beginning and end.
//!
//! Tasks: one accept loop, one reader and one writer per connection, one delivery task per login
//! (they end with their connection), one commit loop (ends when nobody can submit any more), and one
//! housekeeper (ends with the accept loop).

use std::io;
use std::sync::{Arc, Weak};
use std::time::Instant;

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::handshake::ServerKey;
use chat_protocol::handshake::server::Listening;
use chat_protocol::message::Blob;
use chat_protocol::message::server::{ServerLimits, Welcome};
use chat_protocol::{limits, time::Timestamp};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::{Change, Config, Live, Registration};
use crate::counters::{Closed, Counters};
use crate::limits::Limits;
use crate::mailbox::{self, Mailbox};
use crate::router::Router;
use crate::session::{Acceptances, seen};
use crate::status::Status;
use crate::store::{Counted, SharedStore, StoreError};
use crate::transport::{self, Gate, Replays};
use crate::work::Desk;

/// Signatures that may wait for a core; more are answered `busy`. A thousand take a third of a second.
const WAITING_SIGNATURES: usize = 1_000;
/// How often limits forget who has not been seen.
const FORGET_EVERY: std::time::Duration = std::time::Duration::from_secs(60);
/// Time for connections to notice that they were severed.
const SEVER_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// The keys a server answers with.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The key clients pin.
    pub server: ServerKey,
    /// The key that will replace it, while clients move over.
    pub next: Option<ServerKey>,
    /// `secret.key`: known to every member, keeps strangers out.
    pub secret: FernetKey,
}

/// Why the server ended otherwise than by being asked to.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The listening socket is no more.
    #[error("the listening socket failed")]
    Listener(#[source] io::Error),
    /// The database failed before anything was served.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The commit loop died: nothing more could be stored.
    #[error("the commit loop ended unexpectedly")]
    Commits,
}

/// What the tasks of a server share.
pub(crate) struct Shared {
    /// Settings, as they are now.
    settings: Arc<Live<Config>>,
    /// Everything durable.
    pub store: SharedStore,
    /// Who is online.
    pub router: Arc<Router>,
    /// What happened so far.
    pub counters: Arc<Counters>,
    /// How often who may do what, as it is now.
    limits: Live<Limits>,
    /// Who may connect.
    pub gate: Arc<Gate>,
    /// Where password hashes are computed.
    pub passwords: Arc<Desk>,
    /// Where signatures are verified.
    pub signatures: Desk,
    /// Handshakes seen.
    pub replays: Replays,
    /// Handshake keys.
    pub listening: Listening,
    /// What devices that wait have signed.
    pub acceptances: Acceptances,
    /// The way into mailboxes and the room.
    pub mailbox: Mailbox,
    /// Cancelled when the server is to stop.
    pub stopping: CancellationToken,
    /// Announced key, while the server key changes.
    next_key: Option<Blob>,
    clock: Clock,
}

impl Shared {
    /// The settings as they are now.
    #[must_use]
    pub(crate) fn config(&self) -> Arc<Config> {
        self.settings.now()
    }

    /// The limits as they are now.
    #[must_use]
    pub(crate) fn limits(&self) -> Arc<Limits> {
        self.limits.now()
    }

    /// The time by the clock, for what people read and set.
    #[must_use]
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.wall()
    }

    /// The time that was seen to pass: what spans are measured by, in the store too.
    #[must_use]
    pub(crate) fn seen(&self) -> Timestamp {
        self.clock.seen()
    }

    /// What every client is told at the end of its handshake.
    #[must_use]
    pub(crate) fn welcome(&self, version: Option<u8>, now: Timestamp) -> Welcome {
        let config = self.config();
        Welcome {
            version,
            lowest: limits::PROTOCOL_VERSION,
            highest: limits::PROTOCOL_VERSION,
            server_time: now,
            limits: ServerLimits {
                delivery_window: config.mailbox.delivery_window,
                mailbox_days: u64::from(config.mailbox.days),
                room_days: u64::from(config.room.days),
                invite_only: config.registration == Registration::Invite,
            },
            features: Vec::new(),
            next_key: self.next_key.clone(),
        }
    }
}

/// A server that is set up and not yet listening.
pub struct Server {
    pub(crate) shared: Arc<Shared>,
    commits: JoinHandle<()>,
}

impl Server {
    /// Sets up a server; the commit loop starts at once, so a runtime must be there. `shutdown` stops it.
    #[must_use]
    pub fn new(config: Config, store: SharedStore, keys: &Keys, shutdown: CancellationToken, clock: Clock) -> Self {
        let (router, counters) = (Arc::new(Router::default()), Arc::new(Counters::default()));
        let store: SharedStore = Arc::new(Counted { store, counters: Arc::clone(&counters) });
        let settings = Arc::new(Live::new(config));
        let config = settings.now();
        let (mailbox, jobs) = mailbox::queue(config.mailbox.queue);
        let commits = mailbox::Commits {
            store: Arc::clone(&store),
            router: Arc::clone(&router),
            counters: Arc::clone(&counters),
            settings: Arc::clone(&settings),
        };
        let listening = Listening::new(&keys.server, &keys.secret);
        let shared = Shared {
            limits: Live::new(Limits::new(&config)),
            gate: Arc::new(Gate::new(&config.connections)),
            passwords: Arc::new(Desk::new(config.passwords.at_once, config.passwords.queue)),
            signatures: Desk::new(cores(), WAITING_SIGNATURES),
            replays: Replays::new(config.connections.remembered_handshakes),
            listening: keys.next.as_ref().map_or(listening.clone(), |next| listening.and_next(next)),
            next_key: keys.next.as_ref().map(|next| Blob(next.public().as_bytes().to_vec())),
            stopping: shutdown,
            settings,
            store,
            router,
            counters,
            mailbox,
            acceptances: Acceptances::default(),
            clock,
        };
        Self { shared: Arc::new(shared), commits: tokio::spawn(mailbox::commit_loop(commits, jobs)) }
    }

    /// Counts of what happened; outlives the server.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// The way to change its settings while it runs.
    #[must_use]
    pub fn reload(&self) -> Reload {
        Reload(Arc::downgrade(&self.shared))
    }

    /// What monitoring sees of it; outlives the server.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(&self.shared)
    }

    /// Who is online; outlives the server.
    #[must_use]
    pub fn router(&self) -> Arc<Router> {
        Arc::clone(&self.shared.router)
    }

    /// Serves until asked to stop, then drains: no new connections, no new requests; what was asked is
    /// committed and answered; every connection ends with a goodbye.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn serve(self, listener: TcpListener) -> Result<(), ServeError> {
        let connections = TaskTracker::new();
        let housekeeper = tokio::spawn(keep_house(Arc::clone(&self.shared)));
        let accepted = transport::accept_loop(&self.shared, &listener, &connections).await;
        drop(listener);
        self.shared.stopping.cancel();
        connections.close();
        if timeout(self.shared.config().connections.drain, connections.wait()).await.is_err() {
            tracing::warn!(connections = connections.len(), "not everybody was told in time");
            self.shared.router.sever_all(Closed::Shutdown);
            let _late = timeout(SEVER_WAIT, connections.wait()).await;
        }
        let _gone = housekeeper.await;
        keep_time(&self.shared, true).await;
        drop(self.shared);
        let committed = timeout(SEVER_WAIT * 10, self.commits).await;
        accepted.map_err(ServeError::Listener)?;
        if matches!(committed, Ok(Ok(()))) { Ok(()) } else { Err(ServeError::Commits) }
    }
}

/// Changes the settings of a running server; does not keep it running.
#[derive(Clone)]
pub struct Reload(Weak<Shared>);

impl Reload {
    /// Applies what can change now; `None` when the server has ended.
    ///
    /// Limits that change begin to count anew, wrong passwords excepted.
    #[must_use]
    pub fn apply(&self, wanted: Config) -> Option<Change> {
        let shared = self.0.upgrade()?;
        let change = shared.config().changed_to(wanted);
        if change.applied.iter().any(|key| Limits::depend_on(key)) {
            shared.limits.replace(shared.limits().renewed(&change.config));
        }
        shared.settings.replace(change.config.clone());
        Some(change)
    }
}

/// Serves `listener` until `shutdown` is cancelled and everything is drained.
///
/// # Errors
/// [`ServeError`].
pub async fn run(
    config: Config,
    store: SharedStore,
    listener: TcpListener,
    keys: Keys,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let clock = Clock::system(&*store).await?;
    Server::new(config, store, &keys, shutdown, clock).serve(listener).await
}

/// Once a second presence; once a minute old limits and the time; now and then what has outlived its own, and who is
/// there.
async fn keep_house(shared: Arc<Shared>) {
    let mut presence = every(shared.config().connections.presence);
    let mut forget = every(FORGET_EVERY);
    let mut sweep = every(shared.config().accounts.sweep);
    let mut note = every(seen::period(&shared.config()));
    loop {
        // ticks are cancel-safe: a lost branch has consumed nothing
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            _ = presence.tick() => shared.router.tell_presence(),
            _ = forget.tick() => {
                shared.limits().forget_old(Instant::now());
                keep_time(&shared, false).await;
            }
            _ = sweep.tick() => sweep_once(&shared).await,
            _ = note.tick() => seen::note_connected(&shared).await,
        }
    }
}

/// Shortest period of a background job: a setting of 0 means often, not a loop that eats a processor.
const SHORTEST_PERIOD: std::time::Duration = std::time::Duration::from_millis(20);

fn every(period: std::time::Duration) -> tokio::time::Interval {
    let mut ticks = interval(period.max(SHORTEST_PERIOD));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Deletes what has outlived its time.
pub(crate) async fn sweep_once(shared: &Shared) {
    let (now, wall) = (shared.seen(), shared.now());
    // of an invite that seems to have ended the clock may be wrong, once: it is refused, and not gone
    match shared.store.sweep(now, wall.min(now), shared.config().retention()).await {
        Ok(swept) => tracing::debug!(?swept, "swept"),
        Err(error) => tracing::warn!(%error, "sweeping failed, trying again later"),
    }
}

/// Keeps how far the time has come, so that the next process goes on from it.
async fn keep_time(shared: &Shared, always: bool) {
    if let Err(error) = shared.clock.keep(&*shared.store, always).await {
        tracing::warn!(%error, "the time could not be kept, trying again later");
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
