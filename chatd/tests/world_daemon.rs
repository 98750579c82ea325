//! Whole daemons over sealed stores, against the real server: what the socket offers, end to end.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::handshake::ServerKey;
use chat_protocol::ids::MessageId;
use chat_protocol::invite::Invite;
use chat_protocol::rpc::types::{
    AccountLogout, AccountRegister, ChatMarkRead, ConnectionState, ConnectionTrouble, ContactList, ContactSet,
    DeleteScope, ExportFormat, Message, MessageState, MsgCancel, MsgDelete, MsgEdit, MsgExport, MsgExportPage, MsgList,
    MsgOutbox, MsgResend, MsgSearch, MsgSend, MsgStatus, MsgWait, SearchPage, Sent, SettingsSet,
};
use chat_protocol::rpc::{Event, EventBody, Kind, Secret, Target};
use chat_server::config::Config;
use chat_server::serve::{self, Keys};
use chat_server::store::sqlite::SqliteStore;
use chatd::api::Api;
use chatd::daemon::{Daemon, Setup};
use chatd::dirs::DataDir;
use chatd::link::Timing;
use chatd::store::{Store, Unlock};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A server whose rows outlive it.
struct House {
    dir: tempfile::TempDir,
    address: SocketAddr,
    running: Option<(CancellationToken, JoinHandle<()>)>,
    /// Of which its key is made; another one is not the one its invites name.
    key: u8,
}

impl House {
    async fn open() -> Self {
        let address = "127.0.0.1:0".parse().unwrap();
        let mut house = Self { dir: tempfile::tempdir().unwrap(), address, running: None, key: 1 };
        house.start().await;
        house
    }

    async fn start(&mut self) {
        let (store, _) = SqliteStore::open(&self.dir.path().join("server.db")).unwrap();
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let mut config = Config::default();
        config.passwords.bcrypt_cost = 4;
        let keys =
            Keys { server: ServerKey::from_bytes([self.key; 32]), next: None, secret: FernetKey::from_bytes([2; 32]) };
        let shutdown = CancellationToken::new();
        let running = serve::run(config, Arc::new(store), listener, keys, shutdown.clone());
        self.running = Some((shutdown, tokio::spawn(async { running.await.unwrap() })));
    }

    async fn stop(&mut self) {
        let (shutdown, running) = self.running.take().unwrap();
        shutdown.cancel();
        running.await.unwrap();
    }

    fn invite(&self) -> Secret {
        let invite = Invite {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            server_key: ServerKey::from_bytes([1; 32]).public(),
            secret: FernetKey::from_bytes([2; 32]),
            token: None,
        };
        serde_json::from_value(serde_json::Value::String(invite.to_text().to_string())).unwrap()
    }
}

/// A daemon and the directory it lives in.
struct Home {
    outer: tempfile::TempDir,
    daemon: Arc<Daemon>,
}

