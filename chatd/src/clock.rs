//! The one place of the daemon that reads the clock of the system.

use std::time::{SystemTime, UNIX_EPOCH};

use chat_protocol::time::Timestamp;

/// The time now, by the machine's clock; the epoch itself if that runs before it.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
