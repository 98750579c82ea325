//! The program itself: how it begins, refuses to begin, is asked for things, and ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::home::Home;
use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::handshake::ServerKey;
use chat_protocol::invite::Invite;
use chat_server::config::Config;
use chat_server::serve::{self, Keys};
use chat_server::store::sqlite::SqliteStore;
use chatd::dirs::write_private;
use rustix::process::Signal;
use serde_json::json;

#[test]
fn it_is_of_use_without_network_and_account_and_ends_when_told() {
    let home = Home::new();
    let daemon = home.start(&[]);
    let status = daemon.call("account.status", &json!({}));
    assert!(status["result"].is_object(), "{status}");
    let sent = daemon.call("msg.send", &json!({"to": "@bob", "text": "hi"}));
    assert_eq!(sent["error"]["data"]["kind"], "unauthenticated", "{sent}");

    // a closed terminal does not end it
    daemon.signal(Signal::HUP);
    assert!(daemon.call("daemon.info", &json!({}))["result"].is_object());
    let socket = daemon.socket.clone();
    daemon.signal(Signal::TERM);
    let (code, log) = daemon.ended();
    assert_eq!(code, Some(0), "{log}");
    assert!(!socket.exists());

    let daemon = home.start(&[]);
    assert!(daemon.call("daemon.shutdown", &json!({}))["error"].is_null());
    assert_eq!(daemon.ended().0, Some(0));
}

#[test]
fn a_second_daemon_exits_at_once_and_names_the_first() {
    let home = Home::new();
    let daemon = home.start(&[]);
    let (code, told) = home.ends(&[]);
    assert_eq!(code, 75);
    let holder = format!("another chatd (process {}) uses", daemon.child.id());
    assert!(told.contains(&holder), "{told}");
}

#[test]
fn atk_57_memory_goes_into_no_core_file() {
    let home = Home::new();
    let daemon = home.start(&[]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");

    daemon.signal(Signal::ABORT);
    assert_eq!(daemon.ended().0, None, "it should have died of the signal");
    for dir in [home.outer.path(), &home.data()] {
        for entry in fs::read_dir(dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.starts_with("core"), "{name} was written");
        }
    }
    // and whatever it was killed in the middle of, it starts again
    home.start(&[]);
}

#[test]
fn atk_63_an_open_data_directory_is_refused_with_its_chmod() {
    let home = Home::new();
    fs::create_dir(home.data()).unwrap();
    fs::set_permissions(home.data(), fs::Permissions::from_mode(0o755)).unwrap();
    let (code, told) = home.ends(&[]);
    assert_eq!(code, 73);
    assert!(told.contains(&format!("chmod 700 {}", home.data().display())), "{told}");
}

#[test]
fn a_passphrase_opens_the_store_and_can_be_changed_while_it_runs() {
    let home = Home::new();
    let (first, second) = (home.file("first", "correct horse\n"), home.file("second", "battery staple\n"));
    let daemon = home.start(&["--passphrase-file", &first]);
    let (code, told) = home.ends(&["change-key", "--passphrase-file", &first, "--new-passphrase-file", &second]);
    assert_eq!((code, told.as_str()), (0, ""));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().0, Some(0));

    let (code, told) = home.ends(&["--passphrase-file", &first]);
    assert_eq!(code, 77);
    assert!(told.contains("the passphrase does not open this store"), "{told}");
    let (code, told) = home.ends(&[]);
    assert_eq!(code, 77);
    assert!(told.contains("use --passphrase or --passphrase-file"), "{told}");
    home.start(&["--passphrase-file", &second]);
    for text in [told.as_str(), &fs::read_to_string(home.data().join("lock")).unwrap()] {
        assert!(!text.contains("battery"), "atk_62: {text}");
    }
}