impl Home {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        let daemon = start(&outer.path().join("data"));
        Self { outer, daemon }
    }

    async fn registered(house: &House, user: &str) -> Self {
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
        home.daemon.account_register(params).await.unwrap();
        home.until(|event| matches!(event, EventBody::SyncDone(_))).await;
        home
    }

    /// The process ends and is started again.
    async fn restart(&mut self) {
        self.daemon.stop().await;
        self.daemon = start(&self.outer.path().join("data"));
    }

    async fn send(&self, to: &str, text: &str, client_id: Option<&str>) -> Sent {
        let params = MsgSend {
            to: to.parse().unwrap(),
            text: text.to_owned(),
            client_id: client_id.map(str::to_owned),
            ..MsgSend::text(Target::Room, "")
        };
        self.daemon.msg_send(params).await.unwrap()
    }

    /// Reads the event log from its beginning until something has happened.
    async fn until(&self, is: impl Fn(&EventBody) -> bool) -> Event {
        let wait = async {
            let (mut newest, mut seq) = (self.daemon.newest_event(), 0);
            loop {
                for event in self.daemon.events_after(seq, 100).await.unwrap().events {
                    seq = event.seq.unwrap();
                    if event.body().is_some_and(|body| is(&body)) {
                        return event;
                    }
                }
                if *newest.borrow_and_update() <= seq {
                    newest.changed().await.unwrap();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it happens within a minute")
    }

    async fn until_text(&self, text: &str) -> Event {
        self.until(|event| matches!(event, EventBody::MessageNew(message) if !message.outgoing && message.text == text))
            .await
    }

    async fn until_state(&self, sent: &Sent, state: MessageState) {
        self.until(|event| matches!(event, EventBody::MessageStatus(s) if s.id == sent.id && s.state == state)).await;
    }

    async fn texts(&self, chat: &str) -> Vec<String> {
        let to = chat.parse().unwrap();
        let params = MsgList { to, before: None, after: None, limit: None };
        let page = self.daemon.msg_list(params).await.unwrap();
        page.messages.into_iter().map(|message| format!("{}: {}", message.from, message.text)).collect()
    }
}

fn start(path: &std::path::Path) -> Arc<Daemon> {
    let dir = DataDir::open(path).unwrap();
    let store = Arc::new(Store::open(&dir, &Unlock::KeyFile(dir.file("key"))).unwrap());
    let timing =
        Timing { first_wait: Duration::from_millis(5), longest_wait: Duration::from_millis(50), ..Timing::default() };
    let setup = Setup { profile: "test".into(), dir, socket: PathBuf::from("unused"), import_key: None, timing };
    Daemon::start(setup, store).unwrap()
}

#[tokio::test]
async fn private_and_public_messages_end_to_end() {
    let house = House::open().await;
    let (alice, bob) = (Home::registered(&house, "alice").await, Home::registered(&house, "bob").await);

    let hello = alice.send("@bob", "hello", None).await;
    bob.until_text("hello").await;
    alice.until_state(&hello, MessageState::Delivered).await;
    bob.send("@alice", "hi", None).await;
    alice.until_text("hi").await;
    bob.daemon.chat_mark_read(ChatMarkRead { to: "@alice".parse().unwrap(), up_to: None }).await.unwrap();
    alice.until_state(&hello, MessageState::Read).await;

    alice.send("room:public", "hello everybody", None).await;
    bob.until_text("hello everybody").await;
    assert_eq!(alice.texts("@bob").await, ["alice: hello", "bob: hi"]);
    let status = alice.daemon.msg_status(MsgStatus { id: hello.id }).await.unwrap();
    assert_eq!(status.state, MessageState::Read);
    let times = [status.recipients[0].sent_ms, status.recipients[0].delivered_ms, status.recipients[0].read_ms];
    assert!(times.is_sorted() && times[0].is_some(), "{times:?}");
}

#[tokio::test]
async fn a_message_survives_restarts_of_everything() {
    let mut house = House::open().await;
    let (mut alice, mut bob) = (Home::registered(&house, "alice").await, Home::registered(&house, "bob").await);
    house.stop().await;

    let sent = alice.send("@bob", "are you there?", Some("job-1")).await;
    assert_eq!(sent.state, MessageState::Queued);
    alice.restart().await;
    bob.restart().await;
    let again = alice.send("@bob", "are you there?", Some("job-1")).await;
    assert!(again.duplicate && again.id == sent.id);
    house.start().await;

    bob.until_text("are you there?").await;
    alice.until_state(&sent, MessageState::Delivered).await;
    assert_eq!(bob.texts("@alice").await, ["alice: are you there?"]);
}

#[tokio::test]
async fn a_message_to_nobody_fails_and_the_daemon_says_why() {
    let house = House::open().await;
    let alice = Home::registered(&house, "alice").await;
    let sent = alice.send("@nobody", "hello?", None).await;
    alice.until_state(&sent, MessageState::Failed).await;
    let status = alice.daemon.msg_status(MsgStatus { id: sent.id }).await.unwrap();
    assert_eq!(status.recipients[0].error.as_deref(), Some("not_found"));
}

/// Every page of the outbox, a message each: their texts, and why they failed.
async fn outbox(home: &Home) -> Vec<(String, Option<String>)> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = home.daemon.msg_outbox(MsgOutbox { limit: Some(1), cursor }).await.unwrap();
        assert!(page.messages.len() <= 1);
        all.extend(page.messages.into_iter().map(|message| (message.text, message.error)));
        cursor = page.cursor;
        if cursor.is_none() {
            let counted = home.daemon.daemon_health().await.unwrap().outbox;
            assert_eq!(counted.queued + counted.failed, all.len() as u64, "health counts what is listed");
            return all;
        }
    }
}

