//! Verbs about what the daemon keeps: contacts, chats, settings, consumers, values.

use std::time::Duration;

use chat_protocol::ids::Username;
use chat_protocol::rpc::types::TrustPolicy;
use chat_protocol::rpc::{Name, Target};
use clap::{Args, Subcommand};

use super::values::{duration, user, yes};

#[derive(Debug, Args)]
pub(crate) struct Unread {
    /// What to print; {messages}, {chats} and {mentions} stand for the numbers
    #[arg(long, value_name = "TEXT", default_value = "{messages}")]
    pub(crate) format: String,
}

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
pub(crate) struct Who {
    /// Name of the user
    #[arg(value_parser = user)]
    pub(crate) user: Username,
}

#[derive(Debug, Args)]
pub(crate) struct Mute {
    /// The chat
    pub(crate) to: Target,
    /// How long: 30m, 8h, 7d, `forever`, or `off`
    #[arg(value_parser = quiet)]
    pub(crate) how_long: Quiet,
}

/// How long a chat makes no noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    Off,
    Forever,
    For(Duration),
}

fn quiet(text: &str) -> Result<Quiet, String> {
    match text {
        "off" => Ok(Quiet::Off),
        "forever" => Ok(Quiet::Forever),
        time => duration(time).map(Quiet::For).map_err(|why| format!("{why}, `forever`, or `off`")),
    }
}

#[derive(Debug, Args)]
pub(crate) struct Archive {
    /// The chat
    pub(crate) to: Target,
    /// Bring it back
    #[arg(long)]
    pub(crate) undo: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Tell authors what you have read
    #[arg(long, value_name = "YES", value_parser = yes)]
    pub(crate) read_receipts: Option<bool>,
    /// Let others see that you are online
    #[arg(long, value_name = "YES", value_parser = yes)]
    pub(crate) presence: Option<bool>,
    /// Forget messages after so many days; 0 keeps them
    #[arg(long, value_name = "DAYS")]
    pub(crate) history_days: Option<u32>,
    /// Forget events after so many days, once every consumer has acknowledged them
    #[arg(long, value_name = "DAYS")]
    pub(crate) event_days: Option<u32>,
    /// Keep at most so many events, acknowledged or not
    #[arg(long, value_name = "N")]
    pub(crate) max_events: Option<u64>,
    /// When peers get new devices: `tofu`, `notify` or `strict`
    #[arg(long, value_name = "POLICY", value_parser = super::values::policy)]
    pub(crate) trust_policy: Option<TrustPolicy>,
    /// Give up what waited so many days to be sent; 0 lets it wait
    #[arg(long, value_name = "DAYS")]
    pub(crate) outbox_days: Option<u32>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Consumers {
    #[command(subcommand)]
    pub(crate) what: Option<ConsumersVerb>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConsumersVerb {
    /// Forget a consumer: nothing is kept for it any more
    Forget {
        /// Its name
        name: Name,
    },
}

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
    /// Show everything in a drawer
    List {
        /// The drawer
        scope: Name,
    },
}

#[derive(Debug, Args)]
pub(crate) struct KvPlace {
    /// The drawer: usually the bot's name
    pub(crate) scope: Name,
    /// The key
    pub(crate) key: String,
}
