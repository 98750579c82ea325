//! A MySQL or MariaDB server, perhaps shared by several chat servers.
//!
//! Transactions run at READ COMMITTED. Order of locks, the same everywhere so that nobody waits in a
//! circle: the account's row, then device rows ascending, then the room or the rows of groups
//! ascending. A device's row is the lock of its mailbox and its prekeys, a group's that of its ops. A collision, and a connection lost before the commit, are tried
//! again; a commit whose outcome is unknown is not, since its caller can repeat it.

mod accounts;
mod adopted;
mod bundles;
pub mod copy;
mod devices;
mod durability;
mod groups;
mod logs;
mod mailbox;
mod room;
mod row;
mod snapshot;
mod submits;
mod sweep;
mod time;

use std::time::Duration;

use async_trait::async_trait;
use chat_protocol::ids::{DeviceId, GroupAt, Head, Username};
use chat_protocol::message::server::{GroupStands, LoggedIn, OneTimeLeft, RoomPage};
use chat_protocol::time::{SeenMark, Timestamp};
use mysql_async::prelude::Queryable;
use mysql_async::{Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts, Transaction, TxOpts};

use super::contract::{Result, Store, StoreError};
use super::schema;
use super::types::{
    Account, AccountSummary, AppendEntry, Creation, Invite, KnownHead, LogPage, LogWrite, Mail, MailboxState,
    NewAccount, NewBundle, NewDevice, NewLog, NewOp, NewPost, PasswordHash, PendingReset, Posted, Publication,
    Renaming, Retention, StoredDevice, SubmitOutcome, SubmitRow, Swept, TakenBundle, Waiting,
};
use crate::rules::notary::Appending;
use crate::rules::{Ack, Quota};
use accounts::Names;
use row::{Fault, Sql, int, millis};

/// Most connections to the database: far below the 151 a server takes by default.
const CONNECTIONS: usize = 24;
/// Prepared statements per connection: all fixed ones, and the list lengths in use.
const STATEMENTS: usize = 256;
/// A database that has not answered by then is taken for unreachable.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often a transaction that collided is repeated.
const TRIES: u32 = 8;
/// What every connection begins with: no value is ever cut silently, and no table made without transactions.
const SESSION: [&str; 2] = [
    "SET NAMES utf8mb4",
    "SET SESSION transaction_isolation = 'READ-COMMITTED', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', \
     default_storage_engine = 'InnoDB'",
];
/// The same for servers that know the variable by its old name, as MariaDB before 11.1.
const OLD_SESSION: [&str; 2] = [
    "SET NAMES utf8mb4",
    "SET SESSION tx_isolation = 'READ-COMMITTED', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', \
     default_storage_engine = 'InnoDB'",
];

/// A store in a MySQL or MariaDB database.
pub struct MysqlStore {
    pool: Pool,
    names: Names,
}

/// Runs a read; once more when its connection turns out to be dead.
macro_rules! read {
    ($store:ident, $db:ident => $work:expr) => {
        in_time(async {
            let mut again = true;
            loop {
                let outcome: Sql<_> = async {
                    let mut $db = $store.pool.get_conn().await?;
                    $work.await
                }
                .await;
                match outcome {
                    Err(fault) if fault.is_lost() && std::mem::take(&mut again) => {}
                    other => break other,
                }
            }
        })
        .await
    };
}

/// Runs a transaction, again when that is safe and useful.
macro_rules! write {
    ($store:ident, $db:ident => $work:expr) => {
        in_time(async {
            let mut tries = 0;
            loop {
                let mut committing = false;
                let outcome: Sql<_> = async {
                    let mut $db = $store.begin().await?;
                    let value = $work.await?;
                    committing = true;
                    $db.commit().await?;
                    Ok(value)
                }
                .await;
                tries += 1;
                match outcome {
                    Err(fault) if tries < TRIES && fault.is_collision() => {}
                    Err(fault) if tries == 1 && fault.is_lost() && !committing => {}
                    other => break other,
                }
            }
        })
        .await
    };
}

