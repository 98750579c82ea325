//! More callers than there is room for: a script that leaks connections locks nobody out.

use chat_protocol::rpc::Method;
use chat_protocol::rpc::types::MsgWait;
use chatd::api::Backend;
use chatd::rpc::{FINISH_WITHIN, MAX_CONNECTIONS, MAX_NAMELESS};
use futures_util::SinkExt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::web::{bearer, call, dial, post, say, token};

/// A daemon whose seats are all taken, by callers that say nothing.
async fn crowd() -> (Served, Vec<UnixStream>) {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
    let (served, mut silent) = (serve(), Vec::new());
    for _ in 0..MAX_CONNECTIONS {
        silent.push(UnixStream::connect(&served.path).await.unwrap());
    }
    (served, silent)
}

async fn greet(served: &Served) -> Script {
    let mut script = Script::connect(served).await;
    let answer = script.call("hello", json!({"api": "1", "client": "test"})).await;
    assert!(answer["result"].is_object(), "{answer}");
    script
}

#[tokio::test]
async fn a_leak_of_idle_connections_locks_nobody_out() {
    let (served, mut silent) = crowd().await;
    for _ in 0..40 {
        silent.push(UnixStream::connect(&served.path).await.unwrap());
    }
    let mut leaked = Vec::new();
    for _ in 0..40 {
        leaked.push(greet(&served).await);
    }
    let cut = leaked.swap_remove(0);
    assert_eq!(cut.rest().await, "", "the oldest had to go");
}

#[tokio::test(start_paused = true)]
async fn who_comes_when_there_is_no_room_is_served_for_a_while() {
    let (served, mut silent) = crowd().await;
    let extra = greet(&served).await;
    assert_eq!(extra.rest().await, "", "it ends by itself");
    silent.truncate(MAX_CONNECTIONS / 2);
    let mut left = silent.pop().unwrap();
    let waits = tokio::time::timeout(Duration::from_secs(3600), left.read_u8()).await;
    assert!(waits.is_err(), "who has a seat keeps it");
}

#[tokio::test]
async fn atk_92_silent_callers_of_the_port_take_few_places_and_no_place_of_who_is_known() {
    let (served, mut silent) = (serve(), Vec::new());
    let token = token(&served, "bot", json!({})).await;
    let mut known = dial(TcpStream::connect(served.port).await.unwrap(), &[]).await.unwrap();
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "hello", "params": {"api": "1", "client": "bot/1", "token": token}});
    assert!(say(&mut known, hello.to_string()).await["result"].is_object());
    for nth in 0..MAX_CONNECTIONS {
        let mut stream = TcpStream::connect(served.port).await.unwrap();
        // half of them begin a request, and leave it at that
        stream.write_all(&b"GET"[..nth % 2]).await.unwrap();
        silent.push(stream);
    }
    let info = r#"{"jsonrpc": "2.0", "id": 2, "method": "daemon.info"}"#;
    assert_eq!(post(&served, &[&bearer(&token)], info).await.status, 200);
    assert!(say(&mut known, info).await["result"].is_object());
    for oldest in &mut silent[..MAX_CONNECTIONS - MAX_NAMELESS] {
        let end = tokio::time::timeout(Duration::from_secs(9), oldest.read_u8()).await;
        assert!(end.expect("cut sooner than for saying nothing").is_err());
    }
}

fn example(params: &str) -> Value {
    serde_json::from_str(params).unwrap()
}

/// Most calls in flight of a connection.
const IN_FLIGHT: usize = 32;

#[tokio::test(start_paused = true)]
async fn who_hangs_up_while_its_calls_wait_keeps_no_place() {
    let mut served = serve();
    served.fake.state().waits = true;
    let wait = call(1, "msg.wait", &example(MsgWait::EXAMPLE.params));
    let begun = tokio::time::Instant::now();
    for calls in [1, IN_FLIGHT, 2 * IN_FLIGHT] {
        let mut script = Script::connect(&served).await;
        let mut socket = dial(UnixStream::connect(&served.path).await.unwrap(), &[]).await.unwrap();
        for _ in 0..calls {
            script.write(format!("{wait}\n")).await;
            socket.send(Message::text(wait.clone())).await.unwrap();
        }
        served.fake.waiting.are(2 * calls.min(IN_FLIGHT)).await;
        drop((script, socket));
        served.fake.waiting.are(0).await;
    }
    served.fake.stop.cancel();
    (&mut served.task).await.unwrap();
    assert!(begun.elapsed() < FINISH_WITHIN, "noticed only when the calls had had their time");
}

#[tokio::test]
async fn what_was_only_asked_before_hanging_up_is_not_begun() {
    let mut served = serve();
    served.fake.state().waits = true;
    let mut script = Script::connect(&served).await;
    // the waiting calls leave no place
    let waits = vec![call(1, "msg.wait", &example(MsgWait::EXAMPLE.params)) + "\n"; IN_FLIGHT].concat();
    let asks = vec![call(2, "daemon.info", &json!({})) + "\n"; IN_FLIGHT].concat();
    script.write(waits + &asks).await;
    served.fake.waiting.are(IN_FLIGHT).await;
    drop(script);
    served.fake.waiting.are(0).await;
    served.fake.stop.cancel();
    (&mut served.task).await.unwrap();
    let metrics = served.fake.metrics().text(&served.fake.health().await.unwrap(), 0).unwrap();
    assert!(!metrics.contains("daemon.info"), "{metrics}");
}

#[tokio::test]
async fn what_was_told_before_hanging_up_is_done() {
    let served = serve();
    served.fake.state().waits = true;
    let mut script = Script::connect(&served).await;
    // the waiting calls leave one place
    let waits = vec![call(1, "msg.wait", &example(MsgWait::EXAMPLE.params)) + "\n"; IN_FLIGHT - 1].concat();
    let send = call(2, "msg.send", &json!({"to": "@bob", "text": "told"})) + "\n";
    script.write(waits + &send).await;
    drop(script);
    let sent = async {
        while served.fake.state().messages.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), sent).await.expect("it was carried out");
}

#[tokio::test]
async fn atk_92_a_lone_caller_of_the_port_who_does_not_say_who_it_is_is_gone_within_seconds() {
    let served = serve();
    let connect = async || TcpStream::connect(served.port).await.unwrap();
    let (silent, mut begun, mut asked) = (connect().await, connect().await, connect().await);
    begun.write_all(b"GET / HTTP/1.1\r\nHost: local").await.unwrap();
    asked.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    asked.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    // the last to connect: the others have their seats once this one has
    let dialled = dial(connect().await, &[]).await.unwrap().into_inner();
    tokio::time::pause();
    let paused = Instant::now();
    for (what, mut caller) in [("says nothing", silent), ("begins", begun), ("asks once", asked), ("dials", dialled)] {
        let left = Duration::from_secs(11).saturating_sub(paused.elapsed());
        let end = tokio::time::timeout(left, caller.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "who {what} stays for ever");
    }
}
