//! A device that was away drains what waited for it, without anybody growing with it.

use chat_stories::backlog::{self, Plan};

/// Twice what either process may grow by: whoever kept the backlog in memory would be seen.
const PLAN: Plan = Plan { messages: 2_500, bytes: 12_000, window: 100 };
/// A window of messages, what waits for the socket, and SQLite's caches, whatever the length of the backlog.
const GROWTH: u64 = 14 << 20;

#[test]
fn a_long_backlog_is_drained_in_order_and_kept_in_nobodys_memory() {
    let figures = backlog::run(PLAN);
    assert!(figures.is_clean(), "{figures}");
    assert!(figures.waited() > 2 * GROWTH && figures.is_flat(GROWTH), "{figures}");
}
