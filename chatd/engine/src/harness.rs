//! The engine of a test, on rows in memory: time passes when it is told to, and each step is a transaction.

use std::time::Duration;

use chat_protocol::fixtures::first_device;
use chat_protocol::ids::{MessageId, Username};
use chat_protocol::rpc::types::{FailReason, MessageState, MsgSend};
use chat_protocol::time::{Reading, Timestamp};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;

use crate::commands::messages;
use crate::model::error::EngineError;
use crate::records::history;
use crate::store::MemoryRows;
use crate::txn::Txn;
use crate::txn::action::Action;
use crate::txn::live::Link;
use crate::txn::local::Local;
use crate::txn::open_requests::OpenRequests;
use crate::{Engine, Input};

/// When every test begins.
pub(crate) const BEGIN: Timestamp = Timestamp::from_millis(1_700_000_000_000);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Alice's daemon.
pub(crate) struct Harness {
    pub(crate) rows: MemoryRows,
    engine: Engine,
    at: Reading,
    rng: StdRng,
}

pub(crate) fn bob() -> Username {
    "bob".parse().unwrap()
}

impl Harness {
    pub(crate) fn new() -> Self {
        let user: Username = "alice".parse().unwrap();
        let device = first_device(&user, 0, BEGIN);
        let (cert, keys, log) = (device.cert, device.keys, device.log);
        let engine = Engine::new(Local { user, device: cert.id(), cert, keys, log });
        let at = Reading { wall: BEGIN, ran: Duration::ZERO };
        Self { rows: MemoryRows::new(), engine, at, rng: StdRng::seed_from_u64(7) }
    }

    /// Her account and device.
    pub(crate) fn me(&self) -> &Local {
        self.engine.me()
    }

    /// So much time passes, on both clocks.
    pub(crate) fn passes(&mut self, span: Duration) {
        self.at = Reading { wall: self.at.wall + span, ran: self.at.ran + span };
    }

    /// Somebody sets the clock.
    pub(crate) fn sets_clock(&mut self, to: Timestamp) {
        self.at.wall = to;
    }

    /// The process ends, and another one begins on the same rows.
    pub(crate) fn restarts(&mut self) {
        self.engine = Engine::new(self.engine.me().clone());
        self.engine.handle(&mut self.rows, Input::Tick, self.at, &mut self.rng).unwrap();
    }

    /// The link is logged in anew.
    pub(crate) fn comes_online(&mut self) {
        self.engine.live.link = Some(Link {
            offset_ms: 0,
            server_ahead_ms: 0,
            requests: OpenRequests::default(),
            pending_submits: Some(Timestamp::ZERO),
            deferred: Some(Timestamp::ZERO),
            acked: 0,
            delivered: 0,
            drained: true,
            synced: true,
            replayed: 0,
            room_last: 0,
            room_asked: 0,
        });
    }

    /// One transaction, and what it asks for.
    pub(crate) fn acts<T, E: Into<EngineError>>(
        &mut self,
        step: impl FnOnce(&mut Txn<'_>) -> Result<T, E>,
    ) -> (T, Vec<Action>) {
        let step = |txn: &mut Txn<'_>| step(txn).map_err(Into::into);
        self.engine.txn(&mut self.rows, self.at, &mut self.rng, step).unwrap()
    }

    /// One transaction.
    pub(crate) fn step<T, E: Into<EngineError>>(&mut self, step: impl FnOnce(&mut Txn<'_>) -> Result<T, E>) -> T {
        self.acts(step).0
    }

    /// After which time it wants to be woken.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        self.engine.due_in(self.at)
    }

    /// Sends a message, as a caller does.
    pub(crate) fn sends(&mut self, to: &str, text: &str) -> MessageId {
        let send: MsgSend = serde_json::from_value(json!({"to": to, "text": text})).unwrap();
        self.step(|txn| messages::send(txn, send)).id
    }

    /// How far a message has come, and why it failed.
    pub(crate) fn state(&self, id: &MessageId) -> (MessageState, Option<FailReason>) {
        let (_, message) = history::get(&self.rows, id).unwrap().unwrap();
        (message.state.unwrap(), message.error)
    }
}
