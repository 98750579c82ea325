//! The store that lies: the true one, and what its operator says instead.
//!
//! All mail goes through the mailbox as it is stored, never past it: so what is changed there is what arrives.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use chat_protocol::ids::{DeviceId, GroupAt, Head, SubmitId, Username};
use chat_protocol::message::client::UserHead;
use chat_protocol::message::server::{GroupStands, LoggedIn, OneTimeLeft, RoomPage};
use chat_protocol::time::{SeenMark, Timestamp};
use chat_server::rules::notary::Appending;
use chat_server::rules::{Ack, Quota};
use chat_server::store::{
    Account, AccountSummary, AppendEntry, Creation, Invite, KnownHead, LogPage, LogWrite, Mail, MailboxState,
    NewAccount, NewBundle, NewDevice, NewLog, NewOp, NewPost, PasswordHash, PendingReset, Posted, Publication,
    Renaming, Result, Retention, SharedStore, Store, StoredDevice, SubmitOutcome, SubmitRow, Swept, TakenBundle,
    Waiting,
};
use chat_stories::DEADLINE;

use crate::lies::{Lies, Seen};

/// The store.
pub struct Liar {
    /// What is really stored.
    pub truth: SharedStore,
    lies: Mutex<Lies>,
    seen: Mutex<Seen>,
    more: Condvar,
    /// Held while mail is placed, so that its author can be changed before it is read.
    mail: tokio::sync::Mutex<()>,
}

impl Liar {
    pub fn new(truth: SharedStore) -> Self {
        let (lies, seen) = (Mutex::default(), Mutex::default());
        Self { truth, lies, seen, more: Condvar::new(), mail: tokio::sync::Mutex::default() }
    }

