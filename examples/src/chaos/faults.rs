//! What is done to the processes, and when: a schedule out of a seed.

use std::fmt;
use std::thread;
use std::time::Duration;

use super::Progress;
use super::cast::Cast;

/// Between two faults, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 30..300;
/// How long something sleeps, is dead, or has no room.
const SPELL_MS: std::ops::Range<u64> = 100..1_500;

/// How often each was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Daemons killed.
    pub daemons: u64,
    /// Readers killed.
    pub readers: u64,
    /// Servers killed.
    pub servers: u64,
    /// Databases killed.
    pub databases: u64,
    /// Daemons stopped for a while.
    pub sleeps: u64,
    /// All connections cut.
    pub cuts: u64,
    /// The wire dead for a while, then cut.
    pub silences: u64,
    /// A disk full for a while.
    pub full: u64,
}

impl FaultCounts {
    /// Processes killed.
    #[must_use]
    pub const fn kills(&self) -> u64 {
        self.daemons + self.readers + self.servers + self.databases
    }
}

impl fmt::Display for FaultCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { daemons, readers, servers, databases, sleeps, cuts, silences, full } = self;
        write!(f, "killed {daemons} daemons, {readers} readers, {servers} servers, {databases} databases; ")?;
        write!(f, "{sleeps} sleeps, {cuts} cuts, {silences} silences, {full} full disks")
    }
}

/// Strikes.
pub(crate) struct FaultInjector {
    dice: fastrand::Rng,
    pub(crate) counts: FaultCounts,
}

impl FaultInjector {
    pub(crate) fn new(seed: u64) -> Self {
        Self { dice: fastrand::Rng::with_seed(seed), counts: FaultCounts::default() }
    }

    /// One blow, and the pause before it.
    pub(crate) fn strike(&mut self, cast: &mut Cast, progress: &Progress) {
        self.wait(PAUSE_MS);
        let before = self.counts.kills();
        let who = self.dice.usize(..cast.people());
        match self.dice.u32(..16) {
            0..5 => {
                cast.member(who).kill_daemon();
                self.counts.daemons += 1;
            }
            5..8 => {
                cast.member(who).kill_reader();
                self.counts.readers += 1;
            }
            8..11 => {
                cast.stage.server.kill();
                cast.stage.server.start();
                self.counts.servers += 1;
            }
            11 => self.strike_database(cast),
            12 => self.sleep(cast, who),
            13 => {
                cast.wire.cut();
                self.counts.cuts += 1;
            }
            14 => self.silence(cast),
            _ => self.fill(cast, who),
        }
        if self.counts.kills() > before {
            progress.killed();
        }
    }

    fn strike_database(&mut self, cast: &mut Cast) {
        if let Some(database) = &mut cast.database {
            database.crash_and_restart();
            self.counts.databases += 1;
        }
    }

    fn sleep(&mut self, cast: &mut Cast, who: usize) {
        cast.member(who).freeze(true);
        self.wait(SPELL_MS);
        cast.member(who).freeze(false);
        self.counts.sleeps += 1;
    }

    fn silence(&mut self, cast: &Cast) {
        cast.wire.set_dead(true);
        self.wait(SPELL_MS);
        cast.wire.set_dead(false);
        cast.wire.cut();
        self.counts.silences += 1;
    }

    fn fill(&mut self, cast: &mut Cast, who: usize) {
        if cast.member(who).fill() {
            self.wait(SPELL_MS);
            self.counts.full += 1;
        }
        cast.member(who).empty();
    }

    fn wait(&mut self, range: std::ops::Range<u64>) {
        thread::sleep(Duration::from_millis(self.dice.u64(range)));
    }
}
