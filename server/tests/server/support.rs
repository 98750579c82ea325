//! Databases for tests: each store alone in its own database, with a second hand beside it.

pub mod mariadb;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use chat_server::store;
use chat_server::store::DatabaseUrl;

use crate::contract::{Shared, fresh};
use mariadb::MariaDb;

/// Table of the first Python application, by its own statement.
pub const SEED_TABLE: &str = "CREATE TABLE chat_app (id INT AUTO_INCREMENT PRIMARY KEY, \
                              username VARCHAR(150) UNIQUE NOT NULL, password VARCHAR(255) NOT NULL)";

/// A store and the database under it.
pub struct Home {
    pub store: Shared,
    hand: Hand,
}

/// The way around the store, for what a foreign program would do.
enum Hand {
    Sqlite { dir: tempfile::TempDir },
    Mysql { server: Arc<Mutex<MariaDb>>, database: String },
}

impl Home {
    pub async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let opened = store::open(&DatabaseUrl::Sqlite(dir.path().join("chat.db"))).await.unwrap();
        assert_eq!(opened.applied.len(), store::copy::SCHEMA, "{:?}", opened.applied);
        Self { store: opened.store, hand: Hand::Sqlite { dir } }
    }

    /// An empty database of a MariaDB that the tests of this program share.
    pub async fn mysql() -> Self {
        Self::mysql_with("CHARACTER SET utf8mb4", "").await
    }

    /// A database as the first application made it, comparing names byte for byte.
    pub async fn seeded() -> Self {
        Self::mysql_with("CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", SEED_TABLE).await
    }

    /// One whose collation says that `I` is not `i`.
    pub async fn turkish() -> Self {
        Self::mysql_with("CHARACTER SET utf8mb4 COLLATE utf8mb4_turkish_ci", SEED_TABLE).await
    }

    /// One whose collation says that `cH` is not `ch`.
    pub async fn czech() -> Self {
        Self::mysql_with("CHARACTER SET utf8mb4 COLLATE utf8mb4_czech_ci", SEED_TABLE).await
    }

    /// One that keeps names as bytes.
    pub async fn bytes() -> Self {
        let table = SEED_TABLE.replace("VARCHAR(150)", "VARBINARY(150)");
        Self::mysql_with("CHARACTER SET latin5", &table).await
    }

    async fn mysql_with(charset: &str, first: &str) -> Self {
        let server = shared();
        let database = format!("chat{}", fresh());
        let url = {
            let server = server.lock().unwrap_or_else(PoisonError::into_inner);
            assert!(server.execute(&format!("CREATE DATABASE {database} {charset}; USE {database}; {first};")));
            server.url(&database)
        };
        let opened = store::open(&url.parse().unwrap()).await.unwrap();
        assert_eq!(opened.applied.len(), store::copy::SCHEMA, "{:?}", opened.applied);
        Self { store: opened.store, hand: Hand::Mysql { server, database } }
    }

    /// The store of a second server on the same database; with SQLite, where there is none, the same.
    pub async fn beside(&self) -> Shared {
        let Hand::Mysql { server, database } = &self.hand else { return self.store.clone() };
        let url = server.lock().unwrap_or_else(PoisonError::into_inner).url(database);
        store::open(&url.parse().unwrap()).await.unwrap().store
    }

    /// Deletes an account as a foreign program would.
    pub async fn delete_account(&self, user: &str) {
        let sql = format!("DELETE FROM chat_app WHERE username = '{user}'");
        match &self.hand {
            Hand::Sqlite { dir } => {
                let db = rusqlite::Connection::open(dir.path().join("chat.db")).unwrap();
                assert_eq!(db.execute(&sql, []), Ok(1));
            }
            Hand::Mysql { .. } => assert!(self.execute(&sql)),
        }
    }

    /// Puts rows where the first application would; false where the database cannot hold them side by side.
    pub async fn insert_adopted(&self, rows: &[(&str, &str)]) -> bool {
        match &self.hand {
            Hand::Sqlite { dir } => {
                let db = rusqlite::Connection::open(dir.path().join("chat.db")).unwrap();
                let insert = "INSERT INTO chat_app (username, password) VALUES (?1, ?2)";
                rows.iter().all(|row| db.execute(insert, *row).is_ok())
            }
            Hand::Mysql { .. } => rows.iter().all(|(name, hash)| {
                let (name, hash) = (hex::encode(name), hex::encode(hash));
                self.execute(&format!("INSERT INTO chat_app (username, password) VALUES (X'{name}', X'{hash}')"))
            }),
        }
    }

    /// An envelope that the database refuses while [`Home::set_poison`] is on.
    pub fn poison(&self) -> &'static str {
        "poison"
    }

    /// Makes the database itself fail on one row in the middle of a commit.
    pub async fn set_poison(&self, on: bool) {
        let (sqlite, mysql) = if on {
            (
                "CREATE TRIGGER poison BEFORE INSERT ON mail WHEN NEW.envelope = CAST('poison' AS BLOB) \
                 BEGIN SELECT RAISE(ABORT, 'poisoned'); END",
                "CREATE TRIGGER poison BEFORE INSERT ON mail FOR EACH ROW \
                 SET NEW.seq = IF(NEW.envelope = 'poison', NULL, NEW.seq)",
            )
        } else {
            ("DROP TRIGGER poison", "DROP TRIGGER poison")
        };
        match &self.hand {
            Hand::Sqlite { dir } => {
                rusqlite::Connection::open(dir.path().join("chat.db")).unwrap().execute_batch(sqlite).unwrap();
            }
            Hand::Mysql { .. } => assert!(self.execute(mysql)),
        }
    }

    fn execute(&self, sql: &str) -> bool {
        let Hand::Mysql { server, database } = &self.hand else { return false };
        let server = server.lock().unwrap_or_else(PoisonError::into_inner);
        server.execute(&format!("USE {database}; {sql}"))
    }
}

/// The one server of this test program; it ends with the last home that uses it.
fn shared() -> Arc<Mutex<MariaDb>> {
    static SERVER: Mutex<Weak<Mutex<MariaDb>>> = Mutex::new(Weak::new());
    let mut slot = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    slot.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Mutex::new(MariaDb::start()));
        *slot = Arc::downgrade(&server);
        server
    })
}

/// Python with `cryptography` and `bcrypt`, an implementation that is not ours.
pub fn python(script: &str, arguments: &[&str]) -> String {
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
    let python = std::env::var_os("CHAT_PYTHON").map_or(local, PathBuf::from);
    let output = std::process::Command::new(python).arg("-c").arg(script).args(arguments).output();
    let output = output.expect("Python is needed for this test: run `make test-setup`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
