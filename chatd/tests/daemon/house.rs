//! A server whose rows outlive it, and daemons in homes of their own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::handshake::ServerKey;
use chat_protocol::invite::Invite;
use chat_protocol::rpc::types::{AccountRegister, ConnectionTrouble, MessageState, MsgList, MsgSend, Sent};
use chat_protocol::rpc::{Event, EventBody, Handle, Secret, Target};
use chat_server::config::{Config, Rates};
use chat_server::serve::{self, Keys};
use chat_server::store::sqlite::SqliteStore;
use chatd::api::Backend;
use chatd::daemon::{Daemon, Setup};
use chatd::dirs::DataDir;
use chatd::link::Timing;
use chatd::store::{Store, Unlock};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A server whose rows outlive it.
pub struct House {
    dir: tempfile::TempDir,
    address: SocketAddr,
    running: Option<(CancellationToken, JoinHandle<()>)>,
    /// Of which its key is made; another one is not the one its invites name.
    pub key: u8,
    /// How much it takes.
    pub rates: Rates,
}

impl House {
    pub async fn open() -> Self {
        Self::with(Rates::default()).await
    }

    /// One that takes less, or more.
    pub async fn with(rates: Rates) -> Self {
        let address = "127.0.0.1:0".parse().unwrap();
        let mut house = Self { dir: tempfile::tempdir().unwrap(), address, running: None, key: 1, rates };
        house.start().await;
        house
    }

    pub async fn start(&mut self) {
        let (store, _) = SqliteStore::open(&self.dir.path().join("server.db")).unwrap();
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let mut config = Config::default();
        config.passwords.bcrypt_cost = 4;
        config.rates = self.rates.clone();
        let keys = Keys {
            server: ServerKey::from_bytes([self.key; 32]),
            next: None,
            next_proof: None,
            offline: None,
            secret: FernetKey::from_bytes([2; 32]),
        };
        let shutdown = CancellationToken::new();
        let running = serve::run(config, Arc::new(store), listener, keys, shutdown.clone());
        self.running = Some((shutdown, tokio::spawn(async { running.await.unwrap() })));
    }

    pub async fn stop(&mut self) {
        let (shutdown, running) = self.running.take().unwrap();
        shutdown.cancel();
        running.await.unwrap();
    }

    pub fn invite(&self) -> Secret {
        let invite = Invite {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            server_key: ServerKey::from_bytes([1; 32]).public(),
            secret: FernetKey::from_bytes([2; 32]),
            offline_key: None,
            token: None,
        };
        serde_json::from_value(serde_json::Value::String(invite.to_text().to_string())).unwrap()
    }
}

/// A daemon and the directory it lives in.
pub struct Home {
    pub outer: tempfile::TempDir,
    pub daemon: Arc<Daemon>,
    pub store: Arc<Store>,
}

impl Home {
    pub fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        let (daemon, store) = start(&outer.path().join("data"));
        Self { outer, daemon, store }
    }

    pub async fn registered(house: &House, user: &str) -> Self {
        let home = Self::new();
        let params = AccountRegister {
            invite: Some(house.invite()),
            server: None,
            server_key: None,
            secret_key_file: None,
            user: user.parse().unwrap(),
            password: Some(serde_json::from_str("\"correct horse\"").unwrap()),
            password_file: None,
        };
        home.daemon.handle(params).await.unwrap();
        home.until(|event| matches!(event, EventBody::SyncDone(_))).await;
        home
    }

    /// The process ends and is started again.
    pub async fn restart(&mut self) {
        self.daemon.stop().await;
        (self.daemon, self.store) = start(&self.outer.path().join("data"));
    }

    pub async fn send(&self, to: &str, text: &str, client_id: Option<&str>) -> Sent {
        let params = MsgSend {
            to: to.parse().unwrap(),
            text: text.to_owned(),
            client_id: client_id.map(str::to_owned),
            ..MsgSend::text(Target::Room, "")
        };
        self.daemon.handle(params).await.unwrap()
    }

    /// Reads the event log from its beginning until something has happened.
    pub async fn until(&self, is: impl Fn(&EventBody) -> bool) -> Event {
        let wait = async {
            let (mut newest, mut seq) = (self.daemon.newest_event(), 0);
            loop {
                for event in self.daemon.events_after(seq, 100).await.unwrap().events {
                    seq = event.seq.unwrap();
                    if event.body().is_some_and(|body| is(&body)) {
                        return event.event(false);
                    }
                }
                if *newest.borrow_and_update() <= seq {
                    newest.changed().await.unwrap();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it happens within a minute")
    }

    pub async fn until_text(&self, text: &str) -> Event {
        self.until(|event| matches!(event, EventBody::MessageNew(message) if !message.outgoing && message.text == text))
            .await
    }

    pub async fn until_state(&self, sent: &Sent, state: MessageState) {
        self.until(|event| matches!(event, EventBody::MessageStatus(s) if s.id == sent.id && s.state == state)).await;
    }

    /// Waits until what keeps the connection away is this.
    pub async fn until_trouble(&self, trouble: ConnectionTrouble) {
        let wait = async {
            let mut newest = self.daemon.newest_event();
            while self.daemon.health().await.unwrap().connection.trouble != Some(trouble) {
                newest.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it is told within a minute");
    }

    pub async fn texts(&self, chat: &str) -> Vec<String> {
        let to = chat.parse().unwrap();
        let params = MsgList { to, before: None, after: None, limit: None };
        let page = self.daemon.handle(params).await.unwrap();
        page.messages.into_iter().map(|message| format!("{}: {}", message.from, message.text)).collect()
    }
}

fn start(path: &std::path::Path) -> (Arc<Daemon>, Arc<Store>) {
    let dir = DataDir::open(path).unwrap();
    let store = Arc::new(Store::open(&dir, &Unlock::KeyFile(dir.file("key"))).unwrap());
    let timing =
        Timing { first_wait: Duration::from_millis(5), longest_wait: Duration::from_millis(50), ..Timing::default() };
    let socket = watch::channel(PathBuf::from("unused")).1;
    let setup = Setup { profile: "test".into(), dir, socket, import_key: None, timing };
    (Daemon::start(setup, Arc::clone(&store)).unwrap(), store)
}
