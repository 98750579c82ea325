//! Account and link against the real server: entering, restarts, cut connections, wrong keys.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::handshake::ServerKey;
use chat_protocol::ids::Username;
use chat_protocol::message::client::{Lookup, Password};
use chat_protocol::message::{Answered, Call};
use chat_protocol::rpc::errors::Kind;
use chat_server::config::Config;
use chat_server::serve::{self, Keys};
use chat_server::store::sqlite::SqliteStore;
use chatd::account::{self, Access, AccountContext, AccountError, Entered, ResetOutcome, Standing};
use chatd::dirs::DataDir;
use chatd::link::{ConnectError, LinkEvent, LinkHandle, Server, Timing, spawn};
use chatd::store::{Store, Unlock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A server whose rows outlive it.
struct House {
    dir: tempfile::TempDir,
    address: SocketAddr,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl House {
    async fn open() -> Self {
        let address = "127.0.0.1:0".parse().unwrap();
        let mut house = Self { dir: tempfile::tempdir().unwrap(), address, running: None };
        house.start().await;
        house
    }

    async fn start(&mut self) {
        self.start_with(ServerKey::from_bytes([1; 32]), None).await;
    }

    async fn start_with(&mut self, server: ServerKey, next: Option<ServerKey>) {
        let (store, _) = SqliteStore::open(&self.dir.path().join("server.db")).unwrap();
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let mut config = Config::default();
        config.passwords.bcrypt_cost = 4;
        let secret = FernetKey::from_bytes([2; 32]);
        let keys = Keys { server, next, next_proof: None, offline: None, secret };
        let shutdown = CancellationToken::new();
        let running = serve::run(config, Arc::new(store), listener, keys, shutdown.clone());
        self.running = Some((shutdown, tokio::spawn(async { running.await.unwrap() })));
    }

    async fn stop(&mut self) {
        let (shutdown, running) = self.running.take().unwrap();
        shutdown.cancel();
        running.await.unwrap();
    }

    fn access(&self) -> Access {
        self.access_through(self.address)
    }

    fn access_through(&self, address: SocketAddr) -> Access {
        let (key, secret) = (ServerKey::from_bytes([1; 32]).public(), FernetKey::from_bytes([2; 32]));
        let (host, port) = (address.ip().to_string(), address.port());
        Access { server: Server { host, port, key, secret, offline_key: None }, token: None }
    }
}

/// One daemon's directory.
struct Home {
    _outer: tempfile::TempDir,
    context: AccountContext,
}

impl Home {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&outer.path().join("data")).unwrap();
        let store = Arc::new(Store::open(&dir, &Unlock::KeyFile(dir.file("key"))).unwrap());
        let timing = Timing {
            first_wait: Duration::from_millis(5),
            longest_wait: Duration::from_millis(50),
            ..Timing::default()
        };
        Self { _outer: outer, context: AccountContext { store, dir, import_key: None, timing } }
    }

    async fn register(&self, access: Access) -> Result<Entered, AccountError> {
        account::register(&self.context, access, alice(), password("correct horse")).await
    }

    async fn link(&self) -> (LinkHandle, mpsc::Receiver<LinkEvent>) {
        let account = self.context.account().unwrap().unwrap();
        let keys = self.context.keys_of(&account).await.unwrap();
        let (sender, events) = mpsc::channel(64);
        let setup = account.link_setup(&keys, self.context.timing);
        (spawn(account::keep_server_keys(setup, &self.context.store), sender), events)
    }
}

fn alice() -> Username {
    "alice".parse().unwrap()
}

fn password(text: &str) -> Password {
    Password::new(text.into()).unwrap()
}

async fn until_online(events: &mut mpsc::Receiver<LinkEvent>) {
    let online = async { while !matches!(events.recv().await.expect("the link lives"), LinkEvent::Online { .. }) {} };
    tokio::time::timeout(Duration::from_secs(60), online).await.expect("it came online");
}

