//! The daemon of one account: one loop that owns the write side, and the calls of the socket around it.
//!
//! ```text
//! socket ──calls──▶ ┌──────┐ ──batch──▶ engine over rows, one transaction ──commit──▶ actions
//! link ────events──▶│ loop │ ◀──────────────────────────────────────────────────────────┘
//! RSA ─────shares──▶└──────┘     reads go to the store directly, beside the loop
//! ```
//! Tasks: the loop ([`run`]), the opener of RSA shares, and the wait of a device that is not let in yet
//! ([`waiting`]); all end when the daemon is shut down. What
//! waits together shares one transaction, and nothing leaves before the commit that contains its cause.
//! Queues: commands are bounded ([`QUEUE`]), and a caller that finds no room waits, which bounds the
//! socket; link events are bounded, and while there is no room nothing is read from the server.

mod accounts;
mod ask;
mod backend;
mod batch;
mod errors;
mod export;
mod health;
mod high_water_file;
mod methods;
mod reads;
mod run;
mod search;
#[cfg(test)]
mod tests;
mod waiting;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use chat_protocol::ids::Username;
use chat_protocol::rpc::types::{Connection, ConnectionState};
use chat_protocol::rpc::{Kind, RpcError, WrittenEvent};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::account::Standing;
use crate::api::Answer;
use crate::clock::{self, Offset};
use crate::dirs::DataDir;
use crate::engine::{EngineError, Txn};
use crate::link::{Heard, Timing};
use crate::metrics::Metrics;
use crate::store::{Reader, Rows, RowsError, Store};
use batch::{Command, Job, Refused};

/// Commands that may wait for the loop; behind them callers wait.
const QUEUE: usize = 256;
/// Volatile events a slow listener may be behind before it misses some.
const VOLATILE: usize = 256;

/// What the daemon is told about itself.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Name of the profile.
    pub profile: String,
    /// Where everything is kept.
    pub dir: DataDir,
    /// Where the socket is: it moves when its directory is taken away.
    pub socket: watch::Receiver<PathBuf>,
    /// A private key of the first application to take over when an account is entered.
    pub import_key: Option<PathBuf>,
    /// How patient the link is.
    pub timing: Timing,
}

/// A running daemon: what the socket serves.
#[derive(Debug)]
pub struct Daemon {
    setup: Setup,
    store: Arc<Store>,
    reader: Arc<Reader>,
    /// Of the history; made when somebody searches.
    index: Arc<Mutex<Option<search::Search>>>,
    loop_messages: mpsc::Sender<LoopMessage>,
    newest: watch::Receiver<u64>,
    volatile: broadcast::Sender<WrittenEvent>,
    connection: Arc<Mutex<Connection>>,
    heard: Heard,
    unstored: Unstored,
    offset: Arc<Mutex<Option<Offset>>>,
    metrics: Arc<Metrics>,
    /// Cancelled when the process is to end.
    ending: CancellationToken,
    /// Cancelled when nobody is to wait for anything any more.
    closing: CancellationToken,
    /// One enrolment at a time.
    entering: tokio::sync::Mutex<()>,
    /// While this device waits to be let in.
    waiting: waiting::Waiting,
    /// For tasks that outlive a call.
    me: Weak<Self>,
    began: std::time::Instant,
}

/// Why the last transaction stored nothing; `None` once one has.
type Unstored = Arc<Mutex<Option<String>>>;

/// What the loop is told.
enum LoopMessage {
    /// Run this in the next transaction.
    Command(Box<dyn Command>),
    /// Ask the server and answer with what it says.
    Ask(ask::Question),
    /// Work for this account from now on.
    Enter(Box<accounts::Entry>, oneshot::Sender<()>),
    /// Work for no account.
    Leave(oneshot::Sender<()>),
    /// Try to connect now.
    Kick,
    /// Say that the loop runs.
    Probe(oneshot::Sender<()>),
}

