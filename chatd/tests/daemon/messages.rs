//! Messages on their way, and how far they came.

use std::sync::Arc;
use std::time::Duration;

use chat_protocol::ids::MessageId;
use chat_protocol::rpc::types::{
    ChatMarkRead, ConnectionState, DaemonHealth, FailReason, MessageState, MsgSend, MsgStatus, MsgWait,
};
use chat_protocol::rpc::{Handle, Kind, Method};
use chatd::api::Backend;
use chatd::rpc::Server;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_util::sync::CancellationToken;

use crate::house::{Home, House};

#[tokio::test]
async fn private_and_public_messages_end_to_end() {
    let house = House::open().await;
    let (alice, bob) = (Home::registered(&house, "alice").await, Home::registered(&house, "bob").await);

    let hello = alice.send("@bob", "hello", None).await;
    bob.until_text("hello").await;
    alice.until_state(&hello, MessageState::Delivered).await;
    bob.send("@alice", "hi", None).await;
    alice.until_text("hi").await;
    bob.daemon.handle(ChatMarkRead { to: "@alice".parse().unwrap(), up_to: None }).await.unwrap();
    alice.until_state(&hello, MessageState::Read).await;

    alice.send("room:public", "hello everybody", None).await;
    bob.until_text("hello everybody").await;
    assert_eq!(alice.texts("@bob").await, ["alice: hello", "bob: hi"]);
    let status = alice.daemon.handle(MsgStatus { id: hello.id }).await.unwrap();
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
    let status = alice.daemon.handle(MsgStatus { id: sent.id }).await.unwrap();
    assert_eq!(status.recipients[0].error, Some(FailReason::NotFound));
}

#[tokio::test]
async fn who_requires_a_user_sends_nothing_to_a_name_that_is_not_there() {
    let mut house = House::open().await;
    let alice = Home::registered(&house, "alice").await;
    let bob = Home::registered(&house, "bob").await;
    let send = async |to: &str| {
        let message = MsgSend { require_user: Some(true), ..MsgSend::text(to.parse().unwrap(), "hi") };
        alice.daemon.handle(message).await
    };
    for _ in 0..2 {
        assert_eq!(send("@nobody").await.unwrap_err().kind, Kind::NotFound);
    }
    assert_eq!(alice.texts("@nobody").await, [] as [String; 0]);
    send("@bob").await.unwrap();
    bob.until_text("hi").await;
    house.stop().await;
    while alice.daemon.health().await.unwrap().connection.state == ConnectionState::Online {
        tokio::task::yield_now().await;
    }
    assert_eq!(send("@nobody").await.unwrap().state, MessageState::Queued, "nobody there can say that it is wrong");
}

#[tokio::test]
async fn what_comes_together_shares_a_commit_and_what_comes_alone_has_its_own() {
    let house = House::open().await;
    let alice = Home::registered(&house, "alice").await;
    let commits = async || {
        let health = alice.daemon.health().await.unwrap();
        let text = alice.daemon.metrics().text(&health, 0).unwrap();
        let count = text.lines().find_map(|line| line.strip_prefix("chatd_commit_duration_seconds_count "));
        count.unwrap().parse::<u64>().unwrap()
    };
    let before = commits().await;
    for _ in 0..5 {
        alice.send("self", "alone", None).await;
    }
    // a commit is counted right behind its answer
    let counted = async {
        while commits().await < before + 5 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), counted).await.expect("five commits for five messages");
    let alone = commits().await - before;
    futures_util::future::join_all((0..200).map(|_| alice.send("self", "together", None))).await;
    let together = commits().await - before - alone;
    assert!(together < 20, "{alone} commits for 5 messages, {together} for 200");
}

#[tokio::test]
async fn waiting_for_a_message_ends_when_it_is_there_or_can_never_be() {
    let house = House::open().await;
    let (alice, bob) = (Home::registered(&house, "alice").await, Home::registered(&house, "bob").await);
    let wait = |id, state| MsgWait { id, state, timeout_ms: Some(60_000) };

    let hello = alice.send("@bob", "hello", None).await;
    let status = alice.daemon.handle(wait(hello.id, MessageState::Delivered)).await.unwrap();
    assert_eq!(status.state, MessageState::Delivered);
    assert_eq!(alice.daemon.handle(wait(hello.id, MessageState::Accepted)).await.unwrap().state, status.state);
    let soon = MsgWait { timeout_ms: Some(1), ..wait(hello.id, MessageState::Read) };
    assert_eq!(alice.daemon.handle(soon).await.unwrap_err().kind, Kind::Timeout);

    let nobody = alice.send("@nobody", "hello?", None).await;
    let status = alice.daemon.handle(wait(nobody.id, MessageState::Read)).await.unwrap();
    assert_eq!(status.state, MessageState::Failed);

    let post = alice.send("room:public", "hello all", None).await;
    assert_eq!(alice.daemon.handle(wait(post.id, MessageState::Accepted)).await.unwrap().state, MessageState::Accepted);
    let refusals = [
        (wait(post.id, MessageState::Delivered), Kind::InvalidParams),
        (wait(hello.id, MessageState::Queued), Kind::InvalidParams),
        (MsgWait { timeout_ms: Some(600_001), ..wait(hello.id, MessageState::Read) }, Kind::InvalidParams),
        (wait(MessageId::new([1; 16]), MessageState::Read), Kind::NotFound),
    ];
    for (params, kind) in refusals {
        assert_eq!(alice.daemon.handle(params).await.unwrap_err().kind, kind);
    }
    let theirs = bob.daemon.handle(wait(hello.id, MessageState::Read)).await.unwrap_err();
    assert_eq!((theirs.kind, theirs.path.as_deref()), (Kind::InvalidParams, Some("id")));

    let daemon = Arc::clone(&alice.daemon);
    let waiting = tokio::spawn(async move { daemon.handle(wait(hello.id, MessageState::Read)).await });
    alice.daemon.close();
    assert_eq!(waiting.await.unwrap().unwrap_err().kind, Kind::Internal);
}

