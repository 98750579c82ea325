//! The control socket as its callers meet it: a real socket, a fake daemon behind it.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod answers;
mod crowds;
mod events;
mod socket;
mod tokens;
mod trust;
mod web;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use chat_protocol::rpc::contract::Contract;
use chat_protocol::rpc::types::MessageState;
use chat_protocol::rpc::{EventBody, MAX_LINE_BYTES, Target, openrpc};
use chatd::fixtures as fake;
use fake::{Served, nothing_much, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// A caller with nothing but a socket, as a script would be.
struct Script {
    input: BufReader<OwnedReadHalf>,
    output: OwnedWriteHalf,
    contract: Arc<Mutex<Contract>>,
}

/// One for all tests: its schemas take a while to prepare.
fn document() -> Arc<Mutex<Contract>> {
    static DOCUMENT: OnceLock<Arc<Mutex<Contract>>> = OnceLock::new();
    Arc::clone(DOCUMENT.get_or_init(|| Arc::new(Mutex::new(Contract::of(&openrpc::document())))))
}

impl Script {
    async fn connect(served: &Served) -> Self {
        let (input, output) = UnixStream::connect(&served.path).await.unwrap().into_split();
        Self { input: BufReader::new(input), output, contract: document() }
    }

    async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.output.write_all(bytes.as_ref()).await.unwrap();
    }

    async fn ask(&mut self, id: u64, method: &str, params: Value) {
        let call = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.write(format!("{call}\n")).await;
    }

    async fn line(&mut self) -> Value {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), self.input.read_line(&mut line));
        assert_ne!(read.await.expect("an answer").unwrap(), 0, "the connection was closed");
        serde_json::from_str(&line).unwrap()
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.ask(1, method, params.clone()).await;
        let answer = self.line().await;
        if answer.get("method").is_none() {
            self.contract().call(method, &params, &answer);
        }
        answer
    }

    fn contract(&self) -> MutexGuard<'_, Contract> {
        self.contract.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next event, without its subscription.
    async fn event(&mut self) -> Value {
        let mut line = self.line().await;
        assert_eq!(line["method"], "event", "{line}");
        self.contract().event(&line["params"]);
        line["params"].take()
    }

    /// Says no more, and reads to the end.
    async fn rest_after_half_close(mut self) -> String {
        self.output.shutdown().await.unwrap();
        self.rest().await
    }

    async fn rest(mut self) -> String {
        let mut rest = String::new();
        self.input.read_to_string(&mut rest).await.unwrap();
        rest
    }
}

fn kind(answer: &Value) -> &str {
    answer["error"]["data"]["kind"].as_str().unwrap_or("no error")
}

#[tokio::test]
async fn hello_names_the_version_and_refuses_another() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    let answer = script.call("hello", json!({"api": "1", "client": "test/1"})).await;
    assert_eq!(answer["result"]["api"], "1");
    let answer = script.call("hello", json!({"api": "2", "client": "test/1"})).await;
    assert_eq!((kind(&answer), answer["error"]["code"].as_i64()), ("version_mismatch", Some(1024)));
}

#[tokio::test]
async fn every_method_of_the_document_is_there() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    let document = script.call("rpc.discover", json!({})).await["result"].take();
    for method in document["methods"].as_array().unwrap() {
        let name = method["name"].as_str().unwrap();
        let answer = script.call(name, json!({"of tomorrow": 1})).await;
        let data = &answer["error"]["data"];
        assert_eq!(
            (data["kind"].as_str(), data["path"].is_string()),
            (Some("invalid_params"), true),
            "{name}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_parameter_that_is_wrong_is_named() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    for (method, params, path) in [
        ("msg.send", json!({"to": "@bob", "text": "hi", "colour": 1}), "colour"),
        ("msg.send", json!({"to": "@bob"}), "text"),
        ("msg.send", json!({"to": "bob", "text": "hi"}), "to"),
        ("msg.send", json!({"to": "@bob", "text": 7}), "text"),
        ("msg.send", json!(["@bob", "hi"]), "params"),
        ("user.lookup", json!({"users": ["bob", "no/body"]}), "users[1]"),
        ("identity.accept", json!({"user": "bob", "fingerprint": "00".repeat(32), "head": {"seq": 0}}), "head.hash"),
        ("net.kick", json!({"hard": true}), "hard"),
        ("events.subscribe", json!({"from": "yesterday"}), "from"),
        ("events.subscribe", json!({"types": ["message.new", "message.nwe"]}), "types[1]"),
    ] {
        let answer = script.call(method, params.clone()).await;
        assert_eq!(answer["error"]["code"], -32602, "{method} {params}: {answer}");
        assert_eq!(answer["error"]["data"]["path"], path, "{method} {params}: {answer}");
    }
}

