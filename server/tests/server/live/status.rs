//! Metrics and health as a scraper and a load balancer see them.

use std::net::SocketAddr;

use chat_server::counters::Closed;
use chat_server::store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::world::{World, settings, until};
use crate::support::mariadb::MariaDb;

/// The door for monitoring of a world.
async fn door(world: &World) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(world.status.clone().serve(listener));
    at
}

/// Head and body of an answer.
async fn ask(at: SocketAddr, line: &str) -> (String, String) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(format!("{line} HTTP/1.1\r\nHost: monitoring\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

async fn code(at: SocketAddr, path: &str) -> (u16, String) {
    let (head, body) = ask(at, &format!("GET {path}")).await;
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
}

/// One sample.
async fn sample(at: SocketAddr, name: &str) -> f64 {
    let (head, body) = ask(at, "GET /metrics").await;
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let line = body.lines().find(|line| line.split(' ').next() == Some(name));
    line.unwrap_or_else(|| panic!("{name} is not in\n{body}")).split(' ').nth(1).unwrap().parse().unwrap()
}

fn is(value: f64, wanted: u32) -> bool {
    (value - f64::from(wanted)).abs() < f64::EPSILON
}

#[tokio::test]
async fn what_people_do_is_counted_and_nobody_is_named() {
    let world = World::new().await;
    let at = door(&world).await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let letter = alice.letter(&bob, "hello");
    alice.client.call(&letter).await.unwrap();
    alice.client.call(&letter).await.unwrap();
    let mut outdated = alice.letter(&bob, "hello");
    outdated.heads.clear();
    alice.client.refused(&outdated).await;
    let (seq, _) = bob.receive().await;
    bob.ack(seq).await;
    alice.say("hello, everybody").await;
    let guest = world.guest().await;
    for (name, wanted) in [
        ("chat_server_connections", 3),
        ("chat_server_guests", 1),
        ("chat_server_devices_online", 2),
        ("chat_server_connections_total", 3),
        ("chat_server_logins_total", 2),
        ("chat_server_submits_total{outcome=\"accepted\"}", 1),
        ("chat_server_submits_total{outcome=\"duplicate\"}", 1),
        ("chat_server_submits_refused_total{code=\"stale\"}", 1),
        ("chat_server_commit_duration_seconds_count", 3),
        ("chat_server_mailbox_pushed_total", 1),
        ("chat_server_mailbox_acked_total", 1),
        ("chat_server_room_posts_total{outcome=\"accepted\"}", 1),
        ("chat_server_password_queue", 0),
        ("chat_server_queued_bytes{for=\"readers\"}", 0),
        ("chat_server_queued_bytes{for=\"commits\"}", 0),
        ("chat_server_long_records", 0),
        ("chat_server_ready", 1),
    ] {
        let value = sample(at, name).await;
        assert!(is(value, wanted), "{name} is {value}");
    }
    drop(guest);
    let (_, body) = ask(at, "GET /metrics").await;
    assert!(!body.contains("alice") && !body.contains("bob"), "{body}");
}

#[tokio::test]
async fn strangers_are_counted_by_what_they_did_wrong() {
    let world = World::new().await;
    let at = door(&world).await;
    let mut stranger = TcpStream::connect(world.at).await.unwrap();
    stranger.write_all(&[0xff; 64]).await.unwrap();
    assert_eq!(stranger.read(&mut [0; 1]).await.unwrap_or(0), 0);
    until(|| world.counters.closed.get(Closed::Handshake) == 1).await;
    assert!(is(sample(at, "chat_server_handshakes_failed_total{reason=\"stranger\"}").await, 1));
    assert!(is(sample(at, "chat_server_connections_closed_total{reason=\"handshake\"}").await, 1));
}

#[tokio::test]
async fn server_is_live_while_it_drains_and_ready_only_before() {
    let mut world = World::new().await;
    let at = door(&world).await;
    assert_eq!(code(at, "/health/live").await, (200, "live\n".to_owned()));
    assert_eq!(code(at, "/health/ready").await, (200, "ready\n".to_owned()));
    world.stop();
    assert_eq!(code(at, "/health/ready").await, (503, "the server is ending\n".to_owned()));
    assert_eq!(code(at, "/health/live").await.0, 200);
    assert!(is(sample(at, "chat_server_ready").await, 0));
    world.ended().await.unwrap();
}

#[tokio::test]
async fn full_server_is_not_ready() {
    let mut config = settings();
    config.connections.most_guests = 1;
    let world = World::with(config).await;
    let at = door(&world).await;
    let _guest = world.guest().await;
    assert_eq!(code(at, "/health/ready").await, (503, "connections are not accepted\n".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_without_its_database_is_live_but_not_ready() {
    let mut database = MariaDb::start();
    assert!(database.execute("CREATE DATABASE chat"));
    let opened = store::open(&database.url("chat").parse().unwrap()).await.unwrap();
    let world = World::over(opened.store, settings()).await;
    let at = door(&world).await;
    assert_eq!(code(at, "/health/ready").await.0, 200);
    tokio::task::block_in_place(|| database.kill());
    let refusal = loop {
        let (status, words) = code(at, "/health/ready").await;
        if status != 200 {
            break (status, words);
        }
    };
    assert_eq!(refusal, (503, "the database does not answer\n".to_owned()));
    assert_eq!(code(at, "/health/live").await.0, 200);
    assert!(sample(at, "chat_server_database_errors_total{kind=\"unavailable\"}").await > 0.0);
    tokio::task::block_in_place(|| database.restart());
    while code(at, "/health/ready").await.0 != 200 {}
}

#[tokio::test]
async fn atk_many_or_odd_requests_take_nothing_from_those_who_chat() {
    let world = World::new().await;
    let at = door(&world).await;
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(TcpStream::connect(at).await.unwrap());
    }
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    alice.send(&bob, "undisturbed").await.unwrap();
    assert_eq!(bob.receive().await.1, "undisturbed");
    drop(idle);
    while TcpStream::connect(at).await.is_err() {}
    let asked = |line: &'static str| async move { ask(at, line).await.0.split(' ').nth(1).unwrap().to_owned() };
    assert_eq!(asked("GET /").await, "404");
    assert_eq!(asked("POST /metrics").await, "405");
    assert_eq!(asked("HEAD /health/live").await, "200");
}
