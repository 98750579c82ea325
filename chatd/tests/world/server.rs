//! The real server over a database in memory: its sessions, router, windows and commit loop, driven step by step.
//!
//! It runs on a runtime of its own whose clock stands still, and does all it can whenever something reached it.
//! Ending it drops that runtime, so that nothing is left but what was committed.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chat_protocol::crypto::agreement::PublicKey;
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::device::DeviceCert;
use chat_protocol::ids::{DeviceId, Head, KeyHash, SubmitId, Username};
use chat_protocol::message::Envelope;
use chat_protocol::message::client::{LogAppend, Submit, UserHead};
use chat_protocol::message::server::{Code, Deliver, LogGrew, LoggedIn, Push, Refusal, WaitingDevice};
use chat_protocol::session::bundle::one_time_hash;
use chat_protocol::time::{Reading, Timestamp};
use chat_server::config::Config;
use chat_server::counters::Closed;
use chat_server::fixtures::Line;
use chat_server::rules::Quota;
use chat_server::serve;
use chat_server::store::{
    AppendEntry, Creation, DeviceState, KnownHead, LogWrite, Mail, MailboxState, NewAccount, NewDevice, NewLog,
    PasswordHash, Retention, Store, SubmitOutcome, SubmitRow,
};
use futures_util::FutureExt;
use tokio::runtime::Runtime;

use crate::disk::Disk;
use crate::lies::{Answer, Claim, Shown};

const LONG: Duration = Duration::from_secs(1_000 * 24 * 60 * 60);
const ALL: u32 = u32::MAX;

pub struct Server {
    pub disk: Arc<Disk>,
    /// Everything that was ever submitted, as it was.
    pub seen: Vec<(DeviceId, Submit)>,
    /// Submits whose numbers in `seen` are lost: accepted and never stored.
    pub swallow: BTreeSet<usize>,
    /// Submits and posts whose numbers are multiples of this are answered `busy`; 0 for none.
    pub busy: usize,
    /// Requests for names.
    pub lookups: usize,
    /// Submits and posts that were asked for.
    pub asked: usize,
    /// Spoils every message to this device.
    pub corrupt: Option<DeviceId>,
    /// Devices whose bundles it says it has not got.
    pub bundleless: BTreeSet<DeviceId>,
    /// It has every bundle of this device already, and none of its one-time keys.
    pub forgetful: Option<DeviceId>,
    /// Sequences of the bundles that device wanted to publish.
    pub offered: BTreeSet<u64>,
    /// Submits to this device are answered `internal`.
    pub broken: Option<DeviceId>,
    /// What it says of devices that ask to be let in, in place of the truth.
    pub waiting: Vec<(Username, WaitingDevice)>,
    /// Logs as they are shown to other accounts.
    pub shown: BTreeMap<Username, Shown>,
    /// Accounts whose own devices are shown the same.
    pub own_too: BTreeSet<Username>,
    /// It takes what is sealed for any state of the logs.
    pub takes_all: bool,
    /// What it answers to every request of a type, by whom, in place of the truth.
    pub says: BTreeMap<(DeviceId, u16), Answer>,
    /// What it tells a device at its login.
    pub claims: BTreeMap<DeviceId, Claim>,
    /// How far ahead of the truth it says its clock is, in milliseconds.
    pub clock_ahead_ms: i64,
    /// What its sessions and its store allocated so far.
    pub allocations: Cell<u64>,
    config: Config,
    clock: Arc<AtomicU64>,
    /// How far its wall clock is ahead of the world's time.
    ahead_ms: Arc<AtomicU64>,
    life: Option<Life>,
}

/// From a start to an end.
struct Life {
    server: serve::Server,
    runtime: Runtime,
}

