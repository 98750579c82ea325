//! A device that was away for long: how it drains what waited for it, and what that costs in memory.
//!
//! People fill the mailbox of one device that is offline; then it comes back. What is looked at is the resident memory of
//! the server and of the daemon that drains, and whether everything arrives once and in its senders' order. The quota
//! of the mailbox is raised openly, through the server's settings.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Person, Process, Stage};

/// Who writes.
const SENDERS: [&str; 2] = ["alice", "carol"];
/// Whose device is away.
const AWAY: &str = "bob";
/// Limits that would otherwise be what is measured.
const OPEN: [&str; 7] = [
    "rates.submits_per_minute=10000000",
    "rates.envelopes_per_minute=10000000",
    "rates.submit_bytes_per_minute=400000000",
    "rates.submits_burst=1000000",
    "mailbox.per_sender=1000000",
    "mailbox.messages=1000000",
    "mailbox.bytes=10000000000",
];
/// Messages handed to a daemon without waiting in between.
const AT_ONCE: u64 = 200;
/// How often memory is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);
/// How often the senders' queues are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Nothing came for so long: whatever is missing is lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to wait.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Messages altogether.
    pub messages: u64,
    /// Bytes of text in each.
    pub bytes: usize,
    /// Messages under way to the device at once: what server and daemon may hold of them.
    pub window: u64,
}

/// Resident memory of a process that is its own and no file's, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Before the first message was drained.
    pub before: u64,
    /// The most that was seen until the last one was.
    pub peak: u64,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// As it was planned.
    pub plan: Plan,
    /// How long the senders took until the server had everything.
    pub filled: Duration,
    /// How long the device took until its reader had everything.
    pub drained: Duration,
    /// The server.
    pub server: Memory,
    /// The daemon that drained.
    pub daemon: Memory,
    /// Messages that did not come.
    pub lost: u64,
    /// Messages that came again.
    pub repeated: u64,
    /// Messages that came before one their sender said earlier.
    pub disordered: u64,
}

impl Memory {
    /// How much it grew.
    #[must_use]
    pub const fn growth(self) -> u64 {
        self.peak.saturating_sub(self.before)
    }
}

impl Figures {
    /// Whether every promise about messages was kept.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.lost == 0 && self.repeated == 0 && self.disordered == 0
    }

    /// Whether neither process grew by more than this, in bytes.
    #[must_use]
    pub const fn is_flat(&self, most: u64) -> bool {
        self.server.growth() <= most && self.daemon.growth() <= most
    }

    /// As `make bench` reads it: times in seconds, memory in MiB, of server and daemon together.
    #[must_use]
    pub fn json(&self) -> Value {
        let growth = (self.server.growth() + self.daemon.growth()) as f64 / f64::from(1 << 20);
        json!({
            "count": self.plan.messages,
            "seconds": self.drained.as_secs_f64(),
            "per_second": self.plan.messages as f64 / self.drained.as_secs_f64(),
            "growth_mib": growth,
            "lost": self.lost + self.repeated + self.disordered,
        })
    }

    /// Bytes of text that waited.
    #[must_use]
    pub const fn waited(&self) -> u64 {
        self.plan.messages * self.plan.bytes as u64
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, filled, drained, server, daemon, lost, repeated, disordered } = self;
        let seconds = drained.as_secs_f64();
        writeln!(f, "{} messages drained in {seconds:.1} s; server {server}; daemon {daemon}", plan.messages)?;
        write!(f, "{lost} lost, {repeated} repeated, {disordered} out of order; ")?;
        write!(f, "{} bytes of text each, filled in {:.1} s", plan.bytes, filled.as_secs_f64())
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        write!(f, "{:.1} MiB → peak {:.1} MiB", mib(self.before), mib(self.peak))
    }
}

/// Does it.
///
/// # Panics
/// If something cannot be started, or a sender's messages are not taken.
#[must_use]
pub fn run(plan: Plan) -> Figures {
    let mut stage = Stage::dark();
    OPEN.iter().for_each(|setting| stage.server.set(setting));
    stage.server.set(&format!("mailbox.delivery_window={}", plan.window));
    stage.server.start();
    let mut away = stage.member(AWAY);
    let senders = SENDERS.map(|name| acquainted(&stage, name, &mut away));
    away.stop();
    let began = Instant::now();
    // they stay online: what the device confirms while it drains is theirs to handle
    let _senders = fill(senders, &away.at(), plan);
    let filled = began.elapsed();

    let daemon = Process::start("chatd that drains", away.chatd());
    daemon.line("that it is ready", |line| line.contains("ready").then_some(()));
    let (server, began) = (Watch::over(stage.server.id()), Instant::now());
    let watched = Watch::over(daemon.id());
    let heard = follow(&away.data().join("chat.sock"), plan.messages);
    let drained = began.elapsed();
    let (server, daemon) = (server.end(), watched.end());
    let Heard { different, repeated, disordered, .. } = heard;
    let lost = plan.messages - different;
    Figures { plan, filled, drained, server, daemon, lost, repeated, disordered }
}

