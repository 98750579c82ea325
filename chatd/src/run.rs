//! From the command line to a running daemon and back: the order in which things begin and end.
//!
//! Protect the process → directory → lock → store → daemon → socket, and then the reverse. The socket is there
//! before any network or account is. Tasks: the daemon's own, the listeners', and one that keeps the store tidy.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use chat_programs::documents::ManualError;
use chat_programs::patient::Patient;
use chat_programs::process;
use chat_programs::service::{ready, reloaded, reloading, stopping};
use chat_programs::settings::{self, Entry, Origin, Wrong};
use chat_protocol::rpc::{RpcError, openrpc};
use clap::ArgMatches;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::cli::{ChangeKey, Cli, Command, Exit, ShowConfig};
use crate::config::keys::{self, Values};
use crate::config::{Config, ConfigError, PassphraseError, Sources, unlock};
use crate::daemon::{Daemon, Setup};
use crate::dirs::{DataDir, DirError, Lock};
use crate::documents;
use crate::link::Timing;
use crate::listeners::{Listeners, Plan};
use crate::reload::Reload;
use crate::rpc::SocketError;
use crate::service;
use crate::store::{RowsError, Store, StoreError};

/// How often deleted rows are wiped from the write-ahead log.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// How a file of settings begins that is printed.
const HEAD: [&str; 4] = [
    "Settings of chatd. ~/.config/chatd/<profile>.toml is read for one profile, `default` unless another is",
    "named; /etc/chatd/chatd.toml for all. Options and variables count before both, and paths may begin with",
    "~/. Only you, or root, may have the right to write these files. `chatd config` shows what counts. A change",
    "counts at the next SIGHUP, or, where that is said, at the next start. Remove the # before a key to set it.",
];

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
    /// There is no such page, or it cannot be written.
    #[error(transparent)]
    Manual(#[from] ManualError),
    /// Standard output cannot be written.
    #[error("cannot write to standard output")]
    Output(#[source] std::io::Error),
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
            Self::Dir(error) | Self::Socket(SocketError::Directory(error)) => dir_exit(error),
            Self::Config(error) => config_exit(error),
            Self::Store(error) => store_exit(error),
            Self::Socket(SocketError::Answered(_)) => Exit::InUse,
            Self::Socket(_) => Exit::Refused,
            Self::Manual(ManualError::NoVerb(_)) => Exit::Usage,
            Self::Manual(ManualError::Io(_)) | Self::Output(_) => Exit::Io,
            Self::Daemon(_) | Self::System { .. } => Exit::Internal,
        }
    }
}

const fn config_exit(error: &ConfigError) -> Exit {
    match error {
        ConfigError::Paths(_) | ConfigError::Passphrase(PassphraseError::Differ | PassphraseError::NoTerminal(_)) => {
            Exit::Usage
        }
        ConfigError::Wrong(Wrong { origin: Origin::CommandLine(_), .. }) => Exit::Usage,
        ConfigError::Passphrase(PassphraseError::Dir(error)) => dir_exit(error),
        ConfigError::File(_) => Exit::Refused,
        ConfigError::Passphrase(PassphraseError::NotText | PassphraseError::NoLine) => Exit::Usage,
        ConfigError::Passphrase(PassphraseError::Input(_)) => Exit::Io,
        ConfigError::Wrong(_) | ConfigError::Missing(_) => Exit::Config,
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
        StoreError::Rows(RowsError::Corrupt(_))
        | StoreError::Half { .. }
        | StoreError::Newer { .. }
        | StoreError::Older { .. } => Exit::Damaged,
    }
}

/// Does what the command line says; returns when the daemon has ended.
///
/// # Errors
/// [`RunError`].
pub fn run(cli: &Cli, said: &ArgMatches) -> Result<(), RunError> {
    process::protect().map_err(|source| RunError::System { doing: "protect the process", source })?;
    let sources = Sources::new(&cli.options, said);
    match &cli.command {
        Some(Command::ChangeKey(wanted)) => change_key(&sources.read()?, wanted),
        Some(Command::Openrpc) => print_document(),
        Some(Command::Config(wanted)) => show_config(&sources, wanted),
        Some(Command::Completions { shell }) => print(&documents::completions(*shell)),
        Some(Command::Man(wanted)) => print(&documents::man(wanted)?),
        Some(Command::Stdio) => serve(sources, true),
        None => serve(sources, false),
    }
}

fn print_document() -> Result<(), RunError> {
    let text = serde_json::to_string_pretty(&openrpc::document()).map_err(std::io::Error::from);
    print(&(text.map_err(|source| RunError::System { doing: "write the document", source })? + "\n"))
}