/// Lines that are no proper request, and the kind of their answer.
fn broken_lines() -> Vec<(Vec<u8>, &'static str)> {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let deep_params = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"msg.send","params":{{"to":{}1{}}}}}"#,
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    vec![
        (b"\xff\xfe{}".to_vec(), "parse"),
        (b"{".to_vec(), "parse"),
        (br#"{"jsonrpc":"2.0","id":1,"method":"#.to_vec(), "parse"),
        (b"nonsense".to_vec(), "parse"),
        (b"{} {}".to_vec(), "parse"),
        (b"[".to_vec(), "parse"),
        (br#""\ud800""#.to_vec(), "invalid_request"),
        (b"42".to_vec(), "invalid_request"),
        (b"{}".to_vec(), "invalid_request"),
        (br#"{"jsonrpc":"1.0","id":1,"method":"net.kick"}"#.to_vec(), "invalid_request"),
        (br#"{"jsonrpc":"2.0","id":{},"method":"net.kick"}"#.to_vec(), "invalid_request"),
        (br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"net.kick"}"#.to_vec(), "invalid_request"),
        (br#"{"jsonrpc":"2.0","id":1,"method":"net.kik"}"#.to_vec(), "unknown_method"),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"msg.send","params":{"to":"@bob","to":"@eve","text":"hi"}}"#.to_vec(),
            "invalid_params",
        ),
        (br#"{"jsonrpc":"2.0","id":1,"method":"events.subscribe","params":{"from":1e400}}"#.to_vec(), "invalid_params"),
        (b"[]".to_vec(), "invalid_request"),
        (deep.into_bytes(), "no error"),
        (deep_params.into_bytes(), "invalid_params"),
    ]
}

#[tokio::test]
async fn what_is_no_request_is_answered_and_the_connection_lives_on() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    for (line, expected) in broken_lines() {
        script.write([line.as_slice(), b"\n"].concat()).await;
        let answer = script.line().await;
        let shown = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        if expected == "no error" {
            assert_eq!(kind(&answer[0]), "invalid_request", "{shown}: {answer}");
        } else {
            assert_eq!(kind(&answer), expected, "{shown}: {answer}");
        }
    }
    assert_eq!(script.call("net.kick", json!({})).await["result"], json!({}));
}

#[tokio::test]
async fn notifications_and_blank_lines_are_never_answered() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    let said = r#"{"jsonrpc":"2.0","method":"msg.send","params":{"to":"@bob","text":"hi"}}"#;
    script.write(format!("\n\r\n   \n{said}\n")).await;
    assert_eq!(script.call("net.kick", json!({})).await["id"], 1);
    assert!(served.fake.state().messages.is_empty());
}

#[tokio::test]
async fn batches_hold_one_to_a_hundred_calls() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    for (count, answers) in [(1, 1), (100, 100), (101, 0)] {
        let calls: Vec<_> = (0..count).map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "net.kick"})).collect();
        script.write(format!("{}\n", Value::from(calls))).await;
        let answer = script.line().await;
        assert_eq!(answer.as_array().map_or(0, Vec::len), answers, "{answer}");
        assert!(answers > 0 || kind(&answer) == "invalid_request");
    }
}

#[tokio::test]
async fn a_batch_answers_each_of_its_calls() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    script
        .write(concat!(
            r#"[{"jsonrpc":"2.0","id":1,"method":"net.kick"},7,{"jsonrpc":"2.0","method":"net.kick"},"#,
            r#"{"jsonrpc":"2.0","id":2,"method":"nope"},{"jsonrpc":"2.0","id":3,"method":"events.subscribe"}]"#,
            "\n"
        ))
        .await;
    let answer = script.line().await;
    let kinds: Vec<_> = answer.as_array().unwrap().iter().map(kind).collect();
    assert_eq!(kinds, ["no error", "invalid_request", "unknown_method", "invalid_request"]);
}

#[tokio::test]
async fn a_line_too_long_is_refused_and_skipped() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    let mut long = vec![b'x'; MAX_LINE_BYTES + 1];
    long.push(b'\n');
    script.write(&long).await;
    let answer = script.line().await;
    assert_eq!((kind(&answer), answer["error"]["code"].as_i64()), ("frame_too_large", Some(1033)));
    let text = "y".repeat(60 * 1024);
    assert_eq!(script.call("msg.send", json!({"to": "@bob", "text": text})).await["result"]["chat"], "@bob");
}