/// Somebody with a session to `away` that both have confirmed.
fn acquainted(stage: &Stage, name: &str, away: &mut Person) -> Person {
    let mut person = stage.member(name);
    let hello = person.send(&away.at(), "hello");
    away.hears(&person.at(), name, "hello");
    person.sees(&hello, "delivered");
    person
}

/// Has everybody write, and waits until the server has it all.
fn fill(senders: [Person; 2], to: &str, plan: Plan) -> Vec<Person> {
    let count = senders.len() as u64;
    let shares = (0..count).map(|number| plan.messages / count + u64::from(number < plan.messages % count));
    let fillers: Vec<_> =
        senders.into_iter().zip(shares).map(|(sender, share)| write(sender, to, share, plan)).collect();
    fillers.into_iter().map(|filler| filler.join().expect("a sender ends")).collect()
}

fn write(mut sender: Person, to: &str, share: u64, plan: Plan) -> JoinHandle<Person> {
    let (to, filling) = (to.to_owned(), "x".repeat(plan.bytes));
    thread::spawn(move || {
        for first in (0..share).step_by(AT_ONCE as usize) {
            let numbers = first..(first + AT_ONCE).min(share);
            let texts = numbers.map(|number| json!({"to": to, "text": text(number, &filling)})).collect();
            let taken = sender.pipeline("msg.send", texts);
            assert!(taken.iter().all(Result::is_ok), "{:?}", taken.iter().find(|taken| taken.is_err()));
        }
        while sender.call("daemon.health", json!({})).expect("health")["outbox"]["queued"] != 0 {
            thread::sleep(LOOK_EVERY);
        }
        sender
    })
}

/// A number, and what makes it as long as planned.
fn text(number: u64, filling: &str) -> String {
    let digits = number.to_string();
    let rest = filling.get(digits.len() + 1..).unwrap_or_default();
    format!("{digits} {rest}")
}

/// What the reader of the drained device got.
#[derive(Debug, Default)]
struct Heard {
    different: u64,
    repeated: u64,
    disordered: u64,
    /// The number each sender is expected to say next.
    next: BTreeMap<String, u64>,
}

impl Heard {
    fn take(&mut self, from: &str, number: u64) {
        let next = self.next.entry(from.to_owned()).or_default();
        match number.cmp(next) {
            std::cmp::Ordering::Less => self.repeated += 1,
            std::cmp::Ordering::Equal => self.different += 1,
            // what lies between is missing, or comes too late and is then counted as repeated
            std::cmp::Ordering::Greater => {
                self.different += 1;
                self.disordered += 1;
            }
        }
        *next = (*next).max(number + 1);
    }
}

/// Reads what arrives until all of it is there, or nothing comes any more.
fn follow(socket: &Path, messages: u64) -> Heard {
    let mut heard = Heard::default();
    let mut output = UnixStream::connect(socket).expect("the daemon listens");
    output.set_read_timeout(Some(PATIENCE)).expect("a socket can be told");
    let wanted = json!({"from": "start", "types": ["message.new"], "include_self": false});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": wanted});
    writeln!(output, "{call}").expect("the daemon reads");
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let line: Value = serde_json::from_str(&line).expect("the daemon speaks JSON");
        let message = &line["params"]["data"];
        let said = message["text"].as_str().and_then(|text| text.split(' ').next()?.parse().ok());
        if let (Some(from), Some(number)) = (message["from"].as_str(), said) {
            heard.take(from, number);
        }
        if heard.different + heard.repeated >= messages {
            break;
        }
    }
    heard
}

/// Looks at the memory of a process again and again.
struct Watch {
    enough: Arc<AtomicBool>,
    looking: JoinHandle<Memory>,
}

impl Watch {
    fn over(id: u32) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&enough);
        let before = resident(id);
        let looking = thread::spawn(move || {
            let mut memory = Memory { before, peak: before };
            while !ended.load(Ordering::Relaxed) {
                memory.peak = memory.peak.max(resident(id));
                thread::sleep(SAMPLE_EVERY);
            }
            memory
        });
        Self { enough, looking }
    }

    fn end(self) -> Memory {
        self.enough.store(true, Ordering::Relaxed);
        self.looking.join().expect("looking ends")
    }
}

/// Resident bytes of a process, its program's own pages left out: those come as code is first run, however little waits.
/// 0 once it has ended.
fn resident(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_again_or_overtakes_is_counted() {
        let mut heard = Heard::default();
        for (from, number) in [("alice", 0), ("carol", 0), ("alice", 2), ("alice", 1), ("carol", 0), ("carol", 1)] {
            heard.take(from, number);
        }
        assert_eq!((heard.different, heard.repeated, heard.disordered), (4, 2, 1));
    }

    #[test]
    fn texts_have_their_number_and_the_planned_length() {
        assert_eq!(text(17, &"x".repeat(8)), "17 xxxxx");
        assert_eq!(text(123_456, "xx"), "123456 ");
    }

    #[test]
    fn memory_of_this_process_can_be_seen() {
        let held = vec![1_u8; 4 << 20];
        assert!(resident(std::process::id()) > held.len() as u64);
    }
}
