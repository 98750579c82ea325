//! What an answer looks like from outside: its id on every way in, and its status over HTTP.

use chat_protocol::rpc::Kind;
use chatd::rpc::Server;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio_tungstenite::tungstenite::Message;

use crate::fake::{Fake, Served, serve};
use crate::web::{bearer, dial, exchange, get, post, request, token, with_host};
use crate::{Script, kind};

/// Everything JSON-RPC allows as an id, as it may be written.
const IDS: &[&str] = &[
    "0",
    "-1",
    "1.5",
    "2.0",
    "-0",
    "1E+2",
    "9007199254740993",
    "18446744073709551616",
    "99999999999999999999999",
    "1e999",
    "\"\"",
    "\"a-1\"",
    r#""\u00e9\n""#,
    "\"天\"",
    "null",
];

fn info(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"daemon.info"}}"#)
}

fn begins(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"#)
}

#[tokio::test]
async fn every_id_comes_back_as_it_was_sent_on_every_way_in() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    let mut socket = dial(UnixStream::connect(&served.path).await.unwrap(), &[]).await.unwrap();
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (input, output) = tokio::io::split(theirs);
    let pipes = tokio::spawn(Server::new(Fake::new(), served.fake.stop.clone()).pipes(input, output));
    let (piped, mut pipe) = tokio::io::split(ours);
    let mut piped = BufReader::new(piped).lines();
    let token = bearer(&token(&served, "web", json!({})).await);
    for id in IDS {
        let wanted = begins(id);
        let called = info(id);
        script.write(format!("{called}\n")).await;
        let mut line = String::new();
        script.input.read_line(&mut line).await.unwrap();
        assert!(line.starts_with(&wanted), "a line: {line}");
        pipe.write_all(format!("{called}\n").as_bytes()).await.unwrap();
        let line = piped.next_line().await.unwrap().unwrap();
        assert!(line.starts_with(&wanted), "a pipe: {line}");
        socket.send(Message::text(called.clone())).await.unwrap();
        let said = socket.next().await.unwrap().unwrap();
        assert!(said.to_text().unwrap().starts_with(&wanted), "a WebSocket: {said}");
        let reply = post(&served, &[&token], &called).await;
        assert!(reply.status == 200 && reply.text.starts_with(&wanted), "HTTP: {}", reply.text);
        let reply = post(&served, &[&token], &format!("[{called}]")).await;
        assert!(reply.text.starts_with(&format!("[{wanted}")), "a batch: {}", reply.text);
    }
    drop((pipe, piped));
    pipes.await.unwrap();
}

