//! Everything two devices can do to each other's choice of a session, explored to the end.
//!
//! Either side begins, sends, loses, opens, renews and resets in every order, with a few messages under way in each
//! direction, and is stored and restored at every step. States that no decision can tell apart are one, so that there
//! are finitely many, and from each of them calm weather has to lead both sides to one session.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use crate::common::AT;
use chat_protocol::ids::SessionId;
use chat_protocol::session::manager::{Arrival, Stage, Standing, Standings};
use chat_protocol::time::Timestamp;

/// What may happen; everything at once has too many states to wait for.
#[derive(Clone, Copy, Debug)]
struct Weather {
    /// Messages under way in one direction.
    under_way: usize,
    /// Each side may renew a confirmed session once.
    renewals: bool,
    /// Each side may begin anew with a reset marker once.
    resets: bool,
    /// Time may pass after which nothing is simultaneous any more.
    day: bool,
    ids: Ids,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Message {
    session: SessionId,
    with_init: bool,
    reset: bool,
}

#[derive(Clone, Default)]
struct Side {
    standings: Standings,
    /// On the way from this side to the other.
    flight: Vec<Message>,
    begun: usize,
    /// Whether it has reset, and renewed, once.
    reset: bool,
    renewed: bool,
}

#[derive(Clone, Default)]
struct State {
    sides: [Side; 2],
    days: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Send(usize),
    Renew(usize),
    Reset(usize),
    /// The first message of the n-th session under way from a side arrives, or never does.
    Arrive(usize, usize),
    Lose(usize, usize),
    /// Time enough that nothing is simultaneous any more.
    Day,
}

/// Session ids of the two sides, in the order they begin: which one is smaller decides between two at once.
type Ids = [[u8; 3]; 2];

impl State {
    fn now(&self) -> Timestamp {
        AT + Duration::from_secs(self.days * 25 * 60 * 60)
    }

    fn steps(&self, weather: &Weather) -> Vec<Step> {
        let mut steps = Vec::new();
        for from in [0, 1] {
            let side = &self.sides[from];
            if side.flight.len() < weather.under_way {
                steps.push(Step::Send(from));
                let confirmed = side.standings.sending().is_some_and(|sending| sending.stage == Stage::Confirmed);
                steps.extend((weather.renewals && confirmed && !side.renewed).then_some(Step::Renew(from)));
                steps.extend(
                    (weather.resets && !side.standings.all().is_empty() && !side.reset).then_some(Step::Reset(from)),
                );
            }
            for n in 0..self.under_way(from).len() {
                steps.extend([Step::Arrive(from, n), Step::Lose(from, n)]);
            }
        }
        steps.extend((weather.day && self.days == 0).then_some(Step::Day));
        steps
    }

    /// Sessions that have something under way: within one nothing overtakes, since what follows an INIT waits for it.
    fn under_way(&self, from: usize) -> Vec<SessionId> {
        let mut sessions: Vec<_> = self.sides[from].flight.iter().map(|message| message.session).collect();
        sessions.dedup();
        sessions.sort();
        sessions.dedup();
        sessions
    }

    fn take(&mut self, from: usize, n: usize) -> Message {
        let session = self.under_way(from)[n];
        let flight = &mut self.sides[from].flight;
        let at = flight.iter().position(|message| message.session == session).unwrap();
        flight.remove(at)
    }

    fn step(&mut self, step: Step, ids: &Ids) {
        match step {
            Step::Send(from) => self.send(from, ids),
            Step::Renew(from) => {
                self.sides[from].renewed = true;
                self.begin(from, ids);
                self.put(from, false);
            }
            Step::Reset(from) => {
                self.sides[from].reset = true;
                self.begin(from, ids);
                self.put(from, true);
            }
            Step::Arrive(from, n) => {
                let message = self.take(from, n);
                self.arrive(1 - from, message);
            }
            Step::Lose(from, n) => drop(self.take(from, n)),
            Step::Day => self.days += 1,
        }
        for side in &mut self.sides {
            side.standings = minicbor::decode(&minicbor::to_vec(&side.standings).unwrap()).unwrap();
        }
    }

    fn begin(&mut self, from: usize, ids: &Ids) {
        let now = self.now();
        let side = &mut self.sides[from];
        let id = SessionId::new([ids[from][side.begun]; 16]);
        side.begun += 1;
        side.standings.begin(id, now);
        assert!(side.standings.drop_surplus().is_empty(), "more sessions than are kept");
    }

    fn send(&mut self, from: usize, ids: &Ids) {
        if self.sides[from].standings.sending().is_none() {
            self.begin(from, ids);
        }
        self.put(from, false);
    }

    fn put(&mut self, from: usize, reset: bool) {
        let side = &mut self.sides[from];
        let session = side.standings.sending().unwrap().id;
        let with_init = side.standings.needs_init(session);
        side.standings.sealed(session);
        side.flight.push(Message { session, with_init, reset });
    }

