//! A daemon without its process: what was committed, and what would be lost with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::fixtures::counts;
use chat_protocol::frame::{FrameKind, decode_frames};
use chat_protocol::ids::{DeviceId, SubmitId, Username};
use chat_protocol::message::Call;
use chat_protocol::message::client::{Login, Request};
use chat_protocol::message::server::{Code, Deliver, LoggedIn, Push, Refusal};
use chat_protocol::session::init::Init;
use chat_protocol::time::{Reading, Timestamp};
use chat_server::fixtures::Line;
use chat_server::router::outbox::Batch;
use chatd::engine::peers::{self, DeviceTable};
use chatd::engine::store::{MemoryRows, Rows, Table};
use chatd::engine::{Engine, Local};
use futures_util::FutureExt;

use crate::world::BEGIN;

/// Requests that a link holds before the network takes them.
const LINK_ROOM: usize = 256;
/// A daemon sleeps no longer.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Something the server says on one connection.
#[derive(Debug)]
pub enum Down {
    LoggedIn(LoggedIn),
    Refused(Refusal),
    /// To a request, by its id and its type.
    Answer(u64, u16, Result<Vec<u8>, Refusal>),
    Push(Push),
    /// The server ended the connection.
    End,
}

/// A connection: what is under way in either direction.
#[derive(Debug)]
pub struct Wire {
    pub line: Line,
    pub up: VecDeque<(u64, u16, Vec<u8>)>,
    pub down: VecDeque<Down>,
    /// The server reads and says nothing more.
    pub ended: bool,
    /// Submits and posts the server was asked for, by request.
    pub submits: BTreeMap<u64, SubmitId>,
    /// Requests whose answer the daemon has not heard, now and at most.
    pub open: usize,
    pub most_open: usize,
}

impl Wire {
    pub fn new(line: Line) -> Self {
        let (up, down, submits) = (VecDeque::new(), VecDeque::new(), BTreeMap::new());
        Self { line, up, down, ended: false, submits, open: 0, most_open: 0 }
    }

    /// The daemon sends a request.
    pub fn send(&mut self, id: u64, number: u16, payload: Vec<u8>) {
        if self.ended {
            return;
        }
        assert!(self.up.len() < LINK_ROOM, "the link is full, and the connection would be begun anew");
        self.up.push_back((id, number, payload));
        self.open += 1;
        self.most_open = self.most_open.max(self.open);
    }

    /// The server writes all it has to say; whether that was anything.
    pub fn fill(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let Some(batch) = self.line.outbox.next().now_or_never() else { return false };
        self.take(&batch);
        true
    }

    /// Notes what a request hands over.
    pub fn note(&mut self, id: u64, number: u16, payload: &[u8]) {
        let submit_id = match Request::decode(number, payload) {
            Ok(Request::Submit(submit)) => submit.submit_id,
            Ok(Request::RoomPost(post)) => post.submit_id,
            _ => return,
        };
        self.submits.insert(id, submit_id);
    }

    fn take(&mut self, batch: &Batch) {
        for frame in batch.frames.iter().flat_map(|frames| decode_frames(frames).unwrap()) {
            let login = frame.id == 0 && frame.number == Login::TYPE;
            self.down.push_back(match frame.kind {
                FrameKind::Ok if login => Down::LoggedIn(cbor::decode(&frame.payload).unwrap()),
                FrameKind::Error if login => Down::Refused(cbor::decode(&frame.payload).unwrap()),
                FrameKind::Ok => Down::Answer(frame.id, frame.number, Ok(frame.payload)),
                FrameKind::Error => Down::Answer(frame.id, frame.number, Err(cbor::decode(&frame.payload).unwrap())),
                FrameKind::Push => Down::Push(Push::decode(frame.number, &frame.payload).unwrap().unwrap()),
                FrameKind::Request => panic!("the server asked something"),
            });
        }
        if batch.close.is_some() {
            self.down.push_back(Down::End);
            self.ended = true;
            self.up.clear();
        }
    }
}

pub struct Node {
    pub user: Username,
    pub device: DeviceId,
    pub rows: MemoryRows,
    pub engine: Engine,
    pub local: Local,
    pub wire: Option<Wire>,
    pub wants_online: bool,
    /// Why the server did not let it in.
    pub refused: Option<Code>,
    /// Its RSA takes for ever.
    pub slow: bool,
    pub shares: VecDeque<(u64, Arc<Init>)>,
    /// How many of them it opened.
    pub opened: usize,
    /// Ids of all requests since the process began.
    pub asked: Vec<u64>,
    /// How far its clock is ahead of the server's, in milliseconds.
    pub ahead_ms: i64,
    /// When its clock jumped and was not looked at since.
    pub jumped: Option<Timestamp>,
    /// Deliveries whose batch was committed.
    pub stored: BTreeSet<u64>,
    /// Deliveries that came over the wire.
    pub heard: Vec<Deliver>,
    /// What its engine and its rows allocated so far.
    pub allocations: u64,
}

impl Node {
    pub fn new(local: Local, rows: MemoryRows) -> Self {
        Self {
            user: local.user.clone(),
            device: local.device,
            rows,
            engine: Engine::new(local.clone()),
            local,
            wire: None,
            wants_online: true,
            refused: None,
            slow: false,
            shares: VecDeque::new(),
            opened: 0,
            asked: Vec::new(),
            ahead_ms: 0,
            jumped: None,
            stored: BTreeSet::new(),
            heard: Vec::new(),
            allocations: 0,
        }
    }

    /// The world's time as this machine's clock shows it.
    pub fn clock(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(now.as_millis().saturating_add_signed(self.ahead_ms))
    }

    /// Both clocks of this machine, of which nobody sets the one.
    pub fn reading(&self, now: Timestamp) -> Reading {
        Reading { wall: self.clock(now), ran: now.since(BEGIN) }
    }

    /// When something is due by itself, in the world's time.
    pub fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let due = now + self.engine.due_in(self.reading(now))?;
        // the daemon looks every minute, which matters when its clock was set
        Some(self.jumped.map_or(due, |jumped| due.min(jumped + LONGEST_SLEEP)))
    }

    /// Lets the engine do something, and counts what that allocates.
    pub fn counting<T>(&mut self, step: impl FnOnce(&mut Engine, &mut MemoryRows) -> T) -> T {
        let mut done = None;
        let counted = allocation_counter::measure(|| done = Some(step(&mut self.engine, &mut self.rows)));
        self.allocations += counted.count_total;
        done.unwrap()
    }

    /// For each pin there is its table, and no other; for each entry of its log a head.
    pub fn assert_tables_follow_their_pins(&self) {
        counts::apart(|| {
            let pins = peers::all(&self.rows).unwrap();
            assert_eq!(self.rows.count(Table::Peers, b"devices").unwrap(), pins.len() as u64, "{}", self.user);
            for pin in pins {
                let (user, log) = (&pin.user, &pin.pinned.log);
                let rows = |label: &str| self.rows.count(Table::Peers, format!("{label}:{user}").as_bytes()).unwrap();
                let revoked = log.devices().iter().filter(|device| device.revoked.is_some()).count() as u64;
                assert_eq!((rows("head"), rows("revoked")), (log.head().seq + 1, revoked), "{}: {user}", self.user);
                let table = peers::table_of(&self.rows, user).unwrap();
                assert_eq!(table, Some(DeviceTable::of(&pin)), "{}", self.user);
            }
        });
    }

    /// What was in memory is gone.
    pub fn restart(&mut self) {
        self.wire = None;
        self.shares.clear();
        self.asked.clear();
        self.engine = Engine::new(self.local.clone());
    }
}
