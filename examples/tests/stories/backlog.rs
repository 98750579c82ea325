//! A device that was away drains what waited for it, without anybody growing with it.

use chat_stories::backlog::{self, Plan};

/// More than either process may grow by: whoever kept the backlog in memory, or half of it, would be seen.
const PLAN: Plan = Plan { messages: 1_200, bytes: 24_000, window: 50 };
/// A window of messages in all its forms, and SQLite's caches, whatever the length of the backlog: 13 MiB, and some room.
const GROWTH: u64 = 20 << 20;

#[test]
fn a_long_backlog_is_drained_in_order_and_kept_in_nobodys_memory() {
    let figures = backlog::run(PLAN);
    println!("{figures}");
    assert!(figures.is_clean(), "{figures}");
    assert!(figures.waited() > GROWTH && figures.is_flat(GROWTH), "{figures}");
}
