//! The server's database: the real tables in memory, and whatever can come between asking and hearing.
//!
//! What it has carried out is committed and outlives the server. While it is gated every call waits until
//! somebody decides what becomes of it, so that anything can happen before and after each transaction.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use async_trait::async_trait;
use chat_protocol::ids::{DeviceId, GroupAt, Head, SubmitId, Username};
use chat_protocol::message::server::{GroupStands, LoggedIn, OneTimeLeft, RoomPage};
use chat_protocol::time::{SeenMark, Timestamp};
use chat_server::rules::notary::Appending;
use chat_server::rules::{Ack, Quota};
use chat_server::store::sqlite::SqliteStore;
use chat_server::store::{
    Account, AccountSummary, AppendEntry, Creation, Invite, KnownHead, LogPage, LogWrite, Mail, MailboxState,
    NewAccount, NewBundle, NewDevice, NewLog, NewOp, NewPost, PasswordHash, PendingReset, Posted, Publication,
    Renaming, Result, Retention, Store, StoreError, StoredDevice, SubmitOutcome, SubmitRow, Swept, TakenBundle,
    Waiting,
};
use tokio::sync::oneshot;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// It is carried out and answered.
    Out,
    /// It is carried out; the answer takes its time.
    Slowly,
    /// It is carried out, and nobody hears of it.
    Unheard,
    /// It is not carried out.
    Never,
}

/// A call that waits for its turn.
struct Call {
    what: &'static str,
    turn: oneshot::Sender<Carried>,
}

#[derive(Default)]
struct State {
    gated: bool,
    away: bool,
    calls: VecDeque<Call>,
    /// Submits and posts that are committed.
    committed: BTreeSet<(DeviceId, SubmitId)>,
    full: BTreeSet<DeviceId>,
    /// Mailboxes that were full when these were stored.
    left_out: BTreeMap<(DeviceId, SubmitId), Vec<DeviceId>>,
}

pub struct Disk {
    tables: SqliteStore,
    state: Mutex<State>,
}

/// An empty database, made once.
static EMPTY: LazyLock<Vec<u8>> = LazyLock::new(|| SqliteStore::in_memory().unwrap().image().unwrap().unwrap());

impl Disk {
    pub fn new() -> Arc<Self> {
        Self::from_image(&EMPTY)
    }

    pub fn from_image(image: &[u8]) -> Arc<Self> {
        Arc::new(Self { tables: SqliteStore::from_image(image).unwrap(), state: Mutex::default() })
    }

    pub fn image(&self) -> Vec<u8> {
        self.tables.image().unwrap().unwrap()
    }

    /// The tables as they are committed, for those who do not ask over the server.
    pub fn tables(&self) -> &SqliteStore {
        &self.tables
    }

    /// A foreign hand in the tables.
    pub fn meddle(&self, sql: &str) {
        self.tables.meddle(sql).unwrap();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Whether calls wait for [`Self::carry`].
    pub fn gate(&self, gated: bool) {
        self.state().gated = gated;
    }

    /// Whether the database cannot be reached.
    pub fn set_away(&self, away: bool) {
        self.state().away = away;
    }

    /// Whether a mailbox takes nothing.
    pub fn set_full(&self, device: DeviceId, full: bool) {
        let mut state = self.state();
        if full {
            state.full.insert(device)
        } else {
            state.full.remove(&device)
        };
    }

    /// How many calls wait.
    pub fn waiting(&self) -> usize {
        self.state().calls.len()
    }

    /// Decides about one of the waiting calls; what it was.
    pub fn carry(&self, nth: usize, carried: Carried) -> Option<&'static str> {
        let mut state = self.state();
        let count = state.calls.len();
        let call = state.calls.remove(nth % count.max(1))?;
        drop(state);
        // whoever asked may be gone
        let _ = call.turn.send(carried);
        Some(call.what)
    }

    /// The server died: what was not carried out never will be.
    pub fn forget(&self) {
        self.state().calls.clear();
    }

    pub fn has_committed(&self, device: DeviceId, id: SubmitId) -> bool {
        self.state().committed.contains(&(device, id))
    }

    async fn turn(&self, what: &'static str) -> Carried {
        let (turn, decided) = oneshot::channel();
        {
            let mut state = self.state();
            if state.away {
                return Carried::Never;
            }
            if !state.gated {
                return Carried::Out;
            }
            state.calls.push_back(Call { what, turn });
        }
        decided.await.unwrap_or(Carried::Never)
    }

    async fn call<T>(&self, what: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let away = || Err(StoreError::Unavailable("nobody answers".into()));
        match self.turn(what).await {
            Carried::Out => work.await,
            Carried::Slowly => {
                let outcome = work.await;
                if self.turn(what).await == Carried::Never { away() } else { outcome }
            }
            Carried::Unheard => work.await.and_then(|_| away()),
            Carried::Never => away(),
        }
    }

