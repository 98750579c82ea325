//! Runs the server of the stories, and tells it what to say.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::fixtures::FirstDevice;
use chat_protocol::handshake::ServerKey;
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::invite::Invite;
use chat_protocol::message::Envelope;
use chat_protocol::message::client::BundleFetch;
use chat_protocol::message::server::Push;
use chat_protocol::time::{Reading, Timestamp};
use chat_server::clock::{self, Clock};
use chat_server::config::Config;
use chat_server::counters::Closed;
use chat_server::fixtures::client::{Client, login};
use chat_server::router::Router;
use chat_server::serve::{Keys, Server};
use chat_server::store::sqlite::SqliteStore;
use chat_server::store::{DeviceState, StoredDevice, TakenBundle};
use chat_stories::Person;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::dumps::dump;
use crate::liar::Liar;
use crate::lies::{Lies, Seen};
use crate::puppet::Puppet;

/// Whoever runs the server, and means ill.
pub struct Operator {
    runtime: Runtime,
    liar: Arc<Liar>,
    router: Arc<Router>,
    /// Where it listens.
    pub at: SocketAddr,
    /// Its key: it is its own.
    pub server_key: ServerKey,
    /// What every member knows.
    pub secret: FernetKey,
    directory: TempDir,
    /// How much more time has gone by for it, in milliseconds.
    ahead: Arc<AtomicU64>,
}

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

/// Cheap hashes, and nothing else that is not as usual.
fn settings() -> Config {
    let mut config = Config::default();
    config.passwords.bcrypt_cost = 4;
    config
}

impl Operator {
    /// A server that is honest so far, without limits that an enemy would lift.
    pub fn open() -> Self {
        let mut config = settings();
        config.rates.bundle_fetches_per_hour = 1_000;
        config.rates.one_time_keys_per_hour = 1_000;
        Self::with(config)
    }

    /// A server with the limits that it usually has.
    pub fn with_limits() -> Self {
        Self::with(settings())
    }

    fn with(config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let directory = tempfile::Builder::new().prefix("chat-").tempdir_in("/tmp").unwrap();
        let (store, _) = SqliteStore::open(&directory.path().join("chat.db")).unwrap();
        let liar = Arc::new(Liar::new(Arc::new(store)));
        let (server_key, secret) = (ServerKey::generate(&mut rand::rng()), FernetKey::generate(&mut rand::rng()));
        let keys =
            Keys { server: server_key.clone(), next: None, next_proof: None, offline: None, secret: secret.clone() };
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let at = listener.local_addr().unwrap();
        let ahead = Arc::new(AtomicU64::new(0));
        let look = {
            let ahead = Arc::clone(&ahead);
            move || {
                let (now, ahead) = (clock::read(), Duration::from_millis(ahead.load(Ordering::Relaxed)));
                Reading { wall: now.wall + ahead, ran: now.ran + ahead }
            }
        };
        let clock = runtime.block_on(Clock::begin(&*liar, Box::new(look))).unwrap();
        let server = {
            let _inside = runtime.enter();
            Server::new(config, liar.clone(), &keys, CancellationToken::new(), clock)
        };
        let router = server.router();
        runtime.spawn(server.serve(listener));
        Self { runtime, liar, router, at, server_key, secret, directory, ahead }
    }

    pub fn invite(&self) -> String {
        self.invite_to(self.at)
    }

    /// An invite that leads to another address.
    pub fn invite_to(&self, at: SocketAddr) -> String {
        let (server_key, secret) = (self.server_key.public(), self.secret.clone());
        let invite =
            Invite { host: at.ip().to_string(), port: at.port(), server_key, secret, offline_key: None, token: None };
        invite.to_text().to_string()
    }

    /// Somebody with a home below the story's directory.
    pub fn stranger(&self, name: &str, room: &str) -> Person {
        let home = self.directory.path().join(room);
        std::fs::create_dir_all(&home).unwrap();
        Person::new(name, &home)
    }

    /// Somebody whose daemon runs, without an account.
    pub fn newcomer(&self, name: &str, room: &str) -> Person {
        let mut person = self.stranger(name, room);
        person.start();
        person
    }

    /// Somebody with a real daemon, registered and online.
    pub fn member(&self, name: &str) -> Person {
        self.registered(self.stranger(name, name))
    }

    /// The same, for somebody whose daemon does not run yet.
    pub fn registered(&self, mut person: Person) -> Person {
        person.start();
        let _ = person.enter("register", &self.invite()).success();
        person.turns("online");
        person
    }

    /// Lets time go by for the server.
    pub fn passes(&self, time: Duration) {
        self.ahead.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// What it says instead of the truth.
    pub fn lies(&self) -> MutexGuard<'_, Lies> {
        self.liar.lies()
    }

