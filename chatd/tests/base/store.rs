//! The sealed store keeps its promises: as the rows in memory, through crashes, against damage and prying.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use chatd::dirs::DataDir;
use chatd::engine::store::MemoryRows;
use chatd::store::{Direction, Place, Rows, RowsError, Store, StoreError, Table, Unlock};
use proptest::prelude::*;
use rusqlite::Connection;

const ALL: RangeInclusive<u64> = 0..=u64::MAX;

pub(crate) struct Home {
    outer: tempfile::TempDir,
    pub(crate) dir: DataDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&outer.path().join("data")).unwrap();
        Self { outer, dir }
    }

    fn unlock(&self) -> Unlock {
        Unlock::KeyFile(self.outer.path().join("key"))
    }

    pub(crate) fn open(&self) -> Result<Store, StoreError> {
        Store::open(&self.dir, &self.unlock())
    }

    /// The files as a crash at this moment would leave them.
    fn crash(&self) -> Self {
        let copy = Self { outer: tempfile::tempdir().unwrap(), dir: self.dir.clone() };
        let to = copy.outer.path().join("data");
        let dir = DataDir::open(&to).unwrap();
        fs::copy(self.outer.path().join("key"), copy.outer.path().join("key")).unwrap();
        for (name, bytes) in files(self.dir.path()) {
            // the shared-memory index does not survive a crash of the machine
            if !name.ends_with("-shm") {
                chatd::dirs::write_private(&to.join(name), &bytes).unwrap();
            }
        }
        Self { dir, ..copy }
    }
}

fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = names.map(|name| (name.clone(), fs::read(dir.join(name)).unwrap())).collect();
    files.sort();
    files
}

fn chat(key: &str) -> Place<'_> {
    Place::new(Table::Chats, b"scope", key.as_bytes())
}

fn put(store: &Store, key: &str, value: &[u8]) -> Result<(), RowsError> {
    store.transaction(|rows| rows.put(chat(key), 1, value))
}

fn get(store: &Store, key: &str) -> Result<Option<Vec<u8>>, RowsError> {
    store.reader()?.read(|rows| rows.get(chat(key)))
}

#[derive(Clone, Debug)]
enum Step {
    Get(u8, u8),
    Put(u8, u8, u64, Vec<u8>),
    Delete(u8, u8),
    DeleteRange(u8, u64, u64),
    Scan(u8, u64, u64, bool, usize),
    Last(u8),
    Count(u8),
}

fn order() -> impl Strategy<Value = u64> {
    prop_oneof![0..5u64, Just(u64::MAX), Just(1 << 63), Just((1 << 63) - 1)]
}

fn step() -> impl Strategy<Value = Step> {
    let (scope, key) = (0..3u8, 0..4u8);
    prop_oneof![
        4 => (scope.clone(), key.clone()).prop_map(|(s, k)| Step::Get(s, k)),
        4 => (scope.clone(), key.clone(), order(), proptest::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(s, k, o, v)| Step::Put(s, k, o, v)),
        // three of these are more than is kept in memory
        1 => (scope.clone(), key.clone(), order(), any::<u8>()).prop_map(|(s, k, o, v)| Step::Put(s, k, o, vec![v; 400_000])),
        4 => (scope.clone(), key).prop_map(|(s, k)| Step::Delete(s, k)),
        4 => (scope.clone(), order(), order()).prop_map(|(s, from, to)| Step::DeleteRange(s, from, to)),
        4 => (scope.clone(), order(), order(), any::<bool>(), 0..6usize)
            .prop_map(|(s, from, to, up, limit)| Step::Scan(s, from, to, up, limit)),
        4 => scope.clone().prop_map(Step::Last),
        4 => scope.prop_map(Step::Count),
    ]
}

/// Two of the scopes have the same bytes in different tables.
fn scope(number: u8) -> (Table, &'static [u8]) {
    [(Table::Events, &b"a"[..]), (Table::Peers, &b"a"[..]), (Table::Peers, &b""[..])][usize::from(number)]
}

/// Long answers by their beginning and length.
fn short(answer: String) -> String {
    if answer.len() < 1000 { answer } else { format!("{} of {}", &answer[..1000], answer.len()) }
}

