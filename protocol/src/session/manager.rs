//! Which of the sessions of two devices is used.
//!
//! Pure decisions over a short list of [`Standing`]s, one per session of a device pair, which the
//! caller stores beside the sessions. Both devices decide alone and must come to use the same one:
//!
//! ```text
//!                  my INIT                                   peer's INIT, first message opened
//!                     │                                                   │
//!                     ▼                                                   ▼
//!   ┌─ new: sent on from the INIT on ─────────────────────────────────────────────────────────┐
//!   │  both at once (mine < 24 h, no reset marker): the smaller sid; otherwise the peer's,    │
//!   │  and mine yields; so again when the peer stays on one of its own that yielded           │
//!   └──────┬──────────────────────────────────────────────────────────────┬───────────────────┘
//!     I opened a reply                                       I opened a message without INIT
//!          ╰────────────────────────▶ confirmed ◀─────────────────────────╯
//!             its rival yields; but for a new one of mine, the one that most recently opened a
//!             message is used
//!
//!   yielded, or not the one used: receive-only, at most 5, the longest silent go first
//! ```

mod maintenance;

use minicbor::{CborLen, Decode, Encode};

pub use self::maintenance::{Failures, RESTARTS, restart_due};
use crate::ids::SessionId;
use crate::limits::{MAX_RECEIVE_SESSIONS, SIMULTANEOUS_WINDOW};
use crate::time::Timestamp;

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(index_only)]
pub enum Stage {
    /// Begun, and the preferred one to send on.
    #[n(0)]
    New,
    /// Both sides are known to have it.
    #[n(1)]
    Confirmed,
    /// Gave way before it was confirmed: receives only, until it is.
    #[n(2)]
    Yielded,
    /// From before this device's state was rolled back: receives only, for ever.
    #[n(3)]
    Retired,
}

/// What the decisions need to know of one session.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Standing {
    /// The session.
    #[n(0)]
    pub id: SessionId,
    /// This device began it.
    #[n(1)]
    pub ours: bool,
    /// How far it has come.
    #[n(2)]
    pub stage: Stage,
    /// When it was made or taken in here.
    #[n(3)]
    pub begun: Timestamp,
    /// Counts up over all sessions of the pair with each message opened: the highest opened last. 0 for none.
    #[n(4)]
    pub last_opened: u64,
    /// Messages sealed and opened in all.
    #[n(5)]
    pub messages: u64,
    /// Messages opened since one was sealed.
    #[n(6)]
    pub unanswered: u64,
    /// When the first of those was opened.
    #[n(7)]
    pub unanswered_since: Option<Timestamp>,
    /// The other one begun at the same time, until one of them is confirmed.
    #[n(8)]
    pub rival: Option<SessionId>,
}

/// How a message came that was opened on a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// It was preceded by the INIT.
    pub with_init: bool,
    /// It is a heartbeat, which asks for none in return.
    pub heartbeat: bool,
    /// When it was opened.
    pub now: Timestamp,
}

