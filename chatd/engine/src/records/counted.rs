//! What programs of before did not count, and counts now with every change: counted once, when the rows are first opened.

use crate::records::{history, kv};
use crate::rows::counter::Counter;
use crate::store::{Rows, RowsError};

pub(crate) fn count_once(rows: &mut dyn Rows) -> Result<(), RowsError> {
    if Counter::Counted.get(rows)? > 0 {
        return Ok(());
    }
    history::count_bytes(rows)?;
    kv::count_anew(rows)?;
    Counter::Counted.set(rows, 1)
}

#[cfg(test)]
mod tests {
    use chat_protocol::ids::MessageId;
    use serde_json::json;

    use super::*;
    use crate::harness::{Harness, bob};
    use crate::records::history::{Chat, Message};
    use crate::rows::{KV_COUNTED, KV_USAGE};

    #[test]
    fn what_an_older_program_left_uncounted_is_counted_and_what_it_takes_is_given_back() {
        let mut alice = Harness::new();
        let scope = "bot.notes".parse().unwrap();
        for number in 0..300u128 {
            alice.step(|txn| {
                let id = MessageId::new(number.to_be_bytes());
                history::append(txn, Message::text(id, "@bob".to_owned(), bob(), "words".to_owned(), txn))
            });
        }
        alice.step(|txn| kv::set(txn, (&scope, "a"), &json!("x".repeat(100)), None));
        alice.step(|txn| kv::set(txn, (&scope, "b"), &json!("y"), None));
        let counted = |alice: &Harness| {
            let chat = history::chat(&alice.rows, "@bob").unwrap().unwrap().bytes;
            let usage = KV_USAGE.get(&alice.rows, &"bot".parse().unwrap()).unwrap();
            (chat, usage, Counter::KvBytes.get(&alice.rows).unwrap())
        };
        let before = counted(&alice);
        assert!(before.0 > 0 && before.2 > 100);

        // as a program of before wrote it
        let chat = history::chat(&alice.rows, "@bob").unwrap().unwrap();
        history::write_chat(&mut alice.rows, &Chat { bytes: 0, ..chat }).unwrap();
        KV_USAGE.clear(&mut alice.rows).unwrap();
        KV_COUNTED.clear(&mut alice.rows).unwrap();
        for counter in [Counter::KvBytes, Counter::Counted] {
            counter.set(&mut alice.rows, 0).unwrap();
        }
        alice.restarts();
        assert_eq!(counted(&alice).0, before.0);
        alice.step(|txn| kv::set(txn, (&scope, "b"), &json!("y"), None));
        assert_eq!(counted(&alice), before, "once something is done in the namespace");
        for key in ["a", "b"] {
            alice.step(|txn| kv::delete(txn, (&scope, key), None));
        }
        assert_eq!(counted(&alice), (before.0, None, 0));
        assert!(KV_COUNTED.is_empty(&alice.rows).unwrap());
    }
}
