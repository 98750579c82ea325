//! What waits, and what failed.

use std::time::Duration;

use chat_protocol::rpc::types::{DeleteScope, FailReason, MessageState, MsgCancel, MsgDelete, MsgOutbox, MsgResend};
use chat_protocol::rpc::{Handle, Kind};
use chat_server::config::Rates;
use chatd::api::Backend;

use crate::house::{Home, House};

/// Every page of the outbox, a message each: their texts, and why they failed.
async fn outbox(home: &Home) -> Vec<(String, Option<FailReason>)> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = home.daemon.handle(MsgOutbox { limit: Some(1), cursor }).await.unwrap();
        assert!(page.messages.len() <= 1);
        all.extend(page.messages.into_iter().map(|message| (message.text, message.error)));
        cursor = page.cursor;
        if cursor.is_none() {
            let counted = home.daemon.health().await.unwrap().outbox;
            assert_eq!(counted.queued + counted.failed, all.len() as u64, "health counts what is listed");
            return all;
        }
    }
}

#[tokio::test]
async fn the_outbox_lists_what_waits_and_what_failed_until_it_is_dealt_with() {
    let mut house = House::open().await;
    let mut alice = Home::registered(&house, "alice").await;
    let lost = alice.send("@nobody", "lost", None).await;
    alice.until_state(&lost, MessageState::Failed).await;
    house.stop().await;
    alice.restart().await;
    let waits = alice.send("@bob", "waits", None).await;
    alice.send("self", "a note is nobody's", None).await;
    let failed = ("lost".to_owned(), Some(FailReason::NotFound));
    assert_eq!(outbox(&alice).await, [failed, ("waits".to_owned(), None)]);

    let again = alice.daemon.handle(MsgResend { id: lost.id }).await.unwrap();
    assert_eq!(
        outbox(&alice).await,
        [("waits".to_owned(), None), ("lost".to_owned(), None)],
        "sent again, it is dealt with"
    );
    alice.daemon.handle(MsgCancel { id: waits.id }).await.unwrap();
    house.start().await;
    alice.until_state(&again, MessageState::Failed).await;
    assert_eq!(outbox(&alice).await, [("lost".to_owned(), Some(FailReason::NotFound))]);
    alice.daemon.handle(MsgDelete { id: again.id, scope: DeleteScope::Myself }).await.unwrap();
    assert_eq!(outbox(&alice).await, []);
}

#[tokio::test]
async fn the_outbox_says_that_the_server_limits_what_is_sent_and_when_it_is_tried_again() {
    let house = House::with(Rates { submits_per_minute: 1, submits_burst: 1, ..Rates::default() }).await;
    let (alice, _bob) = (Home::registered(&house, "alice").await, Home::registered(&house, "bob").await);
    for number in 0..3 {
        alice.send("@bob", &number.to_string(), None).await;
    }
    let delayed = async {
        loop {
            let page = alice.daemon.handle(MsgOutbox { limit: None, cursor: None }).await.unwrap();
            if let [delay] = page.delays.as_slice() {
                return delay.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    let delay = tokio::time::timeout(Duration::from_secs(60), delayed).await.expect("it is told within a minute");
    assert_eq!((delay.why, delay.chat), (Kind::RateLimited, None));
    assert!(delay.until_ms > chatd::clock::now().as_millis(), "there is another try");
    let first = alice.daemon.handle(MsgOutbox { limit: Some(1), cursor: None }).await.unwrap();
    let second = alice.daemon.handle(MsgOutbox { limit: Some(1), cursor: first.cursor }).await.unwrap();
    assert_eq!((first.delays.len(), second.delays.len()), (1, 1), "on every page");
}
