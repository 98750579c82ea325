//! What waits, and what failed.

use chat_protocol::rpc::Handle;
use chat_protocol::rpc::types::{DeleteScope, FailReason, MessageState, MsgCancel, MsgDelete, MsgOutbox, MsgResend};
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
