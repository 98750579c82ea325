//! What needs a look inside: a full disk, and what prints.

use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::hooks::{AuthContext, Authorization};

use super::*;

fn home() -> (tempfile::TempDir, DataDir, Unlock) {
    let outer = tempfile::tempdir().unwrap();
    let dir = DataDir::open(&outer.path().join("data")).unwrap();
    let unlock = Unlock::KeyFile(dir.file("key"));
    (outer, dir, unlock)
}

fn place(key: &[u8]) -> Place<'_> {
    Place::new(Table::Messages, b"", key)
}

#[test]
fn atk_58_a_full_disk_is_one_clear_error_and_costs_nothing_stored() {
    let (_outer, dir, unlock) = home();
    let store = Store::open(&dir, &unlock).unwrap();
    store.transaction(|rows| rows.put(place(b"before"), 1, b"kept")).unwrap();
    let limit = |pages: u32| store.writer().conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
    limit(10).unwrap();

    let outcome: Result<(), RowsError> = store.transaction(|rows| {
        rows.attempt(|rows| rows.put(place(b"big"), 2, &[0; 100_000]))?;
        rows.put(place(b"small"), 3, b"beside it")
    });
    assert_eq!(outcome, Err(RowsError::Full));
    for key in [&b"small"[..], b"big"] {
        assert_eq!(store.reader().unwrap().read(|rows| rows.get(place(key))), Ok::<_, RowsError>(None));
    }
    store.transaction(|rows| rows.put(place(b"small"), 3, b"after the failure")).unwrap();

    limit(10_000).unwrap();
    store.transaction(|rows| rows.put(place(b"big"), 2, &[0; 100_000])).unwrap();
    let before = store.reader().unwrap().read(|rows| rows.get(place(b"before")));
    assert_eq!(before, Ok::<_, RowsError>(Some(b"kept".to_vec())));
}

#[test]
fn a_panic_inside_a_transaction_undoes_it() {
    let (_outer, dir, unlock) = home();
    let store = Store::open(&dir, &unlock).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.transaction(|rows| {
            rows.put(place(b"a"), 1, b"1")?;
            assert_eq!(rows.count(Table::Messages, b"")?, 0, "on purpose");
            Ok::<_, RowsError>(())
        })
    }));
    assert!(panicked.is_err());
    let count = store.transaction(|rows| rows.count(Table::Messages, b""));
    assert_eq!(count, Ok(0));
}

#[test]
fn the_disk_is_asked_to_be_durable_and_to_forget() {
    let (_outer, dir, unlock) = home();
    let store = Store::open(&dir, &unlock).unwrap();
    let pragma = |name: &str| store.writer().conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((pragma("synchronous"), pragma("secure_delete")), (2, 1));
}

#[test]
fn a_commit_writes_one_page_for_a_row_that_keeps_its_order_and_none_for_one_that_stays_as_it_is() {
    const FRAME: u64 = 24 + 4096;
    let (_outer, dir, unlock) = home();
    let store = Store::open(&dir, &unlock).unwrap();
    let pages = |order: u64, value: &[u8]| {
        let before = store.bytes();
        store.transaction(|rows| rows.put(place(b"counter"), order, value)).unwrap();
        (store.bytes() - before) / FRAME
    };
    let new = pages(1, b"1");
    assert!(new >= 3, "{new} for the row and both indices");
    assert_eq!((pages(1, b"2"), pages(1, b"2"), pages(2, b"2")), (1, 0, 2));
}

#[test]
fn a_row_that_somebody_took_out_of_the_file_is_missed_when_it_is_written_again() {
    let (_outer, dir, unlock) = home();
    let store = Store::open(&dir, &unlock).unwrap();
    let put = |value: &[u8]| store.transaction(|rows| rows.put(place(b"counter"), 1, value));
    put(b"1").unwrap();
    store.writer().conn.execute("DELETE FROM rows", []).unwrap();
    assert_eq!(put(b"2"), Err(RowsError::Corrupt("a row of table 11 is gone".into())));
}

#[test]
fn atk_62_the_store_does_not_print_its_keys() {
    let (_outer, dir, unlock) = home();
    let store = Store::open(&dir, &unlock).unwrap();
    assert_eq!(format!("{store:?}"), format!("Store({})", store.path.display()));
    assert_eq!(format!("{:?}", store.reader().unwrap()), "Reader(..)");
    assert_eq!(format!("{:?}", store.rejection_key()), "SecretBytes<32>(..)");
}

#[test]
fn a_warm_transaction_parses_no_statement() {
    let (_outer, dir, unlock) = home();
    let store = Store::open(&dir, &unlock).unwrap();
    let parses = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&parses);
    let count = move |_: AuthContext<'_>| {
        counted.fetch_add(1, Ordering::Relaxed);
        Authorization::Allow
    };
    store.writer().conn.authorizer(Some(count)).unwrap();
    let message = |number: u64| {
        let key = number.to_be_bytes();
        store.transaction(|rows| {
            rows.attempt(|rows| {
                rows.put(place(&key), number, &vec![7; 100 * number as usize])?;
                rows.get(place(&key))?;
                rows.scan(Table::Messages, b"", 0..=number, Direction::Descending, 10)?;
                rows.count(Table::Messages, b"")?;
                rows.delete(place(&number.saturating_sub(3).to_be_bytes()))
            })
        })
    };
    for number in 1..=10 {
        message(number).unwrap();
    }
    let warm = parses.load(Ordering::Relaxed);
    for number in 11..=20 {
        message(number).unwrap();
    }
    assert_eq!(parses.load(Ordering::Relaxed) - warm, 0, "each was parsed before: {warm}");
}
