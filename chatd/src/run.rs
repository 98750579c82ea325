//! From the command line to a running daemon and back: the order in which things begin and end.
//!
//! Protect the process → directory → lock → store → daemon → socket, and then the reverse. The socket is there
//! before any network or account is. Tasks: the daemon's own, the socket's, and one that keeps the store tidy.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chat_protocol::rpc::paths::Paths;
use chat_protocol::rpc::{RpcError, openrpc};
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::cli::{ChangeKey, Cli, Command, Exit, Options};
use crate::config::{self, ConfigError};
use crate::daemon::{Daemon, Setup};
use crate::dirs::{DataDir, DirError, Lock};
use crate::link::Timing;
use crate::process;
use crate::rpc::{self, SocketError};
use crate::service;
use crate::store::{RowsError, Store, StoreError};

/// How often deleted rows are wiped from the write-ahead log.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// Why the daemon did not start, or what else failed.
#[derive(Debug, Error)]
pub enum RunError {
    /// Settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Directory or lock.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// Store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The account that is kept cannot be served.
    #[error(transparent)]
    Daemon(#[from] RpcError),
    /// The system refused something every process may do.
    #[error("cannot {doing}")]
    System {
        /// What.
        doing: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

impl RunError {
    /// What the process exits with.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Config(ConfigError::Dir(error)) | Self::Dir(error) | Self::Socket(SocketError::Directory(error)) => {
                dir_exit(error)
            }
            Self::Config(_) => Exit::Usage,
            Self::Store(error) => store_exit(error),
            Self::Socket(SocketError::Answered(_)) => Exit::InUse,
            Self::Socket(_) => Exit::Refused,
            Self::Daemon(_) | Self::System { .. } => Exit::Internal,
        }
    }
}

const fn dir_exit(error: &DirError) -> Exit {
    match error {
        DirError::InUse { .. } => Exit::InUse,
        _ => Exit::Refused,
    }
}

const fn store_exit(error: &StoreError) -> Exit {
    match error {
        StoreError::Unlock(crate::store::UnlockError::Dir(error)) | StoreError::Dir(error) => dir_exit(error),
        StoreError::Unlock(crate::store::UnlockError::Damaged(_)) => Exit::Damaged,
        StoreError::Unlock(_) => Exit::Locked,
        StoreError::Rows(RowsError::Full | RowsError::Unavailable(_) | RowsError::ReadOnly) => Exit::Io,
        StoreError::Rows(RowsError::Corrupt(_)) | StoreError::Half { .. } | StoreError::Newer { .. } => Exit::Damaged,
    }
}

/// Does what the command line says; returns when the daemon has ended.
///
/// # Errors
/// [`RunError`].
pub fn run(cli: &Cli) -> Result<(), RunError> {
    process::protect().map_err(|source| RunError::System { doing: "protect the process", source })?;
    let paths = config::paths(&cli.options)?;
    match &cli.command {
        Some(Command::ChangeKey(wanted)) => change_key(&cli.options, &paths, wanted),
        Some(Command::Openrpc) => print_document(),
        None => serve(&cli.options, paths),
    }
}

/// Standard output is data here: whoever reads it is a program.
fn print_document() -> Result<(), RunError> {
    let mut out = std::io::stdout().lock();
    let written = serde_json::to_writer_pretty(&mut out, &openrpc::document()).map_err(std::io::Error::from);
    match written.and_then(|()| writeln!(out)) {
        // a reader that has seen enough is no failure
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|source| RunError::System { doing: "write the document", source }),
    }
}

fn change_key(options: &Options, paths: &Paths, wanted: &ChangeKey) -> Result<(), RunError> {
    let dir = DataDir::open(&paths.data_dir)?;
    let from = config::unlock(options, dir.path())?;
    Ok(Store::change_unlock(&dir, &from, &config::new_unlock(wanted)?)?)
}

fn serve(options: &Options, paths: Paths) -> Result<(), RunError> {
    begin_log(&options.log)?;
    let dir = DataDir::open(&paths.data_dir)?;
    let lock = dir.lock()?;
    let unlock = config::unlock(options, dir.path())?;
    let store = Arc::new(Store::open(&dir, &unlock)?);
    drop(unlock);
    let setup = Setup {
        profile: paths.profile.clone(),
        dir,
        socket: paths.socket.clone(),
        import_key: options.import_key.clone(),
        timing: Timing::default(),
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|source| RunError::System { doing: "start the runtime", source })?;
    runtime.block_on(live(setup, store, &paths.socket, &lock))
}

/// The daemon's life, from its first breath to a clean end.
async fn live(setup: Setup, store: Arc<Store>, socket: &Path, lock: &Lock) -> Result<(), RunError> {
    let mut signals = Signals::new().map_err(|source| RunError::System { doing: "listen for signals", source })?;
    let daemon = Daemon::start(setup, Arc::clone(&store))?;
    let inherited = service::inherited();
    let (listener, bound) =
        match inherited.map_err(|source| RunError::System { doing: "use the socket handed over", source })? {
            Some(listener) => (listener, None),
            None => rpc::bind(socket, lock).map(|(listener, bound)| (listener, Some(bound)))?,
        };
    let shutdown = CancellationToken::new();
    let server = rpc::Server::new(Arc::clone(&daemon) as _, shutdown.clone());
    let serving = tokio::spawn(server.clone().socket(listener));
    let tidying = tokio::spawn(keep_tidy(Arc::clone(&store)));
    let watching = tokio::spawn(service::feed_watchdog(Arc::clone(&daemon)));
    tracing::info!(socket = %socket.display(), "ready");
    service::ready(socket);
    // both only wait: whichever comes first, nothing is lost with the other
    tokio::select! {
        name = signals.end() => tracing::info!(signal = name, "ending"),
        () = daemon.asked_to_end() => tracing::info!("ending as asked on the socket"),
    }
    service::stopping();
    daemon.close();
    // first no new work comes in, then what was begun is committed, then the files are closed
    shutdown.cancel();
    let _ = serving.await;
    drop(bound);
    daemon.stop().await;
    tidying.abort();
    watching.abort();
    store.tidy();
    tracing::info!("ended");
    Ok(())
}

/// What ends the daemon, and the hang-up that does not.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Taking it is what keeps a closed terminal from ending the process.
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn end(&mut self) -> &'static str {
        loop {
            // cancel-safe: a signal that came is only ever taken by the branch that tells it
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hang_up.recv() => {}
            }
        }
    }
}

async fn keep_tidy(store: Arc<Store>) {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        let store = Arc::clone(&store);
        let _ = tokio::task::spawn_blocking(move || store.tidy()).await;
    }
}

fn begin_log(filter: &str) -> Result<(), RunError> {
    let filter = EnvFilter::try_new(filter).map_err(|error| ConfigError::Log(error.to_string()))?;
    // a second subscriber in one process only happens in tests; the first one stays
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let _ = log.try_init();
    Ok(())
}