    /// What it saw so far.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.liar.seen()
    }

    /// Waits until what it saw is enough.
    pub fn until<T>(&self, what: &str, found: impl Fn(&Seen) -> Option<T>) -> T {
        self.liar.until(what, found)
    }

    /// The true log of an account.
    pub fn log(&self, name: &str) -> AccountLog {
        let user: Username = name.parse().unwrap();
        let page = self.runtime.block_on(self.liar.truth.log(&user, 0, 1_000)).unwrap().expect("a log");
        AccountLog::verify(&user, &page.entries).unwrap()
    }

    /// The device of an account that has one.
    pub fn device(&self, name: &str) -> DeviceId {
        self.log(name).active_devices().next().expect("an active device").id()
    }

    /// Every file of the server and of those who live below its directory, its keys as the program stores them included.
    pub fn dump(&self) -> Vec<(String, Vec<u8>)> {
        let (server_key, secret) = (FernetKey::from_bytes(*self.server_key.bytes().expose()), &self.secret);
        let text = |key: &FernetKey| key.to_base64().as_bytes().to_vec();
        let mut files = dump(self.directory.path());
        files.extend([("server.key".to_owned(), text(&server_key)), ("secret.key".to_owned(), text(secret))]);
        files
    }

    /// Says of a device that it may do whatever an active one may.
    pub fn let_in(&self, device: DeviceId) {
        let stored = self.runtime.block_on(self.liar.truth.device(device)).unwrap().expect("a device");
        self.lies().devices.insert(device, StoredDevice { state: DeviceState::Active, ..stored });
    }

    /// Takes a bundle, as any member could, once the device has published it.
    pub fn bundle(&self, device: DeviceId) -> TakenBundle {
        self.until("a bundle", |seen| seen.published.contains(&device).then_some(()));
        self.runtime.block_on(self.liar.truth.take_bundle(device, true)).unwrap().expect("a bundle")
    }

    /// Logs a puppet in and has it ask for bundles of a device until one comes without a one-time key; how many came with
    /// one.
    pub fn draws_keys(&self, puppet: &Puppet, user: &Username, device: DeviceId) -> usize {
        self.until("a bundle", |seen| seen.published.contains(&device).then_some(()));
        let own = FirstDevice { keys: puppet.keys.clone(), cert: puppet.cert.clone(), log: puppet.log.clone() };
        let ask = BundleFetch { user: user.clone(), device };
        self.runtime.block_on(async {
            let mut client =
                Client::connect(self.at, &self.server_key.public(), &self.secret).await.expect("a handshake");
            client.call(&login(&client, &own)).await.expect("a login");
            let mut drawn = 0;
            while client.call(&ask).await.expect("a bundle is never refused").one_time.is_some() {
                drawn += 1;
            }
            drawn
        })
    }

    /// How many one-time keys of a device the server still has.
    pub fn keys_left(&self, device: DeviceId) -> usize {
        self.runtime.block_on(self.liar.truth.one_time_left(device)).unwrap().hashes.len()
    }

    /// Waits until a device has acknowledged all that is in its mailbox now.
    pub fn settled(&self, device: DeviceId) {
        let last = self.runtime.block_on(self.liar.truth.mailbox_state(device)).unwrap().last;
        self.until("that all is acknowledged", |seen| seen.acked.get(&device).filter(|acked| **acked >= last).copied());
    }

    /// Makes an account for a puppet, with its bundle: everybody may write to it.
    pub fn enrol(&self, puppet: &Puppet) {
        self.runtime.block_on(puppet.enrol(&*self.liar.truth));
    }

    /// Has the last entry of a puppet's log appended to the stored one.
    pub fn append(&self, puppet: &Puppet) {
        let head = puppet.log.head().seq;
        let entry = puppet.log.entries_from(head).next().unwrap().to_vec();
        self.runtime.block_on(puppet.append(&*self.liar.truth, head, entry));
    }

    /// Delivers an envelope in the name of a device.
    pub fn deliver(&self, from: (&Username, DeviceId), to: DeviceId, envelope: &Envelope) {
        self.deliver_all(from, to, std::slice::from_ref(envelope));
    }

    /// The same, with many.
    pub fn deliver_all(&self, from: (&Username, DeviceId), to: DeviceId, envelopes: &[Envelope]) {
        let bytes = envelopes.iter().map(chat_protocol::cbor::encode).collect();
        let last = self.runtime.block_on(self.liar.inject(to, from, bytes));
        self.router.waiting(to, last);
    }

    /// Tells all who are online something, true or not.
    pub fn tell_everybody(&self, push: &Push) {
        self.router.everybody(push);
    }

    /// Ends every connection, and waits until this person is back: the daemon asks everything anew.
    pub fn reconnect(&self, person: &mut Person) {
        self.router.sever_all(Closed::Shutdown);
        person.turns("offline");
        person.call("net.kick", json!({})).expect("a daemon tries again when asked to");
        person.turns("online");
    }
}
