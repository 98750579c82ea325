//! One turn of the engine: what it may read, change and draw on, and what it asks the daemon to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chat_protocol::ids::{DeviceId, SubmitId, Username};
use chat_protocol::message::{Blob, Call};
use chat_protocol::time::{SeenTime, Timestamp};
use rand::CryptoRng;

use super::inbox::Waiting;
use super::peers::Missing;
use super::sessions::Duties;
use super::{Action, Counted, Local};
use crate::store::Rows;

/// Longest that anything is put off by itself: what was refused again and again is tried that often.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What one input is handled with.
pub struct Turn<'a> {
    /// The rows of the transaction this turn is part of.
    pub rows: &'a mut dyn Rows,
    /// The time that was seen to pass: what spans are measured by, in the rows too. The clock may be far from it.
    pub now: Timestamp,
    /// The clock, as it happens to be set: for what people read, and for what they set by it.
    pub clock: Timestamp,
    /// Randomness.
    pub rng: &'a mut dyn CryptoRng,
    pub(crate) me: &'a Local,
    pub(crate) live: &'a mut Live,
    pub(crate) seen: &'a mut SeenTime,
    pub(crate) actions: Vec<Action>,
}

/// What is forgotten at a restart, because the rows say it all again.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) link: Option<Link>,
    /// The id of the last request. It goes on over connections: an answer that a new connection gives to a
    /// request meant for the one before must not be taken for another's.
    pub(crate) last_id: u64,
    /// Pages of account logs that are being read: first sequence and what came so far.
    pub(crate) pages: BTreeMap<Username, (u64, Vec<Blob>)>,
    /// Which envelopes of the inbox are to be looked at; absent until the rows were looked through.
    pub(crate) inbox: Option<Waiting>,
    /// Inbox rows whose RSA share is being opened.
    pub(crate) opening: BTreeSet<u64>,
    /// Names the server is to be asked for in this pump.
    pub(crate) names: BTreeSet<Username>,
    /// Names the server did not know, and when it is asked again.
    pub(crate) missing: BTreeMap<Username, Missing>,
    /// Peers somebody wants sessions with although nothing waits to be sent.
    pub(crate) wanted: BTreeSet<Username>,
    /// Peers of whom a log was announced that did not come, and from when on the server counts as asked in vain;
    /// absent until the rows were looked through.
    pub(crate) withheld: Option<BTreeMap<Username, Timestamp>>,
    /// When prekeys nobody names any more were last looked for.
    pub(crate) prekeys_swept: Option<Timestamp>,
    /// When a bundle was last drawn on the server's word.
    pub(crate) bundle_drawn: Option<Timestamp>,
    /// Until when the published bundle needs nothing; absent until the rows were looked at.
    pub(crate) published_until: Option<Timestamp>,
    /// What sessions owe; absent until the rows were looked through.
    pub(crate) duties: Option<Duties>,
    /// When skipped keys that are too old were last looked for.
    pub(crate) skipped_swept: Option<Timestamp>,
    /// Something about the devices that wait changed while they were being asked for.
    pub(crate) waiting_changed: bool,
    /// What must not be asked again before a time.
    pub(crate) pause: BTreeMap<Subject, Timestamp>,
    /// How often in a row it was in vain.
    pub(crate) in_vain: BTreeMap<Subject, u32>,
    /// Since when a device's bundle is wanted that did not come.
    pub(crate) bundle_since: BTreeMap<DeviceId, Timestamp>,
    /// How often in a row a device had no bundle to give.
    pub(crate) bundleless: BTreeMap<DeviceId, u32>,
    /// Times at which new INITs of a device were opened, for the rate limit.
    pub(crate) inits: BTreeMap<DeviceId, Vec<Timestamp>>,
    /// When a receipt last went to a device.
    pub(crate) receipts: BTreeMap<DeviceId, Timestamp>,
    /// When old rows were last looked for.
    pub(crate) tidied: Option<Timestamp>,
    /// When the line was last looked at for what waited too long.
    pub(crate) expired: Option<Timestamp>,
    /// When posts of the room were last looked for that no server shows any more.
    pub(crate) room_swept: Option<Timestamp>,
    /// When the history was last looked at for what may go.
    pub(crate) retained: Option<Timestamp>,
    /// The event log is not looked at for what may go before this.
    pub(crate) trim_after: Timestamp,
    /// The next time something is due by itself.
    pub(crate) wake: Option<Timestamp>,
}

/// A connection that is logged in.
#[derive(Debug)]
pub(crate) struct Link {
    /// Server clock minus local clock at the login, in milliseconds.
    pub(crate) offset_ms: i64,
    /// Server clock minus the time that was seen to pass, in milliseconds; whoever sets the clock does not change it.
    pub(crate) server_ahead_ms: i64,
    /// Requests that wait for an answer.
    pub(crate) asked: BTreeMap<u64, Asked>,
    /// When the flights are to be looked through; `None` while everything in the window is under way.
    pub(crate) flights: Option<Timestamp>,
    /// When those for full mailboxes are to be looked through; `None` while there are none.
    pub(crate) parked: Option<Timestamp>,
    /// Mailbox sequence acknowledged last on this connection; 0 before the first.
    pub(crate) acked: u64,
    /// Mailbox sequence delivered last on this connection; 0 before the first.
    pub(crate) delivered: u64,
    /// Everything that waited at login has been pushed.
    pub(crate) drained: bool,
    /// `sync.done` has been said.
    pub(crate) synced: bool,
    /// Deliveries taken on this connection.
    pub(crate) replayed: u64,
    /// Newest post of the public room, as far as the server told.
    pub(crate) room_last: u64,
    /// Where the cursor of the public room stood when it was last asked for.
    pub(crate) room_asked: u64,
}