#[tokio::test]
async fn a_message_for_later_leaves_by_itself_after_a_restart() {
    let house = House::open().await;
    let (mut alice, bob) = (Home::registered(&house, "alice").await, Home::registered(&house, "bob").await);
    let soon = chatd::clock::now().as_millis() + 300;
    let params = MsgSend { at_ms: Some(soon), ..MsgSend::text("@bob".parse().unwrap(), "good morning") };
    let sent = alice.daemon.handle(params).await.unwrap();
    assert_eq!(sent.state, MessageState::Queued);
    alice.restart().await;
    bob.until_text("good morning").await;
    assert!(chatd::clock::now().as_millis() >= soon);
}

/// Commits of a daemon so far.
fn commits(home: &Home) -> u64 {
    let text = home.daemon.metrics().text(&serde_json::from_str(DaemonHealth::EXAMPLE.result).unwrap(), 0).unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix("chatd_commit_duration_seconds_count "));
    count.unwrap().parse().unwrap()
}

#[tokio::test]
async fn sends_of_one_connection_share_commits_and_keep_their_order() {
    const SENDS: usize = 200;
    let mut house = House::open().await;
    let alice = Home::registered(&house, "alice").await;
    house.stop().await;
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (input, output) = tokio::io::split(theirs);
    let server = Server::new(Arc::clone(&alice.daemon), CancellationToken::new());
    let served = tokio::spawn(server.pipes(input, output));
    let call = |id: usize, method: &str, params: serde_json::Value| {
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string() + "\n"
    };
    let send = |id: usize| call(id, "msg.send", json!({"to": "@bob", "text": format!("text {id}")}));
    let (half, before) = (SENDS / 2, commits(&alice));
    let lines: String = (0..half)
        .map(send)
        // one that does not line up ends all before it, and begins before all behind it
        .chain([call(SENDS, "chat.set", json!({"to": "@bob", "archived": true}))])
        .chain((half..SENDS).map(send))
        .collect();
    let (read, mut write) = tokio::io::split(ours);
    write.write_all(lines.as_bytes()).await.unwrap();
    write.shutdown().await.unwrap();
    let mut answers = BufReader::new(read).lines();
    let mut order = Vec::new();
    while let Some(line) = answers.next_line().await.unwrap() {
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(answer["result"].is_object(), "{answer}");
        order.push(answer["id"].as_u64().unwrap() as usize);
    }
    let wanted: Vec<_> = (0..half).chain([SENDS]).chain(half..SENDS).collect();
    assert_eq!(order, wanted, "answered in order");
    served.await.unwrap();
    let texts: Vec<_> = (0..SENDS).map(|id| format!("alice: text {id}")).collect();
    let kept = alice.texts("@bob").await;
    assert!(texts.ends_with(&kept) && !kept.is_empty(), "kept in order: {kept:?}");
    let commits = commits(&alice) - before;
    assert!(commits < SENDS as u64 / 4, "{commits} commits for {SENDS} messages");
}

#[tokio::test]
async fn a_warm_message_costs_few_commits_and_opens_and_seals_few_rows() {
    const MESSAGES: u64 = 20;
    let house = House::open().await;
    let (alice, bob) = (Home::registered(&house, "alice").await, Home::registered(&house, "bob").await);
    let say = async |text: &str| {
        let sent = alice.send("@bob", text, None).await;
        bob.until_text(text).await;
        alice.until_state(&sent, MessageState::Delivered).await;
    };
    say("first").await;
    bob.send("@alice", "hello", None).await;
    alice.until_text("hello").await;
    say("warm").await;
    let before = [alice.store.counts(), bob.store.counts()];
    let commits_before = [commits(&alice), commits(&bob)];
    for n in 0..MESSAGES {
        say(&format!("text {n}")).await;
    }
    // Of everything a message causes, its receipt included, at its author and at its reader; how much of it shares a commit is
    // a matter of time.
    let most = [(5, 5, 40), (6, 5, 25)];
    for (home, before, commits_before, most) in
        [(&alice, before[0], commits_before[0], most[0]), (&bob, before[1], commits_before[1], most[1])]
    {
        let after = home.store.counts();
        let each = |count: u64| count.div_ceil(MESSAGES);
        let found = (
            each(commits(home) - commits_before),
            each(after.opened - before.opened),
            each(after.sealed - before.sealed),
        );
        assert!(found.0 <= most.0 && found.1 <= most.1 && found.2 <= most.2, "{found:?} commits, opened, sealed");
    }
}