/// Repeats a step of a sweep, each in a transaction of its own, until it finds less than it could take; tells how many rows.
macro_rules! in_steps {
    ($self:ident, $db:ident => $work:expr) => {{
        let mut total = 0;
        loop {
            let deleted = write!($self, $db => $work)?;
            total += deleted;
            if deleted < sweep::STEP {
                break Ok::<_, StoreError>(total);
            }
        }
    }};
}

impl MysqlStore {
    /// Connects and brings the schema up to date; names the migrations applied.
    ///
    /// # Errors
    /// [`StoreError`] when the server cannot be reached or does not let us.
    pub async fn open(opts: &Opts) -> Result<(Self, Vec<String>)> {
        let pool = in_time(connect(opts)).await?;
        let applied = migrate(&pool).await?;
        durability::look(&pool).await;
        let names = in_time(async {
            let mut db = pool.get_conn().await?;
            Names::learn(&mut db).await
        });
        Ok((Self { names: names.await?, pool: pool.clone() }, applied))
    }

    async fn begin(&self) -> Sql<Transaction<'static>> {
        Ok(self.pool.start_transaction(TxOpts::default()).await?)
    }

    /// Deletes the posts that were kept before a time, and what says when that was. Their sequence is their order.
    async fn sweep_posts(&self, before: Timestamp) -> Result<u64> {
        let last = int(read!(self, db => sweep::newest_post(&mut db, before))?);
        let posts = self.delete("room_post WHERE seq <= ?", last).await?;
        self.delete("room_post_age WHERE seq <= ?", last).await?;
        Ok(posts)
    }

    async fn delete(&self, condition: &str, bound: i64) -> Result<u64> {
        in_steps!(self, db => sweep::delete(&mut db, condition, bound))
    }
}

async fn connect(opts: &Opts) -> Sql<Pool> {
    let pool = pool(opts, &SESSION);
    match pool.get_conn().await {
        Err(mysql_async::Error::Server(error)) if error.code == 1193 => Ok(self::pool(opts, &OLD_SESSION)),
        found => found.map(|_| pool).map_err(Fault::from),
    }
}

fn pool(opts: &Opts, session: &[&str]) -> Pool {
    let constraints = PoolConstraints::new(1, CONNECTIONS).unwrap_or_default();
    // resetting a returned connection would forget its prepared statements
    let pool = PoolOpts::default().with_constraints(constraints).with_reset_connection(false);
    let builder = OptsBuilder::from_opts(opts.clone()).pool_opts(pool).stmt_cache_size(STATEMENTS);
    Pool::new(builder.init(session.to_vec()).prefer_socket(false))
}

/// Whether the database server does not let us in.
#[must_use]
pub fn is_shut(error: &StoreError) -> bool {
    row::is_shut(error)
}

/// Whether the database server lets us in, but has no database of that name.
#[must_use]
pub fn is_nowhere(error: &StoreError) -> bool {
    row::is_nowhere(error)
}

/// One server at a time migrates; the others find it done.
async fn migrate(pool: &Pool) -> Result<Vec<String>> {
    let mut guard = in_time(async { Ok(pool.get_conn().await?) }).await?;
    in_time(adopted::look(&mut guard)).await?;
    guard.query_drop("SELECT GET_LOCK('chat-server migrations', 60)").await.map_err(Fault::from)?;
    let report = schema::mysql()?.run_async(&mut pool.clone()).await.map_err(row::wrapped);
    guard.query_drop("SELECT RELEASE_LOCK('chat-server migrations')").await.map_err(Fault::from)?;
    report.map(|report| schema::names(&report))
}

async fn in_time<T>(work: impl Future<Output = Sql<T>>) -> Sql<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(Fault::Late))
}

/// A unique name somebody else took between our look and our insert.
fn or_taken<T>(outcome: Sql<T>, taken: T) -> Result<T> {
    match outcome {
        Err(fault) if fault.is_duplicate() => Ok(taken),
        other => other.map_err(StoreError::from),
    }
}