#[tokio::test]
async fn the_outbox_lists_what_waits_and_what_failed_until_it_is_dealt_with() {
    let mut house = House::open().await;
    let mut alice = Home::registered(&house, "alice").await;
    let lost = alice.send("@nobody", "lost", None).await;
    alice.until_state(&lost, MessageState::Failed).await;
    house.stop().await;
    alice.restart().await;
    let waits = alice.send("@bob", "waits", None).await;
    alice.send("self", "a note is nobody's", None).await;
    let failed = ("lost".to_owned(), Some("not_found".to_owned()));
    assert_eq!(outbox(&alice).await, [failed, ("waits".to_owned(), None)]);

    let again = alice.daemon.msg_resend(MsgResend { id: lost.id }).await.unwrap();
    assert_eq!(
        outbox(&alice).await,
        [("waits".to_owned(), None), ("lost".to_owned(), None)],
        "sent again, it is dealt with"
    );
    alice.daemon.msg_cancel(MsgCancel { id: waits.id }).await.unwrap();
    house.start().await;
    alice.until_state(&again, MessageState::Failed).await;
    assert_eq!(outbox(&alice).await, [("lost".to_owned(), Some("not_found".to_owned()))]);
    alice.daemon.msg_delete(MsgDelete { id: again.id, scope: DeleteScope::Myself }).await.unwrap();
    assert_eq!(outbox(&alice).await, []);
}

#[tokio::test]
async fn who_requires_a_user_sends_nothing_to_a_name_that_is_not_there() {
    let mut house = House::open().await;
    let alice = Home::registered(&house, "alice").await;
    let bob = Home::registered(&house, "bob").await;
    let send = async |to: &str| {
        let message = MsgSend { require_user: Some(true), ..MsgSend::text(to.parse().unwrap(), "hi") };
        alice.daemon.msg_send(message).await
    };
    for _ in 0..2 {
        assert_eq!(send("@nobody").await.unwrap_err().kind, Kind::NotFound);
    }
    assert_eq!(alice.texts("@nobody").await, [] as [String; 0]);
    send("@bob").await.unwrap();
    bob.until_text("hi").await;
    house.stop().await;
    while alice.daemon.daemon_health().await.unwrap().connection.state == ConnectionState::Online {
        tokio::task::yield_now().await;
    }
    assert_eq!(send("@nobody").await.unwrap().state, MessageState::Queued, "nobody there can say that it is wrong");
}

#[tokio::test]
async fn what_comes_together_shares_a_commit_and_what_comes_alone_has_its_own() {
    let house = House::open().await;
    let alice = Home::registered(&house, "alice").await;
    let commits = async || {
        let health = alice.daemon.daemon_health().await.unwrap();
        let text = alice.daemon.metrics().text(&health, 0).unwrap();
        let count = text.lines().find_map(|line| line.strip_prefix("chatd_commit_duration_seconds_count "));
        count.unwrap().parse::<u64>().unwrap()
    };
    let before = commits().await;
    for _ in 0..5 {
        alice.send("self", "alone", None).await;
    }
    let alone = commits().await - before;
    futures_util::future::join_all((0..200).map(|_| alice.send("self", "together", None))).await;
    let together = commits().await - before - alone;
    assert!(alone >= 5 && together < 20, "{alone} commits for 5 messages, {together} for 200");
}

