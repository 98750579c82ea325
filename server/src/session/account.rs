//! Becoming somebody: registration, enrolment, login, reset; and changing what proves it.
//!
//! A password is looked at only after its attempt was counted, and an unknown user costs the same
//! hash as a wrong password and gets the same answer. What a device signed is bound to this connection
//! and this server, so nothing that was recorded or relayed is worth anything here.

use std::sync::Arc;
use std::time::Instant;

use chat_protocol::crypto::kdf::sha256;
use chat_protocol::ids::{DeviceId, Fingerprint, Head, HeadHash, Username};
use chat_protocol::limits::MAX_WAITING_DEVICES;
use chat_protocol::message::client::{ChangePassword, Enrol, Login, Password, Register, Reset, UserHead};
use chat_protocol::message::server::{Code, Push, Refusal, ResetNotice};
use chat_protocol::message::{Blob, Done};
use chat_protocol::time::Timestamp;

use super::asked::bad_request;
use super::guest::Guest;
use super::proof::{self, Flaw, Newcomer};
use super::ready::Ready;
use super::{seen, waiting};
use crate::config::Registration;
use crate::counters::Closed;
use crate::limits::Source;
use crate::mailbox::{busy, check_disk, store_failed};
use crate::password;
use crate::shared::Shared;
use crate::store::{
    Account, Creation, DeviceState, LogWrite, NewAccount, NewDevice, PasswordHash, PendingReset, StoreError,
    StoredDevice, Waiting,
};
use crate::work::Asker;

/// What an enrolment leads to.
pub(super) enum Enrolment {
    /// The device is active.
    Active(Username, DeviceId),
    /// The account has a log, standing there and with this fingerprint: one of its devices must approve.
    Waits(Head, Fingerprint),
}

/// What a reset leads to.
pub(super) enum ResetOutcome {
    /// The new log stands and its device is active.
    Done(Username, DeviceId),
    /// Ask again then.
    Waits(Timestamp),
}

fn failed(error: StoreError) -> Refusal {
    store_failed("account", &error)
}

fn too_many_waiting() -> Refusal {
    Code::RateLimited.into()
}

impl Guest {
    /// Creates an account. Every try counts, because every answer tells whether a name is taken.
    pub(super) async fn register(&self, ask: Register) -> Result<Done, Refusal> {
        let shared = &self.shared;
        ask.password.check_new().map_err(|_| bad_request())?;
        if !ask.user.may_be_new() {
            return Err(bad_request());
        }
        let limits = shared.limits();
        limits.registrations.check(&self.source)?;
        limits.all_registrations.check(&())?;
        check_disk(&*shared.store, &shared.config()).await?;
        let invite = match (shared.config().registration, ask.invite) {
            (Registration::Open, _) => None,
            (Registration::Invite, Some(token)) => Some(sha256(&token)),
            (Registration::Invite, None) => return Err(Code::Denied.into()),
        };
        let hash = new_hash(shared, Asker::Guest(self.source), ask.password).await?;
        let new = NewAccount { user: ask.user, hash, invite, at: shared.now() };
        match shared.store.create_account(new).await.map_err(failed)? {
            Creation::Created => Ok(Done {}),
            Creation::Exists => Err(Code::Exists.into()),
            Creation::InviteRefused => Err(Code::Denied.into()),
        }
    }

    /// Verifies the device's signature. An unknown device, another's device and a wrong signature are one answer.
    ///
    /// Too many of them are told so and sent away; a right signature is looked at first, so that it is never delayed.
    pub(super) async fn login(&mut self, ask: &Login) -> Result<(), Refusal> {
        let stored = self.shared.store.device(ask.device).await.map_err(failed)?;
        let proven = match stored.filter(|device| device.user == ask.user) {
            Some(stored) => self.proven(stored, ask.signature.clone()).await?,
            None => None,
        };
        let Some(stored) = proven else { return Err(self.not_proven(ask.device)) };
        match stored.state {
            DeviceState::Active => Ok(()),
            DeviceState::Waiting => {
                waiting::accepted(&self.shared, &stored, ask.acceptance.clone());
                Err(Code::ApprovalRequired.into())
            }
            DeviceState::Revoked | DeviceState::Replaced => Err(Code::Revoked.into()),
        }
    }

    /// A signature was not the device's: counted, and refused.
    fn not_proven(&mut self, device: DeviceId) -> Refusal {
        let counted = self.shared.limits().signatures.fail(&(device, self.source), Instant::now());
        counted.inspect_err(|_| self.dismiss()).err().map_or(Code::Denied.into(), Refusal::from)
    }

    /// The device if the signature is its own.
    async fn proven(&self, device: StoredDevice, signature: Blob) -> Result<Option<StoredDevice>, Refusal> {
        let binding = self.binding;
        let job = move || proof::login(&binding, &device, &signature).then_some(device);
        self.shared.signatures.run(job).await.map_err(|_| busy())
    }

