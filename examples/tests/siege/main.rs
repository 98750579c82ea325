//! Members, guests, and a program with a token of somebody honest misbehave while honest people talk: each goes on until it is
//! stopped, and then again.
//!
//! The server, and the daemons of honest people, are the programs as they are installed. Who misbehaves speaks the protocol
//! itself, from threads of the lowest priority, which compute little while the honest talk ([`sparing`]): the machine they would bring
//! along is not the server's. How much there is to do comes from `SIEGE`: `make siege` sets `long`. What a server can do,
//! which is no honest one then, is in `tests/malice`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "a story that cannot go on says why by panicking, and the figures are what it is for"
)]

mod beat;
mod besiegers;
mod callers;
mod guests;
mod honest;
mod member;
mod members;
mod rows;
mod sparing;

use std::time::{Duration, Instant};

use chat_protocol::rpc::target::PUBLIC_ROOM;
use chat_server::config::{Memory, Passwords, Rates};
use chat_stories::{Footprint, Person, Stage};
use serde_json::{Value, json};

use besiegers::{Deeds, Misdeed, Siege, Targets};
use honest::{Pair, percentile};
use rows::{Allowed, Rows};

/// How much there is to do.
#[derive(Clone, Debug)]
struct Plan {
    /// Honest people, two of whom talk to each other.
    pairs: usize,
    /// Messages each of them says, in peace and again under siege.
    messages: usize,
    /// Time from one message of a pair to the next, if the next need not wait for it.
    pace: Duration,
    members: usize,
    guests: usize,
    /// What the server lets one of them do.
    rates: Rates,
    bcrypt_cost: u32,
    /// Bytes that may wait in the server's memory.
    queued: usize,
}

/// With so many words the 99th percentile means something.
const ENOUGH: usize = 1_000;
/// Messages of each in the long form: who never ends a record is cut off after 45 s, within the 50 s that these take.
const MESSAGES: usize = 500;
/// A pace that no word keeps.
const AT_ONCE: Duration = Duration::from_millis(1);
/// How often a word is said in a pair: five pairs leave most of two processors free.
const PACE: Duration = Duration::from_millis(50);
/// What a mailbox may hold here: with more there is no bound to be seen in short time.
const MAILBOX_BYTES: u64 = 8 * 1024 * 1024;
/// The server's memory, in MiB.
const SERVER_MIB: u64 = 256;
/// The memory of an honest person's daemon, in MiB.
const DAEMON_MIB: u64 = 96;
/// What the server may write, in MiB: the mailbox of who is away, the room, accounts and their keys.
const SERVER_DISK_MIB: u64 = 64;
/// What an honest person's daemon may write, in MiB: what may wait of strangers (64), and the room's posts.
const DAEMON_DISK_MIB: u64 = 96;

impl Plan {
    fn wanted() -> Self {
        let (members, guests) = (20, 10);
        match std::env::var("SIEGE").as_deref() {
            Ok("long") => {
                let (rates, queued) = (Rates::default(), Memory::default().queued_bytes);
                Self { pairs: 5, messages: MESSAGES, pace: PACE, members, guests, rates, bcrypt_cost: 10, queued }
            }
            _ => {
                let (rates, queued) = (Self::soon_met(), 32 * 1024 * 1024);
                Self { pairs: 2, messages: 20, pace: AT_ONCE, members, guests, rates, bcrypt_cost: 8, queued }
            }
        }
    }

    /// Bounds that everybody comes up against in short time.
    fn soon_met() -> Rates {
        Rates {
            registrations_per_hour: 10,
            password_checks_per_hour: 12,
            submits_burst: 150,
            devices_per_day: 10,
            room_bytes_per_minute: 16 * 1024,
            lookups_per_minute: 100,
            ..Rates::default()
        }
    }

    /// What the server is told.
    fn settings(&self) -> Vec<String> {
        let Rates { registrations_per_hour, password_checks_per_hour, submits_burst, .. } = self.rates;
        let Rates { devices_per_day, room_bytes_per_minute, lookups_per_minute, .. } = self.rates;
        vec![
            format!("mailbox.bytes={MAILBOX_BYTES}"),
            format!("memory.queued_bytes={}", self.queued),
            format!("passwords.bcrypt_cost={}", self.bcrypt_cost),
            // as it is installed: the stage computes more at once, so that other stories begin sooner
            format!("passwords.at_once={}", Passwords::default().at_once),
            // who does not read is cut off so often that it is seen in short time
            "connections.write_seconds=10".to_owned(),
            format!("rates.registrations_per_hour={registrations_per_hour}"),
            format!("rates.password_checks_per_hour={password_checks_per_hour}"),
            format!("rates.submits_burst={submits_burst}"),
            format!("rates.devices_per_day={devices_per_day}"),
            format!("rates.room_bytes_per_minute={room_bytes_per_minute}"),
            format!("rates.lookups_per_minute={lookups_per_minute}"),
        ]
    }

    /// Who has a daemon: besides the pairs a friend, who is away, and who hears nobody unknown.
    fn people(&self) -> u64 {
        2 * self.pairs as u64 + 3
    }
}