#[tokio::test]
async fn a_daemon_without_account_says_so() {
    let home = Home::new();
    let params = MsgSend::text(Target::Room, "hello");
    assert_eq!(home.daemon.msg_send(params).await.unwrap_err().kind, Kind::Unauthenticated);
    assert_eq!(home.daemon.daemon_health().await.unwrap().connection.state, ConnectionState::Idle);
}

#[tokio::test]
async fn who_is_logged_out_hears_that_and_never_that_there_is_no_account() {
    let house = House::open().await;
    let mut home = Home::registered(&house, "alice").await;
    home.daemon.account_logout(AccountLogout { forget_keys: None }).await.unwrap();
    for _ in 0..2 {
        let refusal = home.daemon.msg_send(MsgSend::text(Target::Room, "hello")).await.unwrap_err();
        assert_eq!(refusal.kind, Kind::Unauthenticated);
        assert_eq!(refusal.message, "alice is logged out on this device");
        assert_eq!(refusal.hint.as_deref(), Some("log in again with `chatctl login alice`"));
        let health = home.daemon.daemon_health().await.unwrap();
        assert_eq!(health.reason, Some(refusal.message));
        home.restart().await;
    }
}

#[tokio::test]
async fn what_keeps_the_server_away_is_told_by_its_kind() {
    let mut house = House::open().await;
    let home = Home::registered(&house, "alice").await;
    assert_eq!(home.daemon.daemon_health().await.unwrap().connection.trouble, None);
    house.stop().await;
    let offline =
        |event: &EventBody| matches!(event, EventBody::Connection(change) if change.state == ConnectionState::Offline);
    home.until(offline).await;
    home.daemon.net_kick().await.unwrap();
    home.until(offline).await;
    let connection = home.daemon.daemon_health().await.unwrap().connection;
    assert_eq!(connection.trouble, Some(ConnectionTrouble::Unreachable), "{connection:?}");
    house.key = 3;
    house.start().await;
    loop {
        home.daemon.net_kick().await.unwrap();
        home.until(offline).await;
        let connection = home.daemon.daemon_health().await.unwrap().connection;
        if connection.trouble == Some(ConnectionTrouble::Keys) {
            break;
        }
    }
}

#[tokio::test]
async fn waiting_for_a_message_ends_when_it_is_there_or_can_never_be() {
    let house = House::open().await;
    let (alice, bob) = (Home::registered(&house, "alice").await, Home::registered(&house, "bob").await);
    let wait = |id, state| MsgWait { id, state, timeout_ms: Some(60_000) };

    let hello = alice.send("@bob", "hello", None).await;
    let status = alice.daemon.msg_wait(wait(hello.id, MessageState::Delivered)).await.unwrap();
    assert_eq!(status.state, MessageState::Delivered);
    assert_eq!(alice.daemon.msg_wait(wait(hello.id, MessageState::Accepted)).await.unwrap().state, status.state);
    let soon = MsgWait { timeout_ms: Some(1), ..wait(hello.id, MessageState::Read) };
    assert_eq!(alice.daemon.msg_wait(soon).await.unwrap_err().kind, Kind::Timeout);

    let nobody = alice.send("@nobody", "hello?", None).await;
    let status = alice.daemon.msg_wait(wait(nobody.id, MessageState::Read)).await.unwrap();
    assert_eq!(status.state, MessageState::Failed);

    let post = alice.send("room:public", "hello all", None).await;
    assert_eq!(
        alice.daemon.msg_wait(wait(post.id, MessageState::Accepted)).await.unwrap().state,
        MessageState::Accepted
    );
    let refusals = [
        (wait(post.id, MessageState::Delivered), Kind::InvalidParams),
        (wait(hello.id, MessageState::Queued), Kind::InvalidParams),
        (MsgWait { timeout_ms: Some(600_001), ..wait(hello.id, MessageState::Read) }, Kind::InvalidParams),
        (wait(MessageId::new([1; 16]), MessageState::Read), Kind::NotFound),
    ];
    for (params, kind) in refusals {
        assert_eq!(alice.daemon.msg_wait(params).await.unwrap_err().kind, kind);
    }
    let theirs = bob.daemon.msg_wait(wait(hello.id, MessageState::Read)).await.unwrap_err();
    assert_eq!((theirs.kind, theirs.path.as_deref()), (Kind::InvalidParams, Some("id")));

    let daemon = Arc::clone(&alice.daemon);
    let waiting = tokio::spawn(async move { daemon.msg_wait(wait(hello.id, MessageState::Read)).await });
    alice.daemon.close();
    assert_eq!(waiting.await.unwrap().unwrap_err().kind, Kind::Internal);
}