impl Server {
    pub fn new(disk: Arc<Disk>, config: Config, now: Timestamp) -> Self {
        let clock = Arc::new(AtomicU64::new(now.as_millis()));
        let mut server = Self {
            disk,
            seen: Vec::new(),
            swallow: BTreeSet::new(),
            busy: 0,
            lookups: 0,
            asked: 0,
            corrupt: None,
            bundleless: BTreeSet::new(),
            forgetful: None,
            offered: BTreeSet::new(),
            broken: None,
            waiting: Vec::new(),
            shown: BTreeMap::new(),
            own_too: BTreeSet::new(),
            takes_all: false,
            says: BTreeMap::new(),
            claims: BTreeMap::new(),
            clock_ahead_ms: 0,
            allocations: Cell::new(0),
            config,
            clock,
            ahead_ms: Arc::default(),
            life: None,
        };
        server.start();
        server
    }

    pub fn start(&mut self) {
        let mut building = tokio::runtime::Builder::new_current_thread();
        let runtime = building.enable_time().start_paused(true).max_blocking_threads(1).build().unwrap();
        let clock = Arc::clone(&self.clock);
        let ahead_ms = Arc::clone(&self.ahead_ms);
        let told = Box::new(move || {
            let ran = Duration::from_millis(clock.load(Ordering::Relaxed));
            let ahead = Duration::from_millis(ahead_ms.load(Ordering::Relaxed));
            Reading { wall: Timestamp::ZERO + ran + ahead, ran }
        });
        let guard = runtime.enter();
        let server = serve::Server::simulated(self.config.clone(), self.disk.clone(), told);
        drop(guard);
        self.life = Some(Life { server, runtime });
    }

    /// Dies as if the power went: what was not committed is gone.
    pub fn crash(&mut self) {
        self.life = None;
        self.disk.forget();
    }

    pub fn is_up(&self) -> bool {
        self.life.is_some()
    }

    /// Does everything that can be done now.
    pub fn run(&self) {
        if let Some(life) = &self.life {
            let counted = allocation_counter::measure(|| life.runtime.block_on(idle()));
            self.allocations.set(self.allocations.get() + counted.count_total);
        }
    }

    /// Lets time pass, and what is due then happen.
    pub fn advance(&self, span: Duration) {
        let now = self.clock.load(Ordering::Relaxed) + span.as_millis() as u64;
        self.clock.store(now, Ordering::Relaxed);
        if let Some(life) = &self.life {
            life.runtime.block_on(async { tokio::time::advance(span).await });
            self.run();
        }
    }

    /// Sets its wall clock.
    pub fn set_ahead(&self, span: Duration) {
        self.ahead_ms.store(span.as_millis() as u64, Ordering::Relaxed);
    }

    /// Deletes what has outlived its time, as it does by itself now and then.
    pub fn sweep(&self) {
        if let Some(life) = &self.life {
            life.runtime.block_on(life.server.sweep());
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.load(Ordering::Relaxed))
    }

    /// Takes a connection; `None` while it is down.
    pub fn connect(&self, user: &Username, device: DeviceId) -> Option<Line> {
        let life = self.life.as_ref()?;
        let guard = life.runtime.enter();
        let line = life.server.connect(user.clone(), device);
        drop(guard);
        self.run();
        Some(line)
    }

    // What tests do to its database.

    /// An account whose user has no device yet.
    pub fn register(&self, user: &Username) {
        let hash = PasswordHash::new("$2b$04$x".into());
        let new = NewAccount { user: user.clone(), hash, invite: None, at: self.now() };
        assert_eq!(now(self.disk.tables().create_account(new)), Creation::Created);
    }

    /// An account with its first device. Where there is one, its log is shown in place of the true one, and its
    /// device is let in too.
    pub fn enrol(&mut self, log: &AccountLog, cert: &DeviceCert) {
        let (user, at) = (log.user().clone(), self.now());
        let hash = PasswordHash::new("$2b$04$x".into());
        let new = NewAccount { user: user.clone(), hash, invite: None, at };
        if now(self.disk.tables().create_account(new)) == Creation::Exists {
            self.wait(cert);
            self.let_in(cert.id());
            self.own_too.insert(user.clone());
            self.shown.insert(user, Shown::of(log));
            return;
        }
        let genesis = log.entries_from(0).next().unwrap().to_vec();
        let (device, cert, hash) = (cert.id(), cert.bytes().to_vec(), log.head().hash);
        let written = now(self.disk.tables().begin_log(NewLog { user, device, cert, genesis, hash, at }));
        assert_eq!(written, LogWrite::Written);
    }

