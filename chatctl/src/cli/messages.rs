//! Verbs about one message, and about finding messages.

use std::path::PathBuf;

use chat_protocol::ids::{MessageId, Username};
use chat_protocol::rpc::Target;
use clap::{Args, ValueEnum};

use super::values::{message_id, rows, user};

/// A message by its id, as `send` and `history` print it.
#[derive(Debug, Args)]
pub(crate) struct OneMessage {
    /// Id of the message
    #[arg(value_parser = message_id)]
    pub(crate) id: MessageId,
}

#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// Id of your message
    #[arg(value_parser = message_id)]
    pub(crate) id: MessageId,
    /// What it says from now on; `-` reads it from stdin
    pub(crate) text: String,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Id of the message
    #[arg(value_parser = message_id)]
    pub(crate) id: MessageId,
    /// Take your message back from everybody who has it, and not only from your own history
    #[arg(long)]
    pub(crate) everywhere: bool,
}

#[derive(Debug, Args)]
pub(crate) struct React {
    /// Id of the message
    #[arg(value_parser = message_id)]
    pub(crate) id: MessageId,
    /// One emoji
    pub(crate) emoji: String,
    /// Take it back
    #[arg(long)]
    pub(crate) remove: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Words that all have to be there; one that ends in * matches what begins with it
    #[arg(required = true)]
    pub(crate) words: Vec<String>,
    /// Only in this chat
    #[arg(long, value_name = "TARGET")]
    pub(crate) chat: Option<Target>,
    /// Only by this author
    #[arg(long, value_name = "USER", value_parser = user)]
    pub(crate) from: Option<Username>,
    /// So many, if there are so many, the newest first; at most 500
    #[arg(long, value_name = "N", default_value_t = 50, allow_negative_numbers = true, value_parser = rows())]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The new file; nothing may be there yet. `-` is stdout
    pub(crate) out: PathBuf,
    /// Only this chat
    #[arg(long, value_name = "TARGET")]
    pub(crate) chat: Option<Target>,
    /// How it is written
    #[arg(long, value_name = "FORMAT", default_value = "ndjson")]
    pub(crate) format: Format,
}

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line
    Ndjson,
    /// For people: Markdown
    Md,
}
