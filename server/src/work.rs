//! Where CPU work goes: off the runtime, behind permits, with a short queue.
//!
//! Without permits ten thousand logins after a restart would take every core and everybody's messages would wait;
//! without a bound on the queue the last of them would wait for minutes. So the surplus is refused at once and may try
//! again. What is queued is counted in bytes: [`Budget`]. Password hashes, which take a third of a second on purpose, stand in a line of their own, [`FairPool`].

mod budget;
mod fair;
mod turns;

use std::sync::Arc;

use tokio::sync::Semaphore;

pub use budget::{Budget, Held, Share};
pub use fair::{Asker, FairPool};
pub(crate) use turns::Turns;

/// The queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much to compute right now")]
pub struct Busy;

/// Runs CPU work, so much at once and so much waiting.
#[derive(Debug)]
pub struct CpuPool {
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl CpuPool {
    /// `running` jobs at once (at least one), `waiting` more in line.
    #[must_use]
    pub fn new(running: usize, waiting: usize) -> Self {
        let running = running.max(1);
        let most = running.saturating_add(waiting).min(Semaphore::MAX_PERMITS);
        Self { running: Arc::new(Semaphore::new(running)), admitted: Arc::new(Semaphore::new(most)) }
    }

    /// Runs `job` on a blocking thread. A job that has begun keeps its permit until it is done, even
    /// when nobody waits for it any more.
    ///
    /// # Errors
    /// [`Busy`] when the line is full; the job did not run.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| Busy)?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Busy)?;
        let held = move || {
            let _permits = (admitted, running);
            job()
        };
        tokio::task::spawn_blocking(held).await.map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn surplus_is_refused_while_the_admitted_finish() {
        let pool = Arc::new(CpuPool::new(1, 1));
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let first = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.run(move || blocked.recv().is_ok()).await }
        });
        while pool.running.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let second = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.run(|| 2).await }
        });
        while pool.admitted.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(|| 3).await, Err(Busy));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(true));
        assert_eq!(second.await.unwrap(), Ok(2));
    }
}
