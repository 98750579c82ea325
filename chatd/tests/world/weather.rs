//! Draws schedules: each seed has a weather of its own, in which some things happen and others never do.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::disk::Carried;
use crate::schedule::{Step, Storm};
use crate::stage::Beginning;
use crate::world::{Fate, Next};

/// Steps of a schedule.
const STEPS: std::ops::Range<usize> = 30..130;
/// Times that pass at once: behind receipts, retries, logins that hang, gaps.
const WAITS: [u64; 6] = [10, 100, 1_000, 6_000, 30_000, 61_000];
/// Jumps of a clock: a machine that slept, a clock that is corrected, a wrong date.
const JUMPS: [i64; 5] = [3_600_000, 120_000, -1_000, -3_600_000, -30 * 24 * 3_600_000];

/// What can happen to people.
#[derive(Clone, Copy)]
enum Blow {
    Cut,
    Offline,
    Crash,
    Database,
    Server,
    Jump,
    Again,
}

const BLOWS: [Blow; 7] = [Blow::Cut, Blow::Offline, Blow::Crash, Blow::Database, Blow::Server, Blow::Jump, Blow::Again];

struct Weather {
    chance: StdRng,
    blows: Vec<Blow>,
    /// Times that pass.
    waits: &'static [u64],
    /// Fates besides the good one.
    fates: Vec<Fate>,
    /// What becomes of calls besides being carried out.
    calls: Vec<Carried>,
}

/// How a schedule of this seed begins.
pub fn beginning(seed: u64) -> Beginning {
    if seed.is_multiple_of(8) { Beginning::Strangers } else { Beginning::Acquainted }
}

/// Runs the schedule of a seed while drawing it; what was drawn is put into `steps` before it happens.
pub fn storm(seed: u64, steps: &mut Vec<Step>) {
    let mut weather = Weather::of(seed);
    let mut storm = Storm::begin(beginning(seed));
    for _ in 0..weather.chance.random_range(STEPS) {
        let step = weather.draw(&storm);
        steps.push(step);
        storm.apply(step);
    }
    storm.clear();
}

impl Weather {
    fn of(seed: u64) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let blows = some(&mut chance, &BLOWS);
        let fates = some(&mut chance, &[Fate::NotStored, Fate::DiesBefore, Fate::DiesAfter]);
        let calls = some(&mut chance, &[Carried::Slowly, Carried::Unheard, Carried::Never]);
        // where it is never long, nothing may be late
        let waits = if chance.random_bool(0.5) { &WAITS[..3] } else { &WAITS };
        Self { chance, blows, waits, fates, calls }
    }

    fn draw(&mut self, storm: &Storm) -> Step {
        let people = storm.world.nodes.len();
        let (who, other) = (self.below(people), 1 + self.below(people - 1));
        match self.below(100) {
            0..60 => self.progress(storm),
            60..78 => Step::MsgSend { from: who, to: (who + other) % people, fate: self.fate() },
            78..81 => Step::Say { who, fate: self.fate() },
            81..84 => Step::Read { who, whom: (who + other) % people },
            84..90 => Step::Wait { millis: self.waits[self.below(self.waits.len())] },
            _ => self.blow(who, storm),
        }
    }

    /// Something that is possible, if anything is.
    fn progress(&mut self, storm: &Storm) -> Step {
        let mut next = Vec::new();
        for (who, node) in storm.world.nodes.iter().enumerate() {
            match &node.wire {
                None if node.wants_online && storm.world.server.is_up() => next.push(Next::Connect(who)),
                None => {}
                Some(wire) => {
                    next.push(Next::Down(who));
                    next.extend((!wire.up.is_empty()).then_some(Next::Up(who)));
                }
            }
            next.extend((!node.shares.is_empty()).then_some(Next::Share(who)));
        }
        let calls = storm.world.server.disk.waiting();
        let drawn = self.below((next.len() + calls).max(1));
        match next.get(drawn) {
            Some(next) => Step::Go { next: *next, most: 1 + self.below(5), fate: self.fate() },
            None => Step::Carry { nth: drawn.saturating_sub(next.len()), carried: self.carried() },
        }
    }

    fn blow(&mut self, who: usize, storm: &Storm) -> Step {
        let Some(blow) = self.blows.get(self.chance.random_range(0..self.blows.len().max(1))) else {
            return self.progress(storm);
        };
        match blow {
            Blow::Cut => Step::Cut { who, noticed: self.chance.random_bool(0.7) },
            Blow::Offline => Step::Online { who, online: !storm.world.nodes[who].wants_online },
            Blow::Crash => Step::Crash { who },
            Blow::Database => Step::Away { away: self.chance.random_bool(0.4) },
            Blow::Server => Step::Server { up: !storm.world.server.is_up() },
            Blow::Jump => Step::Jump { who, millis: JUMPS[self.below(JUMPS.len())] },
            Blow::Again => Step::Again { who, nth: self.below(100) },
        }
    }

    fn fate(&mut self) -> Fate {
        if self.fates.is_empty() || self.chance.random_bool(0.9) {
            return Fate::Done;
        }
        self.fates[self.chance.random_range(0..self.fates.len())]
    }

    fn carried(&mut self) -> Carried {
        if self.calls.is_empty() || self.chance.random_bool(0.85) {
            return Carried::Out;
        }
        self.calls[self.chance.random_range(0..self.calls.len())]
    }

    fn below(&mut self, bound: usize) -> usize {
        self.chance.random_range(0..bound)
    }
}

/// Each of them, or not.
fn some<T: Copy>(chance: &mut StdRng, all: &[T]) -> Vec<T> {
    all.iter().copied().filter(|_| chance.random_bool(0.5)).collect()
}
