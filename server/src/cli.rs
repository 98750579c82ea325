//! The command line of `chat-server`.

use std::net::SocketAddr;
use std::path::PathBuf;

use chat_programs::named::named;
use clap::{Args, Parser, Subcommand};

const AFTER_HELP: &str = "\
Exit codes:
  0 done   64 wrong usage   65 damaged data   69 database or address not available   70 internal failure
  73 refuses to overwrite, or cannot make one   74 reading or writing failed, or the disk is full   75 another server runs on this data
  77 a file or directory is not private   78 settings wrong, or not set up yet

Settings are taken from the command line (--set rates.submits_burst=5000), the environment
(CHAT_SERVER_RATES__SUBMITS_BURST=5000), server.toml in the data directory, in that order.";

/// Keep accounts and mailboxes for end-to-end encrypted chat
#[derive(Debug, Parser)]
#[command(name = "chat-server", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    /// What every command needs to know.
    #[command(flatten)]
    pub place: Place,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Place {
    /// Directory with keys, settings and, unless told otherwise, the database
    /// [default: `chat-server` in the user's data directory]
    #[arg(long, env = "CHAT_SERVER_DATA", value_name = "DIR", global = true, value_parser = named())]
    pub data: Option<PathBuf>,
    /// Database: `sqlite:FILE` or `mysql://USER@HOST/NAME`; a password is better given in server.toml
    #[arg(long, value_name = "URL", global = true)]
    pub database: Option<String>,
    /// Set one setting, as in `--set rates.submits_burst=5000`
    #[arg(long, value_name = "KEY=VALUE", global = true)]
    pub set: Vec<String>,
    /// Print data as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to log, as in `debug` or `chat_server=debug,warn` [default: `info` for run, else `warn`]
    #[arg(long, env = "CHAT_SERVER_LOG", value_name = "FILTER", global = true)]
    pub log: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make keys and settings for a new server and print its invite
    Init {
        /// Address to listen on, kept in server.toml
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
        /// Host and port under which clients reach the server, kept in server.toml
        #[arg(long, value_name = "HOST:PORT")]
        public: Option<String>,
        /// Make a key here that has to sign every later change of the server's key; keep it off this machine
        #[arg(long, value_name = "FILE", value_parser = named())]
        offline_key: Option<PathBuf>,
    },
    /// Serve until told to stop (SIGTERM finishes what was begun)
    Run {
        /// Address to listen on
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
    },
    /// Print an invite; a personal one if registration asks for it
    Invite {
        /// Host and port to name in it
        #[arg(long, value_name = "HOST:PORT")]
        public: Option<String>,
    },
    /// Change the key that clients pin
    #[command(subcommand)]
    Key(Key),
    /// Look after accounts
    #[command(subcommand)]
    User(User),
    /// Look into mailboxes
    #[command(subcommand)]
    Mailbox(Mailbox),
    /// Print every setting with its value and where that comes from
    Config {
        /// Print a server.toml that explains every setting instead
        #[arg(long)]
        defaults: bool,
    },
    /// Bring the database schema up to date, as `run` does by itself
    Migrate,
    /// Put keys, settings and the whole database into one file; works beside a running server
    Backup {
        /// File to make, one that exists is not touched; `-` for standard output
        file: PathBuf,
    },
    /// Make a server out of a backup
    Restore {
        /// File that `backup` made; `-` for standard input
        file: PathBuf,
        /// Replace a server and rows that are there: they are lost
        #[arg(long)]
        force: bool,
    },
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: chat_programs::documents::Shell,
    },
    /// Print a manual page
    Man(chat_programs::documents::Wanted),
}

/// How the server's key is changed.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make the next key: after a restart the server answers under both, and clients learn it
    Rotate {
        /// The key that `init --offline-key` made, if it did
        #[arg(long, value_name = "FILE", value_parser = named())]
        offline_key: Option<PathBuf>,
    },
    /// Give the old key up and print an invite with the new one
    Finish,
}

/// What can be seen of mailboxes.
#[derive(Debug, Subcommand)]
pub enum Mailbox {
    /// Show what waits for a user: everything the server knows of it, which is not what it says
    Peek {
        /// Account
        #[arg(long, value_name = "NAME")]
        user: String,
    },
}

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum User {
    /// List all accounts
    List,
    /// Set a password, read from the terminal or from standard input
    Passwd {
        /// Account
        name: String,
    },
    /// Rename an account that has no devices yet, as adopted names may require
    Rename {
        /// Name exactly as `user list` shows it
        #[arg(allow_hyphen_values = true)]
        from: String,
        /// New name
        to: String,
    },
}
