//! Verbs about how chats are kept.

use std::time::Duration;

use chat_protocol::rpc::Target;
use clap::Args;

use super::values::duration;

#[derive(Debug, Args)]
pub(crate) struct Unread {
    /// What to print; {messages}, {chats} and {mentions} stand for the numbers
    #[arg(long, value_name = "TEXT", default_value = "{messages}")]
    pub(crate) format: String,
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
