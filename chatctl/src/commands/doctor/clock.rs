//! Whether this machine's clock is right, as far as the server's tells.

use chat_protocol::limits::CLOCK_SKEW;
use chat_protocol::rpc::types::Connection;

use super::Finding;

/// The server tells its time with every connection, and only then.
pub(super) fn examine(connection: &Connection) -> Option<Finding> {
    let apart = connection.clock_offset_ms?.unsigned_abs();
    Some(if u128::from(apart) > CLOCK_SKEW.as_millis() {
        let what = format!("this clock and the server's differ by {} s", apart / 1000);
        Finding::bad(what, "timedatectl set-ntp true, then: chatctl rpc net.kick")
    } else {
        Finding::good("the clock agrees with the server's")
    })
}
