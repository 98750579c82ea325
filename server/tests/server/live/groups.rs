//! The notary over the wire: one op for each place, whoever asks, and messages that name where their group stands.

use std::fs;

use chat_protocol::crypto::group::AppendToken;
use chat_protocol::ids::{GroupAt, GroupHead, GroupId, OpHash};
use chat_protocol::message::Done;
use chat_protocol::message::client::{GroupAppend, GroupHeadQuery, OneTimeStatus, Submit};
use chat_protocol::message::server::{Code, GroupStands, OpThere, Refusal};

use super::database::locked;
use super::world::{Person, World, settings};

/// A group as an admin knows it: its ops, and the token for the next one.
pub(super) struct Group {
    pub(super) ops: Vec<GroupAt>,
    pub(super) token: AppendToken,
}

pub(super) fn op(number: u8, seq: u64) -> GroupHead {
    GroupHead { seq, hash: OpHash::new([number; 32]) }
}

/// The request that appends an op, with this token and for that one.
pub(super) fn ask(at: GroupAt, with: Option<&AppendToken>, next: &AppendToken) -> GroupAppend {
    GroupAppend { group: at.group, head: at.head, next_token: next.hash(), token: with.cloned() }
}

pub(super) fn draw() -> AppendToken {
    AppendToken::generate(&mut rand::rng())
}

impl Group {
    pub(super) async fn made_by(person: &mut Person, number: u8) -> Self {
        let head = op(number, 0);
        let (first, token) = (GroupAt { group: GroupId::of(head.hash), head }, draw());
        assert_eq!(person.client.call(&ask(first, None, &token)).await, Ok(Done {}));
        Self { ops: vec![first], token }
    }

    /// An op for the next place.
    pub(super) fn next(&self, number: u8) -> GroupAt {
        GroupAt { head: op(number, self.ops.len() as u64), ..self.ops[0] }
    }

    pub(super) async fn grow(&mut self, person: &mut Person, number: u8) {
        let (at, next) = (self.next(number), draw());
        assert_eq!(person.client.call(&ask(at, Some(&self.token), &next)).await, Ok(Done {}));
        self.token = next;
        self.ops.push(at);
    }

    pub(super) fn last(&self) -> GroupAt {
        self.ops[self.ops.len() - 1]
    }
}

pub(super) async fn stands(person: &mut Person, at: GroupAt) -> GroupStands {
    person.client.call(&GroupHeadQuery { group: at.group, head: at.head }).await.unwrap()
}

async fn refused(person: &mut Person, ask: &GroupAppend) -> Code {
    let refusal = person.client.call(ask).await.expect_err("this must be refused");
    assert_eq!(refusal, Refusal::new(refusal.code), "it says no more than that");
    refusal.code
}

#[tokio::test]
async fn op_is_called_once_and_everybody_hears_where_the_group_stands() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let nothing = GroupHeadQuery { group: GroupId::new([1; 32]), head: op(1, 0) };
    assert_eq!(bob.client.refused(&nothing).await, Code::NotFound);
    let mut group = Group::made_by(&mut alice, 1).await;
    group.grow(&mut alice, 2).await;
    let said = |last, there, token: &AppendToken| GroupStands { last, there, next_token: token.hash() };
    for person in [&mut alice, &mut bob] {
        assert_eq!(stands(person, group.ops[0]).await, said(1, OpThere::Same, &group.token));
        assert_eq!(
            stands(person, GroupAt { head: op(9, 1), ..group.ops[0] }).await,
            said(1, OpThere::Other, &group.token)
        );
        assert_eq!(stands(person, group.next(3)).await, said(1, OpThere::NotYet, &group.token));
    }
    let (elsewhere, next) = (GroupAt { head: op(9, 1), ..group.ops[0] }, draw());
    assert_eq!(refused(&mut alice, &ask(elsewhere, Some(&group.token), &next)).await, Code::Stale);
    let after_a_gap = GroupAt { head: op(9, 3), ..group.ops[0] };
    assert_eq!(refused(&mut alice, &ask(after_a_gap, Some(&group.token), &next)).await, Code::Stale);
    let unborn = GroupAt { group: GroupId::new([8; 32]), head: op(9, 1) };
    assert_eq!(refused(&mut alice, &ask(unborn, Some(&group.token), &next)).await, Code::NotFound);
    let misnamed = GroupAt { group: GroupId::new([8; 32]), head: op(9, 0) };
    assert_eq!(refused(&mut alice, &ask(misnamed, None, &next)).await, Code::BadRequest);
    let with_a_token = GroupAt { group: GroupId::new([8; 32]), head: op(8, 0) };
    assert_eq!(refused(&mut alice, &ask(with_a_token, Some(&next), &next)).await, Code::Denied);
    let head = op(7, 0);
    let first = GroupAppend { group: GroupId::of(head.hash), head, next_token: next.hash(), token: None };
    assert_eq!(world.guest().await.refused(&first).await, Code::Denied, "guests ask nothing");
}

