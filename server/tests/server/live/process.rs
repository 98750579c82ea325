//! The real program, and what strangers and members who do not read cost it: counted in bytes of its memory, in lines of
//! its log, in messages that come all the same.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;

use chat_protocol::cbor;
use chat_protocol::crypto::agreement::SecretKey;
use chat_protocol::crypto::kdf::sha256;
use chat_protocol::fixtures::{DISTINCT_DEVICES, device_keys};
use chat_protocol::handshake::ServerKey;
use chat_protocol::handshake::client::Hello;
use chat_protocol::identity::device::{DeviceCert, DeviceKeys};
use chat_protocol::ids::{DeviceId, Head, HeadHash, SubmitId, Username};
use chat_protocol::invite::Invite;
use chat_protocol::message::Blob;
use chat_protocol::message::client::{Login, OneTimeStatus, RoomPost, Submit, UserHead};
use chat_protocol::record::Record;
use chat_protocol::time::Timestamp;
use chat_server::rules::Quota;
use chat_server::store::{
    self, Creation, DatabaseUrl, LogWrite, NewAccount, NewLog, NewPost, PasswordHash, SharedStore, SubmitOutcome,
    SubmitRow,
};
use futures_util::StreamExt;
use futures_util::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::Client;
use super::world::{addressed, envelope, text_of};
use crate::admin::operator::{Operator, Running};

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const VAST: Quota = Quota { messages: 1 << 30, bytes: 1 << 40, from_one: 1 << 30, of_account: 1 << 40 };
/// How often somebody may connect, and for how long say nothing, is not what is looked at here.
const OPEN: [&str; 5] = [
    "connections.per_address_per_minute=1000000",
    "connections.most_guests=12000",
    "connections.handshake_seconds=300",
    "connections.login_seconds=300",
    "metrics.listen=127.0.0.1:0",
];

/// A server that was set up and does not run yet.
pub(super) struct Site {
    pub(super) operator: Operator,
    invite: Invite,
}

impl Site {
    pub(super) fn new() -> Self {
        let operator = Operator::new();
        let made = operator.run(&["init", "--public", "127.0.0.1:8897"]);
        let invite = Invite::parse(&made.out).unwrap();
        Self { operator, invite }
    }

    /// Its database, by the store's own hand.
    pub(super) async fn store(&self) -> SharedStore {
        store::open(&DatabaseUrl::Sqlite(self.operator.data().join("chat.db"))).await.unwrap().store
    }

    pub(super) fn start(self, settings: &[&str]) -> Process {
        let mut words = vec!["run", "--listen", "127.0.0.1:0"];
        OPEN.iter().chain(settings).for_each(|setting| words.extend(["--set", *setting]));
        let log = self.operator.root.path().join("log");
        let mut running = Running::start_logging(self.operator.command(&words), File::create(&log).unwrap().into());
        let address = |line: &str, before: &str| line.strip_prefix(before).expect(line).parse().unwrap();
        let at = address(&running.1, "listening on ");
        let metrics = address(&running.line(), "metrics and health on http://");
        Process { site: self, running, at, metrics, log }
    }
}

/// A server that runs.
pub(super) struct Process {
    pub(super) site: Site,
    running: Running,
    at: SocketAddr,
    metrics: SocketAddr,
    log: PathBuf,
}

impl Process {
    pub(super) async fn guest(&self) -> Client {
        Client::connect(self.at, &self.site.invite.server_key, &self.site.invite.secret).await.expect("a handshake")
    }

    /// Logs in; what waits for the device follows.
    async fn login(&self, member: &Member, mut client: Client) -> Client {
        let signature = client.binding.sign_login(&member.keys.signing, &member.cert, &mut rand::rng());
        let (user, device) = (member.cert.user().clone(), member.id());
        let ask = Login { user, device, signature: Blob(signature), acceptance: None };
        client.call(&ask).await.expect("a login");
        client
    }

    pub(super) async fn enter(&self, member: &Member) -> Client {
        self.login(member, self.guest().await).await
    }

    /// Logs in on a socket that takes little more than the answer, and reads nothing more.
    pub(super) async fn stall(&self, member: &Member) -> Client {
        let (key, secret) = (&self.site.invite.server_key, &self.site.invite.secret);
        self.login(member, Client::connect_reading_little(self.at, key, secret).await.expect("a handshake")).await
    }

    /// Bytes of its memory that are its own and no file's.
    pub(super) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.running.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() * 1024
    }

    /// Lines of its log.
    fn said(&self) -> usize {
        fs::read_to_string(&self.log).unwrap().lines().count()
    }

    /// A number it is monitored by.
    pub(super) async fn metric(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect(self.metrics).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: monitoring\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name} is not in\n{answer}")).parse().unwrap()
    }

    /// Asks for a number until it is as wanted.
    pub(super) async fn until(&self, name: &str, wanted: impl Fn(u64) -> bool) {
        let asking = async { while !wanted(self.metric(name).await) {} };
        tokio::time::timeout(std::time::Duration::from_secs(60), asking).await.expect(name);
    }
}

