//! Real processes under faults: people push messages while everything is killed, stopped, cut off and filled up.
//!
//! What is counted is what a reader handled, by its own notes: nothing that was accepted may be lost, come again after its
//! acknowledgement, or come out of its sender's order. The schedule of faults comes from a seed, which is printed.
//!
//! Threads: one for each sender and chat, one that strikes; readers are processes of their own, so that they can be
//! killed like everything else.

mod cast;
mod faults;
mod reader;
mod sender;
mod verdict;

pub use reader::read;
pub use verdict::Verdict;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cast::Cast;
use faults::{FaultCounts, FaultInjector};

/// Which database the server uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The embedded one.
    Sqlite,
    /// MariaDB, which is killed too.
    Mariadb,
}

/// What is to happen.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The database.
    pub database: Kind,
    /// Messages that are sent, altogether.
    pub messages: u64,
    /// Processes that are killed.
    pub kills: u64,
    /// Where the schedule comes from.
    pub seed: u64,
}

/// What happened.
#[derive(Clone, Debug)]
pub struct Figures {
    /// As it was planned.
    pub plan: Plan,
    /// What was done to the processes.
    pub counts: FaultCounts,
    /// What became of the messages.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

/// No reader moved for so long: whatever is missing is lost.
const PATIENCE: Duration = Duration::from_secs(150);
/// How often the readers' notes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How far the senders and the striker are; each keeps pace with the other.
#[derive(Debug)]
pub(crate) struct Progress {
    plan: Plan,
    sent: AtomicU64,
    killed: AtomicU64,
}

impl Progress {
    /// One more message was taken by a daemon.
    pub(crate) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn killed(&self) {
        self.killed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn kills(&self) -> u64 {
        self.killed.load(Ordering::Relaxed)
    }

    /// Whether the senders are ahead of the faults, so that the rest would pass in peace.
    pub(crate) fn is_ahead(&self) -> bool {
        let Plan { messages, kills, .. } = self.plan;
        let sent = self.sent.load(Ordering::Relaxed);
        self.kills() < kills && sent.saturating_mul(kills) > (self.kills() + 1).saturating_mul(messages)
    }
}

/// Does it, and counts.
///
/// # Panics
/// If something cannot be started at all.
#[must_use]
pub fn run(plan: Plan) -> Figures {
    let began = Instant::now();
    let progress = Arc::new(Progress { plan, sent: AtomicU64::new(0), killed: AtomicU64::new(0) });
    let mut cast = Cast::assemble(plan.database);
    let routes = cast.routes(plan.messages);
    let senders: Vec<_> = routes.iter().map(|route| sender::spawn(route.clone(), Arc::clone(&progress))).collect();
    let mut faults = FaultInjector::new(plan.seed);
    while progress.kills() < plan.kills {
        faults.strike(&mut cast, &progress);
    }
    cast.heal();
    let deadline = thread::spawn(move || senders.into_iter().for_each(|sender| sender.join().expect("it ends")));
    let verdict = settle(&cast, &routes);
    deadline.join().expect("senders end");
    Figures { plan, counts: faults.counts, verdict, took: began.elapsed() }
}

/// Waits until the readers have everything, or nothing moves any more.
fn settle(cast: &Cast, routes: &[sender::Route]) -> Verdict {
    let (mut verdict, mut moved) = (cast.verdict(routes), Instant::now());
    while verdict.lost > 0 && moved.elapsed() < PATIENCE {
        thread::sleep(LOOK_EVERY);
        let now = cast.verdict(routes);
        if now.handled != verdict.handled {
            moved = Instant::now();
        }
        verdict = now;
    }
    verdict
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, counts, verdict, took } = self;
        writeln!(
            f,
            "{} messages, {} kills: {} lost, {} repeated, {} out of order",
            plan.messages,
            counts.kills(),
            verdict.lost,
            verdict.repeated,
            verdict.disordered
        )?;
        write!(f, "{:?}, seed {}, {} s; {counts}", plan.database, plan.seed, took.as_secs())?;
        verdict.trouble.as_ref().map_or(Ok(()), |trouble| write!(f, "\n{trouble}"))
    }
}
