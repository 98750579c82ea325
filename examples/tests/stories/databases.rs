//! MariaDB: a database of the first application is adopted, and one that falls over comes back.

use chat_stories::{Database, Person, Process, Stage, binaries};

const PASSWORD: &str = "from the old days";

/// A hash made as the first application made it: by Python's bcrypt.
fn seed_hash(stage: &Stage, password: &str) -> String {
    let mut python = binaries::python(&stage.room("python"));
    python
        .args(["-c", "import bcrypt,sys; print(bcrypt.hashpw(sys.stdin.buffer.read(), bcrypt.gensalt(12)).decode())"]);
    Process::run("python", python, password).success().trim().to_owned()
}

fn seed(stage: &Stage, name: &str) -> Database {
    Database::start(&format!(
        "CREATE TABLE chat_app (id INT AUTO_INCREMENT PRIMARY KEY, username VARCHAR(150) UNIQUE NOT NULL, \
         password VARCHAR(255) NOT NULL);\nINSERT INTO chat_app (username, password) VALUES ('{name}', '{}');",
        seed_hash(stage, PASSWORD)
    ))
}

fn enter(stage: &Stage, verb: &str, name: &str, password: &str) -> Person {
    let mut person = stage.newcomer(name);
    person.password = password.to_owned();
    let _ = person.enter(verb, &stage.server.invite()).success();
    person.turns("online");
    person
}

#[test]
fn users_of_the_first_application_log_in_and_their_row_stays_theirs() {
    let mut stage = Stage::dark();
    let database = seed(&stage, "Grace");
    stage.server.use_database(&database.url());
    stage.server.start();
    let mut grace = enter(&stage, "login", "grace", PASSWORD);
    let mut bob = stage.member("bob");
    grace.send("@bob", "still here after all these years");
    bob.hears("@grace", "grace", "still here after all these years");
    let rows = database.query("SELECT id, username, LEFT(password, 7) FROM chat_app ORDER BY id");
    assert!(rows.starts_with("1\tGrace\t$2b$"), "{rows}");
    assert!(rows.contains("\tbob\t$2b$"), "new accounts are in the same table: {rows}");
}

#[test]
fn hashes_of_new_accounts_verify_in_python() {
    let mut stage = Stage::dark();
    let database = Database::start("");
    stage.server.use_database(&database.url());
    stage.server.start();
    let bob = stage.member("bob");
    let hash = database.query("SELECT password FROM chat_app WHERE username = 'bob'");
    let mut python = binaries::python(&stage.room("python"));
    python.args([
        "-c",
        "import bcrypt,sys; a=sys.stdin.read().split('\\n'); print(bcrypt.checkpw(a[0].encode(), a[1].encode()))",
    ]);
    let verdict = Process::run("python", python, &format!("{}\n{}", bob.password, hash.trim())).success();
    assert_eq!(verdict.trim(), "True");
}

#[test]
fn the_database_falls_over_under_load_and_nothing_is_lost() {
    let mut stage = Stage::dark();
    let mut database = Database::start("");
    stage.server.use_database(&database.url());
    stage.server.start();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let first = alice.send("@bob", "before");
    alice.sees(&first, "delivered");
    let mut sent: Vec<_> = (0..100).map(|n| alice.send("@bob", &format!("load {n}"))).collect();
    database.crash();
    sent.extend((100..150).map(|n| alice.send("@bob", &format!("load {n}"))));
    database.crash_and_restart();
    sent.extend((150..200).map(|n| alice.send("@bob", &format!("load {n}"))));
    for id in &sent {
        alice.sees(id, "delivered");
    }
    let mut expected = vec!["alice: before".to_owned()];
    expected.extend((0..200).map(|n| format!("alice: load {n}")));
    bob.hears("@alice", "alice", "load 199");
    assert_eq!(bob.history("@alice"), expected);
}
