//! Databases for tests: each store alone in its own database, with a second hand beside it.

use chat_server::store::sqlite::SqliteStore;
use std::sync::Arc;

use crate::contract::Shared;

/// A store and the database under it.
pub struct Home {
    pub store: Shared,
    hand: Hand,
}

/// The way around the store, for what a foreign program would do.
enum Hand {
    Sqlite { dir: tempfile::TempDir },
}

impl Home {
    pub async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (store, applied) = SqliteStore::open(&dir.path().join("chat.db")).unwrap();
        assert_eq!(applied.len(), 5, "{applied:?}");
        Self { store: Arc::new(store), hand: Hand::Sqlite { dir } }
    }

    /// Puts rows where the first application would; false where the database cannot hold them side by side.
    pub async fn insert_adopted(&self, rows: &[(&str, &str)]) -> bool {
        match &self.hand {
            Hand::Sqlite { dir } => {
                let db = rusqlite::Connection::open(dir.path().join("chat.db")).unwrap();
                let insert = "INSERT INTO chat_app (username, password) VALUES (?1, ?2)";
                rows.iter().all(|row| db.execute(insert, *row).is_ok())
            }
        }
    }

    /// An envelope that the database refuses while [`Home::set_poison`] is on.
    pub fn poison(&self) -> &'static str {
        "poison"
    }

    /// Makes the database itself fail on one row in the middle of a commit.
    pub async fn set_poison(&self, on: bool) {
        match &self.hand {
            Hand::Sqlite { dir } => {
                let db = rusqlite::Connection::open(dir.path().join("chat.db")).unwrap();
                let trigger = "CREATE TRIGGER poison BEFORE INSERT ON mail WHEN NEW.envelope = CAST('poison' AS BLOB) \
                               BEGIN SELECT RAISE(ABORT, 'poisoned'); END";
                db.execute_batch(if on { trigger } else { "DROP TRIGGER poison" }).unwrap();
            }
        }
    }
}
