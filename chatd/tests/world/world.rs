//! Some engines, the server, a network between them and a clock that moves when told.
//!
//! Everything that could happen next is drawn from one seed, so that a failure is repeated by its number.

use chat_protocol::rpc::{Kind, Target};
use std::time::Duration;

use chat_protocol::ids::{MessageId, Username};
use chat_protocol::message::Envelope;
use chat_protocol::message::server::{Deliver, Push};
use chat_protocol::rpc::events::ConnectionChanged;
use chat_protocol::rpc::types::{ConnectionState, MsgSend, Sent};
use chat_protocol::time::Timestamp;
use chat_server::config::Config;
use chatd::engine::sessions::HighWater;
use chatd::engine::store::MemoryRows;
use chatd::engine::{Action, EngineError, Input, Local, Txn, commands};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::disk::Disk;
use crate::node::Node;
use crate::people::first_device;
use crate::server::Server;

/// When every world begins.
pub const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub struct World {
    pub now: Timestamp,
    pub server: Server,
    pub nodes: Vec<Node>,
    /// What the engines draw from.
    pub rng: StdRng,
    /// What the world itself draws from.
    pub chance: StdRng,
    seed: u64,
    /// One in so many steps cuts a connection; 0 for none.
    pub cuts: u32,
    /// One in so many inputs ends in a crash; 0 for none.
    pub crashes: u32,
}

/// What the network or a daemon could do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Up(usize),
    Down(usize),
    Share(usize),
    Connect(usize),
}

/// What becomes of a batch of inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Committed, and what follows is done.
    Done,
    /// The disk is full: nothing is committed, and the connection is begun anew.
    NotStored,
    /// The process dies before the commit.
    DiesBefore,
    /// The process dies after the commit, before anything leaves.
    DiesAfter,
}

impl Fate {
    /// Whether nothing of the batch is committed.
    pub fn leaves_nothing(self) -> bool {
        matches!(self, Self::NotStored | Self::DiesBefore)
    }
}

impl World {
    pub fn new() -> Self {
        Self::seeded(1)
    }

    pub fn seeded(seed: u64) -> Self {
        println!("world with seed {seed}");
        Self::over(Server::new(Disk::new(), roomy(), BEGIN), seed, BEGIN)
    }

    /// A world around a server.
    pub fn over(server: Server, seed: u64, now: Timestamp) -> Self {
        let (rng, chance) = (StdRng::seed_from_u64(seed), StdRng::seed_from_u64(!seed));
        Self { now, server, nodes: Vec::new(), rng, chance, seed, cuts: 0, crashes: 0 }
    }

    /// Adds a user with one device, online.
    pub fn user(&mut self, name: &str) -> usize {
        let index = self.nodes.len();
        self.user_with_keys(name, index)
    }

    /// Adds a user whose device has the test keys `keys`.
    pub fn user_with_keys(&mut self, name: &str, keys: usize) -> usize {
        let local = first_device(&name.parse().unwrap(), keys, BEGIN);
        self.server.enrol(&local.log, &local.cert);
        self.node(local)
    }

    /// Adds a daemon, online.
    pub fn node(&mut self, local: Local) -> usize {
        self.nodes.push(Node::new(local, MemoryRows::new()));
        self.nodes.len() - 1
    }

    pub fn go_offline(&mut self, who: usize) {
        self.nodes[who].wants_online = false;
        self.cut(who);
    }

    pub fn come_online(&mut self, who: usize) {
        (self.nodes[who].wants_online, self.nodes[who].refused) = (true, None);
    }

    /// The connection breaks; what was under way is lost, some of it after it had its effect.
    pub fn cut(&mut self, who: usize) {
        if self.nodes[who].wire.take().is_some() {
            self.server.run();
            self.lost(who);
        }
    }

    /// A daemon notices that its connection is gone.
    pub fn lost(&mut self, who: usize) {
        let state = ConnectionState::Offline;
        let change = ConnectionChanged { state, reason: None, trouble: None, next_retry_ms: None };
        self.feed(who, vec![Input::NotOnline(change)], Fate::Done);
    }

    /// The process dies and is started again: only what was committed is left.
    pub fn crash(&mut self, who: usize) {
        self.nodes[who].restart();
        self.server.run();
        self.feed(who, vec![Input::Tick], Fate::Done);
    }

    /// The database is an older one; `noted` is what the daemon's file beside it says.
    pub fn restore(&mut self, who: usize, rows: MemoryRows, noted: Option<HighWater>) {
        self.nodes[who].restart();
        self.server.run();
        self.nodes[who].rows = rows;
        self.feed(who, noted.map(Input::HighWater).into_iter().chain([Input::Tick]).collect(), Fate::Done);
    }

