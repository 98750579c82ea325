//! The values that go into the store and come out of it.

use std::fmt;
use std::time::Duration;

use chat_protocol::ids::{DeviceId, Fingerprint, Head, HeadHash, KeyHash, SubmitId, Username};
use chat_protocol::message::client::UserHead;
use chat_protocol::message::server::Post;
use chat_protocol::time::Timestamp;

/// A stored password hash, as found: perhaps not a valid one. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps the text of the column.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the verifier.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// An account that can log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Canonical name.
    pub user: Username,
    /// What the row holds in place of a password.
    pub hash: PasswordHash,
}

/// An account to be created.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Name.
    pub user: Username,
    /// bcrypt hash.
    pub hash: PasswordHash,
    /// SHA-256 of the invite token that is used up; `None` where registration is open.
    pub invite: Option<[u8; 32]>,
    /// Now.
    pub at: Timestamp,
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// The account stands.
    Created,
    /// The name is taken, in some spelling.
    Exists,
    /// The invite is unknown, used or too old.
    InviteRefused,
}

/// What became of a rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renaming {
    /// Done.
    Renamed,
    /// No row is spelled like that.
    NotFound,
    /// The new name is taken, in some spelling.
    Exists,
    /// The account has a log: its certificates carry the name.
    Enrolled,
}

/// One row of the account table, for the administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSummary {
    /// Row id.
    pub id: u64,
    /// As the row spells it.
    pub name: String,
    /// Active devices.
    pub devices: u32,
    /// Latest login of any of them.
    pub last_login: Option<Timestamp>,
}

/// A personal invite.
#[derive(Clone, Copy, Debug)]
pub struct Invite {
    /// SHA-256 of its token.
    pub hash: [u8; 32],
    /// When it was made.
    pub at: Timestamp,
    /// When it ends unused.
    pub expires: Timestamp,
}

/// An existing account and where its log stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownHead {
    /// Account.
    pub user: Username,
    /// Head; absent while no device was ever enrolled.
    pub head: Option<Head>,
}

/// Some entries of an account log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// Hash of the genesis entry.
    pub fingerprint: Fingerprint,
    /// Where the log stands.
    pub head: Head,
    /// Signed entries, contiguous from the sequence asked for.
    pub entries: Vec<Vec<u8>>,
}

/// A genesis entry and the device it adds.
#[derive(Clone, Debug)]
pub struct NewLog {
    /// Account.
    pub user: Username,
    /// First device.
    pub device: DeviceId,
    /// Its certificate.
    pub cert: Vec<u8>,
    /// Signed genesis entry.
    pub genesis: Vec<u8>,
    /// Its hash: head of the new log, and the account's fingerprint.
    pub hash: HeadHash,
    /// Now.
    pub at: Timestamp,
}

/// An entry to append.
#[derive(Clone, Debug)]
pub struct AppendEntry {
    /// Account.
    pub user: Username,
    /// Where the log must stand.
    pub expected: Head,
    /// Signed entry.
    pub entry: Vec<u8>,
    /// Where the log stands afterwards.
    pub head: Head,
    /// Device the entry adds, with its certificate.
    pub activates: Option<(DeviceId, Vec<u8>)>,
    /// Devices the entry revokes.
    pub revokes: Vec<DeviceId>,
    /// Now.
    pub at: Timestamp,
}

/// What became of a write to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogWrite {
    /// The entry stands in the log (also when these very bytes were written before).
    Written,
    /// The log stands elsewhere.
    Stale(Head),
    /// There is no such account, no log to extend, or the device has ended before.
    Missing,
}

/// A reset that waits for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingReset {
    /// Hash of the genesis entry that will begin the new log.
    pub genesis: HeadHash,
    /// When it was asked for.
    pub at: Timestamp,
    /// When it may happen.
    pub due: Timestamp,
}

/// What a device may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Waits for approval by an active device.
    Waiting,
    /// Active in the account log.
    Active,
    /// Revoked by the account log.
    Revoked,
    /// Of a log that a reset replaced.
    Replaced,
}

impl DeviceState {
    /// The number both databases store.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Waiting => 0,
            Self::Active => 1,
            Self::Revoked => 2,
            Self::Replaced => 3,
        }
    }

    /// The state of a stored number.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Waiting,
            1 => Self::Active,
            2 => Self::Revoked,
            3 => Self::Replaced,
            _ => return None,
        })
    }
}

/// A device as remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDevice {
    /// Id.
    pub device: DeviceId,
    /// Account.
    pub user: Username,
    /// Certificate, as received.
    pub cert: Vec<u8>,
    /// What it may do.
    pub state: DeviceState,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// Last login noted.
    pub last_login: Option<Timestamp>,
}