/// A device that the store knows, of an account of its own, which has a log in name only.
pub(super) struct Member {
    keys: DeviceKeys,
    cert: DeviceCert,
    pub(super) head: UserHead,
}

impl Member {
    pub(super) fn id(&self) -> DeviceId {
        self.cert.id()
    }
}

/// So many of them.
pub(super) async fn members(store: &SharedStore, count: usize) -> Vec<Member> {
    let pairs: Vec<_> = (0..DISTINCT_DEVICES.min(count)).map(device_keys).collect();
    let seeded = (0..count).map(async |n| {
        let agreement = SecretKey::from_bytes(sha256(&n.to_be_bytes()));
        let keys = DeviceKeys { agreement, ..pairs[n % pairs.len()].clone() };
        let user: Username = format!("member{n}").parse().unwrap();
        let cert = keys.certify(&user, AT).unwrap();
        let hash = HeadHash::new(sha256(&n.to_be_bytes()));
        let new = NewAccount { user: user.clone(), hash: PasswordHash::new("x".into()), invite: None, at: AT };
        assert_eq!(store.create_account(new).await.unwrap(), Creation::Created);
        let (device, bytes, at) = (cert.id(), cert.bytes().to_vec(), AT);
        let log = NewLog { user: user.clone(), device, cert: bytes, genesis: vec![0], hash, at };
        assert_eq!(store.begin_log(log).await.unwrap(), LogWrite::Written);
        Member { keys, cert, head: UserHead { user, head: Head { seq: 0, hash } } }
    });
    join_all(seeded).await
}

/// Lets a message of the first member wait for each of these, `count` times.
pub(super) async fn fill(store: &SharedStore, members: &[Member], count: u64, text: &str) {
    let bytes: bytes::Bytes = cbor::encode(&envelope(text.as_bytes())).into();
    let row = |(counter, part): (u64, &[Member])| SubmitRow {
        sender: members[0].id(),
        submit_id: SubmitId::new(counter, [3; 8]),
        heads: part.iter().map(|member| member.head.clone()).collect(),
        group: None,
        to: part.iter().map(|member| (member.id(), bytes.clone())).collect(),
        // what is older than the server keeps would go at its start
        at: now(),
    };
    for round in 0..count {
        let rows = members.chunks(64).zip(round * 1_000 + 1..).map(|(part, counter)| row((counter, part))).collect();
        let outcomes = store.commit_submits(rows, VAST).await.unwrap();
        assert!(outcomes.iter().all(|one| matches!(one, SubmitOutcome::Stored { .. })));
    }
}

/// Posts of the largest size.
pub(super) async fn talk(store: &SharedStore, member: &Member, posts: u64) {
    for counter in 1..=posts {
        let submit_id = SubmitId::new(counter, [4; 8]);
        let text = "x".repeat(8 * 1024);
        store.room_post(NewPost { device: member.id(), submit_id, text, at: now(), kept: now() }).await.unwrap();
    }
}

fn now() -> Timestamp {
    super::client::now()
}

/// Files besides the connections of a test: those of other tests at the same time, and what the programs need.
const OTHER_FILES: usize = 2_500;

/// Asks the system for as many files as there may be: so many connections have to be possible.
pub(super) fn connections(wanted: usize) {
    let limit = getrlimit(Resource::Nofile);
    let _as_it_was = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let (given, needed) = (getrlimit(Resource::Nofile).current, (wanted + OTHER_FILES) as u64);
    assert!(
        given.is_none_or(|given| given >= needed),
        "a process may open {given:?} files here, and this needs {needed}: raise the limit (`ulimit -Hn`, LimitNOFILE=)"
    );
}

/// Connections that say nothing.
async fn silent(at: SocketAddr, count: usize) -> Vec<TcpStream> {
    futures_util::stream::iter(0..count)
        .map(|_| TcpStream::connect(at))
        .buffered(64)
        .map(Result::unwrap)
        .collect()
        .await
}

