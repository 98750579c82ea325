//! Decides what the daemon does for the user and the server: what to send, to show, to retry, to refuse.
//!
//! Does no I/O, reads no clock and draws no randomness of its own: the daemon hands it rows, a reading of the
//! clocks and a generator with each [`Input`], and performs the [`Action`]s it returns once the rows are
//! committed. What it knows is in the rows; what it keeps beside them ([`txn::live::Live`]) is rebuilt
//! from them after a restart, so recovering from a crash is what this code always does.
//!
//! Each floor knows those below it and none above; within one, no file needs most of the others:
//!
//! ```text
//! drive      the connection, its answers and pushes, what is due
//! commands   what callers ask for
//! exchange   what comes: opened, in order, shown once; and what a changed account log brings about
//! queue      what goes: in line, composed, sealed, under way, sent again
//! sessions   ratchets on bytes alone, prekeys
//! peers      account logs: asked for, pinned, compared
//! records    history, events, contacts, settings, timers
//! txn        one transaction, and what is kept beside the rows
//! rows       every family of rows: where it is, its keys and values
//! model      errors
//! store      the rows it is handed
//! ```
//! A message goes `commands ─▶ records + queue ─▶ sessions ─▶ submit ─▶ accepted ─▶ receipts of the peer`, and comes
//! `deliver ─▶ exchange::inbox ─▶ sessions ─▶ content ─▶ reorder ─▶ records ─▶ acknowledgement`.
#![deny(clippy::disallowed_methods)]

pub mod commands;
mod drive;
mod exchange;
#[cfg(test)]
mod harness;
mod model;
pub mod peers;
mod queue;
mod records;
pub mod rows;
pub mod sessions;
pub mod store;
mod txn;

use std::time::Duration;

use chat_protocol::message::Answer;
use chat_protocol::message::server::{DeliveryId, LoggedIn, Push, Refusal};
use chat_protocol::rpc::events::ConnectionChanged;
use chat_protocol::session::init::Share;
use chat_protocol::time::{Reading, SeenTime};
use rand::CryptoRng;

pub use self::commands::{amend, contacts, profile, requests, trust};
pub use self::drive::link;
use self::exchange::inbox;
pub use self::exchange::{devices, own_log};
pub use self::model::error::EngineError;
pub use self::queue::{delays, outbox};
pub use self::records::{chats, consumers, events, history, kv, settings, tokens, view};
use self::records::{counted, device_tables};
use self::sessions::HighWater;
pub use self::txn::Txn;
pub use self::txn::action::{Action, Counted};
use self::txn::live::Live;
pub use self::txn::local::Local;
use self::txn::retention_clock;
use crate::store::Rows;

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// The link is logged in.
    Online {
        /// Where the server stands with this device.
        logged_in: LoggedIn,
        /// The server's clock less ours, in milliseconds.
        offset_ms: i64,
    },
    /// The link is not logged in, or no longer.
    NotOnline(ConnectionChanged),
    /// A request was answered.
    Answer {
        /// Which.
        id: u64,
        /// How.
        result: Result<Answer, Refusal>,
    },
    /// The server said something unasked.
    Push(Push),
    /// The RSA share of an INIT, opened; or its replacement, which nobody can tell apart.
    ShareOpened {
        /// Which, as in [`Action::OpenShare`].
        job: u64,
        /// The share.
        share: Share,
    },
    /// How far the database had come, as was noted beside it. To be said first.
    HighWater(HighWater),
    /// Time has passed: the deadline came, or the daemon has just started.
    Tick,
}

/// The heart of a daemon that has an account.
#[derive(Debug)]
pub struct Engine {
    me: Local,
    live: Live,
    /// Absent until the rows were looked at.
    seen: Option<SeenTime>,
}

impl Engine {
    /// An engine that knows nothing but its rows yet. Begin with [`Input::Tick`].
    #[must_use]
    pub fn new(me: Local) -> Self {
        Self { me, live: Live::default(), seen: None }
    }

    /// The account and device it speaks for.
    #[must_use]
    pub fn me(&self) -> &Local {
        &self.me
    }

