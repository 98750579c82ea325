//! Some engines, a server, a network between them and a clock that moves when told.
//!
//! Everything that could happen next is drawn from one seed, so that a failure is repeated by its number.

use std::collections::VecDeque;
use std::time::Duration;

use chat_protocol::fixtures::first_device;
use chat_protocol::ids::{DeviceId, MessageId, Username};
use chat_protocol::message::client::Request;
use chat_protocol::message::server::{Code, Deliver, LoggedIn, Push, Refusal};
use chat_protocol::rpc::events::ConnectionChanged;
use chat_protocol::rpc::types::{ConnectionState, MessageState};
use chat_protocol::rpc::{Event, EventBody};
use chat_protocol::session::init::{Init, open_share};
use chat_protocol::time::Timestamp;
use chatd::engine::commands::{self, Send, Sent, To};
use chatd::engine::history::{self, Message};
use chatd::engine::sessions::Marks;
use chatd::engine::{Action, Engine, EngineError, Input, Local, Turn, events, view};
use chatd::store::{Direction, MemoryRows};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::server::{Pushes, Server};

/// When every world begins.
const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Something the server says on one connection.
#[derive(Debug)]
enum Down {
    LoggedIn(LoggedIn),
    Answer(u64, Result<Vec<u8>, Refusal>),
    Push(Push),
    /// The server ended the connection.
    End,
}

/// A connection: what is under way in either direction.
#[derive(Debug, Default)]
struct Wire {
    up: VecDeque<(u64, u16, Vec<u8>)>,
    down: VecDeque<Down>,
    ended: bool,
}

/// A daemon without its process: what was committed, and what would be lost with it.
pub struct Node {
    pub user: Username,
    pub device: DeviceId,
    pub rows: MemoryRows,
    pub engine: Engine,
    /// Ids of all requests since the process began.
    pub asked: Vec<u64>,
    pub local: Local,
    wire: Option<Wire>,
    wants_online: bool,
    /// Why the server did not let it in.
    pub refused: Option<Code>,
    /// Its RSA takes for ever.
    pub slow: bool,
    /// How far its clock is ahead of the server's, in milliseconds.
    pub ahead_ms: i64,
    shares: VecDeque<(u64, Box<Init>)>,
}

pub struct World {
    pub now: Timestamp,
    pub server: Server,
    pub nodes: Vec<Node>,
    rng: StdRng,
    seed: u64,
    /// One in so many steps cuts a connection; 0 for none.
    pub cuts: u32,
    /// One in so many inputs ends in a crash; 0 for none.
    pub crashes: u32,
}

/// What the network or a daemon could do next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Up(usize),
    Down(usize),
    Share(usize),
    Connect(usize),
}

impl World {
    pub fn new() -> Self {
        Self::seeded(1)
    }

    pub fn seeded(seed: u64) -> Self {
        println!("world with seed {seed}");
        let rng = StdRng::seed_from_u64(seed);
        Self { now: BEGIN, server: Server::default(), nodes: Vec::new(), rng, seed, cuts: 0, crashes: 0 }
    }

    /// Adds a user with one device, online.
    pub fn user(&mut self, name: &str) -> usize {
        let index = self.nodes.len();
        self.user_with_keys(name, index)
    }

    /// Adds a user whose device has the test keys `keys`.
    pub fn user_with_keys(&mut self, name: &str, keys: usize) -> usize {
        let user: Username = name.parse().unwrap();
        let first = first_device(&user, keys, self.now);
        let device = first.cert.id();
        let entries = first.log.entries_from(0).map(<[u8]>::to_vec).collect();
        self.server.enrol(&user, device, entries, first.log.head());
        self.node(Local { user, device, cert: first.cert, keys: first.keys, log: first.log })
    }

