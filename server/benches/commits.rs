//! What a commit of the server's SQLite store costs: one submit, or as many as wait for it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark's values are its own, and it needs a part of what tests have"
)]

#[path = "../tests/server/rows.rs"]
mod rows;

use std::sync::Arc;

use chat_server::rules::Quota;
use chat_server::store::sqlite::SqliteStore;
use divan::Bencher;

use crate::rows::{Shared, person, submit};

/// Submits of a commit.
const SIZES: [usize; 2] = [1, 64];
const ANY: Quota = Quota { messages: u64::MAX, bytes: u64::MAX, from_one: u64::MAX, of_account: u64::MAX };

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES)]
fn in_memory(bencher: Bencher<'_, '_>, submits: usize) {
    commit(bencher, Arc::new(SqliteStore::in_memory().unwrap()), submits);
}

#[divan::bench(args = SIZES)]
fn in_a_file(bencher: Bencher<'_, '_>, submits: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = SqliteStore::open(&dir.path().join("chat.db")).unwrap();
    commit(bencher, Arc::new(store), submits);
}

/// Submits of alice to bob, of the size of a short message.
fn commit(bencher: Bencher<'_, '_>, store: Shared, submits: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (alice, bob) = runtime.block_on(async { (person(&store, "alice").await, person(&store, "bob").await) });
    let text = "x".repeat(619);
    let mut counters = 1..;
    let rows = || counters.by_ref().take(submits).map(|n| submit(&alice, n, &[&bob], &text)).collect::<Vec<_>>();
    bencher.with_inputs(rows).bench_local_values(|rows| {
        let outcomes = runtime.block_on(store.commit_submits(rows, ANY)).unwrap();
        assert_eq!(outcomes.len(), submits);
    });
}