/// What a request was for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    /// A submit or a post, repeated byte for byte.
    Flight(SubmitId),
    /// Cumulative acknowledgement of the mailbox.
    Ack,
    /// Whether names exist.
    Lookup(BTreeSet<Username>),
    /// Entries of an account log from a sequence on.
    Log(Username, u64),
    /// A bundle for a first message.
    Bundle(Username, DeviceId),
    /// The own bundle.
    Publish(u64),
    /// Which own one-time keys are left.
    OneTime,
    /// Posts of the public room.
    Room,
    /// Who is online, now and from now on.
    Presence,
    /// Which devices wait to be let into the account.
    Waiting,
    /// The entry of the own account log behind this one.
    Append(u64),
}

/// Something that is paused after it failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// Fetching the log of a name.
    Peer(Username),
    /// Fetching a device's bundle.
    Bundle(DeviceId),
    /// Publishing the own bundle.
    Publish,
    /// Asking which one-time keys are left.
    OneTime,
    /// Reading the room.
    Room,
    /// Extending the own account log.
    Append,
    /// Sending a device what is no message.
    Device(DeviceId),
}

/// `span` doubled `times` times, at most [`LONGEST_PAUSE`].
pub(crate) fn doubled(span: Duration, times: u32) -> Duration {
    span.saturating_mul(1 << times.min(16)).min(LONGEST_PAUSE)
}

impl Live {
    /// What a turn did is not stored: what it asked goes with it, and the rows are looked at again.
    pub(crate) fn take_back(&mut self, last_id: u64, now: Timestamp) {
        (self.duties, self.inbox) = (None, None);
        if let Some(link) = &mut self.link {
            link.asked.retain(|id, _| *id <= last_id);
            link.flights = Some(now);
        }
    }
}

impl Turn<'_> {
    /// Sends a request if there is a connection and the same thing is not already asked.
    pub(crate) fn ask<T: Call>(&mut self, asked: Asked, request: &T) -> bool {
        self.ask_raw(asked, T::TYPE, || chat_protocol::cbor::encode(request))
    }

    /// As [`Self::ask`], for a payload that was encoded before.
    pub(crate) fn ask_raw(&mut self, asked: Asked, number: u16, payload: impl FnOnce() -> Vec<u8>) -> bool {
        let Some(link) = &mut self.live.link else { return false };
        if link.asked.values().any(|known| *known == asked) {
            return false;
        }
        self.live.last_id += 1;
        let id = self.live.last_id;
        link.asked.insert(id, asked);
        self.actions.push(Action::Request { id, number, payload: payload() });
        true
    }

    /// Has something counted, if this turn is committed.
    pub(crate) fn count(&mut self, counted: Counted) {
        self.actions.push(Action::Count(counted));
    }

    /// Asks for a tick at `at` or before.
    pub(crate) fn wake(&mut self, at: Timestamp) {
        let at = self.live.wake.map_or(at, |known| known.min(at));
        self.live.wake = Some(at);
    }

    /// Keeps `subject` from being asked again for a while, at most [`LONGEST_PAUSE`].
    pub(crate) fn pause(&mut self, subject: Subject, span: Duration) {
        let until = self.now + span.min(LONGEST_PAUSE);
        self.live.pause.insert(subject, until);
        self.wake(until);
    }

    /// Keeps `subject` from being asked again for `first`, doubled with every time in a row, until it [`Self::succeeded`].
    ///
    /// Whatever a server could answer for ever is paused for like this.
    pub(crate) fn back_off(&mut self, subject: Subject, first: Duration) {
        let times = self.once_more(subject.clone());
        self.pause(subject, doubled(first, times - 1));
    }

    /// Counts that `subject` was in vain; how often in a row that was, at least 1.
    pub(crate) fn once_more(&mut self, subject: Subject) -> u32 {
        let times = self.live.in_vain.entry(subject).or_default();
        *times = times.saturating_add(1);
        *times
    }

    /// `subject` was answered as it should be.
    pub(crate) fn succeeded(&mut self, subject: &Subject) {
        self.live.in_vain.remove(subject);
        self.live.pause.remove(subject);
    }

    /// Whether it is time for what was put off until `at`, which is never longer than [`LONGEST_PAUSE`].
    pub(crate) fn is_time(&self, at: Timestamp) -> bool {
        at <= self.now
    }

    /// Whether `subject` may not be asked yet.
    pub(crate) fn paused(&mut self, subject: &Subject) -> bool {
        match self.live.pause.get(subject) {
            Some(until) if !self.is_time(*until) => {
                let until = *until;
                self.wake(until);
                true
            }
            _ => {
                self.live.pause.remove(subject);
                false
            }
        }
    }

    /// The server's time, as the handshake told; without a connection the clock's.
    pub(crate) fn server_now(&self) -> Timestamp {
        let ahead =
            |link: &Link| Timestamp::from_millis(self.now.as_millis().saturating_add_signed(link.server_ahead_ms));
        self.live.link.as_ref().map_or(self.clock, ahead)
    }

    /// Random bytes.
    pub(crate) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}
