//! What a message costs the embedded database, in what it parses.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chat_server::store::sqlite::SqliteStore;

use crate::contract::{ROOMY, Shared, person, submit};

#[tokio::test]
async fn a_message_on_a_warm_store_parses_no_statement() {
    let memory = Arc::new(SqliteStore::in_memory().unwrap());
    let parses = memory.count_parses().unwrap().expect("it lives in memory");
    let store: Shared = memory;
    let (alice, bob) = (person(&store, "alice").await, person(&store, "bob").await);
    let mut warm = 0;
    for counter in 1..=20 {
        if counter == 11 {
            warm = parses.load(Ordering::Relaxed);
        }
        let text = "x".repeat(usize::try_from(counter).unwrap() * 100);
        let rows = vec![submit(&alice, counter * 2, &[&bob], &text), submit(&alice, counter * 2 + 1, &[&bob], &text)];
        store.commit_submits(rows, ROOMY).await.unwrap();
        let mail = store.mailbox_after(bob.device, 0, 10, 1 << 20).await.unwrap();
        store.mailbox_ack(bob.device, mail.last().unwrap().seq).await.unwrap();
    }
    assert!(warm > 0, "parses are counted");
    assert_eq!(parses.load(Ordering::Relaxed) - warm, 0);
}
