//! The settings of the account.

use chat_protocol::rpc::types::{MessagesFrom, TrustPolicy};
use clap::Args;

use super::values::{messages_from, yes};

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
    /// Let the history take about so many MiB; beyond it the largest chat loses its oldest messages; 0 keeps them
    #[arg(long, value_name = "MIB")]
    pub(crate) history_mib: Option<u32>,
    /// Keep about so many MiB of events, acknowledged or not
    #[arg(long, value_name = "MIB")]
    pub(crate) max_event_mib: Option<u32>,
    /// Whose messages are shown as they come: `anyone` or `contacts_only`, which lets others wait as requests
    #[arg(long, value_name = "WHO", value_parser = messages_from)]
    pub(crate) messages_from: Option<MessagesFrom>,
}