    /// Adds a daemon, online.
    pub fn node(&mut self, local: Local) -> usize {
        self.nodes.push(Node {
            user: local.user.clone(),
            device: local.device,
            rows: MemoryRows::new(),
            engine: Engine::new(local.clone()),
            asked: Vec::new(),
            local,
            wire: None,
            wants_online: true,
            refused: None,
            shares: VecDeque::new(),
            slow: false,
            ahead_ms: 0,
        });
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
            let state = ConnectionState::Offline;
            let change = ConnectionChanged { state, reason: None, next_retry_ms: None };
            self.feed(who, vec![Input::NotOnline(change)]);
        }
    }

    /// What its own clock says.
    pub fn clock(&self, who: usize) -> Timestamp {
        shifted(self.now, self.nodes[who].ahead_ms)
    }

    /// The process dies and is started again: only what was committed is left.
    pub fn crash(&mut self, who: usize) {
        let node = &mut self.nodes[who];
        node.wire = None;
        node.shares.clear();
        node.engine = Engine::new(node.local.clone());
        node.asked.clear();
    }

    /// The database is an older one; `noted` is what the daemon's file beside it says.
    pub fn restore(&mut self, who: usize, rows: MemoryRows, noted: Option<Marks>) {
        self.crash(who);
        self.nodes[who].rows = rows;
        self.feed(who, noted.map(Input::Witnessed).into_iter().chain([Input::Tick]).collect());
    }

    /// What a daemon asked arrives and has its effect; the answers are lost, and the process dies.
    pub fn crash_after_sending(&mut self, who: usize) {
        while self.nodes[who].wire.as_ref().is_some_and(|wire| !wire.up.is_empty()) {
            self.up(who);
        }
        self.crash(who);
    }

    /// Runs a command of the local socket, as the daemon would.
    pub fn command<T>(
        &mut self,
        who: usize,
        step: impl FnOnce(&mut Turn<'_>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let now = self.clock(who);
        let World { nodes, rng, .. } = self;
        let node = &mut nodes[who];
        let engine = &mut node.engine;
        let (result, mut actions) = node.rows.attempt(|rows| engine.turn(rows, now, rng, step))?;
        actions.extend(engine.pump(&mut node.rows, now, rng).unwrap());
        self.perform(who, actions);
        Ok(result)
    }

    pub fn try_send(&mut self, who: usize, to: To, text: &str, client_id: Option<&str>) -> Result<Sent, EngineError> {
        self.submit(who, Send { client_id: client_id.map(str::to_owned), ..Send::text(to, text.to_owned()) })
    }

    pub fn submit(&mut self, who: usize, send: Send) -> Result<Sent, EngineError> {
        self.command(who, |turn| commands::send(turn, send))
    }

    pub fn send(&mut self, who: usize, to: usize, text: &str) -> MessageId {
        let to = To::User(self.nodes[to].user.clone());
        self.try_send(who, to, text, None).unwrap().id
    }

    pub fn say(&mut self, who: usize, text: &str) -> MessageId {
        self.try_send(who, To::Room, text, None).unwrap().id
    }

    /// One batch for a daemon: handled, committed, performed; or ended by a crash at one of the seams.
    fn feed(&mut self, who: usize, inputs: Vec<Input>) {
        let fate = if self.crashes == 0 { 0 } else { self.rng.random_range(0..self.crashes * 2) };
        let now = self.clock(who);
        let World { nodes, rng, .. } = self;
        let node = &mut nodes[who];
        let before = node.rows.clone();
        let mut actions = Vec::new();
        for input in inputs {
            let engine = &mut node.engine;
            actions.extend(node.rows.attempt(|rows| engine.handle(rows, input, now, rng)).unwrap());
        }
        actions.extend(node.engine.pump(&mut node.rows, now, rng).unwrap());
        match fate {
            1 => {
                node.rows = before;
                self.crash(who);
            }
            2 => self.crash(who),
            _ => self.perform(who, actions),
        }
    }

    fn perform(&mut self, who: usize, actions: Vec<Action>) {
        let node = &mut self.nodes[who];
        for action in actions {
            match action {
                Action::Request { id, number, payload } => {
                    node.asked.push(id);
                    if let Some(wire) = node.wire.as_mut().filter(|wire| !wire.ended) {
                        wire.up.push_back((id, number, payload));
                    }
                }
                Action::OpenShare { job, init } => node.shares.push_back((job, init)),
                Action::Presence { .. } | Action::Count(_) => {}
            }
        }
    }

    fn possible(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (who, node) in self.nodes.iter().enumerate() {
            match &node.wire {
                None if node.wants_online => steps.push(Step::Connect(who)),
                None => {}
                Some(wire) => {
                    steps.extend((!wire.up.is_empty()).then_some(Step::Up(who)));
                    steps.extend((!wire.down.is_empty()).then_some(Step::Down(who)));
                }
            }
            steps.extend((!node.shares.is_empty() && !node.slow).then_some(Step::Share(who)));
        }
        steps
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Connect(who) => self.connect(who),
            Step::Up(who) => self.up(who),
            Step::Down(who) => self.down(who),
            Step::Share(who) => self.share(who),
        }
        if self.cuts > 0 && self.rng.random_range(0..self.cuts) == 0 {
            let who = self.rng.random_range(0..self.nodes.len());
            self.cut(who);
        }
    }

    fn connect(&mut self, who: usize) {
        let node = &mut self.nodes[who];
        match self.server.login(&node.user, &node.device) {
            Ok((logged_in, pushes)) => {
                let pushes = pushes.into_iter().map(Down::Push);
                let down = std::iter::once(Down::LoggedIn(logged_in)).chain(pushes).collect();
                node.wire = Some(Wire { down, ..Wire::default() });
            }
            Err(refusal) => (node.wants_online, node.refused) = (false, Some(refusal.code)),
        }
    }

    fn up(&mut self, who: usize) {
        let node = &mut self.nodes[who];
        let Some((id, number, payload)) = node.wire.as_mut().and_then(|wire| wire.up.pop_front()) else { return };
        let request = Request::decode(number, &payload).unwrap();
        let (answer, pushes) = self.server.answer(&node.user, &node.device, request, self.now);
        if let Some(wire) = &mut node.wire {
            wire.down.push_back(Down::Answer(id, answer));
        }
        self.tell(pushes);
    }

    /// The server pushes, then ends the connections of those it revoked meanwhile.
    pub fn tell(&mut self, pushes: Pushes) {
        for (device, push) in pushes {
            self.push(&device, push);
        }
        for device in std::mem::take(&mut self.server.ended) {
            if let Some(wire) = self.wire_of(&device) {
                wire.up.clear();
                wire.down.push_back(Down::End);
                wire.ended = true;
            }
        }
    }

    fn wire_of(&mut self, device: &DeviceId) -> Option<&mut Wire> {
        self.nodes.iter_mut().find(|node| node.device == *device).and_then(|node| node.wire.as_mut())
    }

    /// The server pushes something to a device, if it is connected.
    pub fn push(&mut self, device: &DeviceId, push: Push) {
        if let Some(wire) = self.wire_of(device).filter(|wire| !wire.ended) {
            wire.down.push_back(Down::Push(push));
        }
    }

    fn down(&mut self, who: usize) {
        let offset_ms = -self.nodes[who].ahead_ms;
        let Some(wire) = &mut self.nodes[who].wire else { return };
        let (mut inputs, mut ended) = (Vec::new(), false);
        let most = self.rng.random_range(1..4);
        while inputs.len() < most {
            let Some(down) = wire.down.pop_front() else { break };
            inputs.push(match down {
                Down::LoggedIn(logged_in) => Input::Online { logged_in, offset_ms },
                Down::Answer(id, result) => Input::Answer { id, result },
                Down::Push(push) => Input::Push(push),
                Down::End => {
                    ended = true;
                    break;
                }
            });
        }
        self.feed(who, inputs);
        if ended {
            self.cut(who);
        }
    }

    fn share(&mut self, who: usize) {
        let Some((job, init)) = self.nodes[who].shares.pop_front() else { return };
        let rejection = chat_protocol::crypto::secret::SecretBytes::new([9; 32]);
        let share = open_share(&init, &self.nodes[who].local.keys.decryption, &rejection, &mut self.rng);
        self.feed(who, vec![Input::ShareOpened { job, share }]);
    }

    /// Lets things happen until a connection is logged in.
    pub fn step_until_online(&mut self, who: usize) {
        while !self.nodes[who].engine.is_online() {
            let steps = self.possible();
            let step = steps[self.rng.random_range(0..steps.len())];
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
                    self.now = until;
                    return;
                };
                self.now = self.now.max(due);
                self.tick();
            } else {
                let step = steps[self.rng.random_range(0..steps.len())];
                self.step(step);
            }
        }
        panic!("the world with seed {} does not come to rest", self.seed);
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let by_the_server = |node: &Node| Some(shifted(node.engine.deadline()?, -node.ahead_ms));
        self.nodes.iter().filter_map(by_the_server).min()
    }

    fn tick(&mut self) {
        for who in 0..self.nodes.len() {
            if self.nodes[who].engine.deadline().is_some_and(|due| due <= self.clock(who)) {
                self.feed(who, vec![Input::Tick]);
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
        (0..self.nodes.len()).for_each(|who| self.feed(who, vec![Input::Tick]));
        self.advance(Duration::from_secs(15 * 60));
    }

    /// The messages of others in a chat, oldest first.
    pub fn chat(&self, who: usize, chat: &str) -> Vec<Message> {
        let page = history::page(&self.nodes[who].rows, chat, 0..=u64::MAX, Direction::Ascending, usize::MAX).unwrap();
        page.into_iter().map(|(_, message)| message).collect()
    }

    /// Every private message of others, as `name: text`, in the order it was shown.
    pub fn inbox(&self, who: usize) -> Vec<String> {
        let rows = &self.nodes[who].rows;
        let chats = history::chats(rows, usize::MAX).unwrap();
        let mut found: Vec<_> = chats
            .iter()
            .filter(|chat| chat.id.starts_with('@'))
            .flat_map(|chat| history::page(rows, &chat.id, 0..=u64::MAX, Direction::Ascending, usize::MAX).unwrap())
            .filter(|(_, message)| !message.mine)
            .collect();
        found.sort_by_key(|(position, _)| *position);
        found.into_iter().map(|(_, message)| format!("{}: {}", message.from, message.text)).collect()
    }

    pub fn room(&self, who: usize) -> Vec<String> {
        self.chat(who, history::ROOM).into_iter().map(|message| format!("{}: {}", message.from, message.text)).collect()
    }

    pub fn state(&self, who: usize, id: MessageId) -> MessageState {
        let (_, message) = history::get(&self.nodes[who].rows, &id).unwrap().unwrap();
        view::state(message.state).unwrap()
    }

    pub fn events(&self, who: usize) -> Vec<Event> {
        events::after(&self.nodes[who].rows, 0, usize::MAX).unwrap()
    }

    pub fn count_events(&self, who: usize, is: impl Fn(&EventBody) -> bool) -> usize {
        self.events(who).iter().filter_map(Event::body).filter(|body| is(body)).count()
    }

    pub fn name(&self, who: usize) -> Username {
        self.nodes[who].user.clone()
    }

    /// Takes everything out of a device's mailbox that was not delivered yet.
    pub fn take_mailbox(&mut self, who: usize) -> Vec<Deliver> {
        let device = self.nodes[who].device;
        std::mem::take(&mut self.server.devices.get_mut(&device).unwrap().mailbox)
    }

    /// Hands an envelope to a device's mailbox in the name of another.
    pub fn deliver(&mut self, from: usize, to: usize, envelope: chat_protocol::message::Envelope) {
        let (user, device) = (self.name(from), self.nodes[from].device);
        let target = self.nodes[to].device;
        let deliver = self.server.store(&user, &device, target, envelope);
        self.push(&target, Push::Deliver(deliver));
    }

    /// Draws from the world's own chance.
    pub fn below(&mut self, bound: usize) -> usize {
        self.rng.random_range(0..bound)
    }
}

fn shifted(at: Timestamp, by_ms: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_add_signed(by_ms))
}
