//! Verbs about values that bots keep.

use chat_protocol::rpc::Name;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Kv {
    /// Print a value, as JSON
    Get(KvPlace),
    /// Keep a value
    Set {
        #[command(flatten)]
        place: KvPlace,
        /// Any JSON, `-` reads it from stdin; what is none is kept as text
        #[arg(allow_negative_numbers = true)]
        value: String,
        /// Only if this is its version; 0 if there must be none yet
        #[arg(long, value_name = "N")]
        if_version: Option<u64>,
    },
    /// Forget a value
    Delete(KvPlace),
    /// Show everything in a namespace
    List {
        /// The namespace
        scope: Name,
    },
}

#[derive(Debug, Args)]
pub(crate) struct KvPlace {
    /// The namespace: usually the bot's name
    pub(crate) scope: Name,
    /// The key
    pub(crate) key: String,
}
