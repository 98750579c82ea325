//! Password hashes, in a line that is fair.
//!
//! One guest who asks for hash after hash must not keep others from registering: each has few places in the line, those who
//! wait take turns whoever came first, and devices that are logged in have a lane of their own, which gets every second
//! turn. They are computed on threads of a low priority: on a machine whose cores are all busy, messages go first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_programs::priority::step_back;
use chat_protocol::ids::Username;
use tokio::sync::oneshot;

use super::Busy;
use super::turns::Turns;
use crate::config::Passwords;
use crate::limits::{NETWORK_SHARE, Network, Source};

/// Who asks for a hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Asker {
    /// A device that is logged in, by its account.
    Member(Username),
    /// Anybody else, by where they come from.
    Guest(Source),
}

/// What takes turns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Turn {
    Member(Username),
    Network(Network),
}

impl Asker {
    fn turn(&self) -> Turn {
        match self {
            Self::Member(user) => Turn::Member(user.clone()),
            Self::Guest(source) => Turn::Network(source.network()),
        }
    }
}

/// Computes hashes, so many at once, the others in line.
#[derive(Debug)]
pub struct FairPool(Arc<Mutex<Line>>);

impl FairPool {
    /// With nobody in line.
    #[must_use]
    pub fn new(settings: &Passwords) -> Self {
        Self(Arc::new(Mutex::new(Line::new(settings))))
    }

    /// Jobs that run or wait.
    #[must_use]
    pub fn in_line(&self) -> usize {
        lock(&self.0).in_line.values().sum()
    }

    /// Runs `job` on a thread of its own when it is the asker's turn. A job that has begun keeps its place until it is
    /// done, even when nobody waits for it any more; one that waits leaves the line with who waits for it.
    ///
    /// # Errors
    /// [`Busy`] when the line, or the asker's part of it, is full, or the system gives no thread; the job did not run.
    pub async fn run<T: Send + 'static>(
        &self,
        asker: Asker,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (id, granted) = lock(&self.0).join(&asker)?;
        let place = Place { line: Arc::clone(&self.0), asker, id };
        if let Some(granted) = granted {
            granted.await.map_err(|_| Busy)?;
        }
        let (tell, told) = oneshot::channel();
        let held = move || {
            if let Err(error) = step_back() {
                tracing::debug!(%error, "a password hash has the priority of messages");
            }
            let result = job();
            drop(place);
            // whoever asked may have gone
            let _unheard = tell.send(result);
        };
        // a thread each costs a thousandth of a hash, and a priority that was lowered cannot be raised again
        std::thread::Builder::new().name("password".to_owned()).spawn(held).map_err(|error| {
            tracing::warn!(%error, "no thread for a password hash");
            Busy
        })?;
        told.await.map_err(|_| Busy)
    }
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place in the line, given up when dropped.
struct Place {
    line: Arc<Mutex<Line>>,
    asker: Asker,
    id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.line).leave(&self.asker, self.id);
    }
}

/// Who waits: the number of the place, and what tells that it may run.
type Lane = Turns<Turn, (u64, oneshot::Sender<()>)>;

/// Who runs and who waits.
#[derive(Debug)]
struct Line {
    /// Jobs that could begin now; not 0 only while nobody waits.
    free: usize,
    most_waiting: usize,
    most_of_one: usize,
    last_id: u64,
    /// Places taken, running or waiting, …
    in_line: HashMap<Asker, usize>,
    /// … and together by whoever shares a turn.
    of_turn: HashMap<Turn, usize>,
    members: Lane,
    guests: Lane,
    members_next: bool,
}

impl Line {
    fn new(settings: &Passwords) -> Self {
        Self {
            free: settings.at_once.max(1),
            most_waiting: settings.queue,
            most_of_one: settings.per_source.max(1),
            last_id: 0,
            in_line: HashMap::new(),
            of_turn: HashMap::new(),
            members: Lane::default(),
            guests: Lane::default(),
            members_next: true,
        }
    }

    fn lane(&mut self, asker: &Asker) -> &mut Lane {
        match asker {
            Asker::Member(_) => &mut self.members,
            Asker::Guest(_) => &mut self.guests,
        }
    }

    /// Takes a place: its number, and what tells when it may run unless that is now.
    fn join(&mut self, asker: &Asker) -> Result<(u64, Option<oneshot::Receiver<()>>), Busy> {
        let (turn, most) = (asker.turn(), self.most_waiting);
        let of_turn = self.most_of_one.saturating_mul(NETWORK_SHARE as usize);
        let taken = |places: Option<&usize>| places.copied().unwrap_or(0);
        let has_enough =
            taken(self.in_line.get(asker)) >= self.most_of_one || taken(self.of_turn.get(&turn)) >= of_turn;
        if has_enough || (self.free == 0 && self.lane(asker).len() >= most) {
            return Err(Busy);
        }
        self.last_id += 1;
        let id = self.last_id;
        *self.in_line.entry(asker.clone()).or_default() += 1;
        *self.of_turn.entry(turn.clone()).or_default() += 1;
        if self.free > 0 {
            self.free -= 1;
            return Ok((id, None));
        }
        let (grant, granted) = oneshot::channel();
        self.lane(asker).push(turn, (id, grant));
        Ok((id, Some(granted)))
    }

    /// Gives a place up; if it was one of those that run, the next may.
    fn leave(&mut self, asker: &Asker, id: u64) {
        let turn = asker.turn();
        less(&mut self.in_line, asker);
        less(&mut self.of_turn, &turn);
        if self.lane(asker).remove(&turn, |(waiting, _)| *waiting == id).is_some() {
            return;
        }
        match self.next() {
            // whoever waits leaves the line before it stops listening
            Some(grant) => drop(grant.send(())),
            None => self.free += 1,
        }
    }

