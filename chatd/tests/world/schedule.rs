//! A schedule: what people do, what the network, the disks and the machines do to them, step by step.
//!
//! It is a value. The same schedule from the same beginning always has the same outcome, and every step means
//! the same whatever was left out before it: one that cannot happen does nothing.

use std::fmt;
use std::time::Duration;

use chat_protocol::limits::ORDER_WAIT;
use chat_protocol::message::server::Push;
use chat_protocol::rpc::Target;
use chat_protocol::rpc::types::MsgSend;
use chat_server::fixtures::Line;
use chatd::engine::commands;

use crate::disk::Carried;
use crate::promises::Ledger;
use crate::stage::Beginning;
use crate::world::{Fate, Next, World};

pub const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    MsgSend { from: usize, to: usize, fate: Fate },
    Say { who: usize, fate: Fate },
    Read { who: usize, whom: usize },
    Go { next: Next, most: usize, fate: Fate },
    Carry { nth: usize, carried: Carried },
    Cut { who: usize, noticed: bool },
    Online { who: usize, online: bool },
    Crash { who: usize },
    Away { away: bool },
    Server { up: bool },
    Wait { millis: u64 },
    Jump { who: usize, millis: i64 },
    Again { who: usize, nth: usize },
}

/// A world in bad weather.
pub struct Storm {
    pub world: World,
    pub ledger: Ledger,
    /// Connections whose end the server has not noticed.
    ghosts: Vec<Line>,
    /// Longest that anything can have been under way, by anybody's clock.
    stalled: Duration,
}

impl Storm {
    pub fn begin(beginning: Beginning) -> Self {
        let world = beginning.world(1);
        world.server.disk.gate(true);
        let ledger = Ledger::of(beginning, world.nodes.len());
        Self { world, ledger, ghosts: Vec::new(), stalled: Duration::ZERO }
    }

    /// Runs a whole schedule, then lets the weather clear and checks every promise.
    pub fn run(beginning: Beginning, steps: &[Step]) {
        let mut storm = Self::begin(beginning);
        steps.iter().for_each(|step| storm.apply(*step));
        storm.clear();
    }

    /// Ends every disturbance; in the end everything has to be where it belongs.
    pub fn clear(mut self) {
        self.ghosts.clear();
        let disk = &self.world.server.disk;
        disk.set_away(false);
        disk.gate(false);
        self.carry_all();
        self.apply(Step::Server { up: true });
        for _ in 0..12 {
            self.world.calm();
            if self.ledger.is_fulfilled(&self.world) {
                break;
            }
        }
        self.ledger.check(&mut self.world, self.stalled >= ORDER_WAIT);
    }

    fn carry_all(&mut self) {
        while self.world.server.disk.carry(0, Carried::Out).is_some() {
            self.world.server.run();
        }
    }

