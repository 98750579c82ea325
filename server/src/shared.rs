//! What the tasks of a running server share: settings, store, router, counts, limits, the time.
//!
//! Below everything that runs: sessions, transport and status know this room, and it knows none of them.

mod acceptances;
mod connection_limits;
mod queued;
mod replays;

use std::sync::Arc;

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::handshake::ServerKey;
use chat_protocol::handshake::server::Listening;
use chat_protocol::message::Blob;
use chat_protocol::message::server::{NextKeyProof, ServerLimits, Welcome};
use chat_protocol::offline_key::OfflineKey;
use chat_protocol::{limits, time::Timestamp};
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Change, Config, Live, Registration};
use crate::counters::Counters;
use crate::limits::Limits;
use crate::mailbox::{self, Commits, Job, Mailbox};
use crate::router::Router;
use crate::store::{MeteredStore, SharedStore};
use crate::work::{CpuPool, FairPool};

use acceptances::Acceptances;
pub(crate) use connection_limits::{ConnectionLimits, Permits};
pub use queued::Queued;
pub(crate) use queued::{RecordPlace, RecordPlaces};
use replays::Replays;

/// Signatures that may wait for a core; more are answered `busy`. A thousand take a third of a second.
const WAITING_SIGNATURES: usize = 1_000;

/// The keys a server answers with.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The key clients pin.
    pub server: ServerKey,
    /// The key that will replace it, while clients move over.
    pub next: Option<ServerKey>,
    /// That the offline key vouches for it.
    pub next_proof: Option<NextKeyProof>,
    /// Without whose signature clients believe no other key.
    pub offline: Option<OfflineKey>,
    /// `secret.key`: known to every member, keeps strangers out.
    pub secret: FernetKey,
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
    pub gate: Arc<ConnectionLimits>,
    /// What is queued for all connections.
    pub queued: Queued,
    /// Where password hashes are computed.
    pub passwords: Arc<FairPool>,
    /// Where signatures are verified.
    pub signatures: CpuPool,
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
    next_key_proof: Option<NextKeyProof>,
    clock: Clock,
}

impl Shared {
    /// Everything at its beginning, and what the commit loop is to run with.
    #[must_use]
    pub(crate) fn new(
        config: Config,
        store: SharedStore,
        keys: &Keys,
        stopping: CancellationToken,
        clock: Clock,
    ) -> (Self, Commits, Receiver<Job>) {
        let (router, counters) = (Arc::new(Router::default()), Arc::new(Counters::default()));
        let store: SharedStore = Arc::new(MeteredStore { store, counters: Arc::clone(&counters) });
        let settings = Arc::new(Live::new(config));
        let config = settings.now();
        let (mailbox, jobs) = mailbox::queue(config.mailbox.queue);
        let commits = Commits {
            store: Arc::clone(&store),
            router: Arc::clone(&router),
            counters: Arc::clone(&counters),
            settings: Arc::clone(&settings),
        };
        let listening = Listening::new(&keys.server, &keys.secret);
        let shared = Self {
            limits: Live::new(Limits::new(&config)),
            gate: Arc::new(ConnectionLimits::new(&config.connections)),
            queued: Queued::new(config.memory.queued_bytes),
            passwords: Arc::new(FairPool::new(&config.passwords)),
            signatures: CpuPool::new(cores(), WAITING_SIGNATURES),
            replays: Replays::new(config.connections.remembered_handshakes),
            listening: keys.next.as_ref().map_or(listening.clone(), |next| listening.and_next(next)),
            next_key: keys.next.as_ref().map(|next| Blob(next.public().as_bytes().to_vec())),
            next_key_proof: keys.next_proof.clone(),
            stopping,
            settings,
            store,
            router,
            counters,
            mailbox,
            acceptances: Acceptances::default(),
            clock,
        };
        (shared, commits, jobs)
    }

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
            next_key_proof: self.next_key_proof.clone().map(Box::new),
        }
    }

    /// Applies what can change now. Limits that change begin to count anew, wrong passwords excepted.
    pub(crate) fn apply(&self, wanted: Config) -> Change {
        let change = self.config().changed_to(wanted);
        if change.applied.iter().any(|key| Limits::depend_on(key)) {
            self.limits.replace(self.limits().renewed(&change.config));
        }
        self.settings.replace(change.config.clone());
        change
    }

    /// Keeps how far the time has come, so that the next process goes on from it.
    pub(crate) async fn keep_time(&self, always: bool) {
        if let Err(error) = self.clock.keep(&*self.store, always).await {
            tracing::warn!(%error, "the time could not be kept, trying again later");
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