    /// Forgets everything that is not in rows: what a restart would do.
    ///
    /// Needed when a transaction was not committed. The connection must be closed with it, since
    /// answers to its requests mean nothing any more.
    pub fn forget(&mut self) {
        self.live = Live { last_id: self.live.last_id, ..Live::default() };
        self.seen.iter_mut().for_each(SeenTime::not_kept);
    }

    /// Goes past a delivery that could not be handled: it is told, and not asked for again.
    ///
    /// To be called when [`Self::handle`] failed with anything but rows that cannot be written, since the next
    /// acknowledgement covers the delivery too.
    ///
    /// # Errors
    /// As [`Self::handle`].
    pub fn give_up(
        &mut self,
        rows: &mut dyn Rows,
        delivery: &DeliveryId,
        at: Reading,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<Action>, EngineError> {
        self.txn(rows, at, rng, |txn| inbox::given_up(txn, delivery)).map(|((), actions)| actions)
    }

    /// Handles one input. An error means that the rows it changed must not be committed.
    ///
    /// # Errors
    /// [`EngineError`]; after [`EngineError::Rows`] the engine has to [`Self::forget`].
    pub fn handle(
        &mut self,
        rows: &mut dyn Rows,
        input: Input,
        at: Reading,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<Action>, EngineError> {
        self.txn(rows, at, rng, |txn| dispatch(txn, input)).map(|((), actions)| actions)
    }

    /// Runs a command of the local socket; see [`commands`].
    ///
    /// # Errors
    /// Those of the command. Nothing that it changed may be committed then.
    pub fn txn<T>(
        &mut self,
        rows: &mut dyn Rows,
        at: Reading,
        rng: &mut dyn CryptoRng,
        step: impl FnOnce(&mut Txn<'_>) -> Result<T, EngineError>,
    ) -> Result<(T, Vec<Action>), EngineError> {
        let seen = match &mut self.seen {
            Some(seen) => seen,
            None => {
                device_tables::derive_missing(rows)?;
                counted::count_once(rows)?;
                self.seen.insert(retention_clock::begin(rows, at)?)
            }
        };
        let (now, last_id, live) = (seen.look(at), self.live.last_id, &mut self.live);
        let mut txn = Txn { rows, now, clock: at.wall, rng, me: &self.me, live, seen, actions: Vec::new() };
        let outcome = step(&mut txn).map(|outcome| (outcome, txn.into_actions()));
        if outcome.is_err() {
            self.live.take_back(last_id, now);
            self.seen.iter_mut().for_each(SeenTime::not_kept);
        }
        outcome
    }

    /// Sends, acknowledges and sweeps whatever is due: to be called once after each batch of inputs,
    /// within its transaction.
    ///
    /// # Errors
    /// As [`Self::handle`].
    pub fn pump(
        &mut self,
        rows: &mut dyn Rows,
        at: Reading,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<Action>, EngineError> {
        if self.due_in(at).is_some_and(|span| span.is_zero()) {
            self.live.wake = None;
        }
        self.txn(rows, at, rng, link::run_due).map(|((), actions)| actions)
    }

    /// After which time [`Input::Tick`] is due if nothing else happens before. A clock that is set meanwhile is noticed
    /// by whoever looks earlier.
    #[must_use]
    pub fn due_in(&self, at: Reading) -> Option<Duration> {
        let now = self.seen.as_ref()?.at(at);
        self.live.wake.map(|due| due.since(now))
    }

    /// Whether the link is logged in, as far as the engine was told.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.live.link.is_some()
    }
}

/// The table of contents: every input and who handles it.
fn dispatch(txn: &mut Txn<'_>, input: Input) -> Result<(), EngineError> {
    match input {
        Input::Online { logged_in, offset_ms } => link::online(txn, &logged_in, offset_ms),
        Input::NotOnline(change) => link::not_online(txn, change),
        Input::Answer { id, result } => link::answered(txn, id, result),
        Input::Push(push) => link::pushed(txn, push),
        Input::ShareOpened { job, share } => inbox::share_opened(txn, job, share),
        Input::HighWater(noted) => sessions::check_high_water(txn, &noted),
        Input::Tick => Ok(()),
    }
}