/// A device that asks for approval.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Account.
    pub user: Username,
    /// Id.
    pub device: DeviceId,
    /// Certificate.
    pub cert: Vec<u8>,
    /// Now.
    pub at: Timestamp,
}

/// What became of the wish to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It waits (perhaps it did already).
    Waits,
    /// The device is known and not waiting.
    Known(DeviceState),
    /// Too many wait.
    TooMany,
    /// No such account.
    Missing,
}

/// A bundle to publish.
#[derive(Clone, Debug)]
pub struct NewBundle {
    /// Its device.
    pub device: DeviceId,
    /// Its sequence.
    pub seq: u64,
    /// Signed bundle, as received.
    pub bundle: Vec<u8>,
    /// New one-time public keys, with their hashes.
    pub one_time: Vec<(KeyHash, [u8; 32])>,
    /// All one-time hashes the bundle lists; keys on the server that are not among them are dropped.
    pub listed: Vec<KeyHash>,
}

/// What became of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// It is the device's bundle.
    Published,
    /// A bundle with this or a later sequence stands.
    Stale(u64),
    /// No such active device.
    Missing,
}

/// What a requester gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenBundle {
    /// Signed bundle.
    pub bundle: Vec<u8>,
    /// A one-time public key nobody gets again.
    pub one_time: Option<[u8; 32]>,
}

/// A submit to be stored.
#[derive(Clone, Debug)]
pub struct SubmitRow {
    /// Device that submits.
    pub sender: DeviceId,
    /// Names the submit for deduplication.
    pub submit_id: SubmitId,
    /// Log heads as the sender knows them.
    pub heads: Vec<UserHead>,
    /// Devices and their encoded envelopes, each device at most once.
    pub to: Vec<(DeviceId, Vec<u8>)>,
    /// Now.
    pub at: Timestamp,
}

impl SubmitRow {
    /// Whether a device is named more than once, which no store takes.
    #[must_use]
    pub fn repeats_a_device(&self) -> bool {
        let named: std::collections::BTreeSet<_> = self.to.iter().map(|(device, _)| device).collect();
        named.len() != self.to.len()
    }
}

/// What became of a submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitOutcome {
    /// Durable, in these mailboxes under these sequences; the others were full.
    Stored {
        /// Mailboxes it went to.
        placed: Vec<(DeviceId, u64)>,
        /// Mailboxes that were full.
        full: Vec<DeviceId>,
    },
    /// Stored by an earlier try, with these mailboxes full then.
    Repeated {
        /// Mailboxes that were full.
        full: Vec<DeviceId>,
    },
    /// The sender knows outdated heads: these are the true ones. Nothing is stored or remembered.
    Stale(Vec<UserHead>),
    /// Every mailbox was full. Nothing is stored or remembered.
    Full,
    /// A device is nobody's or not active, the sender's own included. Nothing is stored or remembered.
    NotFound,
    /// The row names a device twice or broke a rule of the database. Nothing of it is stored.
    Failed,
}

/// One message of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its sequence.
    pub seq: u64,
    /// Account of the device that submitted it.
    pub from: Username,
    /// Device that submitted it.
    pub from_device: DeviceId,
    /// Encoded envelope, as submitted.
    pub envelope: Vec<u8>,
}

/// Where a mailbox stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailboxState {
    /// Highest acknowledged sequence.
    pub acked: u64,
    /// Highest assigned sequence.
    pub last: u64,
    /// Messages it holds.
    pub messages: u64,
    /// Bytes it holds.
    pub bytes: u64,
}

/// Something to say in the room.
#[derive(Clone, Debug)]
pub struct NewPost {
    /// Device that says it.
    pub device: DeviceId,
    /// Names the post for deduplication.
    pub submit_id: SubmitId,
    /// What is said.
    pub text: String,
    /// Now.
    pub at: Timestamp,
}

/// What became of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// Stored now: to be pushed to everybody.
    New(Post),
    /// Stored by an earlier try.
    Repeated {
        /// Its sequence.
        room_seq: u64,
        /// When it was stored.
        at: Timestamp,
    },
    /// No such active device.
    Missing,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Messages nobody acknowledged.
    pub mailbox: Duration,
    /// Posts of the public room.
    pub room: Duration,
    /// Memory of submits.
    pub submits: Duration,
    /// Devices that wait for approval.
    pub waiting: Duration,
}

/// What a sweep deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Messages.
    pub mail: u64,
    /// Posts.
    pub posts: u64,
    /// Remembered submits.
    pub submits: u64,
    /// Devices that waited in vain.
    pub devices: u64,
    /// Invites that were used or ran out.
    pub invites: u64,
}
