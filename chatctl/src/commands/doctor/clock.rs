//! Whether this machine's clock is right, as far as the server's tells.

use std::time::Duration;

use chat_protocol::limits::CLOCK_SKEW;
use chat_protocol::rpc::types::Connection;

use super::finding::Finding;

/// The server tells its time with every connection, and only then.
pub(super) fn examine(connection: &Connection) -> Option<Finding> {
    let offset = connection.clock_offset_ms?;
    let apart = Duration::from_millis(offset.unsigned_abs());
    Some(if apart > CLOCK_SKEW {
        let side = if offset > 0 { "behind" } else { "ahead of" };
        let what = format!("this machine's clock is {} {side} the server's", in_words(apart));
        Finding::bad(what, "timedatectl set-ntp true, then: chatctl rpc net.kick")
    } else {
        Finding::good("the clock agrees with the server's")
    })
}

/// In the unit that people would count in: `400 days`, `3 hours`.
fn in_words(time: Duration) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    let seconds = time.as_secs();
    // two of a unit at least: one and a half would be cut down to one
    let unit = UNITS.iter().find(|(length, _)| seconds / length >= 2);
    unit.map_or_else(|| format!("{seconds} seconds"), |(length, name)| format!("{} {name}", seconds / length))
}
