//! Thousands of random schedules: nothing accepted is lost, repeated or reordered in any of them.
//!
//! The same ones at each run, so that a change is judged by what it changes; `WORLD_SEED=random` draws others,
//! `WORLD_RUNS` says how many, `WORLD_SEED` with a number runs one again. A schedule that fails is made as short as it
//! can be and printed with its seed, also as a value to be kept in [`FOUND`].

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::disk::Carried;
use crate::schedule::{Step, Storm};
use crate::shrink::shrink;
use crate::stage::Beginning;
use crate::weather::{beginning, storm};
use crate::world::{Fate, Next};

/// Schedules of one run of the tests.
const RUNS: u64 = 2_000;

/// Schedules that failed once.
const FOUND: [(Beginning, &[Step]); 2] = [
    (
        // what was put off waited for as long as the clock was set back
        Beginning::Acquainted,
        &[
            Step::Read { who: 0, whom: 1 },
            Step::Jump { who: 0, millis: -30 * 24 * 3_600_000 },
            Step::MsgSend { from: 1, to: 0, fate: Fate::Done },
        ],
    ),
    (
        // a clock set back within a connection made every bundle one of a time to come
        Beginning::Strangers,
        &[
            Step::Go { next: Next::Connect(1), most: 5, fate: Fate::Done },
            Step::Carry { nth: 1, carried: Carried::Out },
            Step::Carry { nth: 0, carried: Carried::Out },
            Step::MsgSend { from: 1, to: 2, fate: Fate::Done },
            Step::Go { next: Next::Down(1), most: 2, fate: Fate::Done },
            Step::Jump { who: 1, millis: -30 * 24 * 3_600_000 },
        ],
    ),
];

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What a schedule fails with, quietly.
fn failure(run: impl FnOnce()) -> Option<String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info)
            }
        }));
    });
    QUIET.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(run));
    QUIET.set(false);
    let words = outcome.err()?;
    let text = words.downcast_ref::<String>().cloned();
    Some(text.or(words.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

/// Runs one seed; the report if a promise is broken.
fn broken(seed: u64) -> Option<String> {
    let mut steps = Vec::new();
    let first = failure(|| storm(seed, &mut steps))?;
    let run = |steps: &[Step]| failure(|| Storm::run(beginning(seed), steps));
    let shortest = shrink(steps, |steps| run(steps).is_some());
    let words = run(&shortest).unwrap_or_else(|| first.clone());
    let told: Vec<String> = shortest.iter().map(|step| format!("    {step}")).collect();
    Some(format!(
        "seed {seed} breaks a promise: {first}\n\n{:?}, the shortest schedule that does:\n{}\n{words}\n{shortest:?}\n\n\
         again: WORLD_SEED={seed} cargo test -p chatd --test world schedules",
        beginning(seed),
        told.join("\n"),
    ))
}

/// The first seed, and how many there are.
fn seeds() -> (u64, u64) {
    let runs = std::env::var("WORLD_RUNS").map_or(RUNS, |text| text.parse().unwrap());
    match std::env::var("WORLD_SEED") {
        Err(_) => (0, runs),
        Ok(word) if word == "random" => (u64::from(rand::random::<u32>()), runs),
        Ok(seed) => (seed.parse().unwrap(), 1),
    }
}

#[test]
fn nothing_is_lost_repeated_or_reordered_in_thousands_of_random_schedules() {
    let (first, runs) = seeds();
    let (next, began) = (AtomicU64::new(0), Instant::now());
    println!("{runs} schedules with the seeds from {first} on");
    let work = || loop {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        if nth >= runs {
            return None;
        }
        if let Some(report) = broken(first + nth) {
            next.store(runs, Ordering::Relaxed);
            return Some(report);
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let report = std::thread::scope(|scope| {
        let working: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        working.into_iter().find_map(|worker| worker.join().unwrap())
    });
    println!("{:?}", began.elapsed());
    if let Some(report) = report {
        panic!("{report}");
    }
}

#[test]
fn what_once_broke_a_promise_does_so_no_more() {
    for (beginning, steps) in FOUND {
        Storm::run(beginning, steps);
    }
}

#[test]
fn a_schedule_has_the_same_outcome_every_time() {
    for seed in [3, 8] {
        let drawn = || {
            let mut steps = Vec::new();
            storm(seed, &mut steps);
            steps
        };
        assert_eq!(drawn(), drawn());
    }
}