#[tokio::test]
async fn atk_74_who_was_never_given_the_token_or_had_an_earlier_one_appends_nothing() {
    let world = World::new().await;
    let (mut owner, mut member) = (world.join("owner", 0).await, world.join("member", 1).await);
    let mut removed = world.join("removed", 2).await;
    let mut group = Group::made_by(&mut owner, 1).await;
    // an admin then: it knows the token that appends the op which removes it
    let known = group.token.clone();
    group.grow(&mut owner, 2).await;
    let before = stands(&mut owner, group.last()).await;
    for (person, tokens) in [(&mut member, vec![None, Some(draw())]), (&mut removed, vec![None, Some(known.clone())])] {
        for token in tokens {
            assert_eq!(refused(person, &ask(group.next(9), token.as_ref(), &known)).await, Code::Denied);
            let instead = GroupAt { head: op(9, 1), ..group.ops[0] };
            assert_eq!(refused(person, &ask(instead, token.as_ref(), &known)).await, Code::Stale);
        }
    }
    // what everybody is told is no token
    let told = AppendToken::new(*before.next_token.as_bytes());
    assert_eq!(refused(&mut member, &ask(group.next(9), Some(&told), &known)).await, Code::Denied);
    assert_eq!(stands(&mut owner, group.last()).await, before, "and nothing moved");
    group.grow(&mut owner, 3).await;
}

#[tokio::test]
async fn atk_74_the_notarys_stolen_database_holds_nothing_that_appends() {
    let world = World::new().await;
    let (mut owner, mut thief) = (world.join("owner", 0).await, world.join("thief", 1).await);
    let mut group = Group::made_by(&mut owner, 1).await;
    for number in 2..5 {
        group.grow(&mut owner, number).await;
    }
    let mut stolen = Vec::new();
    for name in ["chat.db", "chat.db-wal"] {
        stolen.extend(fs::read(world.dir.path().join(name)).unwrap());
    }
    let holds = |bytes: &[u8]| stolen.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(group.token.hash().as_bytes()) && holds(group.last().head.hash.as_bytes()), "this is where it is");
    assert!(!holds(group.token.expose()));
    let db = rusqlite::Connection::open(world.dir.path().join("chat.db")).unwrap();
    let mut cells = db.prepare("SELECT hash FROM group_op UNION SELECT next_token FROM group_log").unwrap();
    let cells: Vec<[u8; 32]> = cells.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(cells.len(), 5);
    for cell in cells {
        let taken = ask(group.next(9), Some(&AppendToken::new(cell)), &draw());
        assert_eq!(refused(&mut thief, &taken).await, Code::Denied);
    }
    group.grow(&mut owner, 6).await;
}

#[tokio::test]
async fn op_whose_answer_was_lost_is_asked_for_again_after_a_crash_and_stands() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    let mut group = Group::made_by(&mut alice, 1).await;
    let (at, next) = (group.next(2), draw());
    let append = ask(at, Some(&group.token), &next);
    // it is written, and the connection gone before anybody read an answer
    alice.client.ask(&append).await;
    loop {
        if world.store.group_stands(at).await.unwrap().is_some_and(|stands| stands.there == OpThere::Same) {
            break;
        }
        tokio::task::yield_now().await;
    }
    let alice = alice.vanish(&world).await;
    let world = world.restart(settings()).await;
    let mut alice = alice.come_back(&world).await;
    assert_eq!(alice.client.call(&append).await, Ok(Done {}));
    group.token = next;
    group.ops.push(at);
    group.grow(&mut alice, 3).await;
    assert_eq!(alice.client.call(&append).await, Ok(Done {}), "also once the group went on");
    assert_eq!(stands(&mut alice, at).await.last, 2);
}

#[tokio::test]
async fn op_that_was_not_written_is_not_answered() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    let group = Group::made_by(&mut alice, 1).await;
    let mut bob = world.join("bob", 1).await;
    let (at, lock) = (group.next(2), locked(&world));
    let append = ask(at, Some(&group.token), &draw());
    let id = alice.client.ask(&append).await;
    assert_eq!(stands(&mut bob, at).await.there, OpThere::NotYet);
    assert!(!alice.client.has_answer(id));
    lock.execute_batch("COMMIT").unwrap();
    assert_eq!(alice.client.answer::<GroupAppend>(id).await, Ok(Done {}));
    assert_eq!(stands(&mut bob, at).await.there, OpThere::Same);
}

#[tokio::test]
async fn of_two_admins_who_append_at_once_one_wins() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let mut group = Group::made_by(&mut alice, 1).await;
    for round in 0..10 {
        let (one, other) = (draw(), draw());
        let asks = [
            ask(group.next(100 + round), Some(&group.token), &one),
            ask(group.next(200 + round), Some(&group.token), &other),
        ];
        let (first, second) = tokio::join!(alice.client.call(&asks[0]), bob.client.call(&asks[1]));
        let (won, token) = match (first, second) {
            (Ok(_), Err(refusal)) if refusal.code == Code::Stale => (&asks[0], one),
            (Err(refusal), Ok(_)) if refusal.code == Code::Stale => (&asks[1], other),
            both => panic!("{both:?}"),
        };
        group.ops.push(GroupAt { group: won.group, head: won.head });
        group.token = token;
        assert_eq!(stands(&mut alice, group.last()).await.there, OpThere::Same);
    }
}