    /// An account that lost everything begins another log, and its devices end.
    pub fn reset(&self, log: &AccountLog, cert: &DeviceCert) {
        let (user, at, ended) = (log.user().clone(), self.now(), self.devices_of(log.user()));
        let (replaces, genesis) = (self.log_of(&user).head(), log.entries_from(0).next().unwrap().to_vec());
        let (device, cert, hash) = (cert.id(), cert.bytes().to_vec(), log.head().hash);
        let new = NewLog { user, device, cert, genesis, hash, at };
        assert_eq!(now(self.disk.tables().reset_log(replaces, new)), LogWrite::Written);
        if let Some(life) = &self.life {
            life.server.router().end(&ended, Closed::Revoked);
        }
        self.run();
    }

    /// A further device of an account, which waits for approval.
    pub fn wait(&self, cert: &DeviceCert) {
        let (user, device, at) = (cert.user().clone(), cert.id(), self.now());
        let new = NewDevice { user, device, cert: cert.bytes().to_vec(), at };
        now(self.disk.tables().add_waiting_device(new, ALL));
    }

    /// The log as it stands.
    pub fn log_of(&self, user: &Username) -> AccountLog {
        let page = now(self.disk.tables().log(user, 0, ALL)).unwrap();
        AccountLog::verify(user, &page.entries).unwrap()
    }

    /// Extends a log that stands where its author believes, as a session of the author does.
    pub fn append(&self, user: &Username, ask: &LogAppend) -> Result<(), Refusal> {
        let mut log = self.log_of(user);
        let known = log.head();
        if known != ask.head {
            return Err(stale(user, known));
        }
        let extension = log.extend(&[&*ask.entry]).map_err(|_| Refusal::from(Code::BadRequest))?;
        let added = extension.added.first().map(|id| (*id, log.active(id).unwrap().bytes().to_vec()));
        let entry = AppendEntry {
            user: user.clone(),
            expected: known,
            entry: ask.entry.0.clone(),
            head: log.head(),
            activates: added,
            revokes: extension.revoked.clone(),
            at: self.now(),
        };
        assert_eq!(now(self.disk.tables().append_log(entry)), LogWrite::Written);
        if let Some(life) = &self.life {
            life.server.router().end(&extension.revoked, Closed::Revoked);
            let grew = LogGrew { user: user.clone(), head: log.head() };
            life.server.router().account(user, &Push::LogGrew(grew));
        }
        self.run();
        Ok(())
    }

    /// Where logs truly stand.
    pub fn heads(&self, users: &[Username]) -> Vec<KnownHead> {
        now(self.disk.tables().heads(users))
    }

    /// Where everything stands for a device.
    pub fn state(&self, device: DeviceId) -> LoggedIn {
        now(self.disk.tables().login_state(device)).unwrap()
    }

    /// One-time keys of a device that nobody took.
    pub fn left(&self, device: DeviceId) -> Vec<KeyHash> {
        now(self.disk.tables().one_time_left(device)).hashes
    }

    /// It says that a device has come so far with its submits, its bundles and its mailbox.
    pub fn claim(&self, device: DeviceId, submit: u64, bundle: u64, mailbox: u64) {
        let device = hex(device.as_bytes());
        self.disk.meddle(&format!(
            "UPDATE device SET submit_counter = {submit} WHERE device = {device};
             UPDATE bundle SET seq = {bundle} WHERE device = {device};
             UPDATE mailbox SET acked_seq = {mailbox} WHERE device = {device};"
        ));
    }

    /// It takes a device for active that no log names.
    pub fn let_in(&self, device: DeviceId) {
        self.set_state(device, DeviceState::Active);
    }

    fn set_state(&self, device: DeviceId, state: DeviceState) {
        let (state, device) = (state.code(), hex(device.as_bytes()));
        self.disk.meddle(&format!("UPDATE device SET state = {state} WHERE device = {device}"));
    }

    /// Devices an account has or had.
    pub fn devices_of(&self, user: &Username) -> Vec<DeviceId> {
        now(self.disk.tables().devices(user)).into_iter().map(|device| device.device).collect()
    }

