//! What a message costs the embedded database, in what it parses.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chat_protocol::crypto::group::AppendToken;
use chat_protocol::ids::{GroupAt, GroupHead, GroupId, OpHash};
use chat_server::rules::notary::Appending;
use chat_server::store::sqlite::SqliteStore;
use chat_server::store::{NewOp, SubmitRow};

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

#[tokio::test]
async fn a_message_asks_for_a_group_only_if_it_names_one_and_once() {
    let memory = Arc::new(SqliteStore::in_memory().unwrap());
    let parses = memory.count_parses().unwrap().expect("it lives in memory");
    let store: Shared = memory;
    let (alice, bob) = (person(&store, "alice").await, person(&store, "bob").await);
    let hash = OpHash::new([1; 32]);
    let at = GroupAt { group: GroupId::of(hash), head: GroupHead { seq: 0, hash } };
    let first = NewOp { by: alice.device, at, next_token: AppendToken::new([2; 32]).hash(), token: None };
    assert_eq!(store.append_op(first, 1).await.unwrap(), Some(Appending::Takes));
    let mut counter = 0;
    // what a statement costs that was not run before: SQLite looks at each table and column it names
    let mut new_statements = async |group| {
        let before = parses.load(Ordering::Relaxed);
        let row = |counter| SubmitRow { group, ..submit(&alice, counter, &[&bob], "hi") };
        store.commit_submits(vec![row(counter + 1), row(counter + 2)], ROOMY).await.unwrap();
        counter += 2;
        parses.load(Ordering::Relaxed) - before
    };
    assert!(new_statements(None).await > 0, "parses are counted");
    assert_eq!(new_statements(None).await, 0);
    // one read of two tables, for both messages
    assert!((1..=12).contains(&new_statements(Some(at)).await));
    assert_eq!((new_statements(Some(at)).await, new_statements(None).await), (0, 0));
}