fn answer(rows: &mut dyn Rows, step: &Step) -> String {
    let direction = |up| if up { Direction::Ascending } else { Direction::Descending };
    let place = |s: u8, key: &'static [u8]| Place::new(scope(s).0, scope(s).1, key);
    let key = |k: u8| [&b""[..], b"x", b"y", b"xy"][usize::from(k)];
    match step {
        Step::Get(s, k) => short(format!("{:?}", rows.get(place(*s, key(*k))))),
        Step::Put(s, k, order, value) => format!("{:?}", rows.put(place(*s, key(*k)), *order, value)),
        Step::Delete(s, k) => format!("{:?}", rows.delete(place(*s, key(*k)))),
        Step::DeleteRange(s, from, to) => format!("{:?}", rows.delete_range(scope(*s).0, scope(*s).1, *from..=*to)),
        Step::Scan(s, from, to, up, limit) => {
            short(format!("{:?}", rows.scan(scope(*s).0, scope(*s).1, *from..=*to, direction(*up), *limit)))
        }
        Step::Last(s) => format!("{:?}", rows.last_order(scope(*s).0, scope(*s).1)),
        Step::Count(s) => format!("{:?}", rows.count(scope(*s).0, scope(*s).1)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn the_store_answers_as_the_rows_in_memory(transactions in proptest::collection::vec(
        (proptest::collection::vec((proptest::collection::vec(step(), 1..12), any::<bool>()), 1..5), any::<bool>()), 1..6,
    )) {
        let home = Home::new();
        let store = home.open().unwrap();
        let mut memory = MemoryRows::new();
        let run = |rows: &mut dyn Rows, steps: &[Step], keep: bool| {
            let answers: Vec<_> = steps.iter().map(|step| answer(rows, step)).collect();
            if keep { Ok(answers) } else { Err((answers, RowsError::Full)) }
        };
        for (attempts, commit) in transactions {
            let before = memory.clone();
            let expected: Vec<_> = attempts.iter().map(|(steps, keep)| {
                memory.attempt(|rows| run(rows, steps, *keep)).map_err(|(answers, _)| answers)
            }).collect();
            // steps that fail and steps that do not in one transaction, which goes on
            let found = store.transaction(|rows| {
                let found = attempts.iter().map(|(steps, keep)| {
                    rows.attempt(|rows| run(rows, steps, *keep).map_err(Failed::from)).map_err(|failed| failed.0)
                }).collect::<Vec<_>>();
                if commit { Ok(found) } else { Err(Undone(found)) }
            });
            prop_assert_eq!(found.unwrap_or_else(|undone| undone.0), expected);
            if !commit {
                memory = before;
            }
        }
        // and what was committed is there for everybody else
        let all = |rows: &dyn Rows| (0..3).map(|s| rows.scan(scope(s).0, scope(s).1, ALL, Direction::Ascending, 99)).collect::<Vec<_>>();
        let kept = store.reader().unwrap().read(|rows| Ok::<_, RowsError>(all(rows))).unwrap();
        prop_assert_eq!(kept, all(&memory));
    }
}

/// A transaction that is not committed, with the answers of its steps.
#[derive(Debug)]
struct Undone(Vec<Result<Vec<String>, Vec<String>>>);

impl From<RowsError> for Undone {
    fn from(error: RowsError) -> Self {
        panic!("{error}")
    }
}

/// A failure that brings the answers along.
struct Failed(Vec<String>);

impl From<(Vec<String>, RowsError)> for Failed {
    fn from((answers, _): (Vec<String>, RowsError)) -> Self {
        Self(answers)
    }
}

impl From<RowsError> for Failed {
    fn from(error: RowsError) -> Self {
        Self(vec![error.to_string()])
    }
}

#[test]
fn what_was_committed_survives_a_crash_and_what_was_not_is_gone() {
    let home = Home::new();
    let store = home.open().unwrap();
    put(&store, "committed", b"yes").unwrap();
    let crashed = store
        .transaction(|rows| {
            rows.put(chat("uncommitted"), 1, b"no")?;
            Ok::<_, RowsError>(home.crash())
        })
        .unwrap();

    let store = crashed.open().unwrap();
    assert_eq!(get(&store, "committed").unwrap().unwrap(), b"yes");
    assert_eq!(get(&store, "uncommitted").unwrap(), None);
}

#[test]
fn a_failed_step_takes_back_only_itself() {
    let home = Home::new();
    let store = home.open().unwrap();
    store
        .transaction(|rows| {
            rows.attempt(|rows| rows.put(chat("first"), 1, b"1"))?;
            let failed: Result<(), RowsError> = rows.attempt(|rows| {
                rows.put(chat("second"), 1, b"2")?;
                Err(RowsError::Full)
            });
            assert_eq!(failed, Err(RowsError::Full));
            rows.attempt(|rows| rows.put(chat("third"), 1, b"3"))
        })
        .unwrap();
    assert!(get(&store, "first").unwrap().is_some() && get(&store, "third").unwrap().is_some());
    assert_eq!(get(&store, "second").unwrap(), None);
}

#[test]
fn a_reader_sees_one_instant_and_cannot_write() {
    let home = Home::new();
    let store = home.open().unwrap();
    put(&store, "a", b"old").unwrap();
    store
        .reader()
        .unwrap()
        .read(|rows| {
            assert_eq!(rows.get(chat("a"))?.unwrap(), b"old");
            put(&store, "a", b"new")?;
            assert_eq!(rows.get(chat("a"))?.unwrap(), b"old");
            Ok::<_, RowsError>(())
        })
        .unwrap();
    assert_eq!(get(&store, "a").unwrap().unwrap(), b"new");
}

#[test]
fn a_half_made_store_is_begun_again_and_a_half_lost_one_refused() {
    let home = Home::new();
    drop(home.open().unwrap());
    fs::remove_file(home.dir.file("store.key")).unwrap();
    let store = home.open().expect("a database without rows holds nothing to lose");
    put(&store, "a", b"1").unwrap();
    drop(store);

    let key = fs::read(home.dir.file("store.key")).unwrap();
    fs::remove_file(home.dir.file("store.key")).unwrap();
    let message = home.open().unwrap_err().to_string();
    assert!(message.starts_with("store.key is missing beside store.db"), "{message}");

    chatd::dirs::write_private(&home.dir.file("store.key"), &key).unwrap();
    fs::remove_file(home.dir.file("store.db")).unwrap();
    assert!(matches!(home.open(), Err(StoreError::Half { missing: "store.db", .. })));
}

#[test]
fn changing_the_passphrase_rewrites_one_file() {
    let home = Home::new();
    let words = |text: &str| Unlock::Passphrase(text.to_owned().into());
    let store = Store::open(&home.dir, &words("first")).unwrap();
    put(&store, "a", b"1").unwrap();
    drop(store);

    let before = files(home.dir.path());
    Store::change_unlock(&home.dir, &words("first"), &words("second")).unwrap();
    let changed: Vec<_> =
        files(home.dir.path()).into_iter().filter(|file| !before.contains(file)).map(|(name, _)| name).collect();
    assert_eq!(changed, ["store.key"]);

    assert!(Store::open(&home.dir, &words("first")).is_err());
    let store = Store::open(&home.dir, &words("second")).unwrap();
    assert_eq!(get(&store, "a").unwrap().unwrap(), b"1");
}

#[test]
fn atk_57_no_file_of_the_store_shows_what_it_holds() {
    let home = Home::new();
    let store = home.open().unwrap();
    let canaries = ["canary-scope-7f3a", "canary-key-7f3a", "canary-value-7f3a"];
    let place = Place::new(Table::Messages, canaries[0].as_bytes(), canaries[1].as_bytes());
    store.transaction(|rows| rows.put(place, 1, canaries[2].repeat(50).as_bytes())).unwrap();
    let passphrase = store.pem_passphrase();

    // once with the write-ahead log full, once after it was emptied
    for _ in 0..2 {
        let files = files(home.dir.path());
        assert!(files.len() >= 2);
        for (name, bytes) in files {
            for secret in canaries.iter().copied().chain([passphrase.as_str()]) {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} is in {name}");
            }
        }
        store.tidy();
    }
}

#[test]
fn atk_57_a_deleted_row_is_gone_from_every_page() {
    let home = Home::new();
    let store = home.open().unwrap();
    put(&store, "deleted", &[7; 3000]).unwrap();
    put(&store, "kept", b"1").unwrap();
    store.tidy();
    let conn = Connection::open(home.dir.file("store.db")).unwrap();
    let sealed: Vec<u8> =
        conn.query_row("SELECT value FROM rows WHERE length(value) > 2000", [], |row| row.get(0)).unwrap();
    drop(conn);
    let needle = &sealed[100..132];
    let found = || files(home.dir.path()).iter().any(|(_, bytes)| bytes.windows(32).any(|window| window == needle));
    assert!(found());

    store.transaction(|rows| rows.delete(chat("deleted"))).unwrap();
    store.tidy();
    assert!(!found());
}

/// Changes the database behind the store's back.
fn tamper(home: &Home, sql: &str) {
    let conn = Connection::open(home.dir.file("store.db")).unwrap();
    conn.execute_batch(sql).unwrap();
}

#[test]
fn atk_58_swapped_rows_and_columns_are_noticed() {
    for (what, sql) in [
        ("values", "UPDATE rows SET value = (SELECT value FROM rows AS other WHERE other.id = 3 - rows.id)"),
        (
            "keys",
            "CREATE TABLE copy AS SELECT * FROM rows; UPDATE rows SET key = randomblob(16);
             UPDATE rows SET key = (SELECT key FROM copy WHERE copy.id = 3 - rows.id)",
        ),
        ("orders", "UPDATE rows SET ord = ord + 1"),
        ("nothing but noise", "UPDATE rows SET value = randomblob(length(value))"),
        ("too short", "UPDATE rows SET value = x''"),
        ("tables", "UPDATE rows SET tbl = 4 WHERE tbl = 12"),
    ] {
        let home = Home::new();
        let store = home.open().unwrap();
        put(&store, "a", b"1").unwrap();
        put(&store, "b", b"2").unwrap();
        tamper(&home, sql);
        let found = get(&store, "a");
        // a row moved to another table is not found where it was, and does not open where it is
        let scan = store.reader().unwrap().read(|rows| rows.scan(Table::Chats, b"scope", ALL, Direction::Ascending, 9));
        match what {
            "tables" => assert_eq!((found, scan), (Ok(None), Ok(vec![]))),
            _ => {
                assert!(matches!(found, Err(RowsError::Corrupt(_))), "{what}: {found:?}");
                assert!(matches!(scan, Err(RowsError::Corrupt(_))), "{what}: {scan:?}");
            }
        }
    }
}

/// Opens and reads everything; the error if it was noticed.
fn read_all(home: &Home) -> Result<Vec<(u64, Vec<u8>)>, String> {
    let store = home.open().map_err(|error| error.to_string())?;
    if let Err(damage) = store.checked() {
        assert_eq!(put(&store, "x", b"y"), Err(damage.clone()), "nothing is written to what is not whole");
        return Err(damage.to_string());
    }
    let read = store.reader().and_then(|r| r.read(|rows| rows.scan(Table::Chats, b"s", ALL, Direction::Ascending, 99)));
    read.map_err(|error| error.to_string())
}

/// A store with some pages in it, closed, and what it holds.
fn filled() -> (Home, Vec<(u64, Vec<u8>)>) {
    let home = Home::new();
    let store = home.open().unwrap();
    let rows: Vec<_> = (0..40u8).map(|n| (u64::from(n), vec![n; 300])).collect();
    store
        .transaction(|tx| {
            rows.iter().try_for_each(|(order, value)| {
                tx.put(Place::new(Table::Chats, b"s", &order.to_be_bytes()), *order, value)
            })
        })
        .unwrap();
    drop(store);
    (home, rows)
}

#[test]
fn atk_58_a_cut_file_is_refused_and_left_alone() {
    let (home, _) = filled();
    let path = home.dir.file("store.db");
    let whole = fs::read(&path).unwrap();
    for len in [0, 1, 50, 100, 4096, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        chatd::dirs::write_private(&path, &whole[..len]).unwrap();
        let outcome = read_all(&home);
        assert!(outcome.is_err(), "cut to {len} bytes: {outcome:?}");
        assert!(fs::read(&path).unwrap() == whole[..len], "cut to {len} bytes, then written to");
    }
}

#[test]
fn atk_58_a_damaged_file_with_a_log_beside_it_is_left_alone() {
    let (home, _) = filled();
    let store = home.open().unwrap();
    put(&store, "in the log", b"yes").unwrap();
    let mut noticed = 0;
    let pages = fs::read(home.dir.file("store.db")).unwrap().len() / 4096;
    for page in 1..pages {
        let crashed = home.crash();
        let path = crashed.dir.file("store.db");
        let mut bytes = fs::read(&path).unwrap();
        bytes[page * 4096] ^= 1;
        chatd::dirs::write_private(&path, &bytes).unwrap();
        let log = fs::read(crashed.dir.file("store.db-wal")).unwrap();
        assert!(!log.is_empty(), "what was not written into the database yet");
        // a page that is in the log too is of no more interest
        if read_all(&crashed).is_err() {
            noticed += 1;
            assert!(fs::read(&path).unwrap() == bytes, "page {page} flipped, then written to");
            assert!(fs::read(crashed.dir.file("store.db-wal")).unwrap() == log, "page {page}: the log is another");
        }
    }
    assert!(noticed > 0, "of {pages}");
}

#[test]
fn atk_58_a_flipped_bit_is_noticed_or_harmless() {
    let (home, rows) = filled();
    let path = home.dir.file("store.db");
    let whole = fs::read(&path).unwrap();
    let mut noticed = 0;
    // 61 has no factor in common with a page, so every part of a page is hit
    for at in (0..whole.len()).step_by(61) {
        let mut bad = whole.clone();
        bad[at] ^= 1 << (at % 8);
        chatd::dirs::write_private(&path, &bad).unwrap();
        match read_all(&home) {
            Ok(found) => assert_eq!(found, rows, "byte {at}"),
            Err(_) => {
                noticed += 1;
                assert!(fs::read(&path).unwrap() == bad, "byte {at} flipped, then written to");
            }
        }
    }
    assert!(noticed > 100, "{noticed}");
}