    pub fn apply(&mut self, step: Step) {
        let world = &mut self.world;
        match step {
            Step::MsgSend { from, to, fate } => self.send(from, to, fate),
            Step::Say { who, fate } => self.say(who, fate),
            Step::Read { who, whom } => {
                let chat = format!("@{}", NAMES[whom]);
                // there may be no such chat yet
                let _ = world.command(who, |txn| commands::mark_read(txn, &chat, None));
            }
            Step::Go { next, most, fate } => self.go(next, most, fate),
            Step::Carry { nth, carried } => {
                world.server.disk.carry(nth, carried);
                world.server.run();
            }
            Step::Cut { who, noticed } => self.cut(who, noticed),
            Step::Online { who, online: true } => world.come_online(who),
            Step::Online { who, online: false } => world.go_offline(who),
            Step::Crash { who } => world.crash(who),
            Step::Away { away } => world.server.disk.set_away(away),
            Step::Server { up } => self.server(up),
            Step::Wait { millis } => self.wait(millis),
            Step::Jump { who, millis } => {
                let ahead = &mut world.nodes[who].ahead_ms;
                *ahead = ahead.saturating_add(millis);
                world.nodes[who].jumped = Some(world.now);
                self.stalled += Duration::from_millis(millis.unsigned_abs());
            }
            Step::Again { who, nth } => {
                let node = &world.nodes[who];
                let deliver = node.heard.get(nth % node.heard.len().max(1)).cloned();
                let (device, online) = (node.device, node.engine.is_online());
                deliver
                    .filter(|_| online)
                    .into_iter()
                    .for_each(|deliver| world.push(&device, Push::Deliver(deliver.into())));
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, fate: Fate) {
        let text = self.ledger.next(from, to);
        let to_user = Target::User(self.world.name(to));
        let send = MsgSend::text(to_user, text.clone());
        if self.world.command_with(from, fate, |txn| commands::send(txn, send)).is_ok() && !fate.leaves_nothing() {
            self.ledger.sent(from, to, text);
        }
    }

    fn say(&mut self, who: usize, fate: Fate) {
        let text = self.ledger.next_post(who);
        let send = MsgSend::text(Target::Room, text.clone());
        if self.world.command_with(who, fate, |txn| commands::send(txn, send)).is_ok() && !fate.leaves_nothing() {
            self.ledger.said(who, text);
        }
    }

    fn go(&mut self, next: Next, most: usize, fate: Fate) {
        let node = match next {
            Next::Connect(who) | Next::Up(who) | Next::Down(who) | Next::Share(who) => &self.world.nodes[who],
        };
        if !matches!(next, Next::Connect(_)) || (node.wire.is_none() && node.wants_online) {
            self.world.take(next, most, fate);
        }
    }

    fn cut(&mut self, who: usize, noticed: bool) {
        if noticed {
            return self.world.cut(who);
        }
        if let Some(wire) = self.world.nodes[who].wire.take() {
            self.ghosts.push(wire.line);
            self.world.lost(who);
        }
    }

    fn server(&mut self, up: bool) {
        if up == self.world.server.is_up() {
            return;
        }
        if up {
            return self.world.server.start();
        }
        self.ghosts.clear();
        self.world.server.crash();
        for who in 0..self.world.nodes.len() {
            self.world.cut(who);
        }
    }

    /// Time passes for everybody, and what is due meanwhile happens; nothing arrives.
    fn wait(&mut self, millis: u64) {
        self.stalled += Duration::from_millis(millis);
        let until = self.world.now + Duration::from_millis(millis);
        // somebody with something due at once and always would keep the time from passing
        for _ in 0..1_000 {
            let Some(due) = self.world.next_deadline().filter(|due| *due <= until) else { break };
            self.world.wait_until(due.max(self.world.now));
            self.world.tick();
        }
        self.world.wait_until(until);
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MsgSend { from, to, fate } => write!(f, "{} sends to {}{fate}", NAMES[from], NAMES[to]),
            Self::Say { who, fate } => write!(f, "{} posts in the room{fate}", NAMES[who]),
            Self::Read { who, whom } => write!(f, "{} reads what {} wrote", NAMES[who], NAMES[whom]),
            Self::Go { next: Next::Connect(who), .. } => write!(f, "{} connects", NAMES[who]),
            Self::Go { next: Next::Up(who), .. } => write!(f, "a request of {} arrives", NAMES[who]),
            Self::Go { next: Next::Down(who), most, fate } => write!(f, "{} hears {most} at most{fate}", NAMES[who]),
            Self::Go { next: Next::Share(who), fate, .. } => write!(f, "{}'s RSA is done{fate}", NAMES[who]),
            Self::Carry { nth, carried } => write!(f, "waiting call {nth} of the server's database: {carried:?}"),
            Self::Cut { who, noticed: true } => write!(f, "{}'s connection breaks", NAMES[who]),
            Self::Cut { who, .. } => write!(f, "{}'s connection breaks, unnoticed by the server", NAMES[who]),
            Self::Online { who, online } => {
                write!(f, "{} goes {}", NAMES[who], if online { "online" } else { "offline" })
            }
            Self::Crash { who } => write!(f, "{}'s daemon dies and starts", NAMES[who]),
            Self::Away { away } => write!(f, "the server's database is {}", if away { "away" } else { "back" }),
            Self::Server { up } => write!(f, "the server {}", if up { "starts" } else { "dies" }),
            Self::Wait { millis } => write!(f, "{millis} ms pass"),
            Self::Jump { who, millis } => write!(f, "{}'s clock jumps by {millis} ms", NAMES[who]),
            Self::Again { who, nth } => write!(f, "{} gets delivery {nth} once more", NAMES[who]),
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "",
            Self::NotStored => " while the disk is full",
            Self::DiesBefore => ", and the daemon dies before the commit",
            Self::DiesAfter => ", and the daemon dies after the commit",
        })
    }
}
