//! Every setting of this process, with its default and its reason.
//!
//! Numbers both ends share are in `chat_protocol::limits`; everything an administrator may turn is
//! here and nowhere else. [`mod@chat_programs::settings`] puts the values together: command line, environment, file, default, in
//! that order; a key nobody knows is an error. `chat-server config --defaults` prints what is said here.

pub mod dotenv;
pub mod live;
pub mod public;

use std::net::SocketAddr;
use std::time::Duration;

use chat_programs::settings;
use chat_programs::settings::{Misfit, RawSetting, Setting, Settings};
use chat_protocol::limits;
use toml::Value;
use tracing_subscriber::EnvFilter;

use crate::rules::Quota;
use crate::store::{DatabaseUrl, Retention};

pub use live::{Change, Live};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Prefix of the environment variables that are settings.
pub const ENV_PREFIX: &str = "CHAT_SERVER_";
/// Names, with the prefix, a file that holds what `CHAT_SERVER_DATABASE` would say: for the credentials of a service manager,
/// since others may see the environment.
pub const DATABASE_FILE: &str = "DATABASE_FILE";
/// Variables with the prefix that are no settings.
pub const NOT_SETTINGS: [&str; 2] = ["DATA", DATABASE_FILE];

/// Lowest bcrypt cost that is not warned about.
pub const MIN_BCRYPT_COST: u32 = 12;

/// Who may register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Registration {
    /// Whoever holds the secret key, within the rate limit.
    #[default]
    Open,
    /// Who also has a personal invite that was not used yet.
    Invite,
}

impl Setting for Registration {
    fn read(raw: &RawSetting) -> Result<Self, Misfit> {
        match raw.text() {
            Some("open") => Ok(Self::Open),
            Some("invite") => Ok(Self::Invite),
            _ => Err(Misfit::Kind("`open` or `invite`")),
        }
    }

    fn shown(&self) -> Option<Value> {
        let word = match self {
            Self::Open => "open",
            Self::Invite => "invite",
        };
        Some(Value::String(word.to_owned()))
    }
}

impl Settings for Config {
    const HELP: &'static str = "chat-server config --defaults";
}

settings! {
    /// The file `server.toml`.
    pub Config {
        /// Address to listen on; absent: this machine's own address and port if `public` names them (`localhost`,
        /// 127.0.0.1 or ::1), else every interface, on the port the first Python application used.
        #[example("0.0.0.0:8897")] #[effect(Restart)]
        listen: Option<SocketAddr> = None,
        /// `HOST:PORT` under which clients reach this server; goes into invites.
        #[example("chat.example.org:8897")]
        public: Option<String> = None,
        /// Database; absent: `DB_*` variables of the first application, else SQLite in the data directory.
        /// The file must be 0600 if there is a password in it.
        #[example("mysql://USER@HOST:3306/NAME")] #[effect(Restart)]
        database: Option<DatabaseUrl> = None,
        /// Who may register.
        registration: Registration = Registration::Open,
        /// What `run` writes to its log, as in `debug` or `chat_server=debug,warn`; absent: `info`.
        #[example("chat_server=debug,warn")]
        log: Option<String> = None,
        /// Passwords and their hashes.
        passwords: Passwords = Passwords::default(),
        /// Connections and their queues.
        connections: Connections = Connections::default(),
        /// How often who may do what.
        rates: Rates = Rates::default(),
        /// Mailboxes.
        mailbox: Mailboxes = Mailboxes::default(),
        /// The public room.
        room: Room = Room::default(),
        /// Accounts and devices.
        accounts: Accounts = Accounts::default(),
        /// Memory.
        memory: Memory = Memory::default(),
        /// What monitoring sees.
        metrics: Metrics = Metrics::default(),
    }
}

settings! {
    /// Passwords and their hashes.
    pub Passwords {
        /// bcrypt cost of new hashes; a lower stored one is replaced at the next login. 12 takes 0.3 s.
        bcrypt_cost: u32 = MIN_BCRYPT_COST,
        /// Hashes computed at once: one, so that messages keep the other cores.
        #[effect(Restart)]
        at_once: usize = 1,
        /// Hashes that may wait, of guests and again as many of devices that are logged in; more are answered `busy`.
        /// 32 wait about ten seconds.
        #[effect(Restart)]
        queue: usize = 32,
        /// Hashes of one source, or of one account's devices, that may be computed or wait at once; of an IPv6 /48 four
        /// times as many. Sources take turns.
        #[effect(Restart)]
        per_source: usize = 2,
    }
}

