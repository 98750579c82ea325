//! The embedded database: one file, one writer thread, a few readers.
//!
//! Everything that changes rows goes to the writer, which puts what waits into one transaction, each
//! job or each of its parts behind its own savepoint, and answers after the commit (WAL, `synchronous=FULL`). Reads run
//! beside it on connections of their own and see whole commits only.

mod accounts;
mod bundles;
pub mod copy;
mod devices;
mod disk;
mod groups;
mod logs;
mod mailbox;
#[cfg(feature = "fixtures")]
mod memory;
mod open;
mod readers;
mod room;
mod row;
mod snapshot;
mod submits;
mod sweep;
mod time;
mod writer;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use chat_protocol::ids::{DeviceId, GroupAt, Head, Username};
use chat_protocol::message::server::{GroupStands, LoggedIn, OneTimeLeft, RoomPage};
use chat_protocol::time::{SeenMark, Timestamp};

use super::contract::{Result, Store};
use super::types::{
    Account, AccountSummary, AppendEntry, Creation, Invite, KnownHead, LogPage, LogWrite, Mail, MailboxState,
    NewAccount, NewBundle, NewDevice, NewLog, NewOp, NewPost, PasswordHash, PendingReset, Posted, Publication,
    Renaming, Retention, StoredDevice, SubmitOutcome, SubmitRow, Swept, TakenBundle, Waiting,
};
use crate::rules::notary::Appending;
use crate::rules::{Ack, Quota};
use readers::Readers;
use writer::Writer;

/// A store in a SQLite file.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    /// Where it is, unless it lives in memory.
    file: Option<PathBuf>,
}

