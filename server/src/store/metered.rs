//! A store whose failures are counted, whoever asked and whatever is said to the peer.

use std::sync::Arc;

use async_trait::async_trait;
use chat_protocol::ids::{DeviceId, GroupAt, Head, Username};
use chat_protocol::message::server::{GroupStands, LoggedIn, OneTimeLeft, RoomPage};
use chat_protocol::time::{SeenMark, Timestamp};

use super::contract::{Result, SharedStore, Store, StoreError};
use super::types::{
    Account, AccountSummary, AppendEntry, Creation, Invite, KnownHead, LogPage, LogWrite, Mail, MailboxState,
    NewAccount, NewBundle, NewDevice, NewLog, NewOp, NewPost, PasswordHash, PendingReset, Posted, Publication,
    Renaming, Retention, StoredDevice, SubmitOutcome, SubmitRow, Swept, TakenBundle, Waiting,
};
use crate::counters::{Counters, DatabaseFailure};
use crate::rules::notary::Appending;
use crate::rules::{Ack, Quota};

/// A store, and where its failures are counted.
pub(crate) struct MeteredStore {
    /// What answers.
    pub(crate) store: SharedStore,
    /// What counts.
    pub(crate) counters: Arc<Counters>,
}

impl MeteredStore {
    fn note<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.inspect_err(|error| {
            self.counters.database.one(match error {
                StoreError::Unavailable(_) => DatabaseFailure::Unavailable,
                StoreError::Corrupt(_) | StoreError::Unsuitable { .. } => DatabaseFailure::Corrupt,
                StoreError::Internal(_) => DatabaseFailure::Internal,
            });
        })
    }
}

/// Every method of the store: asked there, noted here.
macro_rules! counted {
    ($($method:ident($($name:ident: $kind:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Store for MeteredStore {
            $(async fn $method(&self, $($name: $kind),*) -> Result<$answer> {
                self.note(self.store.$method($($name),*).await)
            })*
        }
    };
}

counted! {
    ping() -> ();
    free_disk(enough: u64) -> Option<u64>;
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
    commit_submits(rows: Vec<SubmitRow>, quota: Quota) -> Vec<SubmitOutcome>;
    mailbox_after(device: DeviceId, seq: u64, limit: u32, max_bytes: u64) -> Vec<Mail>;
    mailbox_ack(device: DeviceId, seq: u64) -> Ack;
    mailbox_state(device: DeviceId) -> MailboxState;
    room_post(post: NewPost) -> Posted;
    room_since(seq: Option<u64>, limit: u32) -> RoomPage;
    append_op(new: NewOp, most: u64) -> Option<Appending>;
    group_stands(at: GroupAt) -> Option<GroupStands>;
    seen_time() -> Option<SeenMark>;
    keep_seen_time(mark: SeenMark) -> ();
    sweep(now: Timestamp, ended: Timestamp, retention: Retention) -> Swept;
}