    /// Checks a guest's password. Whoever asks much is told so before the account is, so that one source cannot try
    /// many names.
    async fn check_password(&self, user: &Username, password: Password) -> Result<(), Refusal> {
        self.shared.limits().checks.check(&self.source)?;
        check_password(&self.shared, Asker::Guest(self.source), self.source, user, password).await.map(drop)
    }

    /// Makes a device known: active when its genesis is the first one, else waiting for approval.
    pub(super) async fn enrol(&mut self, ask: Enrol) -> Result<Enrolment, Refusal> {
        self.check_password(&ask.user, ask.password).await?;
        let newcomer = self.newcomer((ask.user, ask.cert), ask.signature, ask.genesis).await?;
        match newcomer.clone().into_log(self.shared.seen()) {
            Some(log) => match self.shared.store.begin_log(log).await.map_err(failed)? {
                LogWrite::Written => Ok(Enrolment::Active(newcomer.user, newcomer.device)),
                LogWrite::Stale(_) => self.wait_for_approval(newcomer).await,
                LogWrite::Missing => Err(Code::Denied.into()),
            },
            None => self.wait_for_approval(newcomer).await,
        }
    }

    /// What a device brings that nobody knows yet. A signature that is not its own counts like one at a login.
    async fn newcomer(
        &mut self,
        (user, cert): (Username, Blob),
        signature: Blob,
        genesis: Option<Blob>,
    ) -> Result<Newcomer, Refusal> {
        let binding = self.binding;
        let job = move || proof::newcomer(&binding, user, cert, &signature, genesis);
        let proven = self.shared.signatures.run(job).await.map_err(|_| busy())?;
        proven.map_err(|flaw| match flaw {
            Flaw::Signature(device) => self.not_proven(device),
            Flaw::Other(refusal) => refusal,
        })
    }

    async fn wait_for_approval(&self, newcomer: Newcomer) -> Result<Enrolment, Refusal> {
        let Newcomer { user, device, cert, .. } = newcomer;
        let log = self.shared.store.log(&user, 0, 1).await.map_err(failed)?.ok_or_else(bad_request)?;
        let new = NewDevice { user: user.clone(), device, cert, at: self.shared.seen() };
        let most = u32::try_from(MAX_WAITING_DEVICES).unwrap_or(u32::MAX);
        match self.shared.store.add_waiting_device(new, most).await.map_err(failed)? {
            Waiting::Waits => {
                waiting::announce(&self.shared, &user, device);
                Ok(Enrolment::Waits(log.head, log.fingerprint))
            }
            Waiting::Known(DeviceState::Active) => Ok(Enrolment::Active(user, device)),
            Waiting::Known(DeviceState::Revoked | DeviceState::Replaced) => Err(Code::Revoked.into()),
            Waiting::Known(_) | Waiting::Missing => Err(Code::Denied.into()),
            Waiting::TooMany => Err(too_many_waiting()),
        }
    }

    /// Starts an account again whose devices are lost, after a time in which any of them can object.
    pub(super) async fn reset(&mut self, ask: Reset) -> Result<ResetOutcome, Refusal> {
        self.check_password(&ask.user, ask.password).await?;
        let head = head_of(&self.shared, &ask.user).await?.ok_or(Code::NotFound)?;
        if ask.genesis.is_none() {
            return Err(stale(ask.user, head));
        }
        let newcomer = self.newcomer((ask.user, ask.cert), ask.signature, ask.genesis).await?;
        let Some(genesis) = newcomer.genesis.clone() else { return Err(bad_request()) };
        if genesis.hash == head.hash {
            // it happened already, and the answer was lost
            return Ok(ResetOutcome::Done(newcomer.user, newcomer.device));
        }
        if genesis.replaces != Some(head.hash) {
            return Err(stale(newcomer.user, head));
        }
        match self.waits_until(&newcomer.user, genesis.hash).await? {
            Some(until) => Ok(ResetOutcome::Waits(until)),
            None => self.replace_log(newcomer, head).await,
        }
    }

    /// Until when this reset waits; announced to the account's devices when it begins to.
    async fn waits_until(&self, user: &Username, genesis: HeadHash) -> Result<Option<Timestamp>, Refusal> {
        let (store, now, seen) = (&self.shared.store, self.shared.now(), self.shared.seen());
        let wait = self.shared.config().accounts.reset_wait;
        let pending = store.pending_reset(user).await.map_err(failed)?;
        if let Some(pending) = pending.filter(|pending| pending.genesis == genesis) {
            // not before the devices were told it would be, and not because a clock leapt
            let left = (pending.at + wait).since(seen);
            let until = if pending.due > now { pending.due } else { now + left };
            return Ok((until > now).then_some(until));
        }
        // by the earlier of both: whichever is wrong, rather a reset that waits than one that does not
        if !self.was_seen_lately(user, now.min(seen)).await? {
            return Ok(None);
        }
        let due = now + wait;
        store.put_reset(user, PendingReset { genesis, at: seen, due }).await.map_err(failed)?;
        self.shared.router.account(user, &Push::Reset(ResetNotice { at: Some(due) }));
        Ok(Some(due))
    }