#[async_trait]
impl Store for MysqlStore {
    async fn ping(&self) -> Result<()> {
        Ok(read!(self, db => async { Ok(db.query_drop("SELECT last_seq FROM room_state WHERE room = 1").await?) })?)
    }

    async fn account(&self, user: &Username) -> Result<Option<Account>> {
        Ok(read!(self, db => accounts::account(&mut db, self.names, user))?)
    }

    async fn create_account(&self, new: NewAccount) -> Result<Creation> {
        or_taken(write!(self, db => accounts::create(&mut db, self.names, &new)), Creation::Exists)
    }

    async fn set_password(&self, user: &Username, hash: PasswordHash, expected: Option<PasswordHash>) -> Result<bool> {
        Ok(write!(self, db => accounts::set_password(&mut db, self.names, user, &hash, expected.as_ref()))?)
    }

    async fn rename_account(&self, from: &str, to: &Username) -> Result<Renaming> {
        or_taken(write!(self, db => accounts::rename(&mut db, self.names, from, to)), Renaming::Exists)
    }

    async fn accounts(&self, after: u64, limit: u32) -> Result<Vec<AccountSummary>> {
        Ok(read!(self, db => accounts::list(&mut db, after, limit))?)
    }

    async fn create_invite(&self, invite: Invite) -> Result<()> {
        Ok(write!(self, db => accounts::create_invite(&mut db, &invite))?)
    }

    async fn heads(&self, users: &[Username]) -> Result<Vec<KnownHead>> {
        Ok(read!(self, db => logs::heads(&mut db, self.names, users))?)
    }

    async fn log(&self, user: &Username, from: u64, limit: u32) -> Result<Option<LogPage>> {
        Ok(read!(self, db => logs::page(&mut db, self.names, user, from, limit))?)
    }

    async fn begin_log(&self, new: NewLog) -> Result<LogWrite> {
        Ok(write!(self, db => logs::begin(&mut db, self.names, &new))?)
    }

    async fn append_log(&self, append: AppendEntry) -> Result<LogWrite> {
        Ok(write!(self, db => logs::append(&mut db, self.names, &append))?)
    }

    async fn reset_log(&self, replaces: Head, new: NewLog) -> Result<LogWrite> {
        Ok(write!(self, db => logs::reset(&mut db, self.names, replaces, &new))?)
    }

    async fn pending_reset(&self, user: &Username) -> Result<Option<PendingReset>> {
        Ok(read!(self, db => logs::pending_reset(&mut db, self.names, user))?)
    }

    async fn put_reset(&self, user: &Username, reset: PendingReset) -> Result<bool> {
        Ok(write!(self, db => logs::put_reset(&mut db, self.names, user, &reset))?)
    }

    async fn cancel_reset(&self, user: &Username) -> Result<bool> {
        Ok(write!(self, db => logs::cancel_reset(&mut db, self.names, user))?)
    }

    async fn device(&self, device: DeviceId) -> Result<Option<StoredDevice>> {
        Ok(read!(self, db => devices::device(&mut db, device))?)
    }

    async fn devices(&self, user: &Username) -> Result<Vec<StoredDevice>> {
        Ok(read!(self, db => devices::of_account(&mut db, self.names, user))?)
    }

    async fn add_waiting_device(&self, new: NewDevice, most: u32) -> Result<Waiting> {
        Ok(write!(self, db => devices::add_waiting(&mut db, self.names, &new, most))?)
    }

    async fn touch_devices(&self, devices: &[DeviceId], at: Timestamp) -> Result<()> {
        Ok(write!(self, db => devices::touch(&mut db, devices, at))?)
    }

    async fn login_state(&self, device: DeviceId) -> Result<Option<LoggedIn>> {
        Ok(read!(self, db => devices::login_state(&mut db, device))?)
    }

