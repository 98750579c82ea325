//! The one place of the running server that reads the wall clock.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use chat_protocol::time::Timestamp;

/// What tells a server's sessions the time: [`now`], unless a simulation does.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The wall clock; the epoch itself on a machine that believes to live before it.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
