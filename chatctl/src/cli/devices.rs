//! Verbs about the devices of the own account.

use chat_protocol::ids::DeviceId;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Show the devices of this account, and those that ask to be let in
    List,
    /// Let a new device in, or on that one trust the account, after comparing digits
    Approve {
        /// Which; not needed if only one waits
        #[arg(value_name = "DEVICE", value_parser = id)]
        device: Option<DeviceId>,
        /// The sixty digits on the other screen; nobody is asked then
        #[arg(long, value_name = "DIGITS")]
        digits: Option<String>,
    },
    /// End devices for good: they are disconnected at once and nobody writes to them again
    Revoke {
        /// Which
        #[arg(value_name = "DEVICE", required = true, value_parser = id)]
        devices: Vec<DeviceId>,
        /// And every device that came in through them
        #[arg(long)]
        with_let_in: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

fn id(text: &str) -> Result<DeviceId, String> {
    text.parse().map_err(|_| "write the 32 characters that `chatctl device list` shows".to_owned())
}