    async fn publish_bundle(&self, new: NewBundle) -> Result<Publication> {
        Ok(write!(self, db => bundles::publish(&mut db, &new))?)
    }

    async fn take_bundle(&self, device: DeviceId, with_key: bool) -> Result<Option<TakenBundle>> {
        Ok(write!(self, db => bundles::take(&mut db, device, with_key))?)
    }

    async fn one_time_left(&self, device: DeviceId) -> Result<OneTimeLeft> {
        Ok(read!(self, db => bundles::one_time_left(&mut db, device))?)
    }

    async fn commit_submits(&self, rows: Vec<SubmitRow>, quota: Quota) -> Result<Vec<SubmitOutcome>> {
        match write!(self, db => submits::commit(&mut db, self.names, &rows, &quota)) {
            Err(fault) if fault.is_refusal() => {}
            other => return Ok(other?),
        }
        // one row spoiled the transaction for all of them: each on its own
        let mut outcomes = Vec::with_capacity(rows.len());
        for row in &rows {
            let alone = std::slice::from_ref(row);
            match write!(self, db => submits::commit(&mut db, self.names, alone, &quota)) {
                Err(fault) if fault.is_refusal() => {
                    tracing::error!(sender = %row.sender, ?fault, "a submit could not be stored");
                    outcomes.push(SubmitOutcome::Failed);
                }
                other => outcomes.append(&mut other?),
            }
        }
        Ok(outcomes)
    }

    async fn mailbox_after(&self, device: DeviceId, seq: u64, limit: u32, max_bytes: u64) -> Result<Vec<Mail>> {
        Ok(read!(self, db => mailbox::after(&mut db, device, seq, limit, max_bytes))?)
    }

    async fn mailbox_ack(&self, device: DeviceId, seq: u64) -> Result<Ack> {
        Ok(write!(self, db => mailbox::ack(&mut db, device, seq))?)
    }

    async fn mailbox_state(&self, device: DeviceId) -> Result<MailboxState> {
        Ok(read!(self, db => mailbox::state(&mut db, device))?)
    }

    async fn room_post(&self, post: NewPost) -> Result<Posted> {
        Ok(write!(self, db => room::post(&mut db, &post))?)
    }

    async fn room_since(&self, seq: Option<u64>, limit: u32) -> Result<RoomPage> {
        Ok(read!(self, db => room::since(&mut db, seq, limit))?)
    }

    async fn append_op(&self, new: NewOp, most: u64) -> Result<Option<Appending>> {
        match write!(self, db => groups::append(&mut db, &new, most)) {
            // another server made the group between our look and our insert: it is looked at again
            Err(fault) if fault.is_duplicate() => Ok(write!(self, db => groups::append(&mut db, &new, most))?),
            other => Ok(other?),
        }
    }

    async fn group_stands(&self, at: GroupAt) -> Result<Option<GroupStands>> {
        Ok(read!(self, db => groups::stands(&mut db, at))?)
    }

    async fn seen_time(&self) -> Result<Option<SeenMark>> {
        Ok(read!(self, db => time::seen(&mut db))?)
    }

    async fn keep_seen_time(&self, mark: SeenMark) -> Result<()> {
        Ok(write!(self, db => time::keep(&mut db, mark))?)
    }

    async fn sweep(&self, now: Timestamp, ended: Timestamp, retention: Retention) -> Result<Swept> {
        let mut mail = 0;
        for (device, seq) in read!(self, db => sweep::old_mail(&mut db, now - retention.mailbox))? {
            mail += in_steps!(self, db => sweep::forget(&mut db, device, seq))?;
        }
        Ok(Swept {
            mail,
            posts: self.sweep_posts(now - retention.room).await?,
            submits: in_steps!(self, db => sweep::forget_submits(&mut db, now - retention.submits))?,
            devices: self.delete("device WHERE state = 0 AND since_ms < ?", millis(now - retention.waiting)).await?,
            invites: self.delete("invite WHERE expires_ms <= ?", millis(ended)).await?,
        })
    }
}