/// The sessions of one pair of devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(transparent)]
pub struct Standings(#[n(0)] Vec<Standing>);

impl Standings {
    /// The sessions, in no particular order.
    #[must_use]
    pub fn all(&self) -> &[Standing] {
        &self.0
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: SessionId) -> Option<&Standing> {
        self.0.iter().find(|standing| standing.id == id)
    }

    /// The session to send on; none means a new one must be begun.
    #[must_use]
    pub fn sending(&self) -> Option<&Standing> {
        let own = self.0.iter().filter(|standing| standing.ours && standing.stage == Stage::New);
        own.max_by_key(|standing| standing.begun).or_else(|| {
            // whichever the peer uses: of two that each side began, both must not stay on the other's
            let heard = self.0.iter().filter(|standing| matches!(standing.stage, Stage::New | Stage::Confirmed));
            heard.max_by_key(|standing| standing.last_opened)
        })
    }

    /// Whether messages on a session must still be preceded by its INIT: its initiator has opened no reply.
    #[must_use]
    pub fn needs_init(&self, id: SessionId) -> bool {
        self.get(id).is_some_and(|standing| standing.ours && standing.last_opened == 0)
    }

    /// This device has begun a session: it is sent on at once, earlier new ones yield.
    pub fn begin(&mut self, id: SessionId, now: Timestamp) {
        self.0.iter_mut().filter(|other| other.stage == Stage::New).for_each(Standing::give_way);
        self.0.push(Standing::new(id, true, now));
    }

    /// The first message of a peer's INIT was opened. `reset`: its content is the reset marker.
    ///
    /// Call [`Self::opened`] for the message as well, afterwards.
    pub fn take_in(&mut self, id: SessionId, reset: bool, now: Timestamp) {
        if self.get(id).is_some() {
            return;
        }
        let mut taken = Standing::new(id, false, now);
        for other in self.0.iter_mut().filter(|other| other.stage == Stage::New) {
            let at_once = other.ours && now.since(other.begun) < SIMULTANEOUS_WINDOW && !reset;
            if !at_once {
                other.give_way();
                continue;
            }
            (other.rival, taken.rival) = (Some(id), Some(other.id));
            if other.id < id {
                taken.stage = Stage::Yielded;
            } else {
                other.stage = Stage::Yielded;
            }
        }
        self.0.push(taken);
    }

    /// A message was opened on a session.
    pub fn opened(&mut self, id: SessionId, arrival: Arrival) {
        let order = self.0.iter().map(|standing| standing.last_opened).max().unwrap_or(0).saturating_add(1);
        if arrival.with_init {
            self.take_up(id, arrival.now);
        }
        let Some(standing) = self.0.iter_mut().find(|standing| standing.id == id) else { return };
        standing.count_opened(order, arrival);
        let open = matches!(standing.stage, Stage::New | Stage::Yielded);
        if open && (standing.ours || !arrival.with_init) {
            standing.stage = Stage::Confirmed;
            let (rival, begun) = (standing.rival.take(), standing.begun);
            self.others_yield(rival, begun);
        }
    }

    /// The peer stays on a session of its own that gave way here: it decides for the smaller sid as this device would
    /// have, had that not begun another one in between.
    fn take_up(&mut self, id: SessionId, now: Timestamp) {
        let kept = |own: &Standing| own.ours && own.id < id && now.since(own.begun) < SIMULTANEOUS_WINDOW;
        let yielded = self.get(id).is_some_and(|standing| !standing.ours && standing.stage == Stage::Yielded);
        if !yielded || self.0.iter().any(|other| other.stage == Stage::New && kept(other)) {
            return;
        }
        for standing in &mut self.0 {
            match standing.stage {
                Stage::Yielded if standing.id == id => standing.stage = Stage::New,
                Stage::New => standing.give_way(),
                _ => {}
            }
        }
    }

    /// A message was sealed on a session.
    pub fn sealed(&mut self, id: SessionId) {
        if let Some(standing) = self.0.iter_mut().find(|standing| standing.id == id) {
            standing.messages = standing.messages.saturating_add(1);
            (standing.unanswered, standing.unanswered_since) = (0, None);
        }
    }

    /// Drops what is receive-only beyond five, the longest silent first: the sessions to delete.
    #[must_use]
    pub fn drop_surplus(&mut self) -> Vec<SessionId> {
        let sending = self.sending().map(|standing| standing.id);
        let mut idle: Vec<_> = self.0.iter().filter(|standing| Some(standing.id) != sending).collect();
        idle.sort_by_key(|standing| std::cmp::Reverse((standing.last_opened, standing.begun)));
        let surplus: Vec<_> = idle.into_iter().skip(MAX_RECEIVE_SESSIONS).map(|standing| standing.id).collect();
        self.0.retain(|standing| !surplus.contains(&standing.id));
        surplus
    }

    /// None of these sessions sends again: this device's state was rolled back. They still receive.
    pub fn retire_all(&mut self) {
        self.0.iter_mut().for_each(|standing| standing.stage = Stage::Retired);
    }

    /// A session was confirmed: its rival yields, and so does every new one begun before it.
    fn others_yield(&mut self, rival: Option<SessionId>, begun: Timestamp) {
        let new = self.0.iter_mut().filter(|other| other.stage == Stage::New);
        new.filter(|other| Some(other.id) == rival || other.begun < begun).for_each(Standing::give_way);
    }
}

impl Standing {
    const fn new(id: SessionId, ours: bool, begun: Timestamp) -> Self {
        Self {
            id,
            ours,
            stage: Stage::New,
            begun,
            last_opened: 0,
            messages: 0,
            unanswered: 0,
            unanswered_since: None,
            rival: None,
        }
    }

    const fn give_way(&mut self) {
        self.stage = Stage::Yielded;
    }

    fn count_opened(&mut self, order: u64, arrival: Arrival) {
        self.last_opened = order;
        self.messages = self.messages.saturating_add(1);
        if !arrival.heartbeat {
            self.unanswered = self.unanswered.saturating_add(1);
            self.unanswered_since = self.unanswered_since.or(Some(arrival.now));
        }
    }
}
