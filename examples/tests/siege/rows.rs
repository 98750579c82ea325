//! How many rows there are of what members and guests cause, and how many there may be by the settings.

use std::path::Path;
use std::time::Instant;

use chat_protocol::limits::{MAX_ONE_TIME_KEYS, MAX_RECEIVE_SESSIONS};
use chat_stories::{DEADLINE, Person, Process, Stage, binaries};

use crate::besiegers::{Misdeed, doing};
use crate::callers::VALUE;
use crate::{MAILBOX_BYTES, Plan};

/// Counts rows in a database that is in use: one number for each table or condition.
const COUNT: &str = "
import sqlite3, sys
db = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True, timeout=20)
for source in sys.argv[2:]:
    print(db.execute(f'SELECT COUNT(*) FROM {source}').fetchone()[0])
";

/// A post of the largest size, as those who flood the room say.
const POST_BYTES: u64 = 8 * 1024;
/// A message of those who fill a mailbox.
const MAIL_BYTES: u64 = 64 * 1024;
/// Minutes whose posts may come at once.
const BURST: u64 = 10;
/// INITs of one device that a daemon lets wait, and rows of each: itself, when it is due, and what it is found by.
const WAITING: (u64, u64) = (64, 7);
/// Deliveries that a daemon remembers.
const DELIVERED: u64 = 20_000;
/// Devices whose mail found no room, and whose logs do not list them.
const NO_ROOM: u64 = 256;

/// Rows of tokens: themselves, consumers, namespaces with their keys and what they take, values of the largest size, and
/// what they did and were refused.
const OF_TOKENS: u64 = 2 * 4 + 16 + 3 * 20 + 16 * 1024 * 1024 / VALUE as u64 + 2 * 10_000;

/// Rows of one kind.
#[derive(Clone, Debug)]
pub struct Rows {
    what: &'static str,
    /// Where they are in the database.
    source: &'static str,
    there: u64,
    /// What the settings allow those who are there.
    most: u64,
}

impl Rows {
    const fn new(what: &'static str, source: &'static str, most: u64) -> Self {
        Self { what, source, there: 0, most }
    }

    pub const fn are_bounded(&self) -> bool {
        self.there <= self.most
    }

    pub fn print(&self) {
        println!("  {} rows of {}, bound {}", self.there, self.what, self.most);
    }

    fn larger(self, other: Self) -> Self {
        if self.there < other.there { other } else { self }
    }
}

/// What those who are there may cause by the settings.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<'a> {
    plan: &'a Plan,
    /// Who has a daemon.
    people: u64,
    members: u64,
    minutes: u64,
}

impl<'a> Allowed<'a> {
    pub fn to(plan: &'a Plan, since: Instant) -> Self {
        let (people, members) = (plan.people(), plan.members as u64);
        Self { plan, people, members, minutes: since.elapsed().as_secs().div_ceil(60) }
    }

    fn doing(&self, kind: Misdeed) -> u64 {
        doing(kind, self.plan.members)
    }

    fn names(&self) -> u64 {
        let per_guest = u64::from(self.plan.rates.registrations_per_hour) * (60 + self.minutes) / 60;
        self.plan.guests as u64 * per_guest
    }

    fn further_devices(&self) -> u64 {
        self.doing(Misdeed::GrowLog) * u64::from(self.plan.rates.devices_per_day)
    }

    fn posts(&self) -> u64 {
        let bytes = u64::from(self.plan.rates.room_bytes_per_minute) * (BURST + self.minutes);
        self.doing(Misdeed::FloodRoom) * (bytes / POST_BYTES)
    }

    /// Of one device.
    fn submits(&self) -> u64 {
        let rates = &self.plan.rates;
        u64::from(rates.submits_burst) + u64::from(rates.submits_per_minute) * self.minutes
    }

    /// Messages that open, of those who write to people they do not know.
    fn private(&self) -> u64 {
        self.doing(Misdeed::WriteToStrangers) * self.submits()
    }