#[tokio::test]
async fn a_message_for_later_leaves_by_itself_after_a_restart() {
    let house = House::open().await;
    let (mut alice, bob) = (Home::registered(&house, "alice").await, Home::registered(&house, "bob").await);
    let soon = chatd::clock::now().as_millis() + 300;
    let params = MsgSend { at_ms: Some(soon), ..MsgSend::text("@bob".parse().unwrap(), "good morning") };
    let sent = alice.daemon.msg_send(params).await.unwrap();
    assert_eq!(sent.state, MessageState::Queued);
    alice.restart().await;
    bob.until_text("good morning").await;
    assert!(chatd::clock::now().as_millis() >= soon);
}

async fn search(home: &Home, query: &str, limit: Option<u32>, cursor: Option<String>) -> SearchPage {
    let query = query.to_owned();
    let asked = MsgSearch { query, to: None, from: None, since_ms: None, until_ms: None, limit, cursor };
    home.daemon.msg_search(asked).await.unwrap()
}

#[tokio::test]
async fn search_finds_what_is_there_now() {
    let house = House::open().await;
    let alice = Home::registered(&house, "alice").await;
    alice.send("self", "the red fox", None).await;
    let car = alice.send("self", "a red car", None).await;
    let texts = |page: &SearchPage| page.messages.iter().map(|message| message.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&search(&alice, "RED", None, None).await), ["a red car", "the red fox"]);

    alice.send("self", "red again", None).await;
    alice.daemon.msg_edit(MsgEdit { id: car.id, text: "a blue car".into() }).await.unwrap();
    assert_eq!(texts(&search(&alice, "red", None, None).await), ["red again", "the red fox"]);
    let first = search(&alice, "red", Some(1), None).await;
    let second = search(&alice, "red", Some(1), first.cursor.clone()).await;
    assert_eq!(
        (texts(&first), texts(&second), second.cursor),
        (vec!["red again".into()], vec!["the red fox".into()], None)
    );

    alice.daemon.msg_delete(MsgDelete { id: car.id, scope: DeleteScope::All }).await.unwrap();
    assert_eq!(texts(&search(&alice, "blue", None, None).await), [] as [String; 0]);
}

#[tokio::test]
async fn pages_of_long_messages_fit_a_line_and_lead_on() {
    let house = House::open().await;
    let alice = Home::registered(&house, "alice").await;
    let long = "word ".repeat(12_000);
    for _ in 0..20 {
        alice.send("self", &long, None).await;
    }
    let first = search(&alice, "word", None, None).await;
    let second = search(&alice, "word", None, first.cursor.clone()).await;
    assert!(serde_json::to_string(&first).unwrap().len() < chat_protocol::rpc::MAX_LINE_BYTES);
    assert_eq!((first.messages.len() + second.messages.len(), second.cursor), (20, None));
}

/// An export, put together from its pieces, each of which fits a line.
async fn pieces(home: &Home, format: ExportFormat) -> String {
    let (mut text, mut cursor, mut count) = (String::new(), None, 0);
    loop {
        let asked = MsgExportPage { to: None, since_ms: None, format, cursor };
        let piece = home.daemon.msg_export_page(asked).await.unwrap();
        assert!(serde_json::to_string(&piece).unwrap().len() < chat_protocol::rpc::MAX_LINE_BYTES);
        text.push_str(&piece.text);
        (cursor, count) = (piece.cursor, count + 1);
        if cursor.is_none() {
            assert!(count > 1, "it takes several");
            return text;
        }
    }
}

