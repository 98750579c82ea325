//! A server with its data in a temporary directory, and people with devices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::fixtures::{FirstDevice, device_keys, first_device};
use chat_protocol::handshake::{ServerKey, ServerPublicKey};
use chat_protocol::identity::account_log::{AccountLog, Author};
use chat_protocol::identity::device::DeviceKeys;
use chat_protocol::ids::{DeviceId, Head, HeadHash, SessionId, SubmitId, Username};
use chat_protocol::message::client::{Addressed, Enrol, MailboxAck, Reset, RoomPost, Submit, UserHead};
use chat_protocol::message::server::{Accepted, Code, Enrolled, LoggedIn, Push, Refusal};
use chat_protocol::message::{Blob, Envelope};
use chat_protocol::time::{Reading, Timestamp};
use chat_server::clock::{self, Clock, Look};
use chat_server::config::Config;
use chat_server::counters::Counters;
use chat_server::router::Router;
use chat_server::serve::{Keys, Queued, Reload, ServeError, Server};
use chat_server::status::Status;
use chat_server::store::sqlite::SqliteStore;
use chat_server::store::{AppendEntry, LogWrite, SharedStore};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::client::Client;
pub use super::client::{PASSWORD, enrol, genesis, login, password, register};

/// How much more time has gone by, in milliseconds.
#[derive(Clone, Default)]
pub struct Later(Arc<AtomicU64>);

impl Later {
    pub fn pass(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    fn read(&self) -> Reading {
        let (now, later) = (clock::read(), Duration::from_millis(self.0.load(Ordering::Relaxed)));
        Reading { wall: now.wall + later, ran: now.ran + later }
    }
}

/// A running server; dropped, it is killed.
pub struct World {
    pub dir: Arc<TempDir>,
    pub at: SocketAddr,
    pub server_key: ServerKey,
    pub secret: FernetKey,
    pub store: SharedStore,
    pub counters: Arc<Counters>,
    pub router: Arc<Router>,
    pub queued: Queued,
    pub status: Status,
    pub reload: Reload,
    stop: CancellationToken,
    running: JoinHandle<Result<(), ServeError>>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Settings for tests: cheap hashes, nothing else.
pub fn settings() -> Config {
    let mut config = Config::default();
    config.passwords.bcrypt_cost = 4;
    config
}

impl World {
    pub async fn new() -> Self {
        Self::with(settings()).await
    }

    pub async fn with(config: Config) -> Self {
        let server_key = ServerKey::from_bytes([7; 32]);
        Self::start(Arc::new(tempfile::tempdir().unwrap()), config, server_key).await
    }

    pub async fn start(dir: Arc<TempDir>, config: Config, server_key: ServerKey) -> Self {
        let store: SharedStore = Arc::new(SqliteStore::open(&dir.path().join("chat.db")).unwrap().0);
        Self::run(store, dir, config, server_key, Box::new(clock::read)).await
    }

    /// A server over another store.
    pub async fn over(store: SharedStore, config: Config) -> Self {
        let (dir, key) = (Arc::new(tempfile::tempdir().unwrap()), ServerKey::from_bytes([7; 32]));
        Self::run(store, dir, config, key, Box::new(clock::read)).await
    }

    /// A server for which more time goes by than here.
    pub async fn in_later_times(config: Config, later: Later) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let store: SharedStore = Arc::new(SqliteStore::open(&dir.path().join("chat.db")).unwrap().0);
        Self::run(store, dir, config, ServerKey::from_bytes([7; 32]), Box::new(move || later.read())).await
    }

    async fn run(store: SharedStore, dir: Arc<TempDir>, config: Config, server_key: ServerKey, look: Look) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let secret = FernetKey::from_bytes([8; 32]);
        let keys =
            Keys { server: server_key.clone(), next: None, next_proof: None, offline: None, secret: secret.clone() };
        let clock = Clock::begin(&*store, look).await.unwrap();
        let server = Server::new(config, Arc::clone(&store), &keys, stop.clone(), clock);
        let (counters, router, status, reload) = (server.counters(), server.router(), server.status(), server.reload());
        let queued = server.queued();
        let running = tokio::spawn(server.serve(listener));
        Self { dir, at, server_key, secret, store, counters, router, queued, status, reload, stop, running }
    }

