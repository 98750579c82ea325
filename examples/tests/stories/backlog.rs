//! A device that was away drains what waited for it, without anybody growing with it.

use chat_stories::backlog::{self, Plan};

/// Twice what either process may grow by: whoever kept the backlog in memory would be seen.
const PLAN: Plan = Plan { messages: 6_000, bytes: 8_000 };
/// What waits for the loop, for the socket and in SQLite's caches, whatever the length of the backlog.
const GROWTH: u64 = 22 << 20;

#[test]
fn a_long_backlog_is_drained_in_order_and_kept_in_nobodys_memory() {
    let figures = backlog::run(PLAN);
    assert!(figures.is_clean(), "{figures}");
    assert!(figures.waited() > 2 * GROWTH && figures.is_flat(GROWTH), "{figures}");
}
