//! Decides what the daemon owes the user and the server: what to send, to show, to retry, to refuse.
//!
//! Does no I/O, reads no clock and draws no randomness of its own: the daemon hands it rows, a reading of the
//! clocks and a generator with each [`Input`], and performs the [`Action`]s it returns once the rows are
//! committed. What it knows is in the rows; what it keeps beside them ([`turn::Live`]) is rebuilt
//! from them after a restart, so recovering from a crash is what this code always does.
//!
//! ```text
//! commands ─▶ history + outbox ─▶ sessions ─▶ submit ─▶ accepted ─▶ receipts of the peer
//! deliver  ─▶ inbox ─▶ sessions ─▶ content ─▶ order ─▶ history + events ─▶ acknowledgement
//! ```
#![deny(clippy::disallowed_methods)]

mod age;
pub mod amend;
mod changes;
pub mod chats;
pub mod commands;
pub mod consumers;
pub mod contacts;
mod content;
pub mod devices;
pub mod events;
pub mod history;
mod inbox;
pub mod kv;
pub mod link;
mod mailbox;
mod order;
pub mod outbox;
pub mod own_log;
pub mod peers;
mod prekeys;
pub mod profile;
mod receipts;
mod retention;
mod room;
pub mod sessions;
pub mod settings;
mod siblings;
mod state;
mod timers;
pub mod tokens;
mod turn;
pub mod view;

use std::time::Duration;

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::device::{DeviceCert, DeviceKeys};
use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::server::{Deliver, LoggedIn, Push, Refusal};
use chat_protocol::rpc::events::ConnectionChanged;
use chat_protocol::session::init::{Init, Share};
use chat_protocol::time::{Reading, SeenTime};
use rand::CryptoRng;
use thiserror::Error;

use crate::store::{Rows, RowsError};
use sessions::Marks;
use turn::Live;
pub use turn::Turn;

/// The account and device this engine speaks for. RSA decryption is never done here: it is an [`Action`].
#[derive(Clone)]
pub struct Local {
    /// Account.
    pub user: Username,
    /// This device.
    pub device: DeviceId,
    /// Its certificate.
    pub cert: DeviceCert,
    /// Its long-term keys.
    pub keys: DeviceKeys,
    /// The own account log as it stood when the account was entered.
    pub log: AccountLog,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Local({} {})", self.user, self.device)
    }
}

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
        result: Result<Vec<u8>, Refusal>,
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
    Witnessed(Marks),
    /// Time has passed: the deadline came, or the daemon has just started.
    Tick,
}

/// Something to be done once the rows are committed, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a request on the present connection; dropped if that is gone.
    Request {
        /// Id the answer will carry.
        id: u64,
        /// Request type.
        number: u16,
        /// CBOR.
        payload: Vec<u8>,
    },
    /// Open an RSA share and hand in the result, canonical or replaced, as [`Input::ShareOpened`].
    OpenShare {
        /// Which.
        job: u64,
        /// What carries it.
        init: Box<Init>,
    },
    /// Count something that was stored.
    Count(Counted),
    /// Tell whoever listens now who came and who went.
    Presence {
        /// Now online.
        online: Vec<Username>,
        /// Now offline.
        offline: Vec<Username>,
    },
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// An event of this type was appended to the log.
    Event(&'static str),
    /// An own message entered the history.
    Sent,
    /// A message of somebody else did.
    Received,
    /// A message could not be opened.
    Undecryptable,
}