    async fn store_submits(&self, rows: Vec<SubmitRow>, quota: Quota) -> Result<Vec<SubmitOutcome>> {
        let (asked, stripped): (Vec<_>, Vec<_>) = rows.into_iter().map(|row| self.strip(row)).unzip();
        let ids: Vec<_> = stripped.iter().map(|row: &SubmitRow| (row.sender, row.submit_id)).collect();
        let outcomes = self.tables.commit_submits(stripped, quota).await?;
        let amended = outcomes.into_iter().zip(asked).zip(ids);
        Ok(amended.map(|((outcome, full), id)| self.amend(outcome, full, id)).collect())
    }

    /// Takes the full mailboxes out of a row; and which they are.
    fn strip(&self, mut row: SubmitRow) -> (Vec<DeviceId>, SubmitRow) {
        let state = self.state();
        let id = (row.sender, row.submit_id);
        let full = match state.left_out.get(&id) {
            Some(then) => then.clone(),
            None => row.to.iter().map(|(to, _)| *to).filter(|to| state.full.contains(to)).collect(),
        };
        row.to.retain(|(to, _)| !full.contains(to));
        (full, row)
    }

    fn amend(&self, outcome: SubmitOutcome, left_out: Vec<DeviceId>, id: (DeviceId, SubmitId)) -> SubmitOutcome {
        let mut state = self.state();
        if let SubmitOutcome::Stored { .. } | SubmitOutcome::Repeated { .. } = outcome {
            state.committed.insert(id);
            if !left_out.is_empty() {
                state.left_out.insert(id, left_out.clone());
            }
        }
        match outcome {
            SubmitOutcome::Stored { placed, full } => SubmitOutcome::Stored { placed, full: [full, left_out].concat() },
            SubmitOutcome::Repeated { full } => SubmitOutcome::Repeated { full: [full, left_out].concat() },
            other => other,
        }
    }

    async fn store_post(&self, post: NewPost) -> Result<Posted> {
        let id = (post.device, post.submit_id);
        let posted = self.tables.room_post(post).await?;
        self.state().committed.insert(id);
        Ok(posted)
    }
}

/// Every method of the store, gated.
macro_rules! gated {
    ($($method:ident($($name:ident: $kind:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Store for Disk {
            $(async fn $method(&self, $($name: $kind),*) -> Result<$answer> {
                self.call(stringify!($method), self.tables.$method($($name),*)).await
            })*

            async fn commit_submits(&self, rows: Vec<SubmitRow>, quota: Quota) -> Result<Vec<SubmitOutcome>> {
                self.call("commit_submits", self.store_submits(rows, quota)).await
            }

            async fn room_post(&self, post: NewPost) -> Result<Posted> {
                self.call("room_post", self.store_post(post)).await
            }
        }
    };
}

gated! {
    ping() -> ();
    account(user: &Username) -> Option<Account>;
    create_account(new: NewAccount) -> Creation;
    set_password(user: &Username, hash: PasswordHash, expected: Option<PasswordHash>) -> bool;
    rename_account(from: &str, to: &Username) -> Renaming;
    accounts(after: u64, limit: u32) -> Vec<AccountSummary>;
    create_invite(invite: Invite) -> ();
    heads(users: &[Username]) -> Vec<KnownHead>;
    log(user: &Username, from: u64, limit: u32) -> Option<LogPage>;
    begin_log(new: NewLog) -> LogWrite;
    append_log(append: AppendEntry) -> LogWrite;
    reset_log(replaces: Head, new: NewLog) -> LogWrite;
    pending_reset(user: &Username) -> Option<PendingReset>;
    put_reset(user: &Username, reset: PendingReset) -> bool;
    cancel_reset(user: &Username) -> bool;
    device(device: DeviceId) -> Option<StoredDevice>;
    devices(user: &Username) -> Vec<StoredDevice>;
    add_waiting_device(new: NewDevice, most: u32) -> Waiting;
    touch_devices(devices: &[DeviceId], at: Timestamp) -> ();
    login_state(device: DeviceId) -> Option<LoggedIn>;
    publish_bundle(new: NewBundle) -> Publication;
    take_bundle(device: DeviceId, with_key: bool) -> Option<TakenBundle>;
    one_time_left(device: DeviceId) -> OneTimeLeft;
    mailbox_after(device: DeviceId, seq: u64, limit: u32, max_bytes: u64) -> Vec<Mail>;
    mailbox_ack(device: DeviceId, seq: u64) -> Ack;
    mailbox_state(device: DeviceId) -> MailboxState;
    room_since(seq: Option<u64>, limit: u32) -> RoomPage;
    append_op(new: NewOp, most: u64) -> Option<Appending>;
    group_stands(at: GroupAt) -> Option<GroupStands>;
    seen_time() -> Option<SeenMark>;
    keep_seen_time(mark: SeenMark) -> ();
    sweep(now: Timestamp, ended: Timestamp, retention: Retention) -> Swept;
}
