//! What waits, and what failed.

use chat_protocol::rpc::types::{DeleteScope, MessageState, MsgCancel, MsgDelete, MsgOutbox, MsgResend};
use chatd::api::Api;

use crate::house::{Home, House};

/// Every page of the outbox, a message each: their texts, and why they failed.
async fn outbox(home: &Home) -> Vec<(String, Option<String>)> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = home.daemon.msg_outbox(MsgOutbox { limit: Some(1), cursor }).await.unwrap();
        assert!(page.messages.len() <= 1);
        all.extend(page.messages.into_iter().map(|message| (message.text, message.error)));
        cursor = page.cursor;
        if cursor.is_none() {
            let counted = home.daemon.daemon_health().await.unwrap().outbox;
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
    let failed = ("lost".to_owned(), Some("not_found".to_owned()));
    assert_eq!(outbox(&alice).await, [failed, ("waits".to_owned(), None)]);

    let again = alice.daemon.msg_resend(MsgResend { id: lost.id }).await.unwrap();
    assert_eq!(
        outbox(&alice).await,
        [("waits".to_owned(), None), ("lost".to_owned(), None)],
        "sent again, it is dealt with"
    );
    alice.daemon.msg_cancel(MsgCancel { id: waits.id }).await.unwrap();
    house.start().await;
    alice.until_state(&again, MessageState::Failed).await;
    assert_eq!(outbox(&alice).await, [("lost".to_owned(), Some("not_found".to_owned()))]);
    alice.daemon.msg_delete(MsgDelete { id: again.id, scope: DeleteScope::Myself }).await.unwrap();
    assert_eq!(outbox(&alice).await, []);
}
