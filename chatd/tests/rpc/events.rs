//! Subscriptions: what they hear, and what becomes of those who do not read.

use std::time::Duration;

use chat_protocol::rpc::EventBody;
use chat_protocol::rpc::events::PresenceChanged;
use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt;

use crate::fake::{nothing_much, serve, user};
use crate::{Script, kind};

#[tokio::test]
async fn events_are_replayed_from_the_place_asked_for_and_then_live() {
    let served = serve();
    for number in 1..=100 {
        served.fake.append(None, &nothing_much(number));
    }
    let mut script = Script::connect(&served).await;
    let subscription = script.call("events.subscribe", json!({"from": 90})).await["result"].clone();
    assert_eq!((&subscription["next_seq"], &subscription["oldest_seq"]), (&json!(91), &json!(1)));
    let subscription = subscription["subscription"].clone();
    for seq in 91..=100 {
        let event = script.event().await;
        assert_eq!((event["seq"].as_u64(), event["replayed"].as_bool()), (Some(seq), Some(true)));
    }
    served.fake.append(None, &nothing_much(101));
    let event = script.event().await;
    assert_eq!((event["seq"].as_u64(), event["replayed"].as_bool()), (Some(101), Some(false)));
    let ended = script.call("events.unsubscribe", json!({"subscription": subscription})).await;
    assert_eq!(ended["result"], json!({}));
    served.fake.append(None, &nothing_much(102));
    assert_eq!(script.call("net.kick", json!({})).await["id"], 1, "nothing comes after the end");
}

#[tokio::test]
async fn trimmed_history_is_announced_and_a_cursor_ahead_is_refused() {
    let served = serve();
    for number in 1..=10 {
        served.fake.append(None, &nothing_much(number));
    }
    served.fake.trim(5);
    let mut script = Script::connect(&served).await;
    script.call("events.subscribe", json!({"from": 2})).await;
    let gap = script.event().await;
    assert_eq!((&gap["type"], &gap["data"]), (&json!("gap"), &json!({"from": 3, "to": 5})));
    assert_eq!(script.event().await["seq"], 6);
    let mut script = Script::connect(&served).await;
    script.call("events.subscribe", json!({"from": "start"})).await;
    assert_eq!(script.event().await["seq"], 6, "the start is the oldest that is kept");
    let mut script = Script::connect(&served).await;
    assert_eq!(kind(&script.call("events.subscribe", json!({"from": 11})).await), "cursor_trimmed");
}

#[tokio::test]
async fn a_subscription_hears_what_it_asked_for() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    let wanted = json!({"types": ["message.new", "presence"], "chats": ["@bob"], "include_self": false});
    script.call("events.subscribe", wanted).await;
    served.fake.append(None, &nothing_much(1));
    served.fake.receive("carol", "not this");
    served.fake.say(&EventBody::Presence(PresenceChanged { online: vec![user("bob")], offline: vec![] }));
    let presence = script.event().await;
    assert_eq!((&presence["type"], &presence["seq"]), (&json!("presence"), &Value::Null));
    script.ask(2, "msg.send", json!({"to": "@bob", "text": "nor this"})).await;
    assert_eq!(script.line().await["id"], 2);
    served.fake.receive("bob", "but this");
    assert_eq!(script.event().await["data"]["text"], "but this");
}

#[tokio::test]
async fn a_subscriber_that_stops_reading_delays_nobody_and_misses_nothing() {
    let served = serve();
    let mut stalled = Script::connect(&served).await;
    stalled.call("events.subscribe", json!({})).await;
    let mut other = Script::connect(&served).await;
    other.call("events.subscribe", json!({})).await;
    let text = "z".repeat(8 * 1024);
    for number in 0..500 {
        served.fake.receive("bob", &format!("{number} {text}"));
        let event = other.event().await;
        assert!(event["data"]["text"].as_str().unwrap().starts_with(&format!("{number} ")));
    }
    for seq in 1..=500_u64 {
        assert_eq!(stalled.event().await["seq"], seq);
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_subscription_hears_a_heartbeat() {
    let served = serve();
    served.fake.append(None, &nothing_much(1));
    let mut script = Script::connect(&served).await;
    script.call("events.subscribe", json!({})).await;
    let begun = tokio::time::Instant::now();
    let mut line = String::new();
    script.input.read_line(&mut line).await.unwrap();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["params"]["type"], "heartbeat");
    assert_eq!(event["params"]["data"], json!({"seq": 1}));
    assert!(begun.elapsed() >= Duration::from_secs(29));
}

#[tokio::test]
async fn subscriptions_are_bounded_and_their_places_come_back() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    let mut last = Value::Null;
    for _ in 0..16 {
        last = script.call("events.subscribe", json!({})).await["result"]["subscription"].take();
    }
    assert_eq!(kind(&script.call("events.subscribe", json!({})).await), "too_many_subscriptions");
    assert_eq!(script.call("events.unsubscribe", json!({"subscription": last})).await["result"], json!({}));
    assert_eq!(kind(&script.call("events.unsubscribe", json!({"subscription": last})).await), "not_found");
    assert!(script.call("events.subscribe", json!({})).await["result"].is_object());
}