#[tokio::test]
async fn atk_01_strangers_by_the_thousand_say_nothing_in_the_log() {
    let process = Site::new().start(&[]);
    let (key, secret) = (&process.site.invite.server_key, &process.site.invite.secret);
    let (_, wrong_server) = Hello::start(&ServerKey::from_bytes([98; 32]).public(), secret);
    let (_, first_words) = Hello::start(key, secret);
    let kinds: [&[u8]; 5] =
        [b"GET / HTTP/1.1\r\n\r\n", b"CHAT\x01\x01\x01\xff\xff", &[0; 4096], &wrong_server, &first_words];
    let before = process.said();
    for n in 0..1_000 {
        let mut socket = TcpStream::connect(process.at).await.unwrap();
        let _closed_early = socket.write_all(kinds[n % kinds.len()]).await;
        if n % 2 == 0 {
            let mut rest = Vec::new();
            let _ended = socket.read_to_end(&mut rest).await;
        }
    }
    process.until("chat_server_connections", |open| open == 0).await;
    assert!(process.metric("chat_server_handshakes_failed_total{reason=\"stranger\"}").await >= 799);
    assert_eq!(process.said(), before, "{}", fs::read_to_string(&process.log).unwrap());
}

#[tokio::test]
async fn atk_08_connections_that_never_log_in_cost_the_process_less_than_64_kib_each() {
    const SILENT: usize = 1_000;
    const TALKERS: usize = 500;
    connections(SILENT + TALKERS);
    let process = Site::new().start(&[]);
    drop(process.guest().await);
    let before = process.memory();
    let _silent = silent(process.at, SILENT).await;
    process.until("chat_server_guests", |guests| guests == SILENT as u64).await;
    let between = process.memory();
    let mut talkers = Vec::new();
    for _ in 0..TALKERS {
        let mut guest = process.guest().await;
        // a record of the largest size that lacks its last byte
        guest.send_raw(&(8 * 1024u32).to_be_bytes()).await;
        guest.send_raw(&[b'A'; 8 * 1024 - 1]).await;
        talkers.push(guest);
    }
    process.until("chat_server_guests", |guests| guests == (SILENT + TALKERS) as u64).await;
    let silent = between.saturating_sub(before) / SILENT as u64;
    let talker = process.memory().saturating_sub(between) / TALKERS as u64;
    assert!(silent < 64 * 1024 && talker < 64 * 1024, "{silent} bytes of a silent one, {talker} of a talker");
}

/// They do not read, and are not dead either, however long the others take.
async fn show_life(clients: &mut [Client]) {
    for client in clients {
        client.send_record(&Record::Pong).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn atk_13_beside_10000_that_say_nothing_and_1000_that_stop_reading_others_are_served() {
    const QUIET: usize = 10_000;
    const STALLED: usize = 1_000;
    // those that stalled come back, one in ten of them at a time when the others may not be gone yet
    connections(QUIET + STALLED + STALLED / 10);
    let site = Site::new();
    let store = site.store().await;
    let members = members(&store, STALLED + 2).await;
    let (stalled, served) = members.split_at(STALLED);
    fill(&store, stalled, 1, "do not miss this").await;
    drop(store);
    let process = site.start(&["connections.write_seconds=1"]);
    let _silent = silent(process.at, QUIET).await;
    let mut stopped = Vec::new();
    for part in stalled.chunks(100) {
        stopped.extend(join_all(part.iter().map(|member| process.stall(member))).await);
        show_life(&mut stopped).await;
    }
    let (mut alice, mut bob) = (process.enter(&served[0]).await, process.enter(&served[1]).await);
    // more than sockets take is said to everybody, and something to one
    for counter in 1..=50 {
        let submit_id = |kind| SubmitId::new(counter, [kind; 8]);
        alice.call(&RoomPost { submit_id: submit_id(4), text: "x".repeat(8 * 1024) }).await.expect("posted");
        let text = format!("message {counter}");
        let (heads, to) = (vec![served[1].head.clone()], vec![addressed(served[1].id(), &text)]);
        alice.call(&Submit { submit_id: submit_id(5), heads, to, group: None }).await.expect("accepted");
        assert_eq!(text_of(&bob.delivery().await.envelope), text);
        if counter % 10 == 0 {
            show_life(&mut stopped).await;
        }
    }
    let slow = "chat_server_connections_closed_total{reason=\"slow_reader\"}";
    process.until(slow, |closed| closed == STALLED as u64).await;
    assert_eq!(process.metric("chat_server_guests").await, QUIET as u64, "and nobody else was disconnected");
    bob.call(&OneTimeStatus {}).await.unwrap();
    for member in stalled.iter().step_by(10) {
        let mut client = process.enter(member).await;
        assert_eq!(text_of(&client.delivery().await.envelope), "do not miss this");
    }
    assert!(process.said() < 20, "{}", fs::read_to_string(&process.log).unwrap());
    let Process { site, running, .. } = process;
    drop(running);
    let store = site.store().await;
    for member in stalled {
        let mail = store.mailbox_after(member.id(), 0, 2, 1 << 20).await.unwrap();
        let texts: Vec<_> = mail.iter().map(|mail| text_of(&cbor::decode(&mail.envelope).unwrap())).collect();
        assert_eq!(texts, ["do not miss this"]);
    }
}
