//! A server restored from a backup that is older than what its devices know.

use std::io;
use std::sync::Arc;

use chat_protocol::ids::{Head, HeadHash};
use chat_protocol::message::client::{MailboxAck, OneTimeStatus, RoomSince, Submit, UserHead};
use chat_protocol::message::server::{OpThere, Push};
use chat_server::config::Config;
use chat_server::store::DatabaseUrl;
use chat_server::store::copy::{self, Cell, Filling, Sink, Table};
use tempfile::TempDir;

use super::groups::{self, Group};
use super::world::{Person, World, addressed, settings, text_of};
use crate::support::mariadb::MariaDb;

/// A backup in memory.
#[derive(Default)]
struct Copy(Vec<(&'static Table, Vec<Vec<Cell>>)>);

impl Sink for Copy {
    fn table(&mut self, table: &'static Table) -> io::Result<()> {
        self.0.push((table, Vec::new()));
        Ok(())
    }

    fn row(&mut self, row: &[Cell]) -> io::Result<()> {
        let (table, rows) = self.0.last_mut().unwrap();
        assert!(table.fits(row), "{row:?} in {}", table.name);
        rows.push(row.to_vec());
        Ok(())
    }
}

impl Copy {
    async fn of(url: &DatabaseUrl) -> Self {
        let mut copy = Self::default();
        copy::dump(url, &mut copy).await.unwrap();
        copy
    }

    async fn restore(&self, url: &DatabaseUrl, floor: u64) {
        let (mut filling, used) = Filling::begin(url).await.unwrap();
        assert!(!used);
        filling.clear().await.unwrap();
        for (table, rows) in &self.0 {
            filling.insert(table, rows.clone()).await.unwrap();
        }
        filling.finish(floor).await.unwrap();
    }

    fn rows(&self, table: &str) -> Vec<Vec<Cell>> {
        let found = self.0.iter().find(|(known, _)| known.name == table);
        let mut rows = found.unwrap().1.clone();
        rows.sort_by_key(|row| format!("{row:?}"));
        rows
    }
}

fn file(dir: &TempDir) -> DatabaseUrl {
    DatabaseUrl::Sqlite(dir.path().join("chat.db"))
}

/// Ends a world and begins one with the rows of `copy`.
async fn go_back(mut world: World, copy: &Copy, config: Config) -> World {
    world.stop();
    world.ended().await.unwrap();
    let dir = Arc::new(tempfile::tempdir().unwrap());
    copy.restore(&file(&dir), FLOOR).await;
    World::start(dir, config, world.server_key.clone()).await
}

const FLOOR: u64 = 1 << 50;

#[tokio::test]
async fn what_was_sent_after_a_restore_arrives_although_the_device_knows_more_than_the_server() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    for text in ["one", "two"] {
        alice.send(&bob, text).await.unwrap();
        bob.receive().await;
    }
    bob.ack(1).await;
    let copy = Copy::of(&file(&world.dir)).await;
    alice.send(&bob, "three").await.unwrap();
    assert_eq!(bob.receive().await.0, 3);
    bob.ack(3).await;
    let (alice, bob) = (alice.vanish(&world).await, bob.vanish(&world).await);

    let world = go_back(world, &copy, settings()).await;
    let (mut alice, mut bob) = (alice.come_back(&world).await, bob.come_back(&world).await);
    assert_eq!((bob.logged_in.mailbox_acked, bob.logged_in.mailbox_last), (1, 2));
    assert_eq!(bob.logged_in.mailbox_generation, FLOOR, "so that the device compares none of its numbers with these");
    assert_eq!(bob.client.delivery().await.mailbox_seq, 2, "again, under the number it had");
    let Push::Drained(drained) = bob.client.push_of(|push| matches!(push, Push::Drained(_)).then_some(push)).await
    else {
        unreachable!()
    };
    assert_eq!(drained.seq, 2, "nothing is announced that does not come");
    bob.client.call(&MailboxAck { seq: 2 }).await.expect("the device acknowledges what was delivered here");
    let letter = alice.letter(&bob, "four");
    alice.client.call(&letter).await.unwrap();
    assert_eq!(bob.receive().await, (3, "four".to_owned()), "a number of the generation before, in this one");
}

#[tokio::test]
async fn rooms_that_were_unused_in_the_backup_do_not_begin_at_one_again_and_mailboxes_do_in_another_generation() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let copy = Copy::of(&file(&world.dir)).await;
    alice.send(&bob, "lost").await.unwrap();
    assert_eq!(bob.receive().await.0, 1);
    assert_eq!(alice.say("lost").await, 1);
    bob.ack(1).await;
    let (id, head) = (bob.id(), bob.head());
    let (alice, bob) = (alice.vanish(&world).await, bob.vanish(&world).await);

    let world = go_back(world, &copy, settings()).await;
    let mut alice = alice.come_back(&world).await;
    let letter =
        Submit { submit_id: alice.next_submit(), heads: vec![head], to: vec![addressed(id, "new")], group: None };
    alice.client.call(&letter).await.unwrap();
    assert_eq!(alice.say("new").await, FLOOR + 1);
    let mut bob = bob.come_back(&world).await;
    let deliver = bob.client.delivery().await;
    assert_eq!((deliver.mailbox_seq, text_of(&deliver.envelope)), (1, "new".to_owned()));
    assert_eq!(bob.logged_in.mailbox_generation, FLOOR);
    let page = bob.client.call(&RoomSince { seq: Some(1), max: 9 }).await.unwrap();
    assert_eq!(page.posts.iter().map(|post| post.text.as_str()).collect::<Vec<_>>(), ["new"]);
}

