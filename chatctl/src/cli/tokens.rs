//! Verbs about the rights of programs that are not the owner.

use std::path::PathBuf;
use std::time::Duration;

use chat_protocol::rpc::{Name, Scope, Target};
use clap::{Args, Subcommand};

use super::values::{duration, rows};

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token, and print it: it is shown this once
    Create(Create),
    /// Show the tokens there are
    List,
    /// End a token at once
    Revoke {
        /// What it is called
        name: Name,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What it is called; its consumers and values are those whose names begin so
    pub(crate) name: Name,
    /// What it opens: read:events, read:history, send, react, groups, contacts, identity, files, account, admin,
    /// tokens; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', required = true, value_parser = scope)]
    pub(crate) scopes: Vec<Scope>,
    /// Only this chat; may be repeated
    #[arg(long = "chat", value_name = "TARGET", value_delimiter = ',')]
    pub(crate) chats: Vec<Target>,
    /// It may write only there; may be repeated
    #[arg(long, value_name = "TARGET", value_delimiter = ',')]
    pub(crate) allow_to: Vec<Target>,
    /// It may write to nobody
    #[arg(long, conflicts_with = "allow_to")]
    pub(crate) allow_to_nobody: bool,
    /// At most so many calls a minute that write to others
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<u32>,
    /// It ends after this time: 12h, 30d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) expires: Option<Duration>,
    /// Write the token into a new file that only you can read, and print nothing; `-` prints it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Only of the token with this name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<Name>,
    /// Those before the entry with this number
    #[arg(long, value_name = "N")]
    pub(crate) before: Option<u64>,
    /// So many, if there are so many, the newest first
    #[arg(long, value_name = "N", default_value_t = 100, allow_negative_numbers = true, value_parser = rows())]
    pub(crate) limit: u32,
}

fn scope(text: &str) -> Result<Scope, String> {
    let known = Scope::ALL.iter().find(|scope| scope.as_str() == text).copied();
    let names = || Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ");
    known.ok_or_else(|| format!("there are {}", names()))
}