/// Subscribes for a consumer; the events follow.
async fn consume(served: &crate::fake::Served, more: Value) -> Script {
    let mut wanted = json!({"consumer": "bot"});
    wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut script = Script::connect(served).await;
    let answer = script.call("events.subscribe", wanted).await;
    assert!(answer["result"]["subscription"].is_string(), "{answer}");
    script
}

fn place(served: &crate::fake::Served) -> u64 {
    *served.fake.state().consumers.values().next().unwrap()
}

#[tokio::test]
async fn a_consumer_gets_again_what_it_did_not_acknowledge_and_nothing_else() {
    let served = serve();
    served.fake.append(None, &nothing_much(1));
    let mut script = consume(&served, json!({})).await;
    for number in 2..=5 {
        served.fake.append(None, &nothing_much(number));
        assert_eq!(script.event().await["seq"], number, "a new consumer begins at the log's end");
    }
    let acked = script.call("events.ack", json!({"consumer": "bot", "seq": 3})).await;
    assert_eq!(acked["result"], json!({"acked_seq": 3}));
    assert_eq!(script.call("events.ack", json!({"consumer": "bot", "seq": 2})).await["result"]["acked_seq"], 3);
    drop(script);
    let mut script = consume(&served, json!({})).await;
    assert_eq!((script.event().await["seq"].clone(), script.event().await["seq"].clone()), (json!(4), json!(5)));
}

#[tokio::test]
async fn a_consumer_is_sent_no_more_than_it_may_have_open() {
    let served = serve();
    let mut script = consume(&served, json!({"max_inflight": 2})).await;
    for number in 1..=5 {
        served.fake.append(None, &nothing_much(number));
    }
    assert_eq!((script.event().await["seq"].clone(), script.event().await["seq"].clone()), (json!(1), json!(2)));
    assert_eq!(script.call("net.kick", json!({})).await["id"], 1, "nothing came between");
    let mut other = Script::connect(&served).await;
    other.call("events.ack", json!({"consumer": "bot", "seq": 1})).await;
    assert_eq!(script.event().await["seq"], 3, "an ack on any connection makes room");
}

#[tokio::test]
async fn an_automatic_place_moves_once_the_event_was_written() {
    let served = serve();
    let mut script = consume(&served, json!({"ack": "auto", "types": ["sync.done"]})).await;
    served.fake.append(None, &nothing_much(1));
    served.fake.receive("bob", "left out by the filter");
    assert_eq!(script.event().await["seq"], 1);
    drop(script.rest_after_half_close().await);
    assert_eq!(place(&served), 2, "what was read is acknowledged before the connection is gone");
}

#[tokio::test]
async fn an_automatic_place_stays_before_what_a_stalled_reader_was_not_given() {
    let served = serve();
    let stalled = consume(&served, json!({"ack": "auto"})).await;
    for number in 0..2_000 {
        served.fake.receive("bob", &format!("{number} {}", "z".repeat(4096)));
    }
    let mut probe = Script::connect(&served).await;
    for _ in 0..50 {
        probe.call("net.kick", json!({})).await;
    }
    assert!(place(&served) < 1_500, "8 MB do not fit into a socket's buffers");
    assert!(served.fake.state().acks < 100, "places are stored together");
    drop(stalled);
}

#[tokio::test]
async fn a_subscription_whose_log_cannot_be_read_ends_with_the_kind_of_error() {
    let served = serve();
    let mut script = consume(&served, json!({})).await;
    served.fake.state().unreadable = true;
    served.fake.append(None, &nothing_much(1));
    let ended = script.event().await;
    assert_eq!(
        (&ended["type"], &ended["data"]),
        (&json!("subscription.ended"), &json!({"reason": "failed", "error": "internal"}))
    );
}

