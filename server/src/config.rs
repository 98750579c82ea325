//! Every setting of this process, with its default and its reason.
//!
//! Numbers both ends share are in `chat_protocol::limits`; everything an administrator may turn is
//! here and nowhere else. [`layers`] puts the values together: command line, environment, file,
//! default, in that order; a key nobody knows is an error. [`table`] lists them with what is said here.

pub mod dotenv;
pub mod layers;
pub mod live;
pub mod public;
pub mod table;

use std::net::SocketAddr;
use std::time::Duration;

use chat_protocol::limits;
use serde::{Deserialize, Serialize};

use crate::rules::Quota;
use crate::store::{DatabaseUrl, Retention};

pub use live::{Change, Live};
use table::{At, Entry, Listed};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Lowest bcrypt cost that is not warned about.
pub const MIN_BCRYPT_COST: u32 = 12;

/// Who may register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Whoever holds the secret key, within the rate limit.
    #[default]
    Open,
    /// Who also has a personal invite that was not used yet.
    Invite,
}

/// Declares a table of settings: documented fields, and defaults beside them.
///
/// `#[seconds("key")]` is a duration with another name in the file, `#[example("value")]` what the documented
/// file shows where there is no default.
macro_rules! settings {
    ($(#[doc = $doc:literal])* $name:ident { $(
        $(#[doc = $field_doc:literal])* $(#[seconds($key:literal)])? $(#[example($example:literal)])?
        $field:ident: $type:ty = $default:expr,
    )* }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $(
            $(#[doc = $field_doc])* $(#[serde(rename = $key, with = "seconds")])? pub $field: $type,
        )* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Listed for $name {
            fn list(&self, at: At<'_>, entries: &mut Vec<Entry>) {
                $(self.$field.list(At {
                    section: at.key,
                    key: first!($($key)? stringify!($field)),
                    doc: &[$($field_doc),*],
                    example: first!($(Some($example))? None),
                }, entries);)*
            }
        }
    };
}

/// The first of one or two.
macro_rules! first {
    ($first:literal $second:expr) => {
        $first
    };
    (Some($first:expr) None) => {
        Some($first)
    };
    ($only:expr) => {
        $only
    };
}

settings! {
    /// The file `server.toml`.
    Config {
        /// Address to listen on; absent: this machine's own address and port if `public` names them (`localhost`,
        /// 127.0.0.1 or ::1), else every interface, on the port the first Python application used.
        #[example("0.0.0.0:8897")]
        listen: Option<SocketAddr> = None,
        /// `HOST:PORT` under which clients reach this server; goes into invites.
        #[example("chat.example.org:8897")]
        public: Option<String> = None,
        /// Database; absent: `DB_*` variables of the first application, else SQLite in the data directory.
        /// The file must be 0600 if there is a password in it.
        #[example("mysql://USER@HOST:3306/NAME")]
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
        /// What monitoring sees.
        metrics: Metrics = Metrics::default(),
    }
}

settings! {
    /// Passwords and their hashes.
    Passwords {
        /// bcrypt cost of new hashes; a lower stored one is replaced at the next login. 12 takes 0.3 s.
        bcrypt_cost: u32 = MIN_BCRYPT_COST,
        /// Hashes computed at once: one, so that messages keep the other cores.
        at_once: usize = 1,
        /// Hashes that may wait; more are answered `busy`. 16 wait about five seconds.
        queue: usize = 16,
    }
}

settings! {
    /// Connections and their queues.
    Connections {
        /// Open connections. Each costs two queues and, before login, less than 64 KiB.
        most: usize = 20_000,
        /// Open connections that have not logged in.
        most_guests: usize = 2_000,
        /// New connections per address and minute, counted before any cryptography.
        per_address_per_minute: u32 = 600,
        /// Time for the handshake.
        #[seconds("handshake_seconds")]
        handshake: Duration = limits::HANDSHAKE_DEADLINE,
        /// Time from the handshake to a login. Waiting for a password hash counts.
        #[seconds("login_seconds")]
        login: Duration = MINUTE,
        /// Handshake keys remembered so that a recorded handshake is refused.
        remembered_handshakes: usize = 65_536,
        /// Requests of one connection in progress at once; the next is read when one is done.
        requests_at_once: usize = 64,
        /// Frames waiting for one reader; when full it is disconnected and finds its messages in the mailbox.
        outbox_frames: usize = 4_096,
        /// Bytes waiting for one reader.
        outbox_bytes: usize = 8 * 1024 * 1024,
        /// Time for one write to make progress.
        #[seconds("write_seconds")]
        write: Duration = Duration::from_secs(30),
        /// Time that connections get to finish when the server stops.
        #[seconds("drain_seconds")]
        drain: Duration = Duration::from_secs(10),
        /// Changes of presence are gathered for this long.
        #[seconds("presence_seconds")]
        presence: Duration = Duration::from_secs(1),
    }
}

settings! {
    /// How often who may do what.
    Rates {
        /// Wrong passwords per account and address, and wrong signatures per device and address …
        failed_logins: u32 = 5,
        /// … within this time.
        #[seconds("failed_logins_seconds")]
        failed_logins_within: Duration = Duration::from_secs(15 * 60),
        /// Registrations per address and hour.
        registrations_per_hour: u32 = 20,
        /// Bundle fetches per hour, requester and target: each may use up a one-time key.
        bundle_fetches_per_hour: u32 = 10,
        /// Submits and posts per device and minute …
        submits_per_minute: u32 = 600,
        /// … and how many may come at once after a silence.
        submits_burst: u32 = 2_000,
        /// Lookups and log fetches per device and minute.
        lookups_per_minute: u32 = 600,
    }
}

settings! {
    /// Mailboxes.
    Mailboxes {
        /// Days that messages nobody acknowledged are kept.
        days: u32 = 30,
        /// Messages one mailbox holds.
        messages: u64 = 100_000,
        /// Bytes one mailbox holds.
        bytes: u64 = 256 * 1024 * 1024,
        /// Messages one mailbox holds from one sender.
        per_sender: u64 = 10_000,
        /// Deliveries on their way to one device and not acknowledged.
        delivery_window: u64 = 1_000,
        /// Submits that wait for a commit; more are answered `busy`.
        queue: usize = 4_096,
        /// Submits stored in one transaction.
        commit_at_once: usize = 512,
    }
}

settings! {
    /// The public room.
    Room {
        /// Days that posts are kept.
        days: u32 = 30,
    }
}

settings! {
    /// Accounts and devices.
    Accounts {
        /// A reset waits this long when a device of the account was seen lately …
        #[seconds("reset_wait_seconds")]
        reset_wait: Duration = DAY,
        /// … within this time.
        #[seconds("reset_seen_seconds")]
        reset_seen: Duration = Duration::from_secs(7 * 24 * 60 * 60),
        /// A device waits this long for approval.
        #[seconds("approval_wait_seconds")]
        approval_wait: Duration = DAY,
        /// Days a personal invite is good for.
        invite_days: u32 = 7,
        /// What has outlived its time is deleted this often.
        #[seconds("sweep_seconds")]
        sweep: Duration = HOUR,
    }
}

settings! {
    /// What monitoring sees.
    Metrics {
        /// Address where metrics and health are served over HTTP; absent: nowhere. Whoever reaches it can read them:
        /// one of this machine or a private network.
        #[example("127.0.0.1:9108")]
        listen: Option<SocketAddr> = None,
    }
}

impl Config {
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
        Quota { messages: self.mailbox.messages, bytes: self.mailbox.bytes, from_one: self.mailbox.per_sender }
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

/// Durations are whole seconds in the file.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}
