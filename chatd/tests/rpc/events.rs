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
    assert!(subscription.is_string());
    for seq in 91..=100 {
        let event = script.event().await;
        assert_eq!((event["seq"].as_u64(), event["replayed"].as_bool()), (Some(seq), Some(true)));
    }
    served.fake.append(None, &nothing_much(101));
    let event = script.event().await;
    assert_eq!((event["seq"].as_u64(), event["replayed"].as_bool()), (Some(101), Some(false)));
    let ended = script.call("events.unsubscribe", json!({"subscription": subscription})).await;
    assert_eq!(ended["result"], true);
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
    assert_eq!(event["params"]["result"]["type"], "heartbeat");
    assert_eq!(event["params"]["result"]["data"], json!({"seq": 1}));
    assert!(begun.elapsed() >= Duration::from_secs(29));
}

#[tokio::test]
async fn subscriptions_are_bounded_and_their_places_come_back() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    let mut last = Value::Null;
    for _ in 0..16 {
        last = script.call("events.subscribe", json!({})).await["result"].take();
    }
    assert_eq!(kind(&script.call("events.subscribe", json!({})).await), "too_many_subscriptions");
    // As jsonrpsee's own client says it.
    assert_eq!(script.call("events.unsubscribe", json!([last])).await["result"], true);
    assert_eq!(script.call("events.unsubscribe", json!([last])).await["result"], false);
}
