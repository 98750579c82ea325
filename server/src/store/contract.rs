//! What every store promises, and why one could not: both databases keep it, whoever uses one sees nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use chat_protocol::ids::{DeviceId, GroupAt, Head, Username};
use chat_protocol::message::server::{GroupStands, LoggedIn, OneTimeLeft, RoomPage};
use chat_protocol::time::{SeenMark, Timestamp};
use thiserror::Error;

use super::types::{
    Account, AccountSummary, AppendEntry, Creation, Invite, KnownHead, LogPage, LogWrite, Mail, MailboxState,
    NewAccount, NewBundle, NewDevice, NewLog, NewOp, NewPost, PasswordHash, PendingReset, Posted, Publication,
    Renaming, Retention, StoredDevice, SubmitOutcome, SubmitRow, Swept, TakenBundle, Waiting,
};
use crate::rules::notary::Appending;
use crate::rules::{Ack, Quota};

/// Result of everything the store does.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A store that is shared between tasks.
pub type SharedStore = Arc<dyn Store>;

/// Why the store could not answer. Outcomes of the domain are not errors but enums.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database cannot be reached or is overloaded. Nothing is known about the last write; trying
    /// again later is right, since writes are repeatable.
    #[error("the database is not available")]
    Unavailable(#[source] Cause),
    /// A row holds what this program never wrote.
    #[error("the database holds something unexpected: {0}")]
    Corrupt(&'static str),
    /// The table of the first application is not one that this program can live with.
    #[error("the table chat_app cannot be used: {why}")]
    Unsuitable {
        /// What is in the way.
        why: String,
        /// What mends it.
        mend: Mend,
    },
    /// The database refused a statement: a defect here or a foreign hand in the schema.
    #[error("the database failed")]
    Internal(#[source] Cause),
}

/// What makes a table of the first application one that accounts can be kept in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// A statement that does it.
    Statement(String),
    /// What to do, where no one statement does it.
    Words(String),
}

/// What the database driver said; never contains parameters of a statement.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Everything the server remembers. One implementation for SQLite, one for MySQL and MariaDB, one
/// contract for both.
#[async_trait]
pub trait Store: Send + Sync {
    /// Answers when the database does, and has our tables.
    async fn ping(&self) -> Result<()>;

    /// Bytes that are left on the disk it is on; absent where that is not this machine's, or nobody can tell. Where the disk
    /// has `enough`, what is free within the files is not counted: this is asked before every commit.
    async fn free_disk(&self, _enough: u64) -> Result<Option<u64>> {
        Ok(None)
    }

    // Accounts.

    /// The account of that name, however an adopted row spells it. `None` too when two rows collide.
    async fn account(&self, user: &Username) -> Result<Option<Account>>;
    /// Creates an account, using up its invite in the same transaction.
    async fn create_account(&self, new: NewAccount) -> Result<Creation>;
    /// Replaces the password hash; with `expected` only while it is still that one. Tells whether it did.
    async fn set_password(&self, user: &Username, hash: PasswordHash, expected: Option<PasswordHash>) -> Result<bool>;
    /// Gives the row spelled exactly `from` another name. Only an account without a log can be renamed:
    /// certificates carry the name.
    async fn rename_account(&self, from: &str, to: &Username) -> Result<Renaming>;
    /// Up to `limit` rows with an id above `after`, by id, as spelled in the table.
    async fn accounts(&self, after: u64, limit: u32) -> Result<Vec<AccountSummary>>;
    /// Remembers a personal invite.
    async fn create_invite(&self, invite: Invite) -> Result<()>;

    // Account logs.

    /// Which of these accounts exist and where their logs stand; unknown names are left out.
    async fn heads(&self, users: &[Username]) -> Result<Vec<KnownHead>>;
    /// Up to `limit` log entries from sequence `from` on. `None` without an account or a log.
    async fn log(&self, user: &Username, from: u64, limit: u32) -> Result<Option<LogPage>>;
    /// Stores the genesis entry of an account that has no log; its device becomes active.
    async fn begin_log(&self, new: NewLog) -> Result<LogWrite>;
    /// Appends an entry to a log that stands at `expected`, with its effect on devices. A revoked
    /// device loses its mailbox and bundle.
    async fn append_log(&self, append: AppendEntry) -> Result<LogWrite>;
    /// Archives the log that stands at `replaces`, ends its devices and mailboxes, and begins `new`.
    async fn reset_log(&self, replaces: Head, new: NewLog) -> Result<LogWrite>;
    /// The reset that waits for its time.
    async fn pending_reset(&self, user: &Username) -> Result<Option<PendingReset>>;
    /// Makes this the waiting reset of the account; tells whether the account exists.
    async fn put_reset(&self, user: &Username, reset: PendingReset) -> Result<bool>;
    /// Forgets the waiting reset; tells whether there was one.
    async fn cancel_reset(&self, user: &Username) -> Result<bool>;

    // Devices.

    /// A device, whatever its state.
    async fn device(&self, device: DeviceId) -> Result<Option<StoredDevice>>;
    /// All devices an account ever had that are still remembered.
    async fn devices(&self, user: &Username) -> Result<Vec<StoredDevice>>;
    /// Lets a device wait for approval; at most `most` per account do.
    async fn add_waiting_device(&self, new: NewDevice, most: u32) -> Result<Waiting>;
    /// Notes that devices are here.
    async fn touch_devices(&self, devices: &[DeviceId], at: Timestamp) -> Result<()>;
    /// Where everything stands for a device of an account that has a log.
    async fn login_state(&self, device: DeviceId) -> Result<Option<LoggedIn>>;

    // Bundles.

    /// Makes this the device's bundle if its sequence is above the last one's; the same bytes again
    /// are published already.
    async fn publish_bundle(&self, new: NewBundle) -> Result<Publication>;
    /// The bundle of an active device and, if asked for, one one-time key, which is gone durably when this returns.
    async fn take_bundle(&self, device: DeviceId, with_key: bool) -> Result<Option<TakenBundle>>;
    /// One-time keys nobody took.
    async fn one_time_left(&self, device: DeviceId) -> Result<OneTimeLeft>;

    // Mailboxes.

    /// Judges many submits (see [`crate::rules::judge`]) and stores them in one transaction; a
    /// bad one fails alone. Outcomes come in order of the rows.
    async fn commit_submits(&self, rows: Vec<SubmitRow>, quota: Quota) -> Result<Vec<SubmitOutcome>>;
    /// What the mailbox holds above `seq`, ascending: at most `limit` and about `max_bytes`, but at least one.
    async fn mailbox_after(&self, device: DeviceId, seq: u64, limit: u32, max_bytes: u64) -> Result<Vec<Mail>>;
    /// Forgets everything up to `seq`, as [`crate::rules::judge_ack`] decides.
    async fn mailbox_ack(&self, device: DeviceId, seq: u64) -> Result<Ack>;
    /// Counters of a mailbox; zeros when it was never used.
    async fn mailbox_state(&self, device: DeviceId) -> Result<MailboxState>;

    // The public room.

    /// Appends a post, once per (device, submit id).
    async fn room_post(&self, post: NewPost) -> Result<Posted>;
    /// Up to `limit` posts after `seq`, oldest first; without `seq` the newest ones.
    async fn room_since(&self, seq: Option<u64>, limit: u32) -> Result<RoomPage>;

    // Groups.

    /// Gives an op its place in a group, as [`crate::rules::notary::judge_append`] decides; an account makes at most `most`
    /// groups. `None` when the device is not active.
    async fn append_op(&self, new: NewOp, most: u64) -> Result<Option<Appending>>;
    /// Where a group stands for whoever has this head at its place. `None` without such a group.
    async fn group_stands(&self, at: GroupAt) -> Result<Option<GroupStands>>;

    /// How far the time that was seen had come when that was last kept.
    async fn seen_time(&self) -> Result<Option<SeenMark>>;
    /// Keeps how far it has come.
    async fn keep_seen_time(&self, mark: SeenMark) -> Result<()>;
    /// Deletes what has outlived its time, which `now` is of the time that was seen to pass; of invites those that
    /// `ended` by the clock.
    async fn sweep(&self, now: Timestamp, ended: Timestamp, retention: Retention) -> Result<Swept>;
}