#[tokio::test]
async fn contacts_that_do_not_fit_a_line_come_page_by_page() {
    let alice = Home::registered(&House::open().await, "alice").await;
    // as JSON each takes six times as much
    for number in 0..60 {
        let (user, note) = (format!("user{number:03}").parse().unwrap(), Some("\u{1}".repeat(4096)));
        alice.daemon.contact_set(ContactSet { user, alias: None, note }).await.unwrap();
    }
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = alice.daemon.contact_list(ContactList { after }).await.unwrap();
        assert!(serde_json::to_string(&page).unwrap().len() < chat_protocol::rpc::MAX_LINE_BYTES);
        names.extend(page.contacts.iter().map(|contact| contact.user.to_string()));
        after = page.contacts.last().map(|contact| contact.user.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(names, (0..60).map(|number| format!("user{number:03}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_export_has_every_message_and_overwrites_nothing() {
    let house = House::open().await;
    let alice = Home::registered(&house, "alice").await;
    for number in 0..600 {
        alice.send("self", &format!("note {number}"), None).await;
    }
    alice.send("self", "# no heading\n\u{1b}[2J\u{202e}\n![](http://who.reads/this) <b> *", None).await;
    let out = |name: &str| alice.outer.path().join(name).display().to_string();
    let export = |format, out: String| alice.daemon.msg_export(MsgExport { to: None, since_ms: None, format, out });
    let done = export(ExportFormat::Ndjson, out("all.ndjson")).await.unwrap();
    assert_eq!(done.messages, 601);
    let lines = std::fs::read_to_string(out("all.ndjson")).unwrap();
    let texts: Vec<_> = lines.lines().map(|line| serde_json::from_str::<Message>(line).unwrap().text).collect();
    assert_eq!((texts.len(), texts[599].as_str()), (601, "note 599"));

    export(ExportFormat::Md, out("all.md")).await.unwrap();
    let text = std::fs::read_to_string(out("all.md")).unwrap();
    assert!(text.contains("> \\# no heading") && !text.contains(['\u{1b}', '\u{202e}']));
    assert!(text.contains(r"> \!\[\](http://who.reads/this) \<b\> \*"), "nothing of it is obeyed or fetched");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(out("all.md")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(export(ExportFormat::Md, out("all.md")).await.unwrap_err().kind, Kind::AlreadyExists);
    // long enough for several pieces
    for number in 0..4 {
        alice.send("self", &format!("{number} {}", "\u{1}".repeat(50_000)), None).await;
    }
    for (format, name) in [(ExportFormat::Ndjson, "again.ndjson"), (ExportFormat::Md, "again.md")] {
        export(format, out(name)).await.unwrap();
        assert_eq!(std::fs::read_to_string(out(name)).unwrap(), pieces(&alice, format).await, "{name}");
    }
    assert_eq!(export(ExportFormat::Md, "all.md".into()).await.unwrap_err().path.as_deref(), Some("out"));
}

#[tokio::test]
async fn who_does_not_want_to_be_seen_is_not() {
    let house = House::open().await;
    let (alice, bob) = (Home::registered(&house, "alice").await, Home::registered(&house, "bob").await);
    let hide = SettingsSet { presence: Some(false), ..SettingsSet::default() };
    alice.daemon.account_settings_set(hide.clone()).await.unwrap();
    let seen = bob.daemon.presence_list().await.unwrap().users;
    assert_eq!(seen.iter().map(|present| present.user.as_str()).collect::<Vec<_>>(), ["bob"]);
    let bad = SettingsSet { event_days: Some(0), ..hide };
    let refused = alice.daemon.account_settings_set(bad).await.unwrap_err();
    assert_eq!(refused.path.as_deref(), Some("event_days"));
}
