//! Verbs about what is noted about others.

use chat_protocol::ids::Username;
use clap::{Args, Subcommand};

use super::values::user;

#[derive(Debug, Subcommand)]
pub(crate) enum Contact {
    /// Show everybody something is noted about
    List,
    /// Show what is noted about a user
    Show(Who),
    /// Note something about a user; an empty text takes it away
    Set {
        #[command(flatten)]
        who: Who,
        /// What you call them
        #[arg(long, value_name = "NAME", value_parser = super::values::no_input)]
        alias: Option<String>,
        /// A note; `-` is read from stdin
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Hear nothing more of a user, and send them nothing; they are not told
    Block(Who),
    /// End a block
    Unblock(Who),
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Requests {
    #[command(subcommand)]
    pub(crate) what: Option<RequestVerb>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RequestVerb {
    /// Show who waits
    List,
    /// Hear a user from now on, and show what waits
    Accept(Who),
    /// Drop what waits of a user, and what they write until you write to them or accept; they are not told
    Decline(Who),
}

#[derive(Debug, Args)]
pub(crate) struct Who {
    /// Name of the user
    #[arg(value_parser = user)]
    pub(crate) user: Username,
}
