//! What is kept beside the rows, and rebuilt from them: where to look, what is asked, what is paused.

use std::collections::{BTreeMap, BTreeSet};

use chat_protocol::ids::{DeviceId, Head, SubmitId, Username};
use chat_protocol::limits::CLOCK_SKEW;
use chat_protocol::message::Blob;
use chat_protocol::session::manager::{RESTARTS, restart_due};
use chat_protocol::time::Timestamp;

use crate::rows::sessions::Unconfirmed;

use crate::txn::inits_read::InitsRead;
use crate::txn::open_requests::OpenRequests;

/// What is forgotten at a restart, because the rows say it all again.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) link: Option<Link>,
    /// The id of the last request. It goes on over connections: an answer that a new connection gives to a
    /// request meant for the one before must not be taken for another's.
    pub(crate) last_id: u64,
    /// Pages of account logs that are being read: first sequence and what came so far.
    pub(crate) pages: BTreeMap<Username, (u64, Vec<Blob>)>,
    /// When requests were last looked at for users who are known by now; `None` if any may be.
    pub(crate) requests_looked: Option<Timestamp>,
    /// Every INIT that waits is listed.
    pub(crate) inits_listed: bool,
    /// Users whose log is being asked for because of an INIT.
    pub(crate) logs_awaited: BTreeSet<Username>,
    /// Users of whom what is pinned was stored anew since the last pump.
    pub(crate) pins_changed: BTreeSet<Username>,
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
    /// Where the own log stands at the server, if that lacks some of it.
    pub(crate) own_log_at_server: Option<Head>,
    /// When prekeys nobody names any more were last looked for.
    pub(crate) prekeys_swept: Option<Timestamp>,
    /// When a bundle was last drawn on the server's word.
    pub(crate) bundle_drawn: Option<Timestamp>,
    /// Until when the published bundle needs nothing; absent until the rows were looked at.
    pub(crate) published_until: Option<Timestamp>,
    /// What sessions have to send by themselves; absent until the rows were looked through.
    pub(crate) maintenance: Option<SessionMaintenance>,
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
    /// INITs that were read lately.
    pub(crate) inits_read: InitsRead,
    /// When a receipt last went to a device.
    pub(crate) receipts: BTreeMap<DeviceId, Timestamp>,
    /// When it was last looked for what was seen too long ago to come again.
    pub(crate) seen_swept: Option<Timestamp>,
    /// When it was last looked for posts that are not read again.
    pub(crate) room_swept: Option<Timestamp>,
    /// When old rows were last looked for.
    pub(crate) tidied: Option<Timestamp>,
    /// When the line was last looked at for what waited too long.
    pub(crate) expired: Option<Timestamp>,
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
    /// What the server is asked.
    pub(crate) requests: OpenRequests,
    /// When the pending submits are to be looked through; `None` while everything in the window is under way.
    pub(crate) pending_submits: Option<Timestamp>,
    /// When those for full mailboxes are to be looked through; `None` while there are none.
    pub(crate) deferred: Option<Timestamp>,
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
    PendingSubmit(SubmitId),
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
    /// The entry of the own account log behind this one, signed now or lacking there.
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

impl Live {
    /// What a transaction did is not stored: what it asked goes with it, and the rows are looked at again.
    pub(crate) fn take_back(&mut self, last_id: u64, now: Timestamp) {
        (self.maintenance, self.inits_listed) = (None, false);
        self.requests_looked = self.requests_looked.filter(|at| *at != now);
        if let Some(link) = &mut self.link {
            link.requests.take_back(last_id);
            link.pending_submits = Some(now);
        }
    }
}

/// Whether clocks that far apart cannot be gone by.
pub(crate) const fn is_skewed(offset_ms: i64) -> bool {
    offset_ms.unsigned_abs() as u128 > CLOCK_SKEW.as_millis()
}

/// A name that the server did not know, or knows no device of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Missing {
    pub(crate) told: Timestamp,
    pub(crate) again: Timestamp,
}

impl Unconfirmed {
    pub(crate) fn times(&self) -> usize {
        usize::try_from(self.times).unwrap_or(usize::MAX)
    }

    /// Whether it matters that the server accepts its INIT now: for the first time, or since the bundle has run out.
    pub(crate) fn heeds_acceptance(&self, now: Option<Timestamp>) -> bool {
        self.accepted.is_none() || (!self.ran_out && now.is_some_and(|now| now >= self.expires))
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.ran_out || self.accepted.is_some_and(|first| restart_due(first, self.times(), now))
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        Some(self.accepted? + *RESTARTS.get(self.times())?)
    }
}

/// What has to be sent without being asked for, by device.
#[derive(Debug, Default)]
pub(crate) struct SessionMaintenance {
    /// When the session with a device wants a heartbeat.
    pub(crate) heartbeats: BTreeMap<DeviceId, Timestamp>,
    /// Devices whose next bundle begins a session with reset marker.
    pub(crate) resets: BTreeMap<DeviceId, Username>,
    /// Devices that were not heard on the session begun with them.
    pub(crate) unconfirmed: BTreeMap<DeviceId, Unconfirmed>,
}
