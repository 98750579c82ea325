//! How the clocks of the machine are read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chat_protocol::time::{Reading, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// Goes on while the machine sleeps, and cannot be set.
#[cfg(any(target_os = "linux", target_os = "android"))]
const RUNNING: ClockId = ClockId::Boottime;
/// As the other, where it has this name.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const RUNNING: ClockId = ClockId::Monotonic;

/// The time now, by the machine's clock; the epoch itself if that runs before it.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Both clocks.
#[must_use]
pub fn read() -> Reading {
    Reading { wall: now(), ran: ran() }
}

/// A clock that nobody sets, in place of the wall clock where only spans matter: the age of a key, say.
#[must_use]
pub fn running() -> Timestamp {
    Timestamp::ZERO + ran()
}

fn ran() -> Duration {
    clock_gettime(RUNNING).try_into().unwrap_or_default()
}