impl Daemon {
    /// Starts the loop over an open store, and the link if there is an account.
    ///
    /// # Errors
    /// [`RpcError`] if the store or the account's keys cannot be read.
    pub fn start(setup: Setup, store: Arc<Store>) -> Result<Arc<Self>, RpcError> {
        let reader = Arc::new(store.reader().map_err(|error| errors::rows(&error))?);
        let newest_event =
            reader.read(crate::engine::events::newest).map_err(|error: RowsError| errors::rows(&error))?;
        let standing = accounts::standing(&store)?;
        let entry = accounts::stored(&setup, &store)?;
        let (loop_messages, inbox) = mpsc::channel(QUEUE);
        let (newest_sender, newest) = watch::channel(newest_event);
        let volatile = broadcast::Sender::new(VOLATILE);
        let (connection, heard, unstored) = (Arc::new(Mutex::new(idle())), Heard::default(), Unstored::default());
        let offset = Arc::new(Mutex::new(None));
        let metrics = Metrics::new().map_err(|error| RpcError::new(Kind::Internal, error.to_string()))?;
        let metrics = Arc::new(metrics);
        let ending = CancellationToken::new();
        let parts = run::Parts {
            store: Arc::clone(&store),
            loop_messages: inbox,
            newest: newest_sender,
            volatile: volatile.clone(),
            connection: Arc::clone(&connection),
            heard: heard.clone(),
            unstored: Arc::clone(&unstored),
            offset: Arc::clone(&offset),
            metrics: Arc::clone(&metrics),
            ending: ending.clone(),
            dir: setup.dir.clone(),
        };
        run::spawn(parts, entry);
        let daemon = Arc::new_cyclic(|me| Self {
            setup,
            store,
            reader,
            index: Arc::default(),
            loop_messages,
            newest,
            volatile,
            connection,
            heard,
            unstored,
            offset,
            metrics,
            ending,
            closing: CancellationToken::new(),
            entering: tokio::sync::Mutex::new(()),
            waiting: waiting::Waiting::default(),
            me: me.clone(),
            began: std::time::Instant::now(),
        });
        match standing {
            Some(Standing::Waiting) => daemon.wait_to_be_let_in(),
            Some(Standing::Lapsed | Standing::Revoked) => daemon.show_over(),
            _ => {}
        }
        Ok(daemon)
    }

    /// Ends when somebody asked the daemon to.
    pub async fn asked_to_end(&self) {
        self.ending.cancelled().await;
    }

    /// Ends every call that only waits for something to happen, so that the socket can be closed without delay.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Tells everybody that the daemon ends, and ends the loop once what it has begun is committed.
    pub async fn stop(&self) {
        self.ending.cancel();
        // the loop's end of the channel goes away with the loop
        let mut newest = self.newest.clone();
        while newest.changed().await.is_ok() {}
    }

    /// Waits until the loop has taken a message; false once it has ended. While the store is looked over, which may take
    /// minutes, the loop may wait for that.
    pub async fn lives(&self) -> bool {
        if !self.store.is_checked() {
            return !self.ending.is_cancelled();
        }
        let (reply, answer) = oneshot::channel();
        self.tell_loop(LoopMessage::Probe(reply)).await.is_ok() && answer.await.is_ok()
    }

    /// Runs a step of the engine in the next transaction and waits for its commit.
    async fn command<T, F>(&self, step: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Txn<'_>) -> Result<T, EngineError> + Send + 'static,
    {
        self.line_up(step, || ()).await
    }

    /// The same; `in_line` is told once it is certain that whatever is told the loop from then on runs after it.
    async fn line_up<T, F>(&self, step: F, in_line: impl FnOnce()) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Txn<'_>) -> Result<T, EngineError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.tell_loop(LoopMessage::Command(Box::new(Job::new(step, reply)))).await?;
        in_line();
        match answer.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(Refused::Engine(error))) => Err(errors::engine(error)),
            Ok(Err(Refused::NoAccount)) => Err(self.nobody()),
            Err(_) => Err(ended()),
        }
    }

    async fn tell_loop(&self, message: LoopMessage) -> Answer<()> {
        self.loop_messages.send(message).await.map_err(|_| ended())
    }

    /// Reads rows beside the loop, as they were last committed.
    async fn read<T, F>(&self, read: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Rows) -> Result<T, RpcError> + Send + 'static,
    {
        let reader = Arc::clone(&self.reader);
        let task = tokio::task::spawn_blocking(move || reader.read(|rows| read(rows).map_err(errors::Reading::from)));
        match task.await {
            Ok(outcome) => outcome.map_err(RpcError::from),
            Err(_) => Err(ended()),
        }
    }

    /// Reads rows where nothing but the rows can fail.
    async fn rows<T, F>(&self, read: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Rows) -> Result<T, RowsError> + Send + 'static,
    {
        self.read(move |rows| read(rows).map_err(|error| errors::rows(&error))).await
    }

    /// The account's name.
    async fn me(&self) -> Answer<Username> {
        self.read(|rows| Ok(reads::account(rows)?.user)).await
    }

    fn unstored(&self) -> Option<String> {
        self.unstored.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn connection(&self) -> Connection {
        let shown = self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let offset = *self.offset.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = offset.filter(|_| shown.state == ConnectionState::Online).map(|offset| offset.at(clock::read()));
        Connection { last_rx_ms: self.heard.last_ms(), clock_offset_ms: offset, ..shown }
    }
}

fn idle() -> Connection {
    Connection {
        state: ConnectionState::Idle,
        since_ms: clock::now().as_millis(),
        server: None,
        last_rx_ms: None,
        rtt_ms: None,
        clock_offset_ms: None,
        reason: None,
        trouble: None,
        next_retry_ms: None,
    }
}

/// Does off the runtime what takes a while.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Answer<T> + Send + 'static) -> Answer<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(ended()))
}

fn ended() -> RpcError {
    RpcError::new(Kind::Internal, "the daemon is ending")
}
