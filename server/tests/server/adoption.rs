//! A database of the first Python application is taken over as it is, and stays usable by it; and a
//! database server that dies comes back without anything accepted being lost.

mod dotenv;
mod tables;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chat_protocol::message::client::Password;
use chat_server::password::{self, Verdict};
use chat_server::rules::Quota;
use chat_server::store::DatabaseUrl;
use chat_server::store::{self, StoreError, SubmitOutcome};

use crate::contract::{name, person, submit};
use crate::support::mariadb::MariaDb;
use crate::support::{SEED_TABLE, python};

const VAST: Quota = Quota { messages: 1 << 30, bytes: 1 << 40, from_one: 1 << 30, of_account: 1 << 40 };
const HASH: &str = "import bcrypt, sys; print(bcrypt.hashpw(sys.argv[1].encode(), bcrypt.gensalt(4)).decode())";
const CHECK: &str = "import bcrypt, sys; print(bcrypt.checkpw(sys.argv[1].encode(), sys.argv[2].encode()))";

fn word(text: &str) -> Password {
    Password::new(text.to_owned()).unwrap()
}

#[tokio::test]
async fn users_of_the_first_application_log_in_and_ours_verify_there() {
    let database = MariaDb::start();
    let hash = python(HASH, &["correct horse"]);
    let row = format!("INSERT INTO chat_app (username, password) VALUES ('Alice', '{hash}')");
    assert!(database.execute(&format!("CREATE DATABASE seed; USE seed; {SEED_TABLE}; {row};")));
    let before = database.query("SHOW CREATE TABLE seed.chat_app").unwrap();

    let url: DatabaseUrl = database.url("seed").parse().unwrap();
    let store = store::open(&url).await.unwrap().store;
    let alice = store.account(&name("alice")).await.unwrap().unwrap();
    assert!(password::verify(&word("correct horse"), Some(&alice.hash), 4).is_right());
    assert_eq!(password::verify(&word("wrong"), Some(&alice.hash), 4), Verdict::Wrong);

    let ours = password::hash(&word("battery staple é"), 4).unwrap();
    assert!(store.set_password(&name("alice"), ours, None).await.unwrap());
    let stored = database.query("SELECT password FROM seed.chat_app WHERE username = 'Alice'").unwrap();
    assert_eq!(python(CHECK, &["battery staple é", stored.trim()]), "True");
    assert_eq!(python(CHECK, &["battery staple", stored.trim()]), "False");

    let table = |text: &str| text.split("AUTO_INCREMENT=").next().unwrap().to_owned();
    let after = database.query("SHOW CREATE TABLE seed.chat_app").unwrap();
    assert_eq!(table(&after), table(&before), "the table is as it was");
    let again = store::open(&url).await.unwrap();
    assert!(again.applied.is_empty(), "a second opening changes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_database_comes_back_and_nothing_accepted_is_lost() {
    let mut database = MariaDb::start();
    assert!(database.execute("CREATE DATABASE chat"));
    let store = store::open(&database.url("chat").parse().unwrap()).await.unwrap().store;
    let (alice, bob) = (person(&store, "alice").await, person(&store, "bob").await);
    let accepted = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let load = tokio::spawn({
        let (store, accepted, stop, bob) = (store.clone(), accepted.clone(), stop.clone(), bob.clone());
        async move {
            let (mut counter, mut failures) = (1, 0);
            while !stop.load(Ordering::Relaxed) {
                match store.commit_submits(vec![submit(&alice, counter, &[&bob], &counter.to_string())], VAST).await {
                    Ok(outcomes) => {
                        let stored =
                            matches!(outcomes[0], SubmitOutcome::Stored { .. } | SubmitOutcome::Repeated { .. });
                        assert!(stored, "{outcomes:?}");
                        accepted.store(counter, Ordering::Relaxed);
                        counter += 1;
                    }
                    // the same submit is sent again until it is answered, as a daemon does
                    Err(StoreError::Unavailable(_)) => failures += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
            failures
        }
    });
    for _ in 0..2 {
        let before = accepted.load(Ordering::Relaxed);
        while accepted.load(Ordering::Relaxed) < before + 20 {
            tokio::task::yield_now().await;
        }
        tokio::task::block_in_place(|| {
            database.kill();
            assert!(!database.execute("SELECT 1"));
            database.restart();
        });
    }
    let before = accepted.load(Ordering::Relaxed);
    while accepted.load(Ordering::Relaxed) < before + 20 {
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::Relaxed);
    assert!(load.await.unwrap() > 0, "the database was really away");

    let last = accepted.load(Ordering::Relaxed);
    let mail = store.mailbox_after(bob.device, 0, 100_000, 1 << 30).await.unwrap();
    let texts: Vec<_> = mail.iter().map(|mail| String::from_utf8(mail.envelope.to_vec()).unwrap()).collect();
    assert_eq!(texts, (1..=last).map(|n| n.to_string()).collect::<Vec<_>>(), "each once, in order");
    assert_eq!(mail.iter().map(|mail| mail.seq).collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
}