#[tokio::test]
async fn the_newest_subscription_of_a_consumer_is_the_only_one() {
    let served = serve();
    let mut first = consume(&served, json!({})).await;
    let mut second = consume(&served, json!({})).await;
    let ended = first.event().await;
    assert_eq!((&ended["type"], &ended["data"]), (&json!("subscription.ended"), &json!({"reason": "replaced"})));
    served.fake.append(None, &nothing_much(1));
    assert_eq!(second.event().await["seq"], 1);
    let list = second.call("events.consumers", json!({})).await["result"]["consumers"].take();
    assert_eq!((&list[0]["name"], &list[0]["connected"], &list[0]["lag"]), (&json!("bot"), &json!(true), &json!(1)));
    drop(first);
    second.ask(2, "events.forget", json!({"consumer": "bot"})).await;
    let mut said = [second.line().await, second.line().await];
    said.sort_by_key(|line| line["id"].is_null());
    assert_eq!((&said[0]["result"], &said[1]["params"]["data"]["reason"]), (&json!({}), &json!("forgotten")));
    assert_eq!(kind(&second.call("events.ack", json!({"consumer": "bot", "seq": 1})).await), "unknown_consumer");
}

#[tokio::test]
async fn a_pull_gives_the_same_events_until_they_are_acknowledged() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    let wanted = json!({"consumer": "cron", "max": 2, "types": ["sync.done"]});
    let empty = script.call("events.pull", wanted.clone()).await["result"].take();
    assert_eq!(empty, json!({"events": [], "next_seq": 1}));
    served.fake.receive("bob", "left out by the filter");
    for number in 2..=4 {
        served.fake.append(None, &nothing_much(number));
    }
    for _ in 0..2 {
        let batch = script.call("events.pull", wanted.clone()).await["result"].take();
        let seqs: Vec<_> = batch["events"].as_array().unwrap().iter().map(|event| event["seq"].clone()).collect();
        assert_eq!((seqs, &batch["next_seq"]), (vec![json!(2), json!(3)], &json!(4)));
    }
    script.call("events.ack", json!({"consumer": "cron", "seq": 3})).await;
    let batch = script.call("events.pull", wanted).await["result"].take();
    assert_eq!((&batch["events"][0]["seq"], &batch["next_seq"]), (&json!(4), &json!(5)));
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_waits_ends_with_the_first_event_or_its_time() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    let wanted = json!({"consumer": "cron", "wait_ms": 10_000});
    let begun = tokio::time::Instant::now();
    assert_eq!(script.call("events.pull", wanted.clone()).await["result"]["events"], json!([]));
    assert!(begun.elapsed() >= Duration::from_secs(10));
    script.ask(1, "events.pull", wanted).await;
    served.fake.subscribed().await;
    served.fake.append(None, &nothing_much(1));
    assert_eq!(script.line().await["result"]["events"][0]["seq"], 1);
}

#[tokio::test]
async fn a_pull_fits_its_line_and_says_what_was_trimmed() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    script.call("events.pull", json!({"consumer": "cron"})).await;
    for number in 0..60 {
        served.fake.receive("bob", &format!("{number} {}", "z".repeat(60_000)));
    }
    served.fake.trim(5);
    let batch = script.call("events.pull", json!({"consumer": "cron", "max": 1000})).await["result"].take();
    let events = batch["events"].as_array().unwrap();
    assert_eq!((&events[0]["type"], &events[0]["data"]), (&json!("gap"), &json!({"from": 1, "to": 5})));
    assert!(events.len() > 10 && events.len() < 60, "{}", events.len());
    assert_eq!(batch["next_seq"].as_u64().unwrap(), events.last().unwrap()["seq"].as_u64().unwrap() + 1);
}

#[tokio::test]
async fn names_limits_and_places_of_consumers_are_checked() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    for (method, params, path) in [
        ("events.subscribe", json!({"consumer": "a b"}), "consumer"),
        ("events.subscribe", json!({"consumer": "bot", "max_inflight": 0}), "max_inflight"),
        ("events.subscribe", json!({"from": "acked"}), "from"),
        ("events.pull", json!({"consumer": "bot", "max": 0}), "max"),
        ("events.pull", json!({"consumer": "bot", "types": ["no.such"]}), "types[0]"),
    ] {
        let answer = script.call(method, params.clone()).await;
        assert_eq!(answer["error"]["data"]["path"], path, "{method} {params}: {answer}");
    }
    assert_eq!(kind(&script.call("events.forget", json!({"consumer": "nobody"})).await), "unknown_consumer");
}
