//! Stores of other versions of the program.

use chatd::store::{Place, Rows, RowsError, StoreError, Table};
use rusqlite::Connection;

use crate::store::Home;

#[test]
fn a_store_of_a_newer_program_is_left_alone() {
    let home = Home::new();
    drop(home.open().unwrap());
    let conn = Connection::open(home.dir.file("store.db")).unwrap();
    conn.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(conn);
    let message = home.open().unwrap_err().to_string();
    assert_eq!(message, "the database has version 99, this program knows 2: use a newer chatd");
}

#[test]
fn a_store_of_before_version_1_is_refused_with_what_helps_and_left_alone() {
    let home = Home::new();
    drop(home.open().unwrap());
    let conn = Connection::open(home.dir.file("store.db")).unwrap();
    for version in [-1, 0] {
        conn.pragma_update(None, "user_version", version).unwrap();
        let message = home.open().unwrap_err().to_string();
        let begins = format!("the database has version {version}, this program reads from 1 on: export what you need");
        assert!(message.starts_with(&begins) && message.ends_with("run `chatctl login`"), "{message}");
        let left: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(left, version);
    }
}

#[test]
fn a_store_of_version_1_is_brought_over_once_and_left_as_it_was_where_that_fails() {
    let event = |key| Place::new(Table::Events, b"", key);
    let [first, second] = [1_u64, 2].map(u64::to_be_bytes);
    let json = br#"{"seq":1,"time_ms":7,"type":"chat.read","data":{}}"#;
    let home = Home::new();
    let put = |order, key, value: &[u8]| {
        home.open().unwrap().transaction(|rows| rows.put(event(key), order, value)).unwrap();
    };
    let version = |set: Option<i64>| -> i64 {
        let conn = Connection::open(home.dir.file("store.db")).unwrap();
        set.into_iter().for_each(|version| conn.pragma_update(None, "user_version", version).unwrap());
        conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    let read = || home.open().unwrap().transaction(|rows| rows.get(event(&first))).unwrap().unwrap();
    put(1, &first, json);
    put(2, &second, b"no event");

    version(Some(1));
    assert!(matches!(home.open(), Err(StoreError::Rows(RowsError::Corrupt(_)))));
    assert_eq!(version(None), 1);
    version(Some(2));
    assert_eq!(read(), json, "the first event was not brought over alone");

    put(2, &second, json);
    version(Some(1));
    let brought_over = read();
    assert_ne!(brought_over, json);
    assert_eq!((version(None), read()), (2, brought_over));
}
