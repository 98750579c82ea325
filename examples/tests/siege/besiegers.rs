//! Who misbehaves, in which ways, and what comes of it: each goes on until it is stopped, and then again.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chat_protocol::message::server::{Code, Refusal};
use chat_stories::{DEADLINE, Stage};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use Misdeed::*;

use crate::Plan;
use crate::callers::{self, Door};
use crate::member::Town;
use crate::sparing::Sparing;
use crate::{guests, members};

/// What came of one kind of misdeed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deeds {
    /// What was asked was looked at, if only to find that there is no such thing.
    pub done: u64,
    /// Too much, too often, or too many: it was not looked at.
    pub refused: u64,
    /// The connection was ended, or none was taken.
    pub cut: u64,
}

impl Deeds {
    /// Those since others of the same kind.
    fn after(self, before: &Self) -> Self {
        let (done, refused, cut) = (self.done - before.done, self.refused - before.refused, self.cut - before.cut);
        Self { done, refused, cut }
    }
}

impl fmt::Display for Deeds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, refused, cut } = self;
        write!(formatter, "{done} done, {refused} refused, {cut} times cut off")
    }
}

/// The same, while it goes on.
#[derive(Debug)]
pub struct Tally {
    /// Told of every deed.
    changed: Arc<Notify>,
    done: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
}

impl Tally {
    fn new(changed: &Arc<Notify>) -> Arc<Self> {
        let (done, refused, cut) = Default::default();
        Arc::new(Self { changed: Arc::clone(changed), done, refused, cut })
    }

    /// Notes whether something was done, or that the connection ended before.
    pub fn note(&self, done: Option<bool>) {
        let count = match done {
            Some(true) => &self.done,
            Some(false) => &self.refused,
            None => &self.cut,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Notes an answer of the server.
    pub fn answer<T>(&self, answer: &Option<Result<T, Refusal>>) {
        let too_much = |refusal: &Refusal| matches!(refusal.code, Code::Busy | Code::RateLimited | Code::MailboxFull);
        self.note(answer.as_ref().map(|answer| !answer.as_ref().is_err_and(too_much)));
    }

    fn deeds(&self) -> Deeds {
        let [done, refused, cut] = [&self.done, &self.refused, &self.cut].map(|count| count.load(Ordering::Relaxed));
        Deeds { done, refused, cut }
    }
}

/// What they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Misdeed {
    FloodRoom,
    FillMailbox,
    MakeUpIdentities,
    AskWithoutEnd,
    AskForNobody,
    GrowLog,
    GuessPassword,
    WriteToStrangers,
    SubmitLargest,
    NeverEnd,
    StopReading,
    /// Of guests, as those below.
    HavePasswordsHashed,
    GuessResets,
    RegisterWithoutEnd,
    SpeakNonsense,
    SayNothing,
    /// Of programs with a token of somebody honest, or none, as those below.
    TakePlaces,
    MakeConsumers,
    FillValues,
    SendWithoutEnd,
    StayNameless,
}

impl Misdeed {
    /// Whether it was stopped at least once, after it had its way where there is anything to have.
    const fn has_met_its_bound(self, deeds: Deeds) -> bool {
        match self {
            // daemons keep so much of the former; the latter is cut off after three quarters of a minute
            MakeUpIdentities | WriteToStrangers | NeverEnd => deeds.done > 0,
            StopReading | SpeakNonsense | SayNothing | StayNameless => deeds.cut > 0,
            _ => deeds.done > 0 && deeds.refused > 0,
        }
    }

