//! The clocks of the system, and the owner of the time that was seen to pass.
//!
//! What the server destroys after a span, and what it lets happen after one, goes by the time that was seen to pass:
//! mail, posts, the memory of submits, devices that wait, resets. The wall clock is for what people read, and for what
//! they set by it: the end of an invite.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use chat_programs::clock::{now, read, running};
use chat_protocol::time::{Reading, SeenTime, Timestamp};

use crate::store::{self, Store};

/// What is kept of the time is at most this old.
const KEPT_EVERY: Duration = Duration::from_secs(60 * 60);

/// How the clocks of the machine are read: [`read`], unless a simulation does.
pub type Look = Box<dyn Fn() -> Reading + Send + Sync>;

/// What tells a server's sessions the time.
pub struct Clock {
    look: Look,
    seen: Mutex<SeenTime>,
}

impl Clock {
    /// The system's clock, with the time that the last process of this store has seen.
    ///
    /// # Errors
    /// [`store::StoreError`].
    pub async fn system(store: &dyn Store) -> store::Result<Self> {
        Self::begin(store, Box::new(read)).await
    }

    /// As [`Self::system`], with other clocks.
    ///
    /// # Errors
    /// [`store::StoreError`].
    pub async fn begin(store: &dyn Store, look: Look) -> store::Result<Self> {
        let seen = SeenTime::begin(store.seen_time().await?, look());
        Ok(Self { look, seen: Mutex::new(seen) })
    }

    /// A clock whose time begins now.
    #[cfg(feature = "fixtures")]
    #[must_use]
    pub fn beginning_now(look: Look) -> Self {
        let seen = SeenTime::begin(None, look());
        Self { look, seen: Mutex::new(seen) }
    }

    /// What people call the time, as the machine happens to be set.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        (self.look)().wall
    }

    /// The time that was seen to pass.
    #[must_use]
    pub fn seen(&self) -> Timestamp {
        let at = (self.look)();
        self.lock().look(at)
    }

    /// Keeps how far the time has come, if what is kept is old or the wall clock was set; `always` at the end.
    ///
    /// # Errors
    /// [`store::StoreError`]; then it is tried again the next time.
    pub(crate) async fn keep(&self, store: &dyn Store, always: bool) -> store::Result<()> {
        let (at, every) = ((self.look)(), if always { Duration::ZERO } else { KEPT_EVERY });
        let mark = {
            let mut seen = self.lock();
            seen.look(at);
            seen.to_keep(every)
        };
        let Some(mark) = mark else { return Ok(()) };
        store.keep_seen_time(mark).await.inspect_err(|_| self.lock().not_kept())
    }

    fn lock(&self) -> MutexGuard<'_, SeenTime> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::store::sqlite::SqliteStore;

    const DAY_MS: u64 = 24 * 60 * 60 * 1000;

    /// A wall clock and a running one, in milliseconds, that are set from outside.
    #[derive(Clone, Default)]
    struct Machine {
        wall: Arc<AtomicU64>,
        ran: Arc<AtomicU64>,
    }

    impl Machine {
        fn set(&self, wall: u64, ran: u64) {
            self.wall.store(wall, Ordering::Relaxed);
            self.ran.store(ran, Ordering::Relaxed);
        }

        async fn boot(&self, store: &SqliteStore) -> Clock {
            let Self { wall, ran } = self.clone();
            let look = move || Reading {
                wall: Timestamp::from_millis(wall.load(Ordering::Relaxed)),
                ran: Duration::from_millis(ran.load(Ordering::Relaxed)),
            };
            Clock::begin(store, Box::new(look)).await.unwrap()
        }
    }

    #[tokio::test]
    async fn atk_100_the_time_goes_on_over_restarts_and_leaps() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = SqliteStore::open(&dir.path().join("chat.db")).unwrap();
        let (machine, begin) = (Machine::default(), 1_800_000_000_000);
        machine.set(begin, 1_000);
        let clock = machine.boot(&store).await;
        // ahead for some seconds, and minutes go by
        machine.set(begin + 40 * DAY_MS, 3_000);
        clock.keep(&store, false).await.unwrap();
        assert_eq!((clock.seen().as_millis(), clock.wall().as_millis()), (begin + 2_000, begin + 40 * DAY_MS));
        machine.set(begin + 60_000, 61_000);
        clock.keep(&store, false).await.unwrap();
        // the power goes without a word; the clock is right again, or ten years off, after the boot
        machine.set(begin + 3 * DAY_MS, 5);
        assert_eq!(machine.boot(&store).await.seen().as_millis(), begin + 60_000 + DAY_MS);
        machine.set(begin - 3_650 * DAY_MS, 5);
        assert_eq!(machine.boot(&store).await.seen().as_millis(), begin + 60_000);
    }

    #[tokio::test]
    async fn nothing_is_written_while_the_clock_is_right_but_once_an_hour_and_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = SqliteStore::open(&dir.path().join("chat.db")).unwrap();
        let machine = Machine::default();
        machine.set(1_000, 0);
        let clock = machine.boot(&store).await;
        clock.keep(&store, false).await.unwrap();
        let kept = async || store.seen_time().await.unwrap().unwrap().time.as_millis();
        for (minutes, expected) in [(1, 0), (59, 0), (60, 60), (119, 60), (120, 120)] {
            machine.set(1_000 + minutes * 60_000, minutes * 60_000);
            clock.keep(&store, false).await.unwrap();
            assert_eq!(kept().await, 1_000 + expected * 60_000, "after {minutes} minutes");
        }
        machine.set(1_000 + 121 * 60_000, 121 * 60_000);
        clock.keep(&store, true).await.unwrap();
        assert_eq!(kept().await, 1_000 + 121 * 60_000);
    }
}