settings! {
    /// Connections and their queues.
    pub Connections {
        /// Open connections. Each costs two queues and, before login, less than 64 KiB.
        #[effect(Restart)]
        most: usize = 20_000,
        /// Open connections that have not logged in.
        #[effect(Restart)]
        most_guests: usize = 2_000,
        /// New connections per address and minute, counted before any cryptography.
        per_address_per_minute: u32 = 600,
        /// Time for the handshake.
        #[key("handshake_seconds")]
        handshake: Duration = limits::HANDSHAKE_DEADLINE,
        /// Time from the handshake to a login. Waiting for a password hash counts.
        #[key("login_seconds")]
        login: Duration = MINUTE,
        /// Handshake keys remembered so that a recorded handshake is refused.
        #[effect(Restart)]
        remembered_handshakes: usize = 65_536,
        /// Requests of one connection in progress at once; the next is read when one is done.
        requests_at_once: usize = 64,
        /// Frames waiting for one reader. What others cause takes half of it and waits beyond that; when its own answers
        /// fill it, it is disconnected and finds its messages in the mailbox.
        outbox_frames: usize = 4_096,
        /// Bytes waiting for one reader.
        outbox_bytes: usize = 8 * 1024 * 1024,
        /// Time within which a reader for whom something waits has to read some of it.
        #[key("write_seconds")]
        write: Duration = Duration::from_secs(30),
        /// Time that connections get to finish when the server stops.
        #[key("drain_seconds")]
        drain: Duration = Duration::from_secs(10),
        /// Changes of presence are gathered for this long.
        #[key("presence_seconds")] #[effect(Restart)]
        presence: Duration = Duration::from_secs(1),
    }
}

settings! {
    /// How often who may do what.
    pub Rates {
        /// Wrong passwords per account and address, and wrong signatures per device and address …
        failed_logins: u32 = 5,
        /// … within this time.
        #[key("failed_logins_seconds")]
        failed_logins_within: Duration = Duration::from_secs(15 * 60),
        /// Registrations per address and hour; fifty times as many of all addresses together.
        registrations_per_hour: u32 = 20,
        /// Passwords checked for guests, right or wrong, per address and hour, over all names.
        password_checks_per_hour: u32 = 120,
        /// Changes of a password, right or wrong, per account and hour.
        password_changes_per_hour: u32 = 10,
        /// Bundles with a one-time key per hour, requester and target; more come without one …
        bundle_fetches_per_hour: u32 = 10,
        /// … as do those beyond this many per hour and target, whoever asks: what 10,000 keys, which a device keeps, are for
        /// more than two weeks.
        one_time_keys_per_hour: u32 = 24,
        /// Submits and posts per device and minute …
        submits_per_minute: u32 = 600,
        /// … and how many may come at once after a silence.
        submits_burst: u32 = 2_000,
        /// Envelopes per account and minute, those of ten minutes at once after a silence, in however few submits: as many of
        /// the smallest size as the next setting lets through. Each is a row, and a push.
        envelopes_per_minute: u32 = 12_000,
        /// Bytes of envelopes per account and minute, those of ten minutes at once after a silence: the server syncs and sends
        /// every one of them, and somebody's daemon decodes it.
        submit_bytes_per_minute: u32 = 8 * 1024 * 1024,
        /// Devices that come into an account or leave it in a day, beyond which none is added. They may always leave.
        devices_per_day: u32 = 30,
        /// Entries of account logs that are verified per device and hour: a long log costs twenty milliseconds.
        log_entries_per_hour: u32 = 60,
        /// Ops appended to groups per account and hour, right or wrong. One that is right leaves a row for ever.
        group_appends_per_hour: u32 = 60,
        /// Posts in the room per account and minute, those of ten minutes at once after a silence …
        room_posts_per_minute: u32 = 60,
        /// … and their bytes: everybody stores and is sent every one of them.
        room_bytes_per_minute: u32 = 65_536,
        /// Requests per device and minute other than submits, posts and acknowledgements, whatever they ask.
        lookups_per_minute: u32 = 600,
    }
}