    /// Whether these are those of somebody who goes on, beyond what is allowed where there is a bound.
    pub const fn goes_on(self, deeds: Deeds) -> bool {
        match self {
            // daemons keep so much of them, and nobody is told
            MakeUpIdentities | WriteToStrangers => deeds.done > 0,
            _ => deeds.refused + deeds.cut > 0,
        }
    }
}

const OF_MEMBERS: [Misdeed; 11] = [
    FloodRoom,
    FillMailbox,
    MakeUpIdentities,
    AskWithoutEnd,
    GrowLog,
    StopReading,
    AskForNobody,
    GuessPassword,
    WriteToStrangers,
    SubmitLargest,
    NeverEnd,
];
const OF_GUESTS: [Misdeed; 5] = [HavePasswordsHashed, RegisterWithoutEnd, SpeakNonsense, SayNothing, GuessResets];
const OF_CALLERS: [Misdeed; 5] = [TakePlaces, MakeConsumers, FillValues, SendWithoutEnd, StayNameless];

/// How many of so many members do this.
pub fn doing(kind: Misdeed, members: usize) -> u64 {
    (0..members).filter(|number| OF_MEMBERS[number % OF_MEMBERS.len()] == kind).count() as u64
}

/// Against whom.
#[derive(Clone)]
pub struct Targets {
    /// People who are there.
    pub honest: Vec<String>,
    /// Somebody who hears nobody unknown.
    pub reserved: String,
    /// Somebody whose daemon does not run.
    pub away: String,
}

/// Those who misbehave, on threads of their own.
pub struct Siege {
    runtime: Runtime,
    stop: CancellationToken,
    besiegers: Vec<JoinHandle<()>>,
    tallies: BTreeMap<Misdeed, Arc<Tally>>,
    changed: Arc<Notify>,
    /// Set when they are to leave the machine to others, …
    sparing: Arc<AtomicBool>,
    /// … and what they had done by then.
    before: BTreeMap<Misdeed, Deeds>,
}

/// Has the system run this thread when no other wants to: one of low priority alone keeps others waiting for milliseconds,
/// which add up from program to program.
fn step_aside() {
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    let idle = Command::new("chrt").args(["--idle", "--pid", "0", &thread]).status().expect("chrt, of util-linux");
    assert!(idle.success(), "{idle}");
}

impl Siege {
    /// The members against these people, and the callers at the door of one of them.
    pub fn begin(stage: &Stage, plan: &Plan, targets: &Targets, door: &Door) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            // the machine they would bring along is not the server's
            .on_thread_start(step_aside)
            .build()
            .unwrap();
        let town = Town::of(&stage.server.invite());
        let kinds = OF_MEMBERS.iter().chain(&OF_GUESTS).chain(&OF_CALLERS);
        let changed = Arc::default();
        let mut siege = Self {
            runtime,
            stop: CancellationToken::new(),
            besiegers: Vec::new(),
            tallies: kinds.map(|kind| (*kind, Tally::new(&changed))).collect(),
            changed,
            sparing: Arc::default(),
            before: BTreeMap::new(),
        };
        for number in 0..plan.members {
            let kind = OF_MEMBERS[number % OF_MEMBERS.len()];
            let (town, targets, number) = (town.clone(), targets.clone(), u8::try_from(number).unwrap());
            siege.spawn(kind, move |tally| members::misbehave(kind, town, number, targets, tally));
        }
        for number in 0..plan.guests {
            let kind = OF_GUESTS[number % OF_GUESTS.len()];
            let from = IpAddr::from([127, 0, 9, u8::try_from(number).unwrap() + 1]);
            let (town, targets) = (town.clone(), targets.clone());
            siege.spawn(kind, move |tally| guests::disturb(kind, town, from, targets, tally));
        }
        for kind in OF_CALLERS {
            let (door, to) = (door.clone(), targets.away.clone());
            siege.spawn(kind, move |tally| callers::bother(kind, door, to, tally));
        }
        siege
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(&mut self, kind: Misdeed, deed: impl FnOnce(Arc<Tally>) -> F) {
        let (stop, deed) = (self.stop.clone(), deed(Arc::clone(&self.tallies[&kind])));
        let _timers = self.runtime.enter();
        let deed = Sparing::new(deed, Arc::clone(&self.sparing));
        self.besiegers.push(self.runtime.spawn(async move { stop.run_until_cancelled(deed).await.unwrap_or(()) }));
    }

    /// Waits until every kind has come up against its bound.
    pub fn until_under_way(&self) {
        let met = async {
            while self.tallies.iter().any(|(kind, tally)| !kind.has_met_its_bound(tally.deeds())) {
                assert!(!self.besiegers.iter().any(JoinHandle::is_finished), "a besieger gave up");
                self.changed.notified().await;
            }
        };
        // what is of the lowest priority gets little of a machine that others use
        let in_time = self.runtime.block_on(async { tokio::time::timeout(5 * DEADLINE, met).await });
        assert!(in_time.is_ok(), "{:?}", self.tallies);
    }

    /// From now on they compute little on the machine of those they disturb. What they do is counted anew.
    pub fn spare_the_machine(&mut self) {
        self.sparing.store(true, Ordering::Relaxed);
        self.before = self.deeds();
    }

    fn deeds(&self) -> BTreeMap<Misdeed, Deeds> {
        self.tallies.iter().map(|(kind, tally)| (*kind, tally.deeds())).collect()
    }

    /// Ends it; what was done before they spared the machine, and after that. Fails if anybody had given up before.
    pub fn end(self) -> Vec<(Misdeed, [Deeds; 2])> {
        assert!(!self.besiegers.iter().any(JoinHandle::is_finished), "a besieger gave up");
        let all = self.deeds();
        self.stop.cancel();
        self.runtime.shutdown_background();
        self.before.iter().map(|(kind, before)| (*kind, [*before, all[kind].after(before)])).collect()
    }
}
