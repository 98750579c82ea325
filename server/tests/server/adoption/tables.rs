//! Tables that look like the first application's and cannot be lived with, and databases that shut us out.

use chat_server::store::{self, Mend, StoreError};

use crate::contract::name;
use crate::support::mariadb::MariaDb;

const ID: &str = "id INT AUTO_INCREMENT PRIMARY KEY";
const NAME: &str = "username VARCHAR(150) UNIQUE NOT NULL";
const HASH: &str = "password VARCHAR(255) NOT NULL";

/// Opens a database with a table in which nobody could register: what is in the way, and what mends it.
async fn unsuitable(database: &MariaDb, made: &str) -> (String, Mend) {
    let made =
        format!("DROP DATABASE IF EXISTS chat; DROP DATABASE IF EXISTS seed; CREATE DATABASE seed; USE seed; {made}");
    assert!(database.execute(&made), "{made}");
    let before = database.query("SHOW TABLES FROM seed").unwrap();
    let Err(error) = store::open(&database.url("seed").parse().unwrap()).await else { panic!("opened: {made}") };
    assert_eq!(database.query("SHOW TABLES FROM seed").unwrap(), before, "nothing is made before: {made}");
    let words = error.to_string();
    assert!(words.starts_with("the table chat_app cannot be used: "), "{words}");
    let StoreError::Unsuitable { mend, .. } = error else { panic!("{error:?}") };
    (words, mend)
}

/// Registers where that was refused.
async fn register(database: &MariaDb, name: &str) {
    let store = store::open(&database.url(name).parse().unwrap()).await.unwrap().store;
    let alice = crate::contract::account(&store, "alice").await;
    assert!(store.account(&alice).await.unwrap().is_some());
}

/// The same where one statement mends it.
async fn refused(database: &MariaDb, table: &str) -> (String, String) {
    let (words, mend) = unsuitable(database, &format!("CREATE TABLE chat_app ({table};")).await;
    let Mend::Statement(mend) = mend else { panic!("{mend:?}") };
    assert!(database.execute(&format!("USE seed; {mend}")), "{mend}");
    register(database, "seed").await;
    (words, mend)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_cannot_hold_accounts_are_named_at_the_start_with_what_mends_them() {
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
        (
            format!("id INT PRIMARY KEY, {NAME}, {HASH})"),
            "id does not count by itself",
            "MODIFY id int(11) AUTO_INCREMENT",
        ),
        (
            format!("id BIGINT NOT NULL, {NAME}, {HASH})"),
            "id does not count by itself",
            "MODIFY id bigint(20) AUTO_INCREMENT, ADD UNIQUE (id)",
        ),
        (
            format!("email VARCHAR(80) DEFAULT '' PRIMARY KEY, {NAME}, {HASH})"),
            "it has no column id",
            "ADD id INT AUTO_INCREMENT UNIQUE",
        ),
        (
            format!(
                "id TINYINT AUTO_INCREMENT PRIMARY KEY, {NAME}, {HASH}); INSERT INTO chat_app VALUES (127, 'bob', 'x')"
            ),
            "its ids are used up",
            "MODIFY id BIGINT AUTO_INCREMENT",
        ),
        (format!("{ID}, {NAME})"), "it has no column password", "ADD password VARCHAR(255) NOT NULL"),
    ];
    for (table, why, mend) in cases {
        let (words, statement) = refused(&database, &table).await;
        assert!(words.contains(why), "{table}: {words}");
        assert!(statement.starts_with("ALTER TABLE chat_app ") && statement.contains(mend), "{table}: {statement}");
    }
    let several = format!("{ID}, username VARCHAR(80), {HASH}) ENGINE = MyISAM");
    let (words, _) = refused(&database, &several).await;
    assert_eq!(words.matches("; ").count(), 2, "all at once: {words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_statement_makes_a_table_of_is_copied_as_the_words_say() {
    let database = MariaDb::start();
    let row = "INSERT INTO chat_app (username, password) VALUES ('bob', 'x');";
    let tables = [
        (
            format!("CREATE TABLE people ({ID}, {NAME}, {HASH}); CREATE VIEW chat_app AS SELECT * FROM people; {row}"),
            "it is no table but a view",
        ),
        (
            format!("CREATE TABLE chat_app (id CHAR(36) PRIMARY KEY DEFAULT (UUID()), {NAME}, {HASH}); {row}"),
            "its ids are char(36), not whole numbers",
        ),
        (
            format!(
                "CREATE TABLE chat_app (id INT NOT NULL DEFAULT 1, n INT AUTO_INCREMENT PRIMARY KEY, {NAME}, {HASH}); {row}"
            ),
            "id does not count by itself (int(11)), another does",
        ),
    ];
    for (made, why) in tables {
        let (words, mend) = unsuitable(&database, &made).await;
        assert!(words.contains(why), "{words}");
        let Mend::Words(mend) = mend else { panic!("{mend:?}") };
        let statements = mend.split('`').nth(1).unwrap();
        assert!(database.execute(&format!("USE seed; {statements}")), "{mend}");
        register(&database, "chat").await;
        let names = database.query("SELECT username FROM chat.chat_app ORDER BY id").unwrap();
        assert!(names.starts_with("bob\nalice"), "{names}");
        assert_eq!(database.query("SELECT username, password FROM seed.chat_app").unwrap(), "bob\tx\n", "untouched");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_refuses_a_registration_is_found_at_the_start_whatever_it_is() {
    let database = MariaDb::start();
    let plain = format!("CREATE TABLE chat_app ({ID}, {NAME}, {HASH});");
    let refusals = [
        (
            format!("{plain} ALTER TABLE chat_app ADD CONSTRAINT is_mail CHECK (username LIKE '%@%');"),
            "is_mail",
            "ALTER TABLE chat_app DROP CONSTRAINT is_mail",
        ),
        (
            format!(
                "{plain} CREATE TRIGGER gate BEFORE INSERT ON chat_app FOR EACH ROW \
                     SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'ask the office';"
            ),
            "ask the office",
            "DROP TRIGGER gate",
        ),
        (
            format!(
                "CREATE TABLE chat_app (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, {NAME}, {HASH}); \
                     INSERT INTO chat_app VALUES (9223372036854775808, 'bob', 'x');"
            ),
            "it has ids above 9223372036854775807",
            "UPDATE chat_app SET id = 1; ALTER TABLE chat_app AUTO_INCREMENT = 1",
        ),
        (
            format!(
                "CREATE TABLE chat_app (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, {NAME}, {HASH}) \
                     AUTO_INCREMENT = 9223372036854775808;"
            ),
            "it has ids above 9223372036854775807",
            "ALTER TABLE chat_app AUTO_INCREMENT = 1",
        ),
    ];
    for (made, why, mended) in refusals {
        let (words, mend) = unsuitable(&database, &made).await;
        assert!(words.contains(why), "{words}");
        let Mend::Words(mend) = mend else { panic!("{mend:?}") };
        // what shows the cause can be said as it is
        for statement in mend.split('`').skip(1).step_by(2) {
            assert!(database.execute(&format!("USE seed; {statement}")), "{statement}");
        }
        assert!(database.execute(&format!("USE seed; {mended};")), "{mended}");
        register(&database, "seed").await;
        assert_eq!(
            database.query("SELECT COUNT(*) FROM seed.chat_app WHERE username LIKE '____________%'").unwrap(),
            "0\n"
        );
    }
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