    /// Runs a command of the local socket, as the daemon would.
    pub fn command<T>(
        &mut self,
        who: usize,
        step: impl FnOnce(&mut Txn<'_>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        self.command_with(who, Fate::Done, step)
    }

    /// The same, with another fate. The result is what the caller would have heard had the process lived.
    pub fn command_with<T>(
        &mut self,
        who: usize,
        fate: Fate,
        step: impl FnOnce(&mut Txn<'_>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let World { nodes, rng, now, .. } = self;
        let node = &mut nodes[who];
        let at = node.reading(*now);
        let before = fate.leaves_nothing().then(|| node.rows.clone());
        let done = node.counting(|engine, rows| {
            let (result, mut actions) = rows.attempt(|rows| engine.txn(rows, at, rng, step))?;
            actions.extend(engine.pump(rows, at, rng).unwrap());
            Ok::<_, EngineError>((result, actions))
        });
        let (result, actions) = done?;
        self.end_batch(who, before, actions, fate);
        Ok(result)
    }

    pub fn try_send(
        &mut self,
        who: usize,
        to: Target,
        text: &str,
        client_id: Option<&str>,
    ) -> Result<Sent, EngineError> {
        self.submit(who, MsgSend { client_id: client_id.map(str::to_owned), ..MsgSend::text(to, text.to_owned()) })
    }

    pub fn submit(&mut self, who: usize, send: MsgSend) -> Result<Sent, EngineError> {
        self.command(who, |txn| commands::send(txn, send))
    }

    pub fn send(&mut self, who: usize, to: usize, text: &str) -> MessageId {
        let to = Target::User(self.nodes[to].user.clone());
        self.try_send(who, to, text, None).unwrap().id
    }

    pub fn say(&mut self, who: usize, text: &str) -> MessageId {
        self.try_send(who, Target::Room, text, None).unwrap().id
    }

    /// One batch for a daemon: handled, committed, performed; or what its fate is.
    pub fn feed(&mut self, who: usize, inputs: Vec<Input>, fate: Fate) {
        let World { nodes, rng, now, .. } = self;
        let node = &mut nodes[who];
        node.jumped = None;
        let at = node.reading(*now);
        let before = fate.leaves_nothing().then(|| node.rows.clone());
        let delivered: Vec<_> = inputs.iter().filter_map(mailbox_seq).collect();
        let actions = node.counting(|engine, rows| {
            let mut actions = Vec::new();
            for input in inputs {
                actions.extend(rows.attempt(|rows| engine.handle(rows, input, at, rng)).unwrap());
            }
            actions.extend(engine.pump(rows, at, rng).unwrap());
            actions
        });
        if before.is_none() {
            node.stored.extend(delivered);
        }
        self.end_batch(who, before, actions, fate);
    }

    fn end_batch(&mut self, who: usize, before: Option<MemoryRows>, actions: Vec<Action>, fate: Fate) {
        let node = &mut self.nodes[who];
        node.rows = before.unwrap_or_else(|| std::mem::take(&mut node.rows));
        match fate {
            Fate::Done => self.perform(who, actions),
            Fate::NotStored => {
                node.engine.forget();
                node.wire = None;
                self.server.run();
            }
            Fate::DiesBefore | Fate::DiesAfter => self.crash(who),
        }
    }

    fn perform(&mut self, who: usize, actions: Vec<Action>) {
        let node = &mut self.nodes[who];
        for action in actions {
            match action {
                Action::Request { id, number, payload } => {
                    node.asked.push(id);
                    if let Some(wire) = &mut node.wire {
                        wire.send(id, number, payload);
                    }
                }
                Action::OpenShare { job, init } => node.shares.push_back((job, init)),
                Action::Presence { .. } | Action::Count(_) => {}
            }
        }
    }

    /// Lets things happen until a connection is logged in.
    pub fn step_until_online(&mut self, who: usize) {
        while !self.nodes[who].engine.is_online() {
            let steps = self.possible();
            let step = steps[self.chance.random_range(0..steps.len())];
            self.step(step);
        }
    }

    /// Lets everything happen that needs no waiting but for a moment.
    pub fn settle(&mut self) {
        self.advance(Duration::from_secs(1));
    }

    /// Lets time pass, and everything happen that happens meanwhile.
    pub fn advance(&mut self, span: Duration) {
        let until = self.now + span;
        for _ in 0..200_000 {
            let steps = self.possible();
            if steps.is_empty() {
                let Some(due) = self.next_deadline().filter(|due| *due <= until) else {
                    return self.wait_until(until);
                };
                self.wait_until(due);
                self.tick();
            } else {
                let step = steps[self.chance.random_range(0..steps.len())];
                self.step(step);
            }
        }
        panic!("the world with seed {} does not come to rest", self.seed);
    }

    /// Only the clocks move.
    pub fn wait_until(&mut self, at: Timestamp) {
        let span = at.since(self.now);
        if !span.is_zero() {
            self.now = at;
            self.server.advance(span);
        }
    }

    /// When somebody has something to do by itself.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.nodes.iter().filter_map(|node| node.deadline(self.now)).min()
    }

    pub fn tick(&mut self) {
        for who in 0..self.nodes.len() {
            if self.nodes[who].deadline(self.now).is_some_and(|due| due <= self.now) {
                self.feed(who, vec![Input::Tick], Fate::Done);
            }
        }
    }

    /// Runs with every disturbance off until all is quiet.
    pub fn calm(&mut self) {
        (0..self.nodes.len()).for_each(|who| self.come_online(who));
        self.calm_as_it_is();
    }

    /// The same, for those who are there.
    pub fn calm_as_it_is(&mut self) {
        (self.cuts, self.crashes) = (0, 0);
        (0..self.nodes.len()).for_each(|who| self.feed(who, vec![Input::Tick], Fate::Done));
        self.advance(Duration::from_secs(15 * 60));
        self.nodes.iter().for_each(Node::assert_tables_follow_their_pins);
    }

    /// Whose mailbox takes nothing, until it does again.
    pub fn fill_mailbox(&mut self, who: usize, full: bool) {
        self.server.disk.set_full(self.nodes[who].device, full);
    }

    /// Takes everything out of a device's mailbox that it has not got.
    pub fn take_mailbox(&mut self, who: usize) -> Vec<Deliver> {
        let held = self.server.mail(self.nodes[who].device);
        self.server.lose_mail();
        held
    }

    /// Hands an envelope to a device's mailbox in the name of another.
    pub fn deliver(&mut self, from: usize, to: usize, envelope: Envelope) {
        let (from, to) = (&self.nodes[from], &self.nodes[to]);
        self.server.place(from.device, (&to.user, to.device), envelope);
    }

    pub fn name(&self, who: usize) -> Username {
        self.nodes[who].user.clone()
    }

    /// Draws from the world's own chance.
    pub fn below(&mut self, bound: usize) -> usize {
        self.chance.random_range(0..bound)
    }
}

fn mailbox_seq(input: &Input) -> Option<u64> {
    if let Input::Push(Push::Deliver(deliver)) = input { Some(deliver.mailbox_seq) } else { None }
}

/// A server whose limits are in nobody's way.
pub fn roomy() -> Config {
    let mut config = Config::default();
    let rates = &mut config.rates;
    (rates.bundle_fetches_per_hour, rates.one_time_keys_per_hour) = (1_000_000, 1_000_000);
    (rates.submits_burst, rates.submits_per_minute) = (1_000_000, 1_000_000);
    (rates.envelopes_per_minute, rates.submit_bytes_per_minute) = (10_000_000, 100_000_000);
    rates.group_appends_per_hour = 1_000_000;
    rates.lookups_per_minute = 1_000_000;
    (rates.room_posts_per_minute, rates.room_bytes_per_minute) = (1_000_000, 100_000_000);
    config
}

/// Alice and bob, each with a message of the other.
pub fn acquainted() -> (World, usize, usize) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.send(alice, bob, "hello");
    world.settle();
    world.send(bob, alice, "hi");
    world.settle();
    (world, alice, bob)
}

/// Whether a call broke a rule of this kind.
pub fn is_refused<T>(outcome: &Result<T, EngineError>, kind: Kind) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == Some(kind))
}

/// Whether a call was refused for this parameter.
pub fn is_invalid<T>(outcome: &Result<T, EngineError>, parameter: &str) -> bool {
    is_refused(outcome, Kind::InvalidParams)
        && outcome.as_ref().is_err_and(|error| error.parameter() == Some(parameter))
}

/// Whether what was compared is refused with the warning that somebody may be in the middle.
pub fn warns_of_a_middle<T>(outcome: &Result<T, EngineError>) -> bool {
    let warns = |error: &EngineError| match error {
        EngineError::Refused(refused) => refused.hint.as_ref().is_some_and(|hint| hint.contains("in the middle")),
        EngineError::Rows(_) => false,
    };
    is_refused(outcome, Kind::IdentityUnverified) && outcome.as_ref().is_err_and(warns)
}
