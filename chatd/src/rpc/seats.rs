//! How many callers there is room for, and what becomes of the next one.
//!
//! A program that leaks connections must not lock its owner out: once all ordinary seats are taken, a caller gets an extra
//! one, in which everything works for [`EXTRA_WITHIN`]. Of those there are few, and the newest caller gets that of the
//! oldest. Only when even the ones that were cut do not go away, because nobody reads their last words, is a caller
//! turned away.
//!
//! On the port anybody of the machine can take a seat, so that those who have not shown a token share a few, of which
//! the newest caller again gets that of the oldest. How many a token may have is in [`access`](super::access).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Most connections at once on the socket, and on the port: more scripts than one person runs.
pub const MAX_CONNECTIONS: usize = 256;
/// Extra seats in use at once: a few commands of a person who looks what is wrong.
const EXTRA: usize = 16;
/// Extra connections at once, with those that were cut and still finish.
const MOST_EXTRA: usize = 4 * EXTRA;
/// Most callers at once who have not said who they are, where that has to be said: a request says it at once.
pub const MAX_NAMELESS: usize = 32;
/// How long an extra connection lasts: longer than any command that does not wait for others.
pub(super) const EXTRA_WITHIN: Duration = Duration::from_secs(10);
/// How often the log tells that there is no room.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The seats of one way in.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats {
    taken: Arc<Mutex<Taken>>,
    /// Whether callers have to say who they are.
    guarded: bool,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// Process of the caller, where the system tells.
    ordinary: BTreeMap<u64, Option<i32>>,
    /// What cuts it short, until it was.
    extra: BTreeMap<u64, Option<CancellationToken>>,
    /// What cuts those short who have not said who they are.
    nameless: BTreeMap<u64, CancellationToken>,
    told: Option<Instant>,
}

/// A caller's seat, free again when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    number: u64,
    /// Whether it lasts for [`EXTRA_WITHIN`] only.
    pub(super) extra: bool,
    /// Ends the connection as the daemon's end does.
    pub(super) end: CancellationToken,
}

/// The seat of a caller who has not said who it is.
#[derive(Clone, Debug)]
pub(super) struct Nameless {
    seats: Seats,
    number: u64,
}

impl Nameless {
    /// The caller has said it.
    pub(super) fn is_known(&self) {
        self.seats.lock().nameless.remove(&self.number);
    }
}

impl Seats {
    /// Seats for callers who have to say who they are.
    pub(super) fn guarded() -> Self {
        Self { guarded: true, ..Self::default() }
    }

    /// A seat for a caller, whose connection would end with `shutdown`; `None` if it has to be turned away.
    pub(super) fn take(&self, caller: Option<i32>, shutdown: &CancellationToken) -> Option<Seat> {
        let mut taken = self.lock();
        let number = taken.next;
        taken.next += 1;
        let end = shutdown.child_token();
        if self.guarded {
            taken.seat_nameless(number, end.clone());
        }
        if taken.ordinary.len() < MAX_CONNECTIONS {
            taken.ordinary.insert(number, caller);
            return Some(Seat { seats: self.clone(), number, extra: false, end });
        }
        taken.tell();
        if taken.extra.len() >= MOST_EXTRA {
            taken.nameless.remove(&number);
            return None;
        }
        taken.make_room();
        taken.extra.insert(number, Some(end.clone()));
        Some(Seat { seats: self.clone(), number, extra: true, end })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The seat as that of a caller who has not said who it is, if that has to be said.
    pub(super) fn nameless(&self) -> Option<Nameless> {
        self.seats.guarded.then(|| Nameless { seats: self.seats.clone(), number: self.number })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        taken.ordinary.remove(&self.number);
        taken.extra.remove(&self.number);
        taken.nameless.remove(&self.number);
    }
}

impl Taken {
    /// Cuts the oldest extra connection if all such seats are taken.
    fn make_room(&mut self) {
        let mut uncut = self.extra.values_mut().filter(|cut| cut.is_some());
        let oldest = uncut.next();
        if uncut.count() + 1 >= EXTRA
            && let Some(cut) = oldest.and_then(Option::take)
        {
            cut.cancel();
        }
    }

    /// Gives a nameless caller a seat, that of the oldest such if all are taken.
    fn seat_nameless(&mut self, number: u64, end: CancellationToken) {
        if self.nameless.len() >= MAX_NAMELESS
            && let Some((_, oldest)) = self.nameless.pop_first()
        {
            oldest.cancel();
        }
        self.nameless.insert(number, end);
    }

    /// Says that there is no room, and who takes it, but not with every caller.
    fn tell(&mut self) {
        let now = Instant::now();
        if self.told.is_some_and(|told| now.duration_since(told) < TELL_EVERY) {
            return;
        }
        self.told = Some(now);
        let mut by_process = HashMap::<i32, usize>::new();
        self.ordinary.values().flatten().for_each(|process| *by_process.entry(*process).or_default() += 1);
        let most = by_process.into_iter().max_by_key(|(_, connections)| *connections);
        warn!(
            connections = self.ordinary.len(),
            process = most.map(|(process, _)| process),
            of_it = most.map(|(_, connections)| connections),
            "no room for more connections: each further one is served for {} s only",
            EXTRA_WITHIN.as_secs()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_all_seats_are_taken_the_newest_caller_gets_that_of_the_oldest_extra_one() {
        let (seats, shutdown) = (Seats::default(), CancellationToken::new());
        let take = || seats.take(Some(7), &shutdown);
        let ordinary: Vec<_> = (0..MAX_CONNECTIONS).map(|_| take().unwrap()).collect();
        assert!(ordinary.iter().all(|seat| !seat.extra && !seat.end.is_cancelled()));
        let extra: Vec<_> = (0..MOST_EXTRA).map(|_| take().unwrap()).collect();
        let is_cut = |seat: &Seat| seat.extra && seat.end.is_cancelled();
        assert_eq!(extra.iter().filter(|seat| is_cut(seat)).count(), MOST_EXTRA - EXTRA);
        assert!(is_cut(&extra[0]) && !is_cut(extra.last().unwrap()));
        assert!(take().is_none(), "those that were cut and do not end are bounded too");
        drop(extra);
        assert!(take().unwrap().extra);
        drop(ordinary);
        assert!(!take().unwrap().extra, "there is room again");
        shutdown.cancel();
    }

    #[test]
    fn atk_92_nameless_callers_share_few_seats_and_those_who_are_known_keep_theirs() {
        let (seats, shutdown) = (Seats::guarded(), CancellationToken::new());
        let take = || seats.take(None, &shutdown).unwrap();
        let known: Vec<_> = (0..8).map(|_| take()).inspect(|seat| seat.nameless().unwrap().is_known()).collect();
        let silent: Vec<_> = (0..MAX_CONNECTIONS - 8).map(|_| take()).collect();
        let left = silent.iter().filter(|seat| !seat.end.is_cancelled()).count();
        assert_eq!(left, MAX_NAMELESS);
        assert!(silent.last().is_some_and(|seat| !seat.end.is_cancelled()), "the newest is heard");
        assert!(known.iter().all(|seat| !seat.end.is_cancelled()));
        drop(silent);
        assert!(seats.lock().nameless.is_empty());
    }
}