    pub fn lies(&self) -> MutexGuard<'_, Lies> {
        self.lies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen());
        self.more.notify_all();
    }

    /// Waits until what was seen is enough.
    pub fn until<T>(&self, what: &str, found: impl Fn(&Seen) -> Option<T>) -> T {
        let (until, mut seen) = (Instant::now() + DEADLINE, self.seen());
        loop {
            if let Some(found) = found(&seen) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the server never saw {what}");
            seen = self.more.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Puts envelopes into a mailbox as if the named device had submitted them; the mailbox's last sequence.
    pub async fn inject(&self, to: DeviceId, from: (&Username, DeviceId), envelopes: Vec<Vec<u8>>) -> u64 {
        let _gate = self.mail.lock().await;
        let first = self.truth.mailbox_state(to).await.unwrap().last + 1;
        let last = first + envelopes.len() as u64 - 1;
        let author = (from.0.clone(), from.1);
        self.lies().authors.extend((first..=last).map(|seq| ((to, seq), author.clone())));
        // any device may be named as the sender to the true store: the author is the lie above
        let placed = self.place(to, envelopes.into_iter().map(|envelope| (to, envelope)).collect()).await;
        assert_eq!(placed, (first..=last).collect::<Vec<_>>(), "the mail is placed");
        last
    }

    /// Stores each envelope under a submit id no device uses; their sequences.
    async fn place(&self, sender: DeviceId, envelopes: Vec<(DeviceId, Vec<u8>)>) -> Vec<u64> {
        let mut rows = Vec::new();
        for (to, envelope) in envelopes {
            let (submit_id, heads) = (SubmitId::new(0, rand::random()), self.truth_of(to).await);
            rows.push(SubmitRow {
                sender,
                submit_id,
                heads,
                group: None,
                to: vec![(to, envelope.into())],
                at: Timestamp::ZERO,
            });
        }
        let quota = Quota { messages: 1 << 20, bytes: 1 << 32, from_one: 1 << 20, of_account: 1 << 40 };
        let outcomes = self.truth.commit_submits(rows, quota).await.unwrap();
        let seq = |outcome| match outcome {
            SubmitOutcome::Stored { placed, .. } => placed[0].1,
            other => panic!("{other:?}"),
        };
        outcomes.into_iter().map(seq).collect()
    }

    async fn truth_of(&self, device: DeviceId) -> Vec<UserHead> {
        let Some(device) = self.truth.device(device).await.unwrap() else { return Vec::new() };
        let known = self.truth.heads(&[device.user]).await.unwrap();
        known.into_iter().filter_map(|known| Some(UserHead { user: known.user, head: known.head? })).collect()
    }

    async fn heads(&self, users: &[Username]) -> Result<Vec<KnownHead>> {
        let mut known = self.truth.heads(users).await?;
        let lies = self.lies();
        for user in users.iter().filter(|user| lies.logs.contains_key(*user)) {
            known.retain(|known| known.user != *user);
            known.push(KnownHead { user: user.clone(), head: lies.logs.get(user).map(|log| log.head) });
        }
        Ok(known)
    }

    async fn log(&self, user: &Username, from: u64, limit: u32) -> Result<Option<LogPage>> {
        self.note(|seen| seen.logs.push(user.clone()));
        let shown = self.lies().page(user, from, limit);
        if shown.is_some() { Ok(shown) } else { self.truth.log(user, from, limit).await }
    }

    async fn append_log(&self, append: AppendEntry) -> Result<LogWrite> {
        if self.lies().deaf_to.contains(&append.user) {
            return Ok(LogWrite::Written);
        }
        self.truth.append_log(append).await
    }

    async fn device(&self, device: DeviceId) -> Result<Option<StoredDevice>> {
        let invented = self.lies().devices.get(&device).cloned();
        if invented.is_some() { Ok(invented) } else { self.truth.device(device).await }
    }

    async fn login_state(&self, device: DeviceId) -> Result<Option<LoggedIn>> {
        self.note(|seen| seen.logins.push(device));
        let state = self.truth.login_state(device).await?;
        let lies = self.lies();
        Ok(match lies.claims.get(&device) {
            Some(claim) => state.map(claim),
            None => state,
        })
    }

    async fn take_bundle(&self, device: DeviceId, with_key: bool) -> Result<Option<TakenBundle>> {
        self.note(|seen| seen.bundles.push(device));
        let invented = self.lies().bundles.get(&device).cloned();
        if invented.is_some() { Ok(invented) } else { self.truth.take_bundle(device, with_key).await }
    }

    async fn publish_bundle(&self, new: NewBundle) -> Result<Publication> {
        let device = new.device;
        let published = self.truth.publish_bundle(new).await?;
        self.note(|seen| seen.published.push(device));
        Ok(published)
    }

    async fn mailbox_ack(&self, device: DeviceId, seq: u64) -> Result<Ack> {
        let ack = self.truth.mailbox_ack(device, seq).await?;
        self.note(|seen| {
            seen.acked.insert(device, seq);
        });
        Ok(ack)
    }

    async fn mailbox_after(&self, device: DeviceId, seq: u64, limit: u32, max_bytes: u64) -> Result<Vec<Mail>> {
        let _gate = self.mail.lock().await;
        let mut mail = self.truth.mailbox_after(device, seq, limit, max_bytes).await?;
        for mail in &mut mail {
            if let Some((user, author)) = self.lies().authors.get(&(device, mail.seq)) {
                (mail.from, mail.from_device) = (user.clone(), *author);
            }
        }
        Ok(mail)
    }

    async fn commit_submits(&self, rows: Vec<SubmitRow>, quota: Quota) -> Result<Vec<SubmitOutcome>> {
        let _gate = self.mail.lock().await;
        let mut outcomes = Vec::new();
        for row in rows {
            outcomes.push(self.commit(row, quota).await?);
        }
        Ok(outcomes)
    }

    async fn commit(&self, mut row: SubmitRow, quota: Quota) -> Result<SubmitOutcome> {
        self.note(|seen| seen.submits.push(row.clone()));
        let stale = self.lies().stale(&row.heads);
        if !stale.is_empty() {
            return Ok(SubmitOutcome::Stale(stale));
        }
        self.make_true(&mut row.heads).await?;
        let extra = self.lies().carry(&mut row);
        self.store(row, extra, quota).await
    }

    /// Heads that are a lie would be outdated to the true store.
    async fn make_true(&self, heads: &mut Vec<UserHead>) -> Result<()> {
        let lied_about: Vec<_> = {
            let lies = self.lies();
            let lied_about = |user: &Username| lies.logs.contains_key(user) || lies.deaf_to.contains(user);
            heads.extract_if(.., |named| lied_about(&named.user)).map(|named| named.user).collect()
        };
        let truth = self.truth.heads(&lied_about).await?;
        heads.extend(truth.into_iter().filter_map(|known| Some(UserHead { user: known.user, head: known.head? })));
        Ok(())
    }

    /// Stores what is left of a submit. The answer has everything read from the mailbox, as what was stored before.
    async fn store(&self, row: SubmitRow, extra: Vec<(DeviceId, Vec<u8>)>, quota: Quota) -> Result<SubmitOutcome> {
        if row.to.is_empty() {
            return Ok(SubmitOutcome::Repeated { full: Vec::new() });
        }
        let sender = row.sender;
        let outcome = self.truth.commit_submits(vec![row], quota).await?.pop().unwrap();
        self.place(sender, extra).await;
        Ok(match outcome {
            SubmitOutcome::Stored { full, .. } => SubmitOutcome::Repeated { full },
            other => other,
        })
    }
}

/// Every method of the store: those above, and those that are as true as the database.
macro_rules! store {
    (
        liar { $($lying:ident($($name:ident: $kind:ty),*) -> $answer:ty;)* }
        honest { $($method:ident($($its:ident: $type:ty),*) -> $result:ty;)* }
    ) => {
        #[async_trait]
        impl Store for Liar {
            $(async fn $lying(&self, $($name: $kind),*) -> Result<$answer> {
                Self::$lying(self, $($name),*).await
            })*
            $(async fn $method(&self, $($its: $type),*) -> Result<$result> {
                self.truth.$method($($its),*).await
            })*
        }
    };
}

store! {
    liar {
        heads(users: &[Username]) -> Vec<KnownHead>;
        log(user: &Username, from: u64, limit: u32) -> Option<LogPage>;
        append_log(append: AppendEntry) -> LogWrite;
        device(device: DeviceId) -> Option<StoredDevice>;
        login_state(device: DeviceId) -> Option<LoggedIn>;
        take_bundle(device: DeviceId, with_key: bool) -> Option<TakenBundle>;
        publish_bundle(new: NewBundle) -> Publication;
        mailbox_ack(device: DeviceId, seq: u64) -> Ack;
        commit_submits(rows: Vec<SubmitRow>, quota: Quota) -> Vec<SubmitOutcome>;
        mailbox_after(device: DeviceId, seq: u64, limit: u32, max_bytes: u64) -> Vec<Mail>;
    }
    honest {
        ping() -> ();
        account(user: &Username) -> Option<Account>;
        create_account(new: NewAccount) -> Creation;
        set_password(user: &Username, hash: PasswordHash, expected: Option<PasswordHash>) -> bool;
        rename_account(from: &str, to: &Username) -> Renaming;
        accounts(after: u64, limit: u32) -> Vec<AccountSummary>;
        create_invite(invite: Invite) -> ();
        begin_log(new: NewLog) -> LogWrite;
        reset_log(replaces: Head, new: NewLog) -> LogWrite;
        pending_reset(user: &Username) -> Option<PendingReset>;
        put_reset(user: &Username, reset: PendingReset) -> bool;
        cancel_reset(user: &Username) -> bool;
        devices(user: &Username) -> Vec<StoredDevice>;
        add_waiting_device(new: NewDevice, most: u32) -> Waiting;
        touch_devices(devices: &[DeviceId], at: Timestamp) -> ();
        one_time_left(device: DeviceId) -> OneTimeLeft;
        mailbox_state(device: DeviceId) -> MailboxState;
        room_post(post: NewPost) -> Posted;
        room_since(seq: Option<u64>, limit: u32) -> RoomPage;
        append_op(new: NewOp, most: u64) -> Option<Appending>;
        group_stands(at: GroupAt) -> Option<GroupStands>;
        seen_time() -> Option<SeenMark>;
        keep_seen_time(mark: SeenMark) -> ();
        sweep(now: Timestamp, ended: Timestamp, retention: Retention) -> Swept;
    }
}