/// Why an input had no effect.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The rows could not be read or written. The engine has to be started again.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// Something in the rows contradicts itself.
    #[error("damaged in the database: {0}")]
    Damaged(&'static str),
    /// No such account, as far as is known here.
    #[error("no such user")]
    UnknownUser,
    /// No such message or chat.
    #[error("no such message or chat")]
    NotFound,
    /// The peer's identity is not the one known.
    #[error("the identity of {0} changed")]
    IdentityChanged(Username),
    /// The peer's identity was not compared.
    #[error("the identity of {0} was not compared")]
    Unverified(Username),
    /// A parameter is out of its bounds.
    #[error("{0} {1}")]
    Invalid(&'static str, &'static str),
    /// A post in the public room, which the server keeps as it is.
    #[error("posts of the public room cannot be changed")]
    Post,
    /// The user wants to hear nothing of them.
    #[error("{0} is blocked")]
    Blocked(Username),
    /// Something of this name is there.
    #[error("{0}")]
    Taken(&'static str),
    /// There are as many as there may be.
    #[error("{0}")]
    Full(&'static str),
    /// The value has another version.
    #[error("the version is {0}")]
    Version(u64),
    /// Somebody else's message, or one that cannot be changed.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// It has gone too far, or has ended.
    #[error("{0}")]
    TooLate(&'static str),
    /// The text is empty.
    #[error("the text is empty")]
    Empty,
    /// The text is too long.
    #[error("the text has {len} bytes, at most {max} are possible")]
    TooLong {
        /// Bytes it has.
        len: usize,
        /// Bytes it may have.
        max: usize,
    },
    /// The same client id with another body.
    #[error("this client_id was used for another message")]
    IdempotencyMismatch,
    /// Too much waits to be sent.
    #[error("too many messages wait to be sent")]
    QueueFull,
    /// No consumer of that name.
    #[error("there is no such consumer")]
    UnknownConsumer,
    /// An event that has not happened.
    #[error("the log ends at {0}")]
    BeyondLog(u64),
    /// No such device of the account.
    #[error("{0}")]
    NoDevice(&'static str),
    /// The digits are not those of the device.
    #[error("these are not the digits of this device: if its screen shows them, somebody is in between")]
    Digits,
    /// What was named is not what is known.
    #[error("not the identity that is known here")]
    Conflict,
    /// What was compared belongs to no identity of the peer.
    #[error("{0}")]
    NotTheirs(&'static str),
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
        deliver: &Deliver,
        at: Reading,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<Action>, EngineError> {
        self.turn(rows, at, rng, |turn| inbox::given_up(turn, deliver)).map(|((), actions)| actions)
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
        self.turn(rows, at, rng, |turn| dispatch(turn, input)).map(|((), actions)| actions)
    }

    /// Runs a command of the local socket; see [`commands`].
    ///
    /// # Errors
    /// Those of the command. Nothing that it changed may be committed then.
    pub fn turn<T>(
        &mut self,
        rows: &mut dyn Rows,
        at: Reading,
        rng: &mut dyn CryptoRng,
        step: impl FnOnce(&mut Turn<'_>) -> Result<T, EngineError>,
    ) -> Result<(T, Vec<Action>), EngineError> {
        let seen = match &mut self.seen {
            Some(seen) => seen,
            None => self.seen.insert(age::begin(rows, at)?),
        };
        let (now, last_id, live) = (seen.look(at), self.live.last_id, &mut self.live);
        let mut turn = Turn { rows, now, clock: at.wall, rng, me: &self.me, live, seen, actions: Vec::new() };
        let outcome = step(&mut turn).map(|outcome| (outcome, turn.actions));
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
        self.turn(rows, at, rng, link::pump).map(|((), actions)| actions)
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
fn dispatch(turn: &mut Turn<'_>, input: Input) -> Result<(), EngineError> {
    match input {
        Input::Online { logged_in, offset_ms } => link::online(turn, &logged_in, offset_ms),
        Input::NotOnline(change) => link::not_online(turn, change),
        Input::Answer { id, result } => link::answered(turn, id, result),
        Input::Push(push) => link::pushed(turn, push),
        Input::ShareOpened { job, share } => inbox::share_opened(turn, job, share),
        Input::Witnessed(marks) => sessions::witnessed(turn, &marks),
        Input::Tick => Ok(()),
    }
}
