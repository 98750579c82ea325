//! Tables that look like the first application's and cannot be lived with, and databases that shut us out.

use chat_server::store::{self, StoreError};

use crate::contract::name;
use crate::support::mariadb::MariaDb;

/// What is in the way, and what mends it.
async fn refused(database: &MariaDb, table: &str) -> (String, String) {
    let made = format!("DROP DATABASE IF EXISTS seed; CREATE DATABASE seed; USE seed; CREATE TABLE chat_app ({table};");
    assert!(database.execute(&made), "{made}");
    let Err(error) = store::open(&database.url("seed").parse().unwrap()).await else { panic!("opened: {table}") };
    assert_eq!(database.query("SHOW TABLES FROM seed").unwrap(), "chat_app\n", "nothing is made before: {table}");
    let words = error.to_string();
    let StoreError::Unsuitable { mend, .. } = error else { panic!("{error:?}") };
    assert!(database.execute(&format!("USE seed; {mend}")), "{mend}");
    store::open(&database.url("seed").parse().unwrap()).await.unwrap();
    (words, mend)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_cannot_hold_accounts_are_named_at_the_start_with_what_mends_them() {
    const ID: &str = "id INT AUTO_INCREMENT PRIMARY KEY";
    const NAME: &str = "username VARCHAR(150) UNIQUE NOT NULL";
    const HASH: &str = "password VARCHAR(255) NOT NULL";
    let database = MariaDb::start();
    let cases = [
        (format!("{ID}, {NAME}, {HASH}) ENGINE = MyISAM"), "its engine MyISAM has no transactions", "ENGINE = InnoDB"),
        (format!("{ID}, {NAME}, {HASH}) ENGINE = Aria"), "its engine Aria has no transactions", "ENGINE = InnoDB"),
        (
            format!("{ID}, {NAME}, {HASH}, email VARCHAR(80) NOT NULL)"),
            "its column email has no default",
            "MODIFY `email` varchar(80) NULL",
        ),
        (format!("{ID}, {NAME}, password VARCHAR(40) NOT NULL)"), "password is varchar(40), too short", "VARCHAR(255)"),
        (
            format!("{ID}, username VARCHAR(80) UNIQUE NOT NULL, {HASH})"),
            "username is varchar(80), too short",
            "VARCHAR(150)",
        ),
        (
            format!("{ID}, username VARCHAR(150) NOT NULL, {HASH})"),
            "two rows can have one name",
            "ADD UNIQUE (username)",
        ),
        (
            format!("{ID}, username VARCHAR(150) NOT NULL, {HASH}, UNIQUE (username(10)))"),
            "two rows can have one name",
            "ADD UNIQUE (username)",
        ),
        (format!("id INT PRIMARY KEY, {NAME}, {HASH})"), "id does not count by itself", "MODIFY id INT AUTO_INCREMENT"),
        (format!("{ID}, {NAME})"), "it has no column password", "ADD password VARCHAR(255) NOT NULL"),
    ];
    for (table, why, mend) in cases {
        let (words, statement) = refused(&database, &table).await;
        assert!(words.starts_with("the table chat_app cannot be used: ") && words.contains(why), "{table}: {words}");
        assert!(statement.starts_with("ALTER TABLE chat_app ") && statement.contains(mend), "{table}: {statement}");
    }
    let several = format!("{ID}, username VARCHAR(80), {HASH}) ENGINE = MyISAM");
    let (words, _) = refused(&database, &several).await;
    assert_eq!(words.matches("; ").count(), 2, "all at once: {words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_of_others_that_fill_themselves_are_no_obstacle() {
    let database = MariaDb::start();
    let table = "CREATE TABLE chat_app (id INT AUTO_INCREMENT PRIMARY KEY, username VARCHAR(150) UNIQUE NOT NULL, \
                 password CHAR(60) NOT NULL, email VARCHAR(80), seen TIMESTAMP NOT NULL DEFAULT NOW(), level INT NOT NULL DEFAULT 0, \
                 folded VARCHAR(150) AS (LOWER(username)) STORED)";
    assert!(database.execute(&format!(
        "SET GLOBAL default_storage_engine = MyISAM; CREATE DATABASE seed; USE seed; {table} ENGINE = InnoDB;"
    )));
    let store = store::open(&database.url("seed").parse().unwrap()).await.unwrap().store;
    let alice = crate::contract::account(&store, "alice").await;
    assert!(store.account(&alice).await.unwrap().is_some());
    assert!(database.execute("CREATE DATABASE fresh"));
    store::open(&database.url("fresh").parse().unwrap()).await.unwrap();
    let engines = "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = 'fresh'";
    assert_eq!(database.query(engines).unwrap(), "InnoDB\n", "whatever the server's own default is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_that_shuts_a_running_server_out_is_away_and_blames_no_row() {
    let database = MariaDb::start();
    assert!(database.execute("CREATE DATABASE chat; CREATE USER chat; GRANT ALL ON chat.* TO chat;"));
    let url = database.url("chat").replace("root", "chat");
    let store = store::open(&url.parse().unwrap()).await.unwrap().store;
    assert!(database.execute("RENAME USER chat TO other; KILL USER chat;"));
    let shut = store.account(&name("alice")).await.unwrap_err();
    assert!(matches!(shut, StoreError::Unavailable(_)), "{shut:?}");
    assert!(database.execute("RENAME USER other TO chat"));
    assert_eq!(store.account(&name("alice")).await.unwrap(), None);
}