/// What happened.
struct Figures {
    plan: Plan,
    peace: Vec<Duration>,
    siege: Vec<Duration>,
    /// What was done until all were under way, and after that.
    deeds: Vec<(Misdeed, [Deeds; 2])>,
    server: Footprint,
    daemon: Footprint,
    server_rows: Vec<Rows>,
    daemon_rows: Vec<Rows>,
}

fn besiege(plan: Plan) -> Figures {
    let (mut stage, begun) = (Stage::dark(), Instant::now());
    plan.settings().iter().for_each(|setting| stage.server.set(setting));
    stage.server.start();
    let mut pairs: Vec<_> = (0..plan.pairs).map(|number| Pair::meet(&stage, number)).collect();
    let (mut friend, mut away) = (stage.member("friend"), stage.member("away"));
    honest::acquaint(&mut friend, &mut away);
    away.stop();
    let mut reserved = stage.member("reserved");
    reserved.call("account.settings.set", json!({"messages_from": "contacts_only"})).unwrap();
    let peace = honest::talk(&mut pairs, plan.messages, plan.pace);

    let name = |person: &Person| person.name().to_owned();
    let targets = Targets { honest: honest::names(&pairs), reserved: name(&reserved), away: name(&away) };
    let mut siege = Siege::begin(&stage, &plan, &targets, &pairs[0].door());
    siege.until_under_way();
    siege.spare_the_machine();
    // by now the mailbox of who is away takes no more of those who fill it
    let under = honest::talk(&mut pairs, plan.messages, plan.pace);
    // somebody whose mailbox was filled by others still hears from a friend
    let word = friend.send("@away", "are you well?");
    friend.sees(&word, "accepted");
    let deeds = siege.end();
    let server_rows = rows::of_server(&stage, Allowed::to(&plan, begun));
    away.start();
    away.hears("@friend", "friend", "are you well?");

    pairs.iter_mut().for_each(Pair::lost_nothing);
    heard_nobody(&mut reserved);
    let daemons = || pairs.iter().flat_map(Pair::people).chain([&friend, &away, &reserved]);
    let daemon_rows = rows::of_daemons(&stage, Allowed::to(&plan, begun), daemons());
    let footprints = daemons().map(|person| Footprint::of(person.id(), &person.data()));
    let daemon = footprints.fold(Footprint::default(), Footprint::most);
    let server = Footprint::of(stage.server.id(), &stage.server.data());
    Figures { plan, peace, siege: under, deeds, server, daemon, server_rows, daemon_rows }
}

/// Those who wrote wait as requests, and nothing of them is shown.
fn heard_nobody(reserved: &mut Person) {
    let waiting = reserved.call("request.list", json!({})).unwrap();
    assert!(!waiting["requests"].as_array().unwrap().is_empty(), "{waiting}");
    let shown = |event: &&Value| event["type"] == "message.new" && event["chat"] != PUBLIC_ROOM;
    assert_eq!(reserved.events().iter().find(shown), None);
}

impl Figures {
    fn print(&self) {
        println!("{:?}", self.plan);
        for (what, [before, during]) in &self.deeds {
            println!("  {what:?}: {before}; while they talked {during}");
        }
        let (peace, siege) = (percentile(&self.peace, 99), percentile(&self.siege, 99));
        // at once each word is as late as all before it, and few say nothing of a percentile
        if self.siege.len() >= ENOUGH {
            println!("p50 {:?} in peace, {:?} under siege", percentile(&self.peace, 50), percentile(&self.siege, 50));
            println!(
                "p99 {peace:?} in peace, {siege:?} under siege: {:.1} times",
                siege.as_secs_f64() / peace.as_secs_f64()
            );
        }
        println!("server {}, bounds {SERVER_MIB} and {SERVER_DISK_MIB} MiB", self.server);
        self.server_rows.iter().for_each(Rows::print);
        println!("largest daemon {}, bounds {DAEMON_MIB} and {DAEMON_DISK_MIB} MiB", self.daemon);
        self.daemon_rows.iter().for_each(Rows::print);
    }

    /// Bytes and rows are bounded, whoever misbehaves; and with enough words to tell, the 99th percentile is at most twice that of peace.
    fn check(&self) {
        let [peace, siege] = [&self.peace, &self.siege].map(|times| percentile(times, 99).as_secs_f64());
        assert!(self.siege.len() < ENOUGH || siege <= 2.0 * peace, "a word takes {:.1} times as long", siege / peace);
        for (kind, [_, during]) in &self.deeds {
            assert!(self.siege.len() < ENOUGH || kind.goes_on(*during), "{kind:?}: {during} while they talked");
        }
        assert!(self.server.memory_mib < SERVER_MIB && self.server.disk_mib < SERVER_DISK_MIB, "{}", self.server);
        assert!(self.daemon.memory_mib < DAEMON_MIB && self.daemon.disk_mib < DAEMON_DISK_MIB, "{}", self.daemon);
        for rows in self.server_rows.iter().chain(&self.daemon_rows) {
            assert!(rows.are_bounded(), "{rows:?}");
        }
    }
}

#[test]
fn honest_people_lose_nothing_while_members_and_guests_misbehave() {
    let figures = besiege(Plan::wanted());
    figures.print();
    figures.check();
}
