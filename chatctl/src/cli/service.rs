//! Verbs about chatd as a service of the user.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Service {
    /// Let systemd start chatd and keep it running
    Install(Install),
    /// Show what systemd and chatd say
    Status,
    /// Show the service's log
    Logs(Logs),
    /// Stop the service, and take away what install wrote
    Uninstall,
}

#[derive(Debug, Args)]
pub(crate) struct Install {
    /// Run this chatd [default: the one beside chatctl, else the one in PATH]
    #[arg(long, value_name = "FILE")]
    pub(crate) chatd: Option<PathBuf>,
    /// Start it with its first caller, by socket activation, and not at login
    #[arg(long)]
    pub(crate) on_demand: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Go on with what is logged from now on; Ctrl-C ends it
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// At most so many lines, the newest
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    pub(crate) lines: u32,
}
