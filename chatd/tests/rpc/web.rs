//! HTTP, WebSocket and server-sent events, on the socket and on the port.

#![allow(unreachable_pub, reason = "shared with the tests of tokens")]

use std::sync::PoisonError;
use std::time::Duration;

use chat_protocol::rpc::{MAX_LINE_BYTES, Scope};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::fake::{Served, nothing_much, serve};
use crate::{Script, broken_lines, document, kind};

/// A whole answer.
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

/// Sends a request on a stream of its own and reads to the end.
pub async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Reply {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let reading = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer));
    reading.await.expect("an end").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap();
    let text = || Some(body).filter(|body| !body.is_empty()).map_or(Value::Null, Value::from);
    let parsed = serde_json::from_str(body).unwrap_or_else(|_| text());
    Reply { status, head: head.to_lowercase(), body: parsed, text: body.to_owned() }
}

/// `POST /rpc` to the port, with these lines in its head.
pub async fn post(served: &Served, head: &[&str], body: &str) -> Reply {
    let stream = TcpStream::connect(served.port).await.unwrap();
    let reply = exchange(stream, &request("POST /rpc", &with_host(head), body)).await;
    hold_to_document(body, &reply.body);
    reply
}

/// Checks an answer against the document, if it is one to a call.
fn hold_to_document(call: &str, answer: &Value) {
    let Ok(call) = serde_json::from_str::<Value>(call) else { return };
    if let (Some(method), Some(_)) = (call["method"].as_str(), answer.get("jsonrpc")) {
        let params = call.get("params").cloned().unwrap_or_else(|| json!({}));
        let known = document();
        let known = known.lock().unwrap_or_else(PoisonError::into_inner);
        // what is no proper request is not the document's affair
        if call["id"].is_u64() && params.is_object() {
            known.call(method, &params, answer);
        }
    }
}

pub async fn get(served: &Served, path: &str, head: &[&str]) -> Reply {
    let stream = TcpStream::connect(served.port).await.unwrap();
    exchange(stream, &request(&format!("GET {path}"), &with_host(head), "")).await
}

pub fn with_host<'a>(head: &[&'a str]) -> Vec<&'a str> {
    let named = head.iter().any(|line| line.to_lowercase().starts_with("host:"));
    let host: &[&str] = if named { &[] } else { &["Host: localhost"] };
    [host, &["Content-Type: application/json"], head].concat()
}