fn show_config(sources: &Sources, wanted: &ShowConfig) -> Result<(), RunError> {
    if wanted.defaults {
        return print(&settings::documented::<Values>(&HEAD, keys::spoken));
    }
    let shown = |entry: &Entry| if wanted.json { settings::object(entry).to_string() } else { settings::line(entry) };
    let lines = sources.read()?.settings.iter().map(|entry| shown(entry) + "\n").collect::<String>();
    print(&lines)
}

/// Standard output is data here: whoever reads it is a program, or asked for it.
fn print(text: &(impl AsRef<[u8]> + ?Sized)) -> Result<(), RunError> {
    let mut stdout = Patient(std::io::stdout().lock());
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        // a reader that has seen enough is no failure
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(RunError::Output),
    }
}

fn change_key(config: &Config, wanted: &ChangeKey) -> Result<(), RunError> {
    let dir = DataDir::open(&config.paths.data_dir)?;
    let from = config.opener.fetch().map_err(ConfigError::from)?;
    let to = unlock::new_unlock(wanted).map_err(ConfigError::from)?;
    Ok(Store::change_unlock(&dir, &from, &to)?)
}

/// Runs the daemon; `pipes` if a parent speaks to it on standard input and output.
fn serve(sources: Sources, pipes: bool) -> Result<(), RunError> {
    let config = sources.read()?;
    let reload = Reload::begin(sources, config.clone())?;
    let paths = config.paths;
    let dir = DataDir::open(&paths.data_dir)?;
    let lock = dir.lock()?;
    let unlock = config.opener.fetch().map_err(ConfigError::from)?;
    let store = Arc::new(Store::open(&dir, &unlock)?);
    drop(unlock);
    let (socket_is, socket) = watch::channel(paths.socket);
    let setup =
        Setup { profile: paths.profile.clone(), dir, socket, import_key: config.import_key, timing: Timing::default() };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|source| RunError::System { doing: "start the runtime", source })?;
    let plan =
        Plan { socket: socket_is, dir: setup.dir.clone(), listen: config.http.listen, policy: reload.policy(), pipes };
    let ended = runtime.block_on(live(setup, store, &plan, &lock, reload));
    // nobody waits for a parent that holds our standard input open and says nothing
    runtime.shutdown_background();
    ended
}

/// The daemon's life, from its first breath to a clean end.
async fn live(setup: Setup, store: Arc<Store>, plan: &Plan, lock: &Lock, mut reload: Reload) -> Result<(), RunError> {
    let mut signals = Signals::new().map_err(|source| RunError::System { doing: "listen for signals", source })?;
    let daemon = Daemon::start(setup, Arc::clone(&store)).or_else(|error| {
        // what could not be read may be damaged, which has a code of its own
        store.checked().map_err(StoreError::from)?;
        Err(RunError::from(error))
    })?;
    let listeners = Listeners::open(Arc::clone(&daemon) as _, plan, lock)?;
    let tidying = tokio::spawn(keep_tidy(Arc::clone(&store)));
    let watching = tokio::spawn(service::feed_watchdog(Arc::clone(&daemon)));
    tracing::info!(socket = %plan.socket.borrow().display(), "ready");
    ready(&format!("serving {}", plan.socket.borrow().display()));
    let read_again = || {
        reloading();
        reload.read_again();
        reloaded();
    };
    // begins the check, too, if nothing had to be written yet
    let looking_over = Arc::clone(&store);
    let damaged = async {
        match tokio::task::spawn_blocking(move || looking_over.checked()).await {
            Ok(Err(damage)) => damage,
            _ => std::future::pending().await,
        }
    };
    let mut ended = Ok(());
    // all only wait: whichever comes first, nothing is lost with the others
    tokio::select! {
        damage = damaged => ended = Err(StoreError::from(damage).into()),
        name = signals.end(read_again) => tracing::info!(signal = name, "ending"),
        () = daemon.asked_to_end() => tracing::info!("ending as asked on the socket"),
        () = listeners.parted() => tracing::info!("ending with the program that started this one"),
    }
    stopping();
    daemon.close();
    // first no new work comes in, then what was begun is committed, then the files are closed
    listeners.close().await;
    daemon.stop().await;
    tidying.abort();
    watching.abort();
    store.tidy();
    tracing::info!("ended");
    ended
}

/// What ends the daemon, and the hang-up that does not.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Has the settings read again; taking it also keeps a closed terminal from ending the process.
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

    async fn end(&mut self, mut hung_up: impl FnMut()) -> &'static str {
        loop {
            // cancel-safe: a signal that came is only ever taken by the branch that tells it
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hang_up.recv() => hung_up(),
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