#[tokio::test]
async fn a_device_that_joined_after_the_backup_is_in_the_next_generation_as_soon_as_it_is_known_again() {
    const PHONE: usize = 2;
    let world = World::new().await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let copy = Copy::of(&file(&world.dir)).await;
    let mut phone = world.further(&bob, PHONE).await;
    let (id, user) = (phone.id(), bob.user.clone());
    let letter = |alice: &mut Person, text: &str| {
        let head = Head { seq: 1, hash: HeadHash::new([u8::try_from(PHONE).unwrap(); 32]) };
        let heads = vec![UserHead { user: user.clone(), head }];
        Submit { submit_id: alice.next_submit(), heads, to: vec![addressed(id, text)], group: None }
    };
    for text in ["one", "two"] {
        let letter = letter(&mut alice, text);
        alice.client.call(&letter).await.unwrap();
        phone.receive().await;
    }
    phone.ack(2).await;
    let (before, alice, bob) =
        (phone.logged_in.mailbox_generation, alice.vanish(&world).await, bob.vanish(&world).await);
    phone.vanish(&world).await;

    let world = go_back(world, &copy, settings()).await;
    let (mut alice, bob) = (alice.come_back(&world).await, bob.come_back(&world).await);
    let mut phone = world.further(&bob, PHONE).await;
    assert_eq!((before, phone.logged_in.mailbox_generation), (1, FLOOR), "it compares no number with those it knows");
    let letter = letter(&mut alice, "three");
    alice.client.call(&letter).await.unwrap();
    assert_eq!(phone.receive().await, (1, "three".to_owned()));
    phone.ack(1).await;
}

#[tokio::test]
async fn long_backlogs_go_on_in_the_next_generation_within_the_window() {
    const OLD: usize = 30;
    let mut config = settings();
    config.mailbox.delivery_window = 4;
    let world = World::with(config.clone()).await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let (id, head) = (bob.id(), bob.head());
    let bob = bob.vanish(&world).await;
    for n in 0..OLD {
        let letter = Submit {
            submit_id: alice.next_submit(),
            heads: vec![head.clone()],
            to: vec![addressed(id, &n.to_string())],
            group: None,
        };
        alice.client.call(&letter).await.unwrap();
    }
    let copy = Copy::of(&file(&world.dir)).await;
    let alice = alice.vanish(&world).await;
    let world = go_back(world, &copy, config).await;
    let (mut alice, mut bob) = (alice.come_back(&world).await, bob.come_back(&world).await);
    for n in 0..OLD {
        let letter = alice.letter(&bob, &(OLD + n).to_string());
        alice.client.call(&letter).await.unwrap();
    }
    for n in 0..2 * OLD {
        let (seq, text) = bob.receive().await;
        assert_eq!(text, n.to_string());
        bob.ack(seq).await;
    }
}