    /// Stops the server in an orderly way and starts it again on the same data.
    pub async fn restart(mut self, config: Config) -> Self {
        self.stop.cancel();
        (&mut self.running).await.unwrap().unwrap();
        Self::start(Arc::clone(&self.dir), config, self.server_key.clone()).await
    }

    /// Asks the server to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits for the server to end.
    pub async fn ended(&mut self) -> Result<(), ServeError> {
        (&mut self.running).await.unwrap()
    }

    pub fn public_key(&self) -> ServerPublicKey {
        self.server_key.public()
    }

    /// A guest's connection.
    pub async fn guest(&self) -> Client {
        Client::connect(self.at, &self.public_key(), &self.secret).await.expect("a handshake")
    }

    /// The connection of a guest at 127.0.`net`.`host`, another source than all others.
    pub async fn guest_at(&self, net: u8, host: u8) -> Option<Client> {
        Client::connect_from([127, 0, net, host].into(), self.at, &self.public_key(), &self.secret).await
    }

    /// Registers, enrols and keeps connected the first device of `name`, with the keys of fixture `n`.
    pub async fn join(&self, name: &str, n: usize) -> Person {
        let mut client = self.guest().await;
        let user: Username = name.parse().unwrap();
        client.call(&register(name)).await.unwrap();
        let device = first_device(&user, n, Timestamp::from_millis(1_700_000_000_000));
        let enrolled = client.call(&enrol(&client, &device, true)).await.unwrap();
        let Enrolled::Ready(logged_in) = enrolled else { panic!("{enrolled:?}") };
        Person { user, device, client, logged_in, counter: 0 }
    }

    /// A further device of somebody, with the keys of fixture `n`, as the store knows it: its log says nothing of it.
    pub async fn further(&self, person: &Person, n: usize) -> Person {
        let device = first_device(&person.user, n, Timestamp::from_millis(1_700_000_000_000));
        let expected = self.store.heads(std::slice::from_ref(&person.user)).await.unwrap()[0].head.unwrap();
        let head = Head { seq: expected.seq + 1, hash: HeadHash::new([u8::try_from(n).unwrap(); 32]) };
        let activates = Some((device.cert.id(), device.cert.bytes().to_vec()));
        let (user, at) = (person.user.clone(), Timestamp::from_millis(1_700_000_000_000));
        let entry = AppendEntry { user, expected, entry: vec![0], head, activates, revokes: Vec::new(), at };
        assert_eq!(self.store.append_log(entry).await.unwrap(), LogWrite::Written);
        Absent::of(device).come_back(self).await
    }
}

/// A reset to `device`, whose log replaces the one at `old`.
pub fn reset(client: &Client, device: &FirstDevice, with_genesis: bool) -> Reset {
    let Enrol { user, password, cert, signature, genesis } = enrol(client, device, with_genesis);
    Reset { user, password, cert, signature, genesis }
}

/// Device `n` with a genesis that replaces the log at `old`.
pub fn replacing(user: &Username, n: usize, old: Head) -> FirstDevice {
    let keys: DeviceKeys = device_keys(n);
    let at = Timestamp::from_millis(1_700_000_000_000);
    let cert = keys.certify(user, at).unwrap();
    let author = Author { key: &keys.signing, cert: &cert, at };
    let log = AccountLog::genesis(author, Some(old.hash), &mut rand::rng()).unwrap();
    FirstDevice { keys, cert, log }
}

/// Somebody with a device that is logged in.
pub struct Person {
    pub user: Username,
    pub device: FirstDevice,
    pub client: Client,
    pub logged_in: LoggedIn,
    counter: u64,
}

