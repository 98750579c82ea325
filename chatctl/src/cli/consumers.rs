//! Readers of the event log.

use chat_protocol::rpc::Name;
use clap::{Args, Subcommand};

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