    fn arrive(&mut self, to: usize, message: Message) {
        let now = self.now();
        let side = &mut self.sides[to];
        if side.standings.get(message.session).is_none() {
            assert!(message.with_init, "sent on a session that the other does not have");
            side.standings.take_in(message.session, message.reset, now);
        }
        let arrival = Arrival { with_init: message.with_init, heartbeat: false, now };
        side.standings.opened(message.session, arrival);
        assert!(side.standings.drop_surplus().is_empty(), "more sessions than are kept");
    }

    /// Everything arrives, and each side says a few things more.
    fn calm(mut self, ids: &Ids) -> [(SessionId, Stage); 2] {
        for _ in 0..4 {
            for from in [0, 1] {
                self.send(from, ids);
                while !self.sides[from].flight.is_empty() {
                    self.step(Step::Arrive(from, 0), ids);
                }
            }
        }
        self.sides.each_ref().map(|side| {
            let sending = side.standings.sending().unwrap();
            (sending.id, sending.stage)
        })
    }

    /// What decisions depend on.
    fn key(&self) -> Vec<u8> {
        let mut key = vec![u8::try_from(self.days).unwrap()];
        for side in &self.sides {
            let used = |standing: &&Standing| matches!(standing.stage, Stage::New | Stage::Confirmed);
            let mut opened: Vec<_> =
                side.standings.all().iter().filter(used).map(|standing| standing.last_opened).collect();
            opened.sort_unstable();
            for standing in side.standings.all() {
                // how often something was opened matters only where it says what was opened last
                let rank = opened.iter().filter(|other| used(&standing) && **other < standing.last_opened).count();
                let rank = rank * 2 + usize::from(standing.last_opened > 0);
                let rival = standing.rival.map_or(0, |rival| rival.as_bytes()[0]);
                let begun = standing.begun.since(AT).as_secs().min(1);
                let stage = standing.stage as u8;
                let flags = u8::from(standing.ours) + 2 * u8::try_from(begun).unwrap();
                key.extend([standing.id.as_bytes()[0], stage, flags, u8::try_from(rank).unwrap(), rival]);
            }
            key.push(255);
            for message in &side.flight {
                let flags = u8::from(message.with_init) + 2 * u8::from(message.reset);
                key.extend([message.session.as_bytes()[0], flags]);
            }
            key.push(255);
            key.extend([u8::try_from(side.begun).unwrap(), side.reset.into(), side.renewed.into()]);
        }
        key
    }
}

/// Walks through every state there is, and says how many there are.
fn explore(weather: Weather) -> usize {
    let ids = &weather.ids;
    let mut seen = HashSet::from([State::default().key()]);
    let mut ways: Vec<(usize, Option<Step>)> = vec![(0, None)];
    let mut next = VecDeque::from([(0, State::default())]);
    while let Some((at, state)) = next.pop_front() {
        let used = state.clone().calm(ids);
        let agree = used[0].0 == used[1].0 && used.iter().all(|(_, stage)| *stage == Stage::Confirmed);
        assert!(agree, "{:?} ends with {used:?}", way(&ways, at));
        for step in state.steps(&weather) {
            let mut after = state.clone();
            after.step(step, ids);
            if seen.insert(after.key()) {
                ways.push((at, Some(step)));
                next.push_back((ways.len() - 1, after));
            }
        }
    }
    seen.len()
}

/// How a state was reached.
fn way(ways: &[(usize, Option<Step>)], mut at: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    while let (before, Some(step)) = ways[at] {
        steps.push(step);
        at = before;
    }
    steps.reverse();
    steps
}

const ORDERS: [Ids; 2] = [[[1, 2, 3], [4, 5, 6]], [[4, 1, 6], [3, 5, 2]]];

fn explored(weather: impl Fn(Ids) -> Weather) {
    for ids in ORDERS {
        let weather = weather(ids);
        let states = explore(weather);
        assert!(states > 500, "only {states} states of {weather:?} were reached");
    }
}

const PLAIN: Weather = Weather { under_way: 1, renewals: false, resets: false, day: false, ids: ORDERS[0] };

#[test]
fn atk_49_both_begin_and_lose_and_reorder_whatever_is_under_way() {
    explored(|ids| Weather { under_way: 3, ids, ..PLAIN });
}

#[test]
fn atk_49_one_begins_long_after_the_other() {
    explored(|ids| Weather { under_way: 2, day: true, ids, ..PLAIN });
}

#[test]
fn resets_that_are_lost_or_late_leave_both_on_one_session() {
    explored(|ids| Weather { resets: true, ids, ..PLAIN });
}

#[test]
fn renewals_of_both_sides_leave_both_on_one_session() {
    explored(|ids| Weather { renewals: true, day: true, ids, ..PLAIN });
}
