//! The running server: its beginning and end. What its tasks share is in [`crate::shared`].
//!
//! Tasks: one accept loop, one reader and one writer per connection, one delivery task per login
//! (they end with their connection), one commit loop (ends when nobody can submit any more), and one
//! housekeeper (ends with the accept loop).

use std::io;
use std::sync::{Arc, Weak};
use std::time::Instant;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::{Change, Config};
use crate::counters::{Closed, Counters};
use crate::mailbox;
use crate::router::Router;
use crate::session::seen;
use crate::shared::Shared;
pub use crate::shared::{Keys, Queued};
use crate::status::Status;
use crate::store::{SharedStore, StoreError};
use crate::transport;

/// How often limits forget who has not been seen.
const FORGET_EVERY: std::time::Duration = std::time::Duration::from_secs(60);
/// Time for connections to notice that they were severed.
const SEVER_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

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

/// A server that is set up and not yet listening.
pub struct Server {
    pub(crate) shared: Arc<Shared>,
    commits: JoinHandle<()>,
}

impl Server {
    /// Sets up a server; the commit loop starts at once, so a runtime must be there. `shutdown` stops it.
    #[must_use]
    pub fn new(config: Config, store: SharedStore, keys: &Keys, shutdown: CancellationToken, clock: Clock) -> Self {
        let (shared, commits, jobs) = Shared::new(config, store, keys, shutdown, clock);
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

    /// What is queued for all connections; outlives the server.
    #[must_use]
    pub fn queued(&self) -> Queued {
        self.shared.queued.clone()
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
        self.shared.keep_time(true).await;
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
        Some(self.0.upgrade()?.apply(wanted))
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
                shared.keep_time(false).await;
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