    fn next(&mut self) -> Option<oneshot::Sender<()>> {
        let (first, second) = if self.members_next {
            (&mut self.members, &mut self.guests)
        } else {
            (&mut self.guests, &mut self.members)
        };
        let next = first.pop().or_else(|| second.pop());
        self.members_next = !self.members_next;
        next.map(|(_, grant)| grant)
    }
}

fn less<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn guest(address: &str) -> Asker {
        Asker::Guest(Source::from(address.parse::<IpAddr>().unwrap()))
    }

    fn member(name: &str) -> Asker {
        Asker::Member(name.parse().unwrap())
    }

    /// A line in which somebody's job runs.
    fn line(queue: usize) -> (Line, u64) {
        let mut line = Line::new(&Passwords { queue, ..Passwords::default() });
        let (running, waits) = line.join(&guest("192.0.2.99")).unwrap();
        assert!(waits.is_none());
        (line, running)
    }

    /// Ends what runs until nobody waits; in which order those waiting ran.
    fn order(mut line: Line, running: u64, mut waiting: Vec<(Asker, u64, oneshot::Receiver<()>)>) -> Vec<Asker> {
        let mut ran = vec![(guest("192.0.2.99"), running)];
        let mut at = 0;
        while let Some((asker, id)) = ran.get(at).cloned() {
            line.leave(&asker, id);
            if let Some(next) = waiting.iter_mut().position(|(_, _, granted)| granted.try_recv().is_ok()) {
                let (asker, id, _) = waiting.remove(next);
                ran.push((asker, id));
            }
            at += 1;
        }
        assert!(waiting.is_empty() && line.in_line.is_empty() && line.of_turn.is_empty() && line.free == 1);
        ran.into_iter().skip(1).map(|(asker, _)| asker).collect()
    }

    fn wait(line: &mut Line, asker: &Asker) -> (Asker, u64, oneshot::Receiver<()>) {
        let (id, granted) = line.join(asker).unwrap();
        (asker.clone(), id, granted.unwrap())
    }

    #[test]
    fn atk_89_who_asks_much_has_two_places_and_waits_behind_who_asks_little() {
        let (mut line, running) = line(9);
        let (greedy, honest, other) = (guest("192.0.2.1"), guest("192.0.2.2"), guest("192.0.2.3"));
        let mut waiting = vec![wait(&mut line, &greedy), wait(&mut line, &greedy)];
        assert_eq!(line.join(&greedy).unwrap_err(), Busy);
        waiting.extend([wait(&mut line, &honest), wait(&mut line, &other)]);
        assert_eq!(order(line, running, waiting), [greedy.clone(), honest, other, greedy]);
    }

    #[test]
    fn atk_89_members_have_a_lane_that_guests_cannot_fill() {
        let (mut line, running) = line(2);
        let [one, two, alice] = [guest("192.0.2.1"), guest("192.0.2.2"), member("alice")];
        let mut waiting = vec![wait(&mut line, &one), wait(&mut line, &two)];
        assert_eq!(line.join(&guest("192.0.2.3")).unwrap_err(), Busy);
        waiting.push(wait(&mut line, &alice));
        assert_eq!(order(line, running, waiting), [alice, one, two]);
    }

    #[test]
    fn atk_89_a_network_of_many_sources_has_few_places_and_one_turn() {
        let (mut line, running) = line(99);
        let sources: Vec<_> = (0..20).map(|n| guest(&format!("2001:db8:0:{n:x}::1"))).collect();
        let mut waiting: Vec<_> = sources
            .iter()
            .filter_map(|source| line.join(source).ok().map(|(id, granted)| (source.clone(), id, granted.unwrap())))
            .collect();
        assert_eq!(waiting.len(), 2 * NETWORK_SHARE as usize);
        let honest = guest("2001:db8:1::1");
        waiting.push(wait(&mut line, &honest));
        assert_eq!(order(line, running, waiting)[1], honest);
    }

    #[test]
    fn who_stops_waiting_leaves_the_line() {
        let (mut line, running) = line(9);
        let (gone, honest) = (guest("192.0.2.1"), guest("192.0.2.2"));
        let (_, id, granted) = wait(&mut line, &gone);
        let waiting = vec![wait(&mut line, &honest)];
        drop(granted);
        line.leave(&gone, id);
        assert_eq!(order(line, running, waiting), [honest]);
    }

    #[tokio::test]
    async fn hashes_are_computed_at_a_lower_priority_than_messages() {
        let niceness = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let pool = FairPool::new(&Passwords::default());
        let computing = pool.run(guest("192.0.2.1"), niceness).await.unwrap();
        assert!(computing > niceness(), "{computing}");
    }

    #[tokio::test]
    async fn surplus_is_refused_while_the_admitted_finish() {
        let pool = Arc::new(FairPool::new(&Passwords { queue: 1, ..Passwords::default() }));
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let run = |address: &str, job: Box<dyn FnOnce() -> bool + Send>| {
            let (pool, asker) = (Arc::clone(&pool), guest(address));
            tokio::spawn(async move { pool.run(asker, job).await })
        };
        let first = run("192.0.2.1", Box::new(move || blocked.recv().is_ok()));
        let second = run("192.0.2.2", Box::new(|| true));
        while pool.in_line() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(guest("192.0.2.3"), || true).await, Err(Busy));
        release.send(()).unwrap();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (Ok(true), Ok(true)));
        assert_eq!(pool.in_line(), 0);
    }
}