impl Person {
    pub fn id(&self) -> DeviceId {
        self.device.cert.id()
    }

    pub fn head(&self) -> UserHead {
        UserHead { user: self.user.clone(), head: self.device.log.head() }
    }

    pub fn next_submit(&mut self) -> SubmitId {
        self.counter += 1;
        SubmitId::new(self.counter, [1; 8])
    }

    /// A submit of `text` to the one device of `to`.
    pub fn letter(&mut self, to: &Self, text: &str) -> Submit {
        Submit {
            submit_id: self.next_submit(),
            heads: vec![to.head()],
            to: vec![addressed(to.id(), text)],
            group: None,
        }
    }

    pub async fn send(&mut self, to: &Self, text: &str) -> Result<Accepted, Refusal> {
        let letter = self.letter(to, text);
        self.client.call(&letter).await
    }

    pub async fn say(&mut self, text: &str) -> u64 {
        let post = RoomPost { submit_id: self.next_submit(), text: text.into() };
        self.client.call(&post).await.unwrap().room_seq
    }

    /// Receives one message: (sequence, text).
    pub async fn receive(&mut self) -> (u64, String) {
        let deliver = self.client.delivery().await;
        (deliver.mailbox_seq, text_of(&deliver.envelope))
    }

    pub async fn ack(&mut self, seq: u64) {
        self.client.call(&MailboxAck { seq }).await.unwrap();
    }

    /// Drops the connection without a goodbye, returns when the server has noticed.
    pub async fn vanish(self, world: &World) -> Absent {
        let Self { user, device, client, counter, .. } = self;
        let id = device.cert.id();
        drop(client);
        until(|| !world.router.is_online(id)).await;
        Absent { user, device, counter }
    }

    /// Waits for the marker after what waited at login; the texts before it.
    pub async fn drained(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            match self.client.push().await {
                Push::Deliver(deliver) => texts.push(text_of(&deliver.envelope)),
                Push::Drained(_) => return texts,
                _ => {}
            }
        }
    }
}

/// Somebody who is not connected.
pub struct Absent {
    pub user: Username,
    pub device: FirstDevice,
    counter: u64,
}

impl Absent {
    /// Somebody the server never heard of.
    pub fn unknown(name: &str, n: usize) -> Self {
        let user: Username = name.parse().unwrap();
        Self::of(first_device(&user, n, Timestamp::from_millis(1_700_000_000_000)))
    }

    /// The owner of a device.
    pub fn of(device: FirstDevice) -> Self {
        Self { user: device.cert.user().clone(), device, counter: 0 }
    }

    pub async fn come_back(self, world: &World) -> Person {
        let mut client = world.guest().await;
        let logged_in = client.call(&login(&client, &self.device)).await.unwrap();
        Person { user: self.user, device: self.device, client, logged_in, counter: self.counter }
    }

    /// Tries to log in; how it is refused.
    pub async fn refused(&self, world: &World) -> Code {
        let mut client = world.guest().await;
        let ask = login(&client, &self.device);
        client.refused(&ask).await
    }
}

pub fn addressed(device: DeviceId, text: &str) -> Addressed {
    Addressed { device, envelope: envelope(text.as_bytes()) }
}

/// Not encrypted: the server never looks.
pub fn envelope(bytes: &[u8]) -> Envelope {
    Envelope { sid: SessionId::new([5; 16]), header: Blob(vec![6; 40]), token: Blob(bytes.to_vec()), init: None }
}

pub fn text_of(envelope: &Envelope) -> String {
    String::from_utf8(envelope.token.0.clone()).unwrap()
}

/// Waits for something the server does by itself.
pub async fn until(condition: impl Fn() -> bool) {
    // by the machine's clock: that of the test may stand still
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never happened");
        tokio::task::yield_now().await;
    }
}

/// From now on time passes only when it is told to, however long something takes.
pub async fn stop_the_clock() {
    tokio::time::pause();
    // a runtime that has nothing to do would let it pass
    tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
}

pub async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}