    /// The server's, while one mailbox is full.
    fn on_server(&self) -> Vec<Rows> {
        let Self { people, members, .. } = *self;
        vec![
            Rows::new("accounts", "chat_app", people + members + self.names()),
            Rows::new("devices", "device", people + members + self.further_devices()),
            Rows::new("account logs", "log_entry", people + members + 2 * self.further_devices()),
            Rows::new("bundles", "bundle", people),
            Rows::new("one-time keys", "one_time_key", people * MAX_ONE_TIME_KEYS as u64),
            Rows::new("resets that wait", "pending_reset", 0),
            Rows::new("the room", "room_post", self.posts()),
            // the full mailbox, and the receipts of those who write to people and never fetch what these answer
            Rows::new("mail", "mail", MAILBOX_BYTES / MAIL_BYTES + 1 + self.private()),
            Rows::new("senders in mailboxes", "mailbox_by_sender", people * (people + members)),
            Rows::new("remembered submits", "submitted", (people + members) * self.submits()),
        ]
    }

    /// A daemon's, by the numbers of its tables: all else is sealed.
    fn at_daemon(&self) -> Vec<Rows> {
        let accounts = self.people + self.members;
        let (inits, rows) = WAITING;
        let sessions = MAX_RECEIVE_SESSIONS as u64 + 1;
        let words = 4 * self.plan.messages as u64 + 4;
        let private = self.private();
        let worthless = [Misdeed::MakeUpIdentities, Misdeed::GrowLog, Misdeed::SubmitLargest];
        let lost = worthless.map(|kind| self.doing(kind)).into_iter().sum::<u64>() * self.submits();
        vec![
            Rows::new("accounts and their logs", "rows WHERE tbl = 2", accounts * 8 + 3 * self.further_devices()),
            Rows::new("sessions", "rows WHERE tbl = 3", accounts * (2 * sessions + 5)),
            Rows::new("opened INITs", "rows WHERE tbl = 6", accounts * 8 * (self.minutes + 1)),
            Rows::new(
                "mail that waits or was delivered",
                "rows WHERE tbl = 7",
                self.members * (inits * rows + 2) + NO_ROOM + DELIVERED,
            ),
            Rows::new("requests and what they say", "rows WHERE tbl = 8", self.members + private),
            Rows::new("messages, three of each", "rows WHERE tbl = 11", 3 * (self.posts() + words + private)),
            Rows::new("events", "rows WHERE tbl = 13", self.posts() + 4 * words + private + lost + 100),
            Rows::new("what programs keep", "rows WHERE tbl = 14", OF_TOKENS),
            Rows::new("posts seen", "rows WHERE tbl = 15", self.posts() + 2),
        ]
    }
}

fn counted(stage: &Stage, database: &Path, kinds: Vec<Rows>) -> Vec<Rows> {
    let mut count = binaries::python(&stage.room("tools"));
    count.args(["-c", COUNT]).arg(database).args(kinds.iter().map(|rows| rows.source));
    let said = Process::run("count.py", count, "").success();
    let numbers = said.lines().map(|line| line.parse().unwrap());
    kinds.into_iter().zip(numbers).map(|(rows, there)| Rows { there, ..rows }).collect()
}

/// The server's, as soon as those who are there have fetched what waited for them.
pub fn of_server(stage: &Stage, allowed: Allowed<'_>) -> Vec<Rows> {
    let (database, until) = (stage.server.data().join("chat.db"), Instant::now() + DEADLINE);
    loop {
        let rows = counted(stage, &database, allowed.on_server());
        if rows.iter().all(Rows::are_bounded) || Instant::now() > until {
            return rows;
        }
    }
}

/// The most of each kind that any of these people's daemons has.
pub fn of_daemons<'a>(stage: &Stage, allowed: Allowed<'_>, people: impl Iterator<Item = &'a Person>) -> Vec<Rows> {
    let all = people.map(|person| counted(stage, &person.data().join("store.db"), allowed.at_daemon()));
    all.reduce(|most, next| most.into_iter().zip(next).map(|(one, other)| one.larger(other)).collect()).unwrap()
}