#[test]
fn atk_58_a_damaged_store_is_named_and_left_alone() {
    let home = Home::new();
    let daemon = home.start(&[]);
    daemon.signal(Signal::TERM);
    daemon.ended();
    let path = home.data().join("store.db");
    let whole = fs::read(&path).unwrap();
    let mut cut = whole.clone();
    cut[20] ^= 0xff;
    cut.truncate(5000);
    // the kinds of the pages behind the header, of the rows and of an index
    let flipped = [1, 2].map(|page| {
        let mut bytes = whole.clone();
        bytes[page * 4096] ^= 0x01;
        bytes
    });
    for bytes in [cut].into_iter().chain(flipped) {
        write_private(&path, &bytes).unwrap();
        let (code, told) = home.ends(&[]);
        assert_eq!(code, 65, "{told}");
        assert!(told.contains("damaged"), "{told}");
        assert!(fs::read(&path).unwrap() == bytes, "it was written to");
    }
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    let home = Home::new();
    assert_eq!(home.ends(&["--no-such-option"]).0, 64);
    assert_eq!(home.ends(&["--profile", "a/b"]).0, 64);
    assert_eq!(home.ends(&["--log", "=,="]).0, 64);
}

/// The real server, on a thread of its own; the text of its invite.
fn server(dir: &Path) -> String {
    let (store, _) = SqliteStore::open(&dir.join("server.db")).unwrap();
    let mut config = Config::default();
    config.passwords.bcrypt_cost = 4;
    let key = ServerKey::from_bytes([1; 32]);
    let secret = FernetKey::from_bytes([2; 32]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let invite = Invite {
        host: "127.0.0.1".into(),
        port,
        server_key: key.public(),
        secret: secret.clone(),
        offline_key: None,
        token: None,
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let keys = Keys { server: key, next: None, next_proof: None, offline: None, secret };
            serve::run(config, std::sync::Arc::new(store), listener, keys, Default::default()).await
        })
    });
    invite.to_text().to_string()
}

#[test]
fn an_account_is_registered_through_the_socket_and_is_there_after_a_kill() {
    let home = Home::new();
    let invite = server(home.outer.path());
    let daemon = home.start(&["--log", "debug"]);
    let params = json!({"invite": invite, "user": "alice", "password": "correct horse"});
    let short = daemon.call("account.register", &json!({"invite": invite, "user": "alice", "password": "1234567"}));
    assert!(short.to_string().contains("a new one needs at least 8 bytes, this one is 7 long"), "{short}");
    let entered = daemon.call("account.register", &params);
    assert_eq!(entered["result"]["state"], "ready", "{entered}");
    let short = daemon.call("account.password", &json!({"old": "correct horse", "new": "1234567"}));
    assert!(short.to_string().contains("a new one needs at least 8"), "{short}");
    let device = entered["result"]["device_id"].clone();

    daemon.signal(Signal::KILL);
    let (_, log) = daemon.ended();
    assert!(!log.contains("correct horse") && !log.contains(&invite), "atk_62: {log}");
    let daemon = home.start(&[]);
    let status = daemon.call("account.status", &json!({}));
    assert_eq!((&status["result"]["user"], &status["result"]["device_id"]), (&json!("alice"), &device), "{status}");
    let again = daemon.call("account.register", &params);
    assert_eq!(again["error"]["data"]["kind"], "conflict", "{again}");
}

#[test]
fn what_alice_writes_to_bob_arrives_and_outlives_both_daemons() {
    let (alice, bob) = (Home::new(), Home::new());
    let invite = server(alice.outer.path());
    let [alice_daemon, bob_daemon] = [(&alice, "alice"), (&bob, "bob")].map(|(home, user)| {
        let daemon = home.start(&[]);
        let entered =
            daemon.call("account.register", &json!({"invite": invite, "user": user, "password": "correct horse"}));
        assert_eq!(entered["result"]["state"], "ready", "{entered}");
        daemon
    });
    let mut events = bob_daemon.listen();
    let sent = alice_daemon.call("msg.send", &json!({"to": "@bob", "text": "are you there?"}));
    assert!(sent["result"]["id"].is_string(), "{sent}");
    let arrived = events.next("message.new");
    assert!(arrived.to_string().contains("are you there?"), "{arrived}");

    drop((alice_daemon, bob_daemon));
    for home in [&alice, &bob] {
        let daemon = home.start(&[]);
        let other = if std::ptr::eq(home, &alice) { "@bob" } else { "@alice" };
        let listed = daemon.call("msg.list", &json!({"to": other}));
        assert!(listed.to_string().contains("are you there?"), "{listed}");
    }
}