    async fn was_seen_lately(&self, user: &Username, now: Timestamp) -> Result<bool, Refusal> {
        if !self.shared.router.devices_online(user).is_empty() {
            return Ok(true);
        }
        let config = self.shared.config();
        let devices = self.shared.store.devices(user).await.map_err(failed)?;
        let lately = |device: &StoredDevice| device.state == DeviceState::Active && seen::lately(&config, device, now);
        Ok(devices.iter().any(lately))
    }

    async fn replace_log(&self, newcomer: Newcomer, replaces: Head) -> Result<ResetOutcome, Refusal> {
        let (user, device) = (newcomer.user.clone(), newcomer.device);
        let log = newcomer.into_log(self.shared.seen()).ok_or_else(bad_request)?;
        match self.shared.store.reset_log(replaces, log).await.map_err(failed)? {
            LogWrite::Written => {
                let ended = self.shared.router.devices_online(&user);
                self.shared.router.end(&ended, Closed::Revoked);
                Ok(ResetOutcome::Done(user, device))
            }
            LogWrite::Stale(head) => Err(stale(user, head)),
            LogWrite::Missing => Err(Code::NotFound.into()),
        }
    }
}

impl Ready {
    pub(super) async fn change_password(&self, ask: ChangePassword) -> Result<Done, Refusal> {
        let (shared, asker) = (self.shared(), Asker::Member(self.user().clone()));
        shared.limits().password_changes.check(self.user())?;
        ask.new.check_new().map_err(|_| bad_request())?;
        let old = check_password(shared, asker.clone(), self.source, self.user(), ask.old).await?;
        let hash = new_hash(shared, asker, ask.new).await?;
        let changed = shared.store.set_password(self.user(), hash, Some(old.hash)).await.map_err(failed)?;
        if changed { Ok(Done {}) } else { Err(Code::Denied.into()) }
    }

    pub(super) async fn reset_cancel(&self) -> Result<Done, Refusal> {
        if self.shared().store.cancel_reset(self.user()).await.map_err(failed)? {
            self.shared().router.account(self.user(), &Push::Reset(ResetNotice { at: None }));
        }
        Ok(Done {})
    }
}

/// Checks a password within the limits; the account whose it is.
async fn check_password(
    shared: &Shared,
    asker: Asker,
    source: Source,
    user: &Username,
    password: Password,
) -> Result<Account, Refusal> {
    password.check().map_err(|_| bad_request())?;
    shared.limits().guesses.fail(user, source, Instant::now())?;
    let verdict = try_password(shared, asker, user, password).await;
    if !matches!(verdict, Ok(None)) {
        shared.limits().guesses.forgive(user, source);
    }
    verdict?.ok_or(Refusal::new(Code::Denied))
}

/// The account if the password is its own. Unknown users cost a hash too.
async fn try_password(
    shared: &Shared,
    asker: Asker,
    user: &Username,
    password: Password,
) -> Result<Option<Account>, Refusal> {
    let account = shared.store.account(user).await.map_err(failed)?;
    let (cost, hash) = (shared.config().passwords.bcrypt_cost, account.as_ref().map(|account| account.hash.clone()));
    let again = password.clone();
    let counters = Arc::clone(&shared.counters);
    let job = move || {
        counters.hashes.one();
        password::verify(&password, hash.as_ref(), cost)
    };
    let verdict = shared.passwords.run(asker.clone(), job).await.map_err(|_| busy())?;
    let Some(mut account) = account.filter(|_| verdict.is_right()) else { return Ok(None) };
    if verdict.wants_rehash() {
        let hash = new_hash(shared, asker, again).await?;
        let replaced = shared.store.set_password(user, hash.clone(), Some(account.hash.clone())).await;
        if replaced.map_err(failed)? {
            account.hash = hash;
        }
    }
    Ok(Some(account))
}

async fn new_hash(shared: &Shared, asker: Asker, password: Password) -> Result<PasswordHash, Refusal> {
    let (cost, counters) = (shared.config().passwords.bcrypt_cost, Arc::clone(&shared.counters));
    let job = move || {
        counters.hashes.one();
        password::hash(&password, cost)
    };
    let hashed = shared.passwords.run(asker, job).await.map_err(|_| busy())?;
    hashed.map_err(|error| {
        tracing::error!(%error, "password not hashed");
        Code::Internal.into()
    })
}

pub(super) async fn head_of(shared: &Shared, user: &Username) -> Result<Option<Head>, Refusal> {
    let known = shared.store.heads(std::slice::from_ref(user)).await.map_err(failed)?;
    Ok(known.into_iter().find(|known| &known.user == user).and_then(|known| known.head))
}

pub(super) fn stale(user: Username, head: Head) -> Refusal {
    Refusal { heads: Some(vec![UserHead { user, head }]), ..Refusal::new(Code::Stale) }
}
