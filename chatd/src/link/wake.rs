//! Notices that this process stood still: the machine slept, or somebody stopped it.
//!
//! The clock that timers go by stands still with a sleeping machine, so after a night a dead connection would be given
//! up a good while later than it can be known. The other clock does not: when it has gone on by much more than the
//! time this task meant to sleep, everything is looked at anew. A clock that was set does no harm: one needless ping.

use std::time::Duration;

use chat_protocol::time::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(2);
/// How much longer that may take on a machine that is merely busy.
const SLACK: Duration = Duration::from_secs(3);

/// Kicks whenever time was lost, until it is stopped.
pub(super) async fn watch(kick: &Notify, stop: CancellationToken, now: impl Fn() -> Timestamp) {
    loop {
        let before = now();
        // both only wait
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
        let passed = now().since(before);
        if passed > EVERY + SLACK {
            tracing::info!(seconds = passed.as_secs(), "woken up");
            kick.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures_util::FutureExt;

    use super::*;

    /// Lets the watch look once, while the other clock goes on by `steps` at each look at it.
    async fn kicked(steps: Duration) -> bool {
        let (kick, stop, millis) = (Arc::new(Notify::new()), CancellationToken::new(), AtomicU64::new(1));
        let step = u64::try_from(steps.as_millis()).unwrap();
        let now = || Timestamp::from_millis(millis.fetch_add(step, Ordering::Relaxed));
        let _ended = tokio::time::timeout(EVERY * 2, watch(&kick, stop, now)).await;
        kick.notified().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_night_is_noticed_at_the_next_look() {
        assert!(kicked(Duration::from_secs(8 * 60 * 60)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_machine_or_a_clock_set_back_is_no_sleep() {
        assert!(!kicked(EVERY + SLACK).await);
        assert!(!kicked(Duration::ZERO).await);
    }
}