impl SqliteStore {
    /// Opens or creates the file (mode 0600) and brings its schema up to date; names the migrations applied.
    ///
    /// # Errors
    /// [`super::StoreError`] when the file cannot be used.
    pub fn open(file: &Path) -> Result<(Self, Vec<String>)> {
        let (connection, applied) = open::writing(file)?;
        let readers = Readers::open(file)?;
        let writer = Writer::start(connection, file.to_owned())?;
        Ok((Self { writer, readers, file: Some(file.to_owned()) }, applied))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Result<()> {
        self.readers.read(|db| db.query_row("SELECT last_seq FROM room_state WHERE room = 1", [], |_| Ok(()))).await
    }

    async fn free_disk(&self, enough: u64) -> Result<Option<u64>> {
        let Some(free) = self.file.as_deref().and_then(disk::free) else { return Ok(None) };
        if free < disk::LOG_BYTES || free >= enough {
            return Ok(Some(free));
        }
        Ok(Some(free.saturating_add(self.readers.read(disk::reusable).await?)))
    }

    async fn account(&self, user: &Username) -> Result<Option<Account>> {
        let user = user.clone();
        self.readers.read(move |db| accounts::account(db, &user)).await
    }

    async fn create_account(&self, new: NewAccount) -> Result<Creation> {
        self.writer.write(move |db| accounts::create(db, &new)).await
    }

    async fn set_password(&self, user: &Username, hash: PasswordHash, expected: Option<PasswordHash>) -> Result<bool> {
        let user = user.clone();
        self.writer.write(move |db| accounts::set_password(db, &user, &hash, expected.as_ref())).await
    }

    async fn rename_account(&self, from: &str, to: &Username) -> Result<Renaming> {
        let (from, to) = (from.to_owned(), to.clone());
        self.writer.write(move |db| accounts::rename(db, &from, &to)).await
    }

    async fn accounts(&self, after: u64, limit: u32) -> Result<Vec<AccountSummary>> {
        self.readers.read(move |db| accounts::list(db, after, limit)).await
    }

    async fn create_invite(&self, invite: Invite) -> Result<()> {
        self.writer.write(move |db| accounts::create_invite(db, &invite)).await
    }

    async fn heads(&self, users: &[Username]) -> Result<Vec<KnownHead>> {
        let users = users.to_vec();
        self.readers.read(move |db| logs::heads(db, &users)).await
    }

    async fn log(&self, user: &Username, from: u64, limit: u32) -> Result<Option<LogPage>> {
        let user = user.clone();
        self.readers.read(move |db| logs::page(db, &user, from, limit)).await
    }

    async fn begin_log(&self, new: NewLog) -> Result<LogWrite> {
        self.writer.write(move |db| logs::begin(db, &new)).await
    }

    async fn append_log(&self, append: AppendEntry) -> Result<LogWrite> {
        self.writer.write(move |db| logs::append(db, &append)).await
    }

    async fn reset_log(&self, replaces: Head, new: NewLog) -> Result<LogWrite> {
        self.writer.write(move |db| logs::reset(db, replaces, &new)).await
    }

    async fn pending_reset(&self, user: &Username) -> Result<Option<PendingReset>> {
        let user = user.clone();
        self.readers.read(move |db| logs::pending_reset(db, &user)).await
    }

    async fn put_reset(&self, user: &Username, reset: PendingReset) -> Result<bool> {
        let user = user.clone();
        self.writer.write(move |db| logs::put_reset(db, &user, &reset)).await
    }

    async fn cancel_reset(&self, user: &Username) -> Result<bool> {
        let user = user.clone();
        self.writer.write(move |db| logs::cancel_reset(db, &user)).await
    }

    async fn device(&self, device: DeviceId) -> Result<Option<StoredDevice>> {
        self.readers.read(move |db| devices::device(db, device)).await
    }

    async fn devices(&self, user: &Username) -> Result<Vec<StoredDevice>> {
        let user = user.clone();
        self.readers.read(move |db| devices::of_account(db, &user)).await
    }

    async fn add_waiting_device(&self, new: NewDevice, most: u32) -> Result<Waiting> {
        self.writer.write(move |db| devices::add_waiting(db, &new, most)).await
    }

    async fn touch_devices(&self, devices: &[DeviceId], at: Timestamp) -> Result<()> {
        let devices = devices.to_vec();
        self.writer.write(move |db| devices::touch(db, &devices, at)).await
    }

    async fn login_state(&self, device: DeviceId) -> Result<Option<LoggedIn>> {
        self.readers.read(move |db| devices::login_state(db, device)).await
    }

    async fn publish_bundle(&self, new: NewBundle) -> Result<Publication> {
        self.writer.write(move |db| bundles::publish(db, &new)).await
    }

    async fn take_bundle(&self, device: DeviceId, with_key: bool) -> Result<Option<TakenBundle>> {
        self.writer.write(move |db| bundles::take(db, device, with_key)).await
    }

    async fn one_time_left(&self, device: DeviceId) -> Result<OneTimeLeft> {
        self.readers.read(move |db| bundles::one_time_left(db, device)).await
    }

    async fn commit_submits(&self, rows: Vec<SubmitRow>, quota: Quota) -> Result<Vec<SubmitOutcome>> {
        self.writer.write_parts(move |db| submits::commit(db, &rows, &quota)).await
    }

    async fn mailbox_after(&self, device: DeviceId, seq: u64, limit: u32, max_bytes: u64) -> Result<Vec<Mail>> {
        self.readers.read(move |db| mailbox::after(db, device, seq, limit, max_bytes)).await
    }

    async fn mailbox_ack(&self, device: DeviceId, seq: u64) -> Result<Ack> {
        self.writer.write(move |db| mailbox::ack(db, device, seq)).await
    }

    async fn mailbox_state(&self, device: DeviceId) -> Result<MailboxState> {
        self.readers.read(move |db| mailbox::state(db, device)).await
    }

    async fn room_post(&self, post: NewPost) -> Result<Posted> {
        self.writer.write(move |db| room::post(db, &post)).await
    }

    async fn room_since(&self, seq: Option<u64>, limit: u32) -> Result<RoomPage> {
        self.readers.read(move |db| room::since(db, seq, limit)).await
    }

    async fn append_op(&self, new: NewOp, most: u64) -> Result<Option<Appending>> {
        self.writer.write(move |db| groups::append(db, &new, most)).await
    }

    async fn group_stands(&self, at: GroupAt) -> Result<Option<GroupStands>> {
        self.readers.read(move |db| groups::stands(db, at)).await
    }

    async fn seen_time(&self) -> Result<Option<SeenMark>> {
        self.readers.read(time::seen).await
    }

    async fn keep_seen_time(&self, mark: SeenMark) -> Result<()> {
        self.writer.write(move |db| time::keep(db, mark)).await
    }

    async fn sweep(&self, now: Timestamp, ended: Timestamp, retention: Retention) -> Result<Swept> {
        sweep::sweep(&self.readers, &self.writer, (now, ended), retention).await
    }
}