#[tokio::test]
async fn a_thousand_pipelined_sends_keep_their_order() {
    let served = serve();
    let script = Script::connect(&served).await;
    let Script { mut input, mut output, .. } = script;
    let writer = tokio::spawn(async move {
        for id in 0..1000_u64 {
            let params = json!({"to": "@bob", "text": id.to_string()});
            let call = json!({"jsonrpc": "2.0", "id": id, "method": "msg.send", "params": params});
            output.write_all(format!("{call}\n").as_bytes()).await.unwrap();
        }
        output
    });
    let mut answered = 0;
    let mut line = String::new();
    while answered < 1000 {
        line.clear();
        input.read_line(&mut line).await.unwrap();
        answered += 1;
    }
    drop(writer.await.unwrap());
    let texts: Vec<_> =
        served.fake.state().messages.iter().map(|message| message.text.parse::<u64>().unwrap()).collect();
    assert_eq!(texts, (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_call_that_waits_holds_up_no_other() {
    let served = serve();
    let closed = served.fake.gate.acquire().await.unwrap();
    let mut script = Script::connect(&served).await;
    script.ask(1, "presence.list", json!({})).await;
    script.ask(2, "net.kick", json!({})).await;
    assert_eq!(script.line().await["id"], 2);
    drop(closed);
    assert_eq!(script.line().await["id"], 1);
}

#[tokio::test]
async fn half_close_finishes_the_calls_in_flight() {
    let served = serve();
    let closed = served.fake.gate.acquire().await.unwrap();
    let mut script = Script::connect(&served).await;
    script.ask(1, "presence.list", json!({})).await;
    script.write(r#"{"jsonrpc":"2.0","id":2,"method":"net.kick"}"#).await;
    script.output.shutdown().await.unwrap();
    assert_eq!(script.line().await["id"], 2, "a last line needs no newline");
    drop(closed);
    assert_eq!(script.line().await["id"], 1);
    assert_eq!(script.rest().await, "");
}

#[tokio::test]
async fn shutdown_answers_its_caller_sends_the_last_events_and_removes_the_socket() {
    let mut served = serve();
    let mut listener = Script::connect(&served).await;
    listener.call("events.subscribe", json!({})).await;
    let mut script = Script::connect(&served).await;
    served.fake.append(Some(&Target::Room), &nothing_much(1));
    assert_eq!(script.call("daemon.shutdown", json!({})).await["result"], json!({}));
    (&mut served.task).await.unwrap();
    assert_eq!(listener.event().await["seq"], 1);
    assert_eq!(listener.rest().await, "");
    assert!(!served.path.exists());
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_stops_reading_holds_up_no_shutdown() {
    let mut served = serve();
    let mut stalled = Script::connect(&served).await;
    stalled.ask(1, "events.subscribe", json!({})).await;
    served.fake.subscribed().await;
    for _ in 0..100 {
        served.fake.receive("bob", &"z".repeat(32 * 1024));
    }
    let begun = tokio::time::Instant::now();
    served.fake.stop.cancel();
    (&mut served.task).await.unwrap();
    assert!(begun.elapsed() <= 2 * chatd::rpc::FINISH_WITHIN + Duration::from_secs(1));
}

#[tokio::test]
async fn the_typed_client_speaks_with_it() {
    use chat_protocol::rpc::client::{CallError, Client};
    use chat_protocol::rpc::types::{EventsSubscribe, MsgSend, Since, SinceWord};
    let served = serve();
    let client = Client::connect(&served.path).await.unwrap();
    let mut events = client.events(EventsSubscribe::everything(Since::Word(SinceWord::Now))).await.unwrap();
    let mut send = MsgSend {
        to: "@bob".parse().unwrap(),
        text: "hi".to_owned(),
        client_id: Some("k".to_owned()),
        ..MsgSend::text(Target::Room, "")
    };
    let first = client.call(&send).await.unwrap();
    let again = client.call(&send).await.unwrap();
    assert_eq!((first.id, first.duplicate, again.duplicate), (again.id, false, true));
    let Some(EventBody::MessageNew(message)) = events.next().await.unwrap().unwrap().body() else {
        panic!("no message")
    };
    assert_eq!((message.id, message.state), (first.id, Some(MessageState::Queued)));
    send = MsgSend { to: "@nobody".parse().unwrap(), client_id: None, ..send };
    let Err(CallError::Refused(error)) = client.call(&send).await else { panic!("nobody got it") };
    assert_eq!(error.kind, chat_protocol::rpc::Kind::NotFound);
    served.fake.stop.cancel();
    assert!(events.next().await.unwrap().is_none());
}