#[tokio::test]
async fn one_time_keys_are_not_handed_out_again() {
    let world = World::new().await;
    let alice = world.join("alice", 0).await;
    let db = rusqlite::Connection::open(world.dir.path().join("chat.db")).unwrap();
    let key = "INSERT INTO one_time_key (device, hash, key) VALUES (?1, zeroblob(32), zeroblob(32))";
    db.execute(key, [alice.id().as_bytes()]).unwrap();
    let copy = Copy::of(&file(&world.dir)).await;
    let alice = alice.vanish(&world).await;
    let world = go_back(world, &copy, settings()).await;
    let left = alice.come_back(&world).await.client.call(&OneTimeStatus {}).await.unwrap();
    assert!(left.hashes.is_empty());
}

#[tokio::test]
async fn ops_called_after_the_backup_are_appended_again_by_whoever_kept_them_and_their_tokens() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    let mut group = Group::made_by(&mut alice, 1).await;
    group.grow(&mut alice, 2).await;
    let copy = Copy::of(&file(&world.dir)).await;
    let (kept, known) = (group.token.clone(), groups::stands(&mut alice, group.last()).await);
    group.grow(&mut alice, 3).await;
    group.grow(&mut alice, 4).await;
    let alice = alice.vanish(&world).await;

    let world = go_back(world, &copy, settings()).await;
    let mut alice = alice.come_back(&world).await;
    assert_eq!(groups::stands(&mut alice, group.ops[1]).await, known, "as it was");
    assert_eq!(groups::stands(&mut alice, group.ops[2]).await.there, OpThere::NotYet);
    let next = groups::draw();
    alice.client.call(&groups::ask(group.ops[2], Some(&kept), &next)).await.expect("the token of that time");
    alice.client.call(&groups::ask(group.ops[3], Some(&next), &group.token)).await.unwrap();
    group.grow(&mut alice, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_move_from_one_kind_of_database_to_the_other_and_back() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    alice.send(&bob, "one").await.unwrap();
    alice.say("für alle: \u{1f600}").await;
    bob.receive().await;
    Group::made_by(&mut alice, 1).await.grow(&mut bob, 2).await;
    let copy = Copy::of(&file(&world.dir)).await;
    assert_eq!((copy.rows("group_log").len(), copy.rows("group_op").len()), (1, 2));

    let database = MariaDb::start();
    assert!(database.execute("CREATE DATABASE chat CHARACTER SET utf8mb4"));
    let url: DatabaseUrl = database.url("chat").parse().unwrap();
    copy.restore(&url, FLOOR).await;
    let moved = Copy::of(&url).await;
    for table in
        copy.0.iter().map(|(table, _)| table.name).filter(|name| !["mailbox_generation", "room_state"].contains(name))
    {
        assert_eq!(moved.rows(table), copy.rows(table), "{table}");
    }
    let dir = tempfile::tempdir().unwrap();
    moved.restore(&file(&dir), FLOOR * 2).await;
    let back = Copy::of(&file(&dir)).await;
    let generation = |copy: &Copy| copy.rows("mailbox_generation")[0][1].clone();
    let [first, second] = [FLOOR, FLOOR * 2].map(|floor| Cell::Int(i64::try_from(floor).unwrap()));
    assert_eq!([generation(&copy), generation(&moved), generation(&back)], [Cell::Int(1), first, second]);
    for table in ["mail", "group_log", "group_op"] {
        assert_eq!(back.rows(table), copy.rows(table));
    }
    assert_eq!(back.rows("room_state"), [vec![Cell::Int(1), Cell::Int(i64::try_from(FLOOR * 2).unwrap())]]);
    let (_, used) = Filling::begin(&url).await.unwrap();
    assert!(used, "a database with rows is known as such");
}