/// Asks for alice and waits for the answer.
async fn alice_is_known(link: &LinkHandle, events: &mut mpsc::Receiver<LinkEvent>, id: u64) {
    let lookup = chat_protocol::cbor::encode(&Lookup { users: vec![alice()] });
    link.request(id, Lookup::TYPE, lookup).unwrap();
    loop {
        if let LinkEvent::Answer { id: found, result } = events.recv().await.expect("the link lives") {
            let answer = Lookup::of(result.unwrap()).unwrap();
            assert_eq!((found, answer.users[0].user.clone()), (id, alice()));
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_made_once_and_its_link_survives_a_restart_of_the_server() {
    let mut house = House::open().await;
    let home = Home::new();
    let entered = home.register(house.access()).await.unwrap();
    assert!(matches!(entered, Entered::Ready { .. }));

    let (link, mut events) = home.link().await;
    until_online(&mut events).await;
    alice_is_known(&link, &mut events, 1).await;
    house.stop().await;
    house.start().await;
    until_online(&mut events).await;
    alice_is_known(&link, &mut events, 2).await;

    the_server_changes_its_key(&mut house, &home, &mut events).await;
    // a device has one connection: the link would end those of the calls below
    link.stop();
    passwords_are_checked_and_changed(&house, &home).await;
    another_device_waits_and_a_reset_takes_over(&house, &home).await;
}

/// Announced, then done: whoever was online in between knows the new key, also after a restart of the daemon.
async fn the_server_changes_its_key(house: &mut House, home: &Home, events: &mut mpsc::Receiver<LinkEvent>) {
    let (old, new) = (ServerKey::from_bytes([1; 32]), ServerKey::from_bytes([3; 32]));
    let kept = || home.context.account().unwrap().unwrap();
    house.stop().await;
    house.start_with(old.clone(), Some(new.clone())).await;
    // a server that is ending may have let the link in once more
    while (kept().server.key, kept().next_key) != (old.public(), Some(new.public())) {
        until_online(events).await;
    }

    house.stop().await;
    house.start_with(new.clone(), None).await;
    while (kept().server.key, kept().next_key) != (new.public(), None) {
        until_online(events).await;
    }
    let (_link, mut events) = home.link().await;
    until_online(&mut events).await;

    house.stop().await;
    house.start_with(new, Some(old)).await;
}

/// Keys are slow to make, so these go on with the account above.
async fn passwords_are_checked_and_changed(house: &House, home: &Home) {
    let elsewhere = Home::new();
    let taken = elsewhere.register(house.access()).await.unwrap_err();
    assert!(matches!(&taken, AccountError::NameTaken { user } if *user == alice()), "{taken:?}");
    let login = |text| account::login(&elsewhere.context, Some(house.access()), alice(), password(text));
    assert_eq!(login("wrong").await.unwrap_err().kind(), Kind::BadCredentials);

    let change = |old, new| account::change_password(&home.context, password(old), password(new));
    assert_eq!(change("wrong", "battery staple").await.unwrap_err().kind(), Kind::BadCredentials);
    change("correct horse", "battery staple").await.unwrap();
    assert_eq!(login("correct horse").await.unwrap_err().kind(), Kind::BadCredentials);
}

async fn another_device_waits_and_a_reset_takes_over(house: &House, home: &Home) {
    let second = Home::new();
    let entered = account::login(&second.context, Some(house.access()), alice(), password("battery staple")).await;
    assert!(matches!(entered, Ok(Entered::ApprovalRequired { .. })), "{entered:?}");
    assert_eq!(second.context.account().unwrap().unwrap().standing, Standing::Waiting);

    // the first device was seen lately: a reset is announced and waits
    let reset = account::reset(&second.context, None, alice(), password("battery staple")).await.unwrap();
    assert!(matches!(reset, ResetOutcome::Waiting(until) if until > chatd::clock::now()), "{reset:?}");
    assert_eq!(home.context.account().unwrap().unwrap().standing, Standing::Active);
}

/// Passes bytes on, but of the server's words only the first `spared` reads; then it cuts both ends.
async fn cutter(server: SocketAddr, spared: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(server).await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let upwards = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
        let mut buffer = vec![0; 64 * 1024];
        for _ in 0..spared {
            let read = from_server.read(&mut buffer).await.unwrap();
            to_client.write_all(&buffer[..read]).await.unwrap();
        }
        // what the server did is done: its answer has arrived here, and goes no further
        let _ = from_server.read(&mut buffer).await;
        upwards.abort();
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_cut_at_any_answer_is_finished_by_doing_it_again() {
    let house = House::open().await;
    let home = Home::new();
    // the answers to: the handshake, the registration; then, resumed: the login, the registration, the enrolment
    for spared in [0, 1, 3] {
        let through = house.access_through(cutter(house.address, spared).await);
        let cut = home.register(through).await;
        assert!(cut.is_err(), "cut after {spared}: {cut:?}");
        assert!(home.context.account().unwrap().is_none());
    }
    let entered = home.register(house.access()).await.unwrap();
    let kept = home.context.account().unwrap().unwrap();
    assert!(matches!(entered, Entered::Ready { device, .. } if device == kept.device()));
    assert_eq!(kept.server.port, house.address.port());
    let (_link, mut events) = home.link().await;
    until_online(&mut events).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_invite_and_an_absent_server_are_told_apart() {
    let mut house = House::open().await;
    let home = Home::new();
    let mut wrong = house.access();
    wrong.server.secret = FernetKey::from_bytes([9; 32]);
    let refused = home.register(wrong).await.unwrap_err();
    assert!(matches!(refused, AccountError::Connect(ConnectError::Keys { .. })), "{refused:?}");
    assert_eq!(refused.kind(), Kind::ServerRejected);

    house.stop().await;
    let absent = home.register(house.access()).await.unwrap_err();
    assert_eq!(absent.kind(), Kind::ServerUnreachable);
    assert!(home.context.account().unwrap().is_none());
}