pub fn request(what: &str, head: &[&str], body: &str) -> String {
    let head: String = head.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{what} HTTP/1.1\r\n{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// A token with these rights, as a header.
pub async fn token(served: &Served, name: &str, more: Value) -> String {
    let mut wanted = json!({"name": name, "scopes": ["read:events", "read:history", "send"]});
    wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = Script::connect(served).await.call("token.create", wanted).await;
    answer["result"]["token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

const INFO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"daemon.info"}"#;

/// A WebSocket, with these lines in its head; `None` if it was refused.
pub async fn dial<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    head: &[(&'static str, &str)],
) -> Result<WebSocketStream<S>, u16> {
    let mut request = "ws://localhost/ws".into_client_request().unwrap();
    for (name, value) in head {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(refused)) => Err(refused.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

pub async fn say<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, text: impl Into<String>) -> Value {
    let text = text.into();
    socket.send(Message::text(text.clone())).await.unwrap();
    let answer = hear(socket).await;
    hold_to_document(&text, &answer);
    answer
}

pub async fn hear<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> Value {
    let next = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("a message");
    let message = next.expect("the connection was closed").unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

pub fn call(id: u64, method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

/// Server-sent events, as they come.
struct Sse<S>(BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Sse<S> {
    async fn open(mut stream: S, path: &str, head: &[&str]) -> Self {
        stream.write_all(request(&format!("GET {path}"), &with_host(head), "").as_bytes()).await.unwrap();
        let mut opened = Self(BufReader::new(stream));
        let status = opened.line().await;
        assert!(status.contains(" 200 "), "{status}");
        opened
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), self.0.read_line(&mut line));
        read.await.expect("a line").unwrap();
        line.trim_end().to_owned()
    }

    /// The next event: its id, and its data.
    async fn event(&mut self) -> (Option<u64>, Value) {
        let (mut id, mut data) = (None, None);
        loop {
            let line = self.line().await;
            if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.parse().unwrap());
            }
            if let Some(json) = line.strip_prefix("data: ") {
                data = Some(serde_json::from_str(json).unwrap());
            }
            // a blank line ends an event
            if let Some(data) = data.take_if(|_| line.is_empty()) {
                return (id, data);
            }
        }
    }
}

#[tokio::test]
async fn the_socket_speaks_http_to_its_owner() {
    let served = serve();
    let stream = UnixStream::connect(&served.path).await.unwrap();
    let head = ["Host: anything", "Content-Type: application/json; charset=utf-8"];
    let reply = exchange(stream, &request("POST /rpc", &head, INFO)).await;
    assert_eq!((reply.status, &reply.body["result"]["api"]), (200, &json!("1")));
    let stream = UnixStream::connect(&served.path).await.unwrap();
    let document = exchange(stream, &request("GET /openrpc.json", &head, "")).await;
    assert_eq!(document.body["info"]["title"], "chatd");
}

#[tokio::test]
async fn a_body_is_answered_as_a_line_is() {
    let served = serve();
    let token = bearer(&token(&served, "web", json!({})).await);
    let reply = post(&served, &[&token], &format!("[{INFO},{INFO}]")).await;
    assert_eq!((reply.status, reply.body.as_array().unwrap().len()), (200, 2));
    assert!(reply.head.contains("cache-control: no-store"), "{}", reply.head);
    let reply = post(&served, &[&token], r#"{"jsonrpc":"2.0","method":"daemon.info"}"#).await;
    assert_eq!((reply.status, reply.body), (204, Value::Null), "a notification has no answer");
    for (body, wanted) in [("{", "parse"), ("[]", "invalid_request"), ("\u{feff}{}", "parse"), ("7", "invalid_request")]
    {
        assert_eq!(kind(&post(&served, &[&token], body).await.body), wanted, "{body}");
    }
    let subscribe = call(1, "events.subscribe", &json!({}));
    assert_eq!(kind(&post(&served, &[&token], &subscribe).await.body), "invalid_request", "a body carries no events");
}

#[tokio::test]
async fn a_body_that_is_too_long_or_no_json_is_refused() {
    let served = serve();
    let token = bearer(&token(&served, "web", json!({})).await);
    let long = format!("\"{}\"", "x".repeat(MAX_LINE_BYTES));
    let reply = post(&served, &[&token], &long).await;
    assert_eq!((reply.status, kind(&reply.body)), (413, "frame_too_large"));
    for typ in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let stream = TcpStream::connect(served.port).await.unwrap();
        let head = ["Host: localhost", &token, &format!("Content-Type: {typ}")].map(String::from);
        let head: Vec<_> = head.iter().map(String::as_str).collect();
        let reply = exchange(stream, &request("POST /rpc", &head, INFO)).await;
        assert_eq!(reply.status, 415, "{typ}");
    }
}

#[tokio::test]
async fn atk_59_without_a_good_token_nothing_is_answered_on_the_port() {
    let served = serve();
    let good = token(&served, "web", json!({})).await;
    let altered = good.replace("chatd_", "chatd-");
    for wrong in [None, Some("chatd_wrong"), Some(""), Some(altered.as_str()), Some(&good.repeat(9))] {
        let header = wrong.map(bearer);
        let head: Vec<_> = header.as_deref().into_iter().collect();
        for reply in [post(&served, &head, INFO).await, get(&served, "/events", &head).await] {
            assert_eq!((reply.status, kind(&reply.body)), (401, "unauthenticated"), "{wrong:?}");
            assert!(reply.head.contains("www-authenticate: bearer"), "{}", reply.head);
        }
        if let Some(header) = header.as_deref().and_then(|header| header.strip_prefix("Authorization: ")) {
            let stream = TcpStream::connect(served.port).await.unwrap();
            assert_eq!(dial(stream, &[("authorization", header)]).await.err(), Some(401), "{wrong:?}");
        }
    }
    let basic = post(&served, &["Authorization: Basic Y2hhdDpk"], INFO).await;
    let twice = post(&served, &[&bearer(&good), &bearer("chatd_other")], INFO).await;
    assert_eq!((basic.status, twice.status), (401, 401));
    assert_eq!(post(&served, &[&bearer(&good)], INFO).await.status, 200);
}

#[tokio::test]
async fn atk_59_pages_and_foreign_names_are_refused_although_they_have_a_token() {
    let served = serve();
    let good = token(&served, "web", json!({})).await;
    let token = bearer(&good);
    for host in ["evil.test", "127.0.0.1.evil.test", "localhost.evil.test:80", "127.0.0.2", "user@evil.test", ""] {
        let host = format!("Host: {host}");
        for path in ["/events", "/health/live", "/openrpc.json"] {
            assert_eq!(get(&served, path, &[&token, &host]).await.status, 403, "{path} for {host}");
        }
        assert_eq!(post(&served, &[&token, &host], INFO).await.status, 403, "{host}");
    }
    let two = post(&served, &[&token, "Host: localhost", "Host: evil.test"], INFO).await;
    assert_eq!(two.status, 403);
    for origin in ["https://evil.test", "null", "http://localhost", "https://pages.test.evil.test"] {
        let line = format!("Origin: {origin}");
        assert_eq!(post(&served, &[&token, &line], INFO).await.status, 403, "{origin}");
        let stream = TcpStream::connect(served.port).await.unwrap();
        let refused = dial(stream, &[("origin", origin), ("authorization", &format!("Bearer {good}"))]).await.err();
        assert_eq!(refused, Some(403), "{origin}");
        let stream = UnixStream::connect(&served.path).await.unwrap();
        assert_eq!(dial(stream, &[("origin", origin)]).await.err(), Some(403), "{origin}, on the socket");
    }
    for good in ["Host: 127.0.0.1:8899", "Host: [::1]:8899", "Host: LOCALHOST", "Host: chat.test"] {
        assert_eq!(post(&served, &[&token, good], INFO).await.status, 200, "{good}");
    }
    assert_eq!(post(&served, &[&token, "Origin: https://pages.test"], INFO).await.status, 200);
}

#[tokio::test]
async fn a_browser_hears_only_for_allowed_pages_that_it_may_call() {
    let served = serve();
    let ask = |origin: &'static str| {
        let served = &served;
        async move {
            let stream = TcpStream::connect(served.port).await.unwrap();
            let origin = format!("Origin: {origin}");
            let head = ["Host: localhost", &origin, "Access-Control-Request-Method: POST"];
            exchange(stream, &request("OPTIONS /rpc", &head, "")).await
        }
    };
    let allowed = ask("https://pages.test").await;
    assert!(allowed.head.contains("access-control-allow-origin: https://pages.test"), "{}", allowed.head);
    assert!(allowed.head.contains("authorization"), "{}", allowed.head);
    let refused = ask("https://evil.test").await;
    assert!(!refused.head.contains("access-control-allow-origin"), "{}", refused.head);
}

#[tokio::test]
async fn a_websocket_is_the_socket_with_a_message_for_each_line() {
    let served = serve();
    let mut socket = dial(UnixStream::connect(&served.path).await.unwrap(), &[]).await.unwrap();
    let hello = say(&mut socket, call(1, "hello", &json!({"api": "1", "client": "test/1"}))).await;
    assert_eq!(hello["result"]["api"], "1");
    let sent = say(&mut socket, call(2, "msg.send", &json!({"to": "@bob", "text": "hi"}))).await;
    assert_eq!(sent["result"]["chat"], "@bob");
    assert_eq!(kind(&say(&mut socket, "{").await), "parse");
    let long = " ".repeat(MAX_LINE_BYTES + 1);
    assert_eq!(kind(&say(&mut socket, long).await), "frame_too_large");
    let begun = say(&mut socket, call(3, "events.subscribe", &json!({"from": "start"}))).await;
    assert_eq!(begun["result"]["oldest_seq"], 1);
    let event = hear(&mut socket).await;
    assert_eq!((&event["method"], &event["params"]["type"]), (&json!("event"), &json!("message.new")));
    socket.send(Message::binary(call(4, "daemon.info", &json!({})))).await.unwrap();
    while hear(&mut socket).await["id"] != 4 {}
    served.fake.stop.cancel();
    while let Some(Ok(message)) = socket.next().await {
        assert!(message.is_close() || message.is_text(), "{message:?}");
    }
}

#[tokio::test]
async fn a_websocket_on_the_port_may_bring_its_token_with_hello() {
    let served = serve();
    let token = token(&served, "web", json!({})).await;
    let mut socket = dial(TcpStream::connect(served.port).await.unwrap(), &[]).await.unwrap();
    assert_eq!(kind(&say(&mut socket, INFO).await), "unauthenticated");
    let wrong = call(2, "hello", &json!({"api": "1", "client": "page/1", "token": "chatd_wrong"}));
    assert_eq!(kind(&say(&mut socket, wrong).await), "unauthenticated");
    let right = call(3, "hello", &json!({"api": "1", "client": "page/1", "token": token}));
    assert_eq!(say(&mut socket, right).await["result"]["api"], "1");
    assert_eq!(say(&mut socket, INFO).await["result"]["api"], "1");
}

#[tokio::test(start_paused = true)]
async fn a_websocket_that_never_shows_a_token_is_closed() {
    let served = serve();
    let mut socket = dial(TcpStream::connect(served.port).await.unwrap(), &[]).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        assert!(message.is_close(), "{message:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_without_a_token_keeps_no_place_on_the_port_by_not_reading() {
    let served = serve();
    let mut stream = TcpStream::connect(served.port).await.unwrap();
    let ask = "GET /openrpc.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    let asking = async { while stream.write_all(ask.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("it is cut off");
}

#[tokio::test]
async fn server_sent_events_go_on_behind_the_last_event_id() {
    let served = serve();
    for number in 1..=5 {
        served.fake.append(None, &nothing_much(number));
    }
    let token = bearer(&token(&served, "web", json!({})).await);
    let stream = TcpStream::connect(served.port).await.unwrap();
    let mut events = Sse::open(stream, "/events?from=start&types=sync.done", &[&token]).await;
    for seq in 1..=3 {
        let (id, event) = events.event().await;
        assert_eq!((id, event["seq"].as_u64(), &event["type"]), (Some(seq), Some(seq), &json!("sync.done")));
    }
    drop(events);
    let stream = TcpStream::connect(served.port).await.unwrap();
    let mut events = Sse::open(stream, "/events?from=start", &[&token, "Last-Event-ID: 3"]).await;
    assert_eq!(events.event().await.0, Some(4));
    assert_eq!(events.event().await.0, Some(5));
    served.fake.append(None, &nothing_much(6));
    let (id, event) = events.event().await;
    assert_eq!((id, &event["replayed"]), (Some(6), &json!(false)));
}

#[tokio::test]
async fn server_sent_events_need_no_token_on_the_socket_and_end_with_the_daemon() {
    let served = serve();
    served.fake.append(None, &nothing_much(1));
    let mut events = Sse::open(UnixStream::connect(&served.path).await.unwrap(), "/events?from=start", &[]).await;
    assert_eq!(events.event().await.0, Some(1));
    served.fake.stop.cancel();
    let mut rest = String::new();
    tokio::time::timeout(Duration::from_secs(20), events.0.read_to_string(&mut rest)).await.expect("an end").unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_a_stream_is_told_before_it_begins() {
    let served = serve();
    let token = bearer(&token(&served, "web", json!({})).await);
    for (path, header, status) in [
        ("/events?from=yesterday", "X: y", 400),
        ("/events?colour=red", "X: y", 400),
        ("/events?types=message.nwe", "X: y", 400),
        ("/events?chats=bob", "X: y", 400),
        ("/events", "Last-Event-ID: x", 400),
        ("/events", "Last-Event-ID: 9", 410),
        ("/events?consumer=other", "X: y", 403),
        ("/nowhere", "X: y", 404),
    ] {
        assert_eq!(get(&served, path, &[&token, header]).await.status, status, "{path} {header}");
    }
}

#[tokio::test]
async fn health_needs_no_token_and_tells_whether_messages_are_received() {
    let served = serve();
    for path in ["/health/live", "/health/ready"] {
        let reply = get(&served, path, &[]).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    }
}

/// Whether the answer is of that kind; a batch without a proper call answers with a list.
fn is_kind(answer: &Value, wanted: &str) -> bool {
    if wanted == "no error" { kind(&answer[0]) == "invalid_request" } else { kind(answer) == wanted }
}

#[tokio::test]
async fn what_is_no_request_is_answered_over_http_and_websocket_as_on_the_socket() {
    let served = serve();
    let token = token(&served, "web", json!({"scopes": Scope::ALL})).await;
    let header = bearer(&token);
    let mut socket = dial(UnixStream::connect(&served.path).await.unwrap(), &[]).await.unwrap();
    for (body, wanted) in broken_lines() {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let Ok(text) = String::from_utf8(body.clone()) else {
            socket.send(Message::binary(body)).await.unwrap();
            assert!(is_kind(&hear(&mut socket).await, wanted), "{shown}");
            continue;
        };
        let reply = post(&served, &[&header], &text).await;
        // a body carries no events, whatever is asked for
        let told = if shown.contains("events.subscribe") { "invalid_request" } else { wanted };
        assert!(is_kind(&reply.body, told), "{shown}: {}", reply.body);
        let answer = say(&mut socket, text).await;
        assert!(is_kind(&answer, wanted), "{shown}: {answer}");
    }
    assert_eq!(say(&mut socket, INFO).await["result"]["api"], "1", "the connection lives on");
    for (count, answers) in [(1, 1), (100, 100), (101, 0)] {
        let batch = format!("[{}]", vec![INFO; count].join(","));
        for answer in [post(&served, &[&header], &batch).await.body, say(&mut socket, batch).await] {
            assert_eq!(answer.as_array().map_or(0, Vec::len), answers, "{count}: {answer}");
        }
    }
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_harms_nobody() {
    let served = serve();
    for noise in ["GET\r\n\r\n", "POST /rpc HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "A\0B C\r\n\r\n"] {
        for answer in [
            noise_to(UnixStream::connect(&served.path).await.unwrap(), noise).await,
            noise_to(TcpStream::connect(served.port).await.unwrap(), noise).await,
        ] {
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{noise:?}: {answer:?}");
        }
    }
    let lines = noise_to(TcpStream::connect(served.port).await.unwrap(), &format!("{INFO}\n")).await;
    assert!(!lines.contains("result"), "the port has no lines: {lines}");
    assert_eq!(Script::connect(&served).await.call("net.kick", json!({})).await["result"], json!({}));
}

async fn noise_to(mut stream: impl AsyncRead + AsyncWrite + Unpin, noise: &str) -> String {
    stream.write_all(noise.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // a reset is an answer too
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("an end");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn metrics_are_plain_text_for_whoever_has_a_token() {
    let served = serve();
    assert_eq!(get(&served, "/metrics", &[]).await.status, 401);
    let token = bearer(&token(&served, "monitor", json!({"scopes": []})).await);
    let reply = get(&served, "/metrics", &[&token]).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8"), "{}", reply.head);
    let text = reply.body.as_str().unwrap();
    assert!(text.contains("\nchatd_calls_total{method=\"token.create\",outcome=\"ok\"} 1\n"), "{text}");
}