    /// The bundle of a device.
    pub fn bundle(&self, device: DeviceId) -> Vec<u8> {
        now(self.disk.tables().take_bundle(device, true)).unwrap().bundle
    }

    /// It holds one-time keys of its own making for a device, and no others.
    pub fn plant(&self, device: DeviceId, key: &PublicKey) {
        let (device, hash) = (hex(device.as_bytes()), hex(one_time_hash(key).as_bytes()));
        self.disk.meddle(&format!(
            "DELETE FROM one_time_key WHERE device = {device};
             INSERT INTO one_time_key (device, hash, key) VALUES ({device}, {hash}, {});",
            hex(key.as_bytes())
        ));
    }

    /// Somebody used up the one-time keys of a device.
    pub fn use_up(&self, device: DeviceId) {
        self.disk.meddle(&format!("DELETE FROM one_time_key WHERE device = {}", hex(device.as_bytes())));
    }

    pub fn mailbox(&self, device: DeviceId) -> MailboxState {
        now(self.disk.tables().mailbox_state(device))
    }

    /// What a mailbox holds.
    pub fn mail(&self, device: DeviceId) -> Vec<Deliver> {
        let rows = now(self.disk.tables().mailbox_after(device, 0, ALL, u64::from(ALL)));
        let deliver = |mail: Mail| Deliver {
            mailbox_seq: mail.seq,
            from: mail.from,
            from_device: mail.from_device,
            envelope: chat_protocol::cbor::decode(&mail.envelope).unwrap(),
        };
        rows.into_iter().map(deliver).collect()
    }

    /// Loses all mail that nobody acknowledged yet.
    pub fn lose_mail(&self) {
        let retention = Retention { mailbox: Duration::ZERO, room: LONG, submits: LONG, waiting: LONG };
        now(self.disk.tables().sweep(self.now() + Duration::from_millis(1), self.now(), retention));
    }

    /// Puts an envelope into a mailbox in the name of a device.
    pub fn place(&self, sender: DeviceId, to: (&Username, DeviceId), mut envelope: Envelope) {
        if self.corrupt == Some(to.1) {
            spoil(&mut envelope);
        }
        let most = u64::MAX;
        let quota = Quota { messages: most, bytes: most, from_one: most, of_account: most };
        let head = now(self.disk.tables().heads(std::slice::from_ref(to.0)))[0].head.unwrap();
        let row = SubmitRow {
            sender,
            // above no counter the device itself has used
            submit_id: SubmitId::new(0, rand::random()),
            heads: vec![UserHead { user: to.0.clone(), head }],
            group: None,
            to: vec![(to.1, chat_protocol::cbor::encode(&envelope).into())],
            at: self.now(),
        };
        let known = now(self.disk.tables().device(sender)).unwrap().state;
        self.let_in(sender);
        let outcomes = now(self.disk.tables().commit_submits(vec![row], quota));
        self.set_state(sender, known);
        assert!(matches!(outcomes[..], [SubmitOutcome::Stored { .. }]), "{outcomes:?}");
        if let Some(life) = &self.life {
            life.server.router().waiting(to.1, self.mailbox(to.1).last);
        }
        self.run();
    }
}

/// Changes what was sealed.
pub fn spoil(envelope: &mut Envelope) {
    envelope.token.0[9] ^= 1;
}

/// Bytes as SQL writes them.
fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{digits}'")
}

pub fn stale(user: &Username, head: Head) -> Refusal {
    Refusal { heads: Some(vec![UserHead { user: user.clone(), head }]), ..Code::Stale.into() }
}

/// The tables in memory answer at once.
pub fn now<T>(answer: impl Future<Output = chat_server::store::Result<T>>) -> T {
    answer.now_or_never().unwrap().unwrap()
}

/// Waits until no task of a runtime with a paused clock has anything left to do: only then that clock moves, by itself and
/// at once, to whatever waits for it next.
async fn idle() {
    let never = std::future::pending::<()>();
    assert!(tokio::time::timeout(Duration::from_millis(1), never).await.is_err());
}