#[tokio::test]
async fn a_refused_call_has_its_id_whatever_is_wrong_with_it_and_what_is_no_id_is_null() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    let long = format!("\"{}\"", "x".repeat(5000));
    for (line, id, expected) in [
        (r#"{"jsonrpc":"2.0","id":-1,"method":"no.such"}"#, "-1", "unknown_method"),
        (r#"{"jsonrpc":"2.0","id":-1,"method":"msg.get","params":{"id":7}}"#, "-1", "invalid_params"),
        (r#"{"jsonrpc":"1.0","id":1.5,"method":"daemon.info"}"#, "1.5", "invalid_request"),
        (r#"{"jsonrpc":"2.0","id":"a","method":7}"#, "\"a\"", "invalid_request"),
        (r#"{"id":2.0,"method":"daemon.info"}"#, "2.0", "invalid_request"),
        (r#"{"jsonrpc":"2.0","id":3,"method":"daemon.info","method":"net.kick"}"#, "3", "invalid_request"),
        (r#"{"jsonrpc":"2.0","id":4,"result":{}}"#, "4", "invalid_request"),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"daemon.info"}"#, "null", "invalid_request"),
        (r#"{"jsonrpc":"2.0","id":true,"method":"daemon.info"}"#, "null", "invalid_request"),
        (r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"daemon.info"}"#, "null", "invalid_request"),
        (&info(&long), "null", "invalid_request"),
    ] {
        script.write(format!("{line}\n")).await;
        let mut answer = String::new();
        script.input.read_line(&mut answer).await.unwrap();
        assert!(answer.contains(&format!(r#""id":{id},"#)), "{line}: {answer}");
        assert_eq!(kind(&serde_json::from_str(&answer).unwrap()), expected, "{line}");
    }
    let name = "x".repeat(500_000);
    script.write(format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{name}\"}}\n")).await;
    let mut answer = String::new();
    script.input.read_line(&mut answer).await.unwrap();
    assert!(answer.len() < 1000, "a name that is none is not said back whole: {}", answer.len());
}

#[tokio::test]
async fn an_empty_list_of_parameters_is_none_at_all() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    let mut ask = async |method: &str, params: &str| {
        script.write(format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{params}}}\n")).await;
        script.line().await
    };
    for params in ["[]", "[ ]", "{}", "null"] {
        for method in ["daemon.info", "net.kick", "events.subscribe", "chat.list", "account.status", "rpc.discover"] {
            let answer = ask(method, params).await;
            assert!(answer.get("result").is_some(), "{method} {params}: {answer}");
        }
        let answer = ask("msg.send", params).await;
        assert_eq!(answer["error"]["data"]["path"], "to", "{params}: {answer}");
    }
    for params in ["[1]", "[null]", "[[]]", "7", "\"\"", "false"] {
        let answer = ask("daemon.info", params).await;
        assert_eq!(answer["error"]["data"]["path"], "params", "{params}: {answer}");
    }
}

async fn send(served: &Served, token: &str, to: &str) -> (u16, Value) {
    let call = json!({"jsonrpc": "2.0", "id": -7, "method": "msg.send", "params": {"to": to, "text": "hi"}});
    let reply = post(served, &[token], &call.to_string()).await;
    (reply.status, reply.body)
}

#[tokio::test]
async fn a_call_that_fails_after_it_was_taken_has_the_status_of_its_kind() {
    let served = serve();
    let token = bearer(&token(&served, "web", json!({})).await);
    for (target, failure, status) in [
        ("quota", Kind::QuotaExceeded, 429),
        ("full", Kind::MailboxFull, 429),
        ("several", Kind::AmbiguousTarget, 409),
        ("blocked", Kind::Blocked, 403),
        ("changed", Kind::IdentityChanged, 409),
        ("unverified", Kind::IdentityUnverified, 403),
        ("nobody", Kind::NotFound, 404),
        ("away", Kind::Offline, 503),
        ("broken", Kind::Internal, 500),
    ] {
        served.fake.state().refuses.insert(target.to_owned(), failure.into());
        let (code, body) = send(&served, &token, &format!("@{target}")).await;
        assert_eq!((code, kind(&body), &body["id"]), (status, failure.as_str(), &json!(-7)), "{target}");
    }
    assert_eq!(send(&served, &token, "@bob").await.0, 200);
    let unknown = post(&served, &[&token], r#"{"jsonrpc":"2.0","id":1,"method":"no.such"}"#).await;
    let wrong = post(&served, &[&token], r#"{"jsonrpc":"2.0","id":1,"method":"msg.send"}"#).await;
    let broken = [post(&served, &[&token], "").await, post(&served, &[&token], "[]").await];
    assert_eq!((unknown.status, wrong.status, broken.map(|reply| reply.status)), (404, 400, [400, 400]));
}

#[tokio::test]
async fn a_failed_call_says_over_http_when_to_come_again() {
    let served = serve();
    let token = bearer(&token(&served, "web", json!({})).await);
    let busy = chat_protocol::rpc::RpcError::from(Kind::RateLimited).with_retry_after_ms(1_200);
    served.fake.state().refuses.insert("busy".to_owned(), busy);
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "msg.send", "params": {"to": "@busy", "text": "hi"}});
    let reply = post(&served, &[&token], &call.to_string()).await;
    assert_eq!(reply.status, 429);
    assert!(reply.head.contains("\r\nretry-after: 2"), "{}", reply.head);
}

#[tokio::test]
async fn a_batch_was_answered_however_its_calls_ended() {
    let served = serve();
    let token = bearer(&token(&served, "web", json!({})).await);
    let batch = format!(r#"[{},{{"jsonrpc":"2.0","id":"b","method":"no.such"}}]"#, info("1"));
    let reply = post(&served, &[&token], &batch).await;
    assert_eq!((reply.status, kind(&reply.body[1]), &reply.body[1]["id"]), (200, "unknown_method", &json!("b")));
    let notes = r#"[{"jsonrpc":"2.0","method":"daemon.info"},{"jsonrpc":"2.0","method":"net.kick","params":[]}]"#;
    let reply = post(&served, &[&token], notes).await;
    assert_eq!((reply.status, reply.body), (204, Value::Null));
}

#[tokio::test]
async fn a_batch_whose_answers_do_not_fit_answers_every_call() {
    let served = serve();
    for number in 0..16 {
        served.fake.receive("bob", &format!("{number} {}", "z".repeat(60_000)));
    }
    let mut script = Script::connect(&served).await;
    let list = |id: u32| json!({"jsonrpc": "2.0", "id": id, "method": "msg.list", "params": {"to": "@bob"}});
    script.write(format!("{}\n", Value::from((0..8).map(list).collect::<Vec<_>>()))).await;
    let answer = script.line().await;
    let ids: Vec<_> = answer.as_array().unwrap().iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, (0..8).map(Value::from).collect::<Vec<_>>());
    let kinds: Vec<_> = answer.as_array().unwrap().iter().map(kind).collect();
    assert_eq!((kinds[0], kinds[7]), ("no error", "too_large"));
}

#[tokio::test]
async fn an_empty_last_event_id_is_as_if_it_were_not_there() {
    let served = serve();
    for number in 1..=3 {
        served.fake.append(None, &crate::fake::nothing_much(number));
    }
    let token = bearer(&token(&served, "web", json!({})).await);
    for (path, header, first) in [
        ("/events?from=start", "Last-Event-ID:", "id: 1"),
        ("/events?from=1", "Last-Event-ID: ", "id: 2"),
        ("/events?from=1", "Last-Event-ID: 2", "id: 3"),
    ] {
        let stream = TcpStream::connect(served.port).await.unwrap();
        let mut lines = BufReader::new(stream);
        lines.write_all(request(&format!("GET {path}"), &with_host(&[&token, header]), "").as_bytes()).await.unwrap();
        let mut lines = lines.lines();
        let seen = loop {
            let line = lines.next_line().await.unwrap().expect("an event");
            if line.starts_with("id: ") || line.starts_with("HTTP/1.1 4") {
                break line;
            }
        };
        assert_eq!(seen, first, "{path} {header}");
    }
    for path in ["/events?from=", "/events?from=&types=message.new"] {
        let stream = TcpStream::connect(served.port).await.unwrap();
        let mut lines = BufReader::new(stream);
        lines.write_all(request(&format!("GET {path}"), &with_host(&[&token]), "").as_bytes()).await.unwrap();
        assert_eq!(lines.lines().next_line().await.unwrap().unwrap(), "HTTP/1.1 200 OK", "{path}");
    }
}

#[tokio::test]
async fn what_asks_for_no_answer_of_ours_is_refused_in_json_and_begins_nothing() {
    let served = serve();
    let consumer = "web.reader";
    let token = bearer(&token(&served, "web", json!({})).await);
    for (line, status) in [
        ("GET /rpc", 405),
        ("PUT /rpc", 405),
        ("POST /events", 405),
        ("POST /health/ready", 405),
        ("GET /nowhere", 404),
        ("POST /", 404),
    ] {
        let stream = TcpStream::connect(served.port).await.unwrap();
        let reply = exchange(stream, &request(line, &with_host(&[&token]), "")).await;
        assert_eq!((reply.status, reply.body["jsonrpc"].as_str()), (status, Some("2.0")), "{line}: {}", reply.text);
    }
    let path = format!("/events?consumer={consumer}");
    let stream = TcpStream::connect(served.port).await.unwrap();
    let reply = exchange(stream, &request(&format!("HEAD {path}"), &with_host(&[&token]), "")).await;
    assert_eq!((reply.status, reply.text.as_str()), (405, ""));
    assert!(served.fake.state().consumers.is_empty(), "a question about the head makes no consumer");
    for path in ["/health/live", "/openrpc.json", "/metrics"] {
        let stream = TcpStream::connect(served.port).await.unwrap();
        let reply = exchange(stream, &request(&format!("HEAD {path}"), &with_host(&[&token]), "")).await;
        assert_eq!((reply.status, reply.text.as_str()), (200, ""), "{path}");
    }
    assert_eq!(get(&served, "/events?colour=red", &[&token]).await.status, 400);
}

#[tokio::test]
async fn a_body_may_go_by_every_name_json_rpc_has_over_http() {
    let served = serve();
    let token = bearer(&token(&served, "web", json!({})).await);
    for (name, status) in [
        ("application/json-rpc", 200),
        ("application/jsonrequest; charset=utf-8", 200),
        ("Application/JSON;charset=utf-8", 200),
        ("text/json", 415),
        ("", 415),
    ] {
        let stream = TcpStream::connect(served.port).await.unwrap();
        let head = ["Host: localhost", &token, &format!("Content-Type: {name}")].map(String::from);
        let head: Vec<_> = head.iter().map(String::as_str).collect();
        assert_eq!(exchange(stream, &request("POST /rpc", &head, &info("1"))).await.status, status, "{name}");
    }
}

#[tokio::test]
async fn a_pull_of_many_short_events_is_an_answer_that_fits_its_line() {
    let served = serve();
    for number in 0..600 {
        served.fake.receive("bob", &format!("{number} {}", "z".repeat(2_000)));
    }
    let mut script = Script::connect(&served).await;
    served.fake.state().consumers.insert("bot".parse().unwrap(), 0);
    let pulled = script.call("events.pull", json!({"consumer": "bot", "max": 1000})).await;
    let events = pulled["result"]["events"].as_array().map_or(0, Vec::len);
    assert!(events > 300 && events < 600, "{events}: {}", pulled["error"]);
}