settings! {
    /// Mailboxes.
    pub Mailboxes {
        /// Days that messages nobody acknowledged are kept.
        days: u32 = 30,
        /// Messages one mailbox holds.
        messages: u64 = 100_000,
        /// Bytes one mailbox holds; one account may take a quarter of what all others leave free.
        bytes: u64 = 256 * 1024 * 1024,
        /// Messages one mailbox holds from one sender.
        per_sender: u64 = 10_000,
        /// Bytes all mailboxes together hold from one account; beyond it 72 KiB more in each, or whoever does not fetch
        /// what a bot sends could silence it everywhere.
        bytes_of_account: u64 = 1024 * 1024 * 1024,
        /// Bytes of the disk of an SQLite database that stay free: below, submits, posts, registrations, bundles
        /// and ops of groups are answered `busy`. What is acknowledged can still be deleted then.
        free_disk: u64 = 512 * 1024 * 1024,
        /// Deliveries on their way to one device and not acknowledged.
        delivery_window: u64 = 1_000,
        /// Submits that wait for a commit in the order they came, and as many again of which accounts take turns; more are
        /// answered `busy`.
        #[effect(Restart)]
        queue: usize = 4_096,
        /// Submits stored in one transaction.
        commit_at_once: usize = 512,
    }
}

settings! {
    /// The public room.
    pub Room {
        /// Days that posts are kept.
        days: u32 = 30,
    }
}

settings! {
    /// Accounts and devices.
    pub Accounts {
        /// A reset waits this long when a device of the account was seen lately …
        #[key("reset_wait_seconds")]
        reset_wait: Duration = DAY,
        /// … within this time.
        #[key("reset_seen_seconds")]
        reset_seen: Duration = Duration::from_secs(7 * 24 * 60 * 60),
        /// A device waits this long for approval.
        #[key("approval_wait_seconds")]
        approval_wait: Duration = DAY,
        /// Days a personal invite is good for.
        invite_days: u32 = 7,
        /// Groups that one account makes; they are kept for ever, so an id is never used again.
        groups: u64 = 256,
        /// What has outlived its time is deleted this often.
        #[key("sweep_seconds")] #[effect(Restart)]
        sweep: Duration = HOUR,
    }
}

settings! {
    /// Memory.
    pub Memory {
        /// Bytes queued for all connections: half of them what waits for readers, a quarter submits and posts that wait for
        /// a commit, a quarter long records that are being received. One connection has a sixteenth of what others leave.
        #[effect(Restart)]
        queued_bytes: usize = 256 * 1024 * 1024,
    }
}

settings! {
    /// What monitoring sees.
    pub Metrics {
        /// Address where metrics and health are served over HTTP; absent: nowhere. Whoever reaches it can read them:
        /// one of this machine or a private network.
        #[example("127.0.0.1:9108")] #[effect(Restart)]
        listen: Option<SocketAddr> = None,
    }
}

impl Config {
    /// Refuses values with which nothing would work.
    ///
    /// # Errors
    /// The key, and why its value is refused.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if !(4..=31).contains(&self.passwords.bcrypt_cost) {
            return Err(("passwords.bcrypt_cost", "it must be from 4 to 31".to_owned()));
        }
        if self.log.as_ref().is_some_and(|log| EnvFilter::try_new(log).is_err()) {
            return Err(("log", "this is no log filter, as in `chat_server=debug,warn`".to_owned()));
        }
        let zeros = [
            ("passwords.at_once", self.passwords.at_once),
            ("passwords.per_source", self.passwords.per_source),
            ("connections.most", self.connections.most),
            ("connections.most_guests", self.connections.most_guests),
            ("connections.requests_at_once", self.connections.requests_at_once),
            ("connections.outbox_frames", self.connections.outbox_frames),
            ("mailbox.queue", self.mailbox.queue),
            ("mailbox.commit_at_once", self.mailbox.commit_at_once),
        ];
        let zero = zeros.into_iter().find(|(_, value)| *value == 0);
        zero.map_or(Ok(()), |(key, _)| Err((key, "it must be at least 1".to_owned())))
    }

    /// Where to listen: as far as what `public` names can be reached from, unless told otherwise.
    #[must_use]
    pub fn listens_on(&self) -> SocketAddr {
        self.listen.unwrap_or_else(|| match self.public.as_deref().and_then(public::parse) {
            Some((host, port)) => public::reach(&host, port),
            None => public::EVERYWHERE,
        })
    }

    /// What one mailbox may hold.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        let Mailboxes { messages, bytes, per_sender: from_one, bytes_of_account: of_account, .. } = self.mailbox;
        Quota { messages, bytes, from_one, of_account }
    }

    /// How long things are kept.
    #[must_use]
    pub fn retention(&self) -> Retention {
        Retention {
            mailbox: DAY * self.mailbox.days,
            room: DAY * self.room.days,
            submits: limits::SUBMIT_MEMORY,
            waiting: self.accounts.approval_wait,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
