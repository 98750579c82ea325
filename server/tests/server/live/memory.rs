//! The memory of the real program at worst, beside the formula of the README.

use std::time::Duration;

use chat_protocol::ids::SubmitId;
use chat_protocol::message::client::{Addressed, RoomSince, Submit};
use chat_protocol::message::{Blob, Envelope};
use rusqlite::Connection;

use super::client::Client;
use super::process::{Member, Process, Site, connections, fill, members, talk};
use super::world::envelope;

const MIB: u64 = 1 << 20;
/// Far longer than anything here takes.
const SOON: Duration = Duration::from_secs(60);
/// Bytes of submits that wait, as the server is monitored by.
const WAITING: &str = "chat_server_queued_bytes{for=\"commits\"}";

/// What the README states: MiB as a function of two settings.
fn formula(queued_bytes: u64, connections: usize) -> u64 {
    128 + 22 * queued_bytes / 10 / (1 << 20) + 18 * connections as u64 / 100
}

#[ignore = "a measurement: memory of the process beside the formula of the README, with `--ignored --nocapture`"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_with_many_stalled_readers_of_full_mailboxes() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    let (readers, queued) = (number("READERS", 400) as usize, number("QUEUED_MIB", 64) * MIB);
    connections(2 * readers);
    let site = Site::new();
    let store = site.store().await;
    let members = members(&store, readers).await;
    fill(&store, &members, 16, &"x".repeat(65_000)).await;
    talk(&store, &members[0], 60).await;
    drop(store);
    let (budget, most) = (format!("memory.queued_bytes={queued}"), format!("connections.most={readers}"));
    let process = site.start(&[&budget, &most, "connections.write_seconds=3600"]);
    let idle = process.memory();
    let (mut stopped, mut peak) = (Vec::new(), 0);
    for member in &members {
        let mut client = process.stall(member).await;
        for _ in 0..8 {
            client.ask(&RoomSince { seq: None, max: 60 }).await;
        }
        // and a record of the largest size that never ends
        client.send_raw(&(500_000u32).to_be_bytes()).await;
        client.send_raw(&[b'A'; 100_000]).await;
        peak = peak.max(process.memory());
        stopped.push(client);
    }
    // until nothing changes any more
    let (mut used, mut same) = (0, 0);
    while same < 100 {
        let now = process.metric("chat_server_queued_bytes{for=\"readers\"}").await;
        (used, same) = (now, if now == used { same + 1 } else { 0 });
        peak = peak.max(process.memory());
    }
    let records = process.metric("chat_server_long_records").await;
    let stated = formula(queued, readers);
    println!(
        "{readers} readers, memory.queued_bytes {} MiB: idle {} MiB, peak {} MiB, stated {stated} MiB; counted for readers {} KiB, long records {records}",
        queued / MIB,
        idle / MIB,
        peak / MIB,
        used / 1024
    );
    assert!(peak / MIB <= stated);
}

/// A submit of the largest contents with INITs, for so many devices. Five of them fill a record.
fn largest(counter: u64, members: &[Member], to: usize) -> Submit {
    let content = Envelope { init: Some(Blob(vec![1; 4_000])), ..envelope(&[7; 65_000]) };
    let addressed = |member: &Member| Addressed { device: member.id(), envelope: content.clone() };
    let to = || members.iter().take(to);
    Submit {
        submit_id: SubmitId::new(counter, [6; 8]),
        heads: to().map(|member| member.head.clone()).collect(),
        to: to().map(addressed).collect(),
        group: None,
    }
}

/// Asks for more than its share of what may wait.
async fn submit_much(client: &mut Client, members: &[Member]) {
    for (counter, to) in (1..).zip([5, 5, 5, 1, 1, 1, 1, 1, 1]) {
        client.ask(&largest(counter, members, to)).await;
    }
}

/// What the program took while so many submitted as much as may wait, and the database took nothing until it took all; in
/// words.
async fn memory_with_submits(senders: usize, queued: u64) -> String {
    connections(2 * senders);
    let site = Site::new();
    let store = site.store().await;
    let members = members(&store, senders).await;
    drop(store);
    let (budget, most) = (format!("memory.queued_bytes={queued}"), format!("connections.most={}", senders + 8));
    let process = site.start(&[&budget, &most]);
    let mut clients = Vec::new();
    for member in &members {
        clients.push(process.enter(member).await);
    }
    let idle = process.memory();
    let database = Connection::open(process.site.operator.data().join("chat.db")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    for client in &mut clients {
        submit_much(client, &members).await;
    }
    let enough = async { while process.metric(WAITING).await <= queued / 8 {} };
    tokio::time::timeout(SOON, enough).await.expect("half of what may wait is read");
    let (waited, mut peak) = settled(&process).await;
    database.execute_batch("COMMIT").unwrap();
    let drained = async {
        while process.metric(WAITING).await > 0 {
            peak = peak.max(process.memory());
        }
    };
    tokio::time::timeout(SOON, drained).await.expect("all of it is stored");
    let stated = formula(queued, senders + 8);
    assert!(peak / MIB <= stated);
    // the term of the submits by itself: three times what waits, beside records that are being received
    let (of_submits, of_records) = (3 * waited, queued / 4);
    assert!(peak - idle <= of_submits + of_records + 18 * MIB * senders as u64 / 100, "{peak} of {waited}");
    let (queued, idle, peak, waited) = (queued / MIB, idle / MIB, peak / MIB, waited / 1024);
    format!(
        "{senders} senders, memory.queued_bytes {queued} MiB: idle {idle} MiB, peak {peak} MiB, stated {stated} MiB; \
         waited {waited} KiB"
    )
}

/// What waits once no more comes, and the most memory until then.
async fn settled(process: &Process) -> (u64, u64) {
    let (mut waits, mut same, mut peak) = (0, 0, 0);
    while same < 20 {
        let now = process.metric(WAITING).await;
        (waits, same) = (now, if now == waits { same + 1 } else { 0 });
        peak = peak.max(process.memory());
    }
    (waits, peak)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn atk_90_memory_with_submits_that_wait_for_a_locked_database_stays_below_what_is_stated() {
    let _figures = memory_with_submits(24, 64 * MIB).await;
}

#[ignore = "a measurement: memory of the process beside the formula of the README, with `--ignored --nocapture`"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_with_many_submits_that_wait() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    println!("{}", memory_with_submits(number("READERS", 100) as usize, number("QUEUED_MIB", 256) * MIB).await);
}
