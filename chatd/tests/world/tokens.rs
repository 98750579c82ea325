//! Tokens as they are kept: found by their hash alone, and the journal of their use.

use chat_protocol::rpc::types::{AuditList, Token};
use chat_protocol::rpc::{Kind, Name};
use chatd::engine::tokens::{self, Use};
use chatd::engine::{consumers, kv};
use serde_json::json;

use crate::world::{World, is_refused};

fn token(name: &str) -> Token {
    let name = name.parse().unwrap();
    Token { name, scopes: Vec::new(), chats: None, allow_to: None, rate: None, created_ms: 1, expires_ms: None }
}

fn used(name: &Name) -> Use {
    Use { token: name.clone(), method: "msg.send", chat: None, refused: None }
}

fn asked(token: Option<&Name>, before: Option<u64>) -> AuditList {
    AuditList { token: token.cloned(), before, limit: None }
}

#[test]
fn a_token_is_found_by_its_hash_until_it_is_revoked_also_after_a_crash() {
    let mut world = World::new();
    let alice = world.user("alice");
    let (bot, ci) = (token("bot"), token("ci"));
    world.command(alice, |txn| tokens::create(txn, &bot, [1; 32])).unwrap();
    world.command(alice, |txn| tokens::create(txn, &ci, [2; 32])).unwrap();
    let again = world.command(alice, |txn| tokens::create(txn, &bot, [3; 32]));
    assert!(is_refused(&again, Kind::AlreadyExists));
    world.crash(alice);
    let rows = &world.nodes[alice].rows;
    assert_eq!(tokens::find(rows, &[1; 32]).unwrap(), Some(bot.clone()));
    assert_eq!(tokens::find(rows, &[3; 32]).unwrap(), None);
    assert_eq!(tokens::list(rows).unwrap(), [bot.clone(), ci]);
    world.command(alice, |txn| tokens::revoke(txn, &bot.name)).unwrap();
    assert_eq!(tokens::find(&world.nodes[alice].rows, &[1; 32]).unwrap(), None);
    let gone = world.command(alice, |txn| tokens::revoke(txn, &bot.name));
    assert!(is_refused(&gone, Kind::NotFound));
}

#[test]
fn the_journal_is_read_in_pages_and_by_token() {
    let mut world = World::new();
    let alice = world.user("alice");
    let (bot, ci) = (token("bot").name, token("ci").name);
    for number in 0..10 {
        let who = if number % 2 == 0 { &bot } else { &ci };
        world.command(alice, |txn| tokens::record_use(txn, used(who))).unwrap();
    }
    let rows = &world.nodes[alice].rows;
    let seqs = |asked: &AuditList, limit| {
        let page = tokens::journal(rows, asked, limit).unwrap();
        (page.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), page.more)
    };
    assert_eq!(seqs(&asked(None, None), 4), (vec![10, 9, 8, 7], true));
    assert_eq!(seqs(&asked(None, Some(7)), 10), (vec![6, 5, 4, 3, 2, 1], false));
    assert_eq!(seqs(&asked(Some(&bot), None), 3), (vec![9, 7, 5], true));
    assert_eq!(seqs(&asked(Some(&bot), Some(5)), 3), (vec![3, 1], false));
    assert_eq!(seqs(&asked(None, Some(1)), 3), (vec![], false));
}

#[test]
fn the_journal_keeps_its_last_ten_thousand_entries_whatever_else_is_refused() {
    let mut world = World::new();
    let alice = world.user("alice");
    let bot = token("bot").name;
    let refused = || Use { refused: Some("forbidden_scope"), ..used(&bot) };
    world.command(alice, |txn| (0..5).try_for_each(|_| tokens::record_use(txn, used(&bot)))).unwrap();
    world.command(alice, |txn| (0..10_005).try_for_each(|_| tokens::record_use(txn, refused()))).unwrap();
    let oldest = |world: &World, before| {
        let page = tokens::journal(&world.nodes[alice].rows, &asked(None, Some(before)), 100).unwrap();
        page.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>()
    };
    assert_eq!(oldest(&world, 13), [12, 11, 5, 4, 3, 2, 1], "no token pushes its traces out");
    world.command(alice, |txn| (0..9_998).try_for_each(|_| tokens::record_use(txn, used(&bot)))).unwrap();
    assert_eq!(oldest(&world, 12), [11, 5, 4]);
}

/// A world with two tokens, and names of the one, of the other, and of nobody.
fn with_tokens() -> (World, usize) {
    let mut world = World::new();
    let alice = world.user("alice");
    for (n, name) in (1..).zip(["bot", "other"]) {
        world.command(alice, |txn| tokens::create(txn, &token(name), [n; 32])).unwrap();
    }
    (world, alice)
}

fn name(name: &str) -> Name {
    name.parse().unwrap()
}

#[test]
fn atk_91_a_token_takes_its_own_share_of_the_consumers() {
    let (mut world, alice) = with_tokens();
    let opens = |world: &mut World, who: &str| world.command(alice, |txn| consumers::open(txn, &name(who), None));
    for n in 0..16 {
        opens(&mut world, &format!("bot.{n}")).unwrap();
    }
    assert!(is_refused(&opens(&mut world, "bot.16"), Kind::QuotaExceeded));
    assert!(is_refused(&opens(&mut world, "bot"), Kind::QuotaExceeded));
    opens(&mut world, "bot.3").unwrap();
    opens(&mut world, "other").unwrap();
    opens(&mut world, "both.1").unwrap();
    world.command(alice, |txn| consumers::forget(txn, &name("bot.3"))).unwrap();
    opens(&mut world, "bot").unwrap();
}

#[test]
fn atk_91_a_token_takes_its_own_share_of_the_values() {
    let (mut world, alice) = with_tokens();
    let large = json!("x".repeat(40 * 1024));
    let put = |world: &mut World, scope: &str, key: u32| {
        world.command(alice, |txn| kv::set(txn, (&name(scope), &key.to_string()), &large, None))
    };
    let most = (0..1_000).take_while(|n| put(&mut world, "bot.a", *n).is_ok()).count();
    assert_eq!(most, 16 * 1024 / 41 + 10, "16 MiB of keys and values");
    assert!(is_refused(&put(&mut world, "bot", 0), Kind::QuotaExceeded), "whichever of its namespaces");
    put(&mut world, "bot.a", 0).unwrap();
    put(&mut world, "other", 0).unwrap();
    put(&mut world, "mine", 0).unwrap();
    world.command(alice, |txn| kv::delete(txn, (&name("bot.a"), "0"), None)).unwrap();
    put(&mut world, "bot", 0).unwrap();
}

#[test]
fn atk_91_a_token_takes_its_own_share_of_the_namespaces() {
    let (mut world, alice) = with_tokens();
    let put =
        |world: &mut World, scope: &str| world.command(alice, |txn| kv::set(txn, (&name(scope), "a"), &json!(1), None));
    for n in 0..20 {
        put(&mut world, &format!("bot.{n}")).unwrap();
    }
    assert!(is_refused(&put(&mut world, "bot.20"), Kind::QuotaExceeded));
    put(&mut world, "bot.19").unwrap();
    put(&mut world, "other.20").unwrap();
    world.command(alice, |txn| kv::delete(txn, (&name("bot.0"), "a"), None)).unwrap();
    put(&mut world, "bot.20").unwrap();
}