#[tokio::test]
async fn message_under_an_earlier_state_of_its_group_is_stale_and_nothing_is_stored() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let mut group = Group::made_by(&mut alice, 1).await;
    let said =
        |from: &mut Person, to: &Person, at: GroupAt, text: &str| Submit { group: Some(at), ..from.letter(to, text) };
    let letter = said(&mut alice, &bob, group.last(), "one");
    alice.client.call(&letter).await.unwrap();
    assert_eq!(bob.receive().await, (1, "one".to_owned()));
    let late = said(&mut alice, &bob, group.last(), "late");
    group.grow(&mut bob, 2).await;
    assert_eq!(alice.client.call(&late).await.unwrap_err(), Refusal::new(Code::Stale), "and names no heads");
    assert_eq!(alice.client.call(&letter).await.unwrap().full, [], "what was accepted before stays so");
    let unknown = GroupAt { group: GroupId::new([9; 32]), head: op(9, 0) };
    let nowhere = said(&mut alice, &bob, unknown, "nowhere");
    assert_eq!(alice.client.refused(&nowhere).await, Code::Stale);
    let mut blind = said(&mut alice, &bob, group.ops[0], "blind");
    blind.heads.clear();
    let refusal = alice.client.call(&blind).await.unwrap_err();
    assert_eq!((refusal.code, refusal.heads), (Code::Stale, Some(vec![bob.head()])), "the logs are looked at first");
    assert_eq!(world.store.mailbox_state(bob.id()).await.unwrap().last, 1);
    let now = Submit { group: Some(group.last()), ..late };
    alice.client.call(&now).await.unwrap();
    assert_eq!(bob.receive().await, (2, "late".to_owned()));
}

#[tokio::test]
async fn atk_74_ops_and_groups_of_an_account_are_bounded_and_others_are_not_concerned() {
    let mut config = settings();
    (config.rates.group_appends_per_hour, config.accounts.groups) = (4, 2);
    let world = World::with(config).await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let mut further = world.further(&alice, 2).await;
    let mut group = Group::made_by(&mut alice, 1).await;
    Group::made_by(&mut further, 2).await;
    let third = GroupAt { group: GroupId::new([3; 32]), head: op(3, 0) };
    assert_eq!(refused(&mut alice, &ask(third, None, &draw())).await, Code::TooLarge);
    assert_eq!(refused(&mut alice, &ask(group.next(4), None, &draw())).await, Code::Denied);
    for person in [&mut alice, &mut further] {
        let refusal = person.client.call(&ask(group.next(5), Some(&group.token), &draw())).await.unwrap_err();
        assert_eq!(
            (refusal.code, refusal.retry_after_ms.is_some()),
            (Code::RateLimited, true),
            "right or wrong, of any device"
        );
    }
    assert_eq!(stands(&mut bob, group.last()).await.last, 0);
    group.grow(&mut bob, 6).await;
    Group::made_by(&mut bob, 7).await;
}

#[tokio::test]
async fn atk_87_where_a_group_stands_is_asked_out_of_the_budget_of_all_requests() {
    let mut config = settings();
    config.rates.lookups_per_minute = 3;
    let world = World::with(config).await;
    let mut alice = world.join("alice", 0).await;
    let group = Group::made_by(&mut alice, 1).await;
    stands(&mut alice, group.last()).await;
    let nothing = GroupHeadQuery { group: GroupId::new([2; 32]), head: op(2, 0) };
    assert_eq!(alice.client.refused(&nothing).await, Code::NotFound);
    assert_eq!(alice.client.refused(&nothing).await, Code::RateLimited);
    assert_eq!(refused_in_time(&mut alice, &group).await, Code::RateLimited, "and so is an op appended");
    assert_eq!(alice.client.refused(&OneTimeStatus {}).await, Code::RateLimited);
}

async fn refused_in_time(person: &mut Person, group: &Group) -> Code {
    person.client.refused(&ask(group.next(2), Some(&group.token), &draw())).await
}

#[tokio::test]
async fn atk_84_below_the_floor_of_free_disk_no_op_is_called() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    let mut group = Group::made_by(&mut alice, 1).await;
    let mut config = settings();
    config.mailbox.free_disk = u64::MAX;
    world.reload.apply(config).unwrap();
    assert_eq!(refused_in_time(&mut alice, &group).await, Code::Busy);
    assert_eq!(stands(&mut alice, group.last()).await.last, 0);
    world.reload.apply(settings()).unwrap();
    group.grow(&mut alice, 2).await;
}
