//! The notary: one op for each place of a group, and submits that name where a group stands.

mod model;

use std::collections::BTreeMap;

use chat_protocol::crypto::group::AppendToken;
use chat_protocol::ids::{DeviceId, GroupAt, GroupHead, GroupId, Head, OpHash, TokenHash};
use chat_protocol::message::server::{GroupStands, OpThere};
use chat_server::rules::Quota;
use chat_server::rules::notary::Appending;
use chat_server::store::{AppendEntry, LogWrite, NewOp, SubmitOutcome, SubmitRow};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{DAY, KEPT, Person, ROOMY, Shared, at, bytes, fresh, genesis, hash, person, submit};
use crate::support::Home;
use model::Model;

/// Groups that an account makes here.
const MOST: u64 = 3;

fn token(number: u64) -> AppendToken {
    AppendToken::new(bytes(number))
}

fn op_hash(number: u64) -> OpHash {
    OpHash::new(bytes(number))
}

/// A group by its first op, which nobody knows yet.
fn unborn() -> GroupAt {
    let hash = op_hash(fresh());
    GroupAt { group: GroupId::of(hash), head: GroupHead { seq: 0, hash } }
}

/// Some op at a place of the group.
fn op(group: GroupAt, seq: u64) -> GroupAt {
    GroupAt { head: GroupHead { seq, hash: op_hash(fresh()) }, ..group }
}

/// Asks for the place of an op, with one token and for the next.
async fn append(store: &Shared, by: &Person, at: GroupAt, with: Option<u64>, next: u64) -> Appending {
    let new = NewOp { by: by.device, at, next_token: token(next).hash(), token: with.map(token) };
    store.append_op(new, MOST).await.unwrap().unwrap()
}

async fn stands(store: &Shared, at: GroupAt) -> Option<(u64, OpThere, TokenHash)> {
    let GroupStands { last, there, next_token } = store.group_stands(at).await.unwrap()?;
    Some((last, there, next_token))
}

/// A group of somebody's with ops up to `last`, appended by the tokens 0, 1 …
async fn group(store: &Shared, by: &Person, last: u64) -> Vec<GroupAt> {
    let mut ops = vec![unborn()];
    assert_eq!(append(store, by, ops[0], None, 0).await, Appending::Takes);
    for seq in 1..=last {
        ops.push(op(ops[0], seq));
        assert_eq!(append(store, by, ops[ops.len() - 1], Some(seq - 1), seq).await, Appending::Takes);
    }
    ops
}

/// Another device of somebody.
async fn further_device(store: &Shared, person: &Person) -> Person {
    let device = DeviceId::new(bytes(fresh()));
    let head = Head { seq: person.head.seq + 1, hash: hash(fresh()) };
    let entry = AppendEntry {
        user: person.user.clone(),
        expected: person.head,
        entry: vec![1],
        head,
        activates: Some((device, vec![2])),
        revokes: Vec::new(),
        at: at(2),
    };
    assert_eq!(store.append_log(entry).await.unwrap(), LogWrite::Written);
    Person { device, head, ..person.clone() }
}

pub async fn op_takes_its_place_once_and_may_ask_again(home: &Home) {
    let store = &home.store;
    let (alice, bob) = (person(store, "notary").await, person(store, "asker").await);
    let first = unborn();
    assert_eq!(stands(store, first).await, None);
    assert_eq!(append(store, &alice, first, None, 0).await, Appending::Takes);
    assert_eq!(stands(store, first).await, Some((0, OpThere::Same, token(0).hash())));
    let second = op(first, 1);
    assert_eq!(stands(store, second).await, Some((0, OpThere::NotYet, token(0).hash())));
    assert_eq!(append(store, &bob, second, Some(0), 1).await, Appending::Takes, "whoever has the token");
    let third = op(first, 2);
    assert_eq!(append(store, &alice, third, Some(1), 2).await, Appending::Takes);
    for (seq, stood) in [(0, first), (1, second), (2, third)] {
        for with in [None, Some(0), Some(7)] {
            assert_eq!(append(store, &bob, stood, with, 9).await, Appending::Stands, "{seq} {with:?}");
        }
        assert_eq!(
            stands(store, stood).await,
            Some((2, OpThere::Same, token(2).hash())),
            "asking again changes nothing"
        );
        assert_eq!(stands(store, op(first, seq)).await, Some((2, OpThere::Other, token(2).hash())));
    }
    let far = op(first, (1 << 53) - 1);
    assert_eq!(stands(store, far).await, Some((2, OpThere::NotYet, token(2).hash())));
}

pub async fn place_is_given_by_the_token_of_the_op_before(home: &Home) {
    let store = &home.store;
    let alice = person(store, "tokens").await;
    let ops = group(store, &alice, 2).await;
    let next = op(ops[0], 3);
    for with in [None, Some(0), Some(1), Some(3)] {
        assert_eq!(append(store, &alice, next, with, 3).await, Appending::Denied, "{with:?}");
    }
    for (seq, with) in [(0, None), (1, Some(0)), (2, Some(1)), (1, Some(2)), (4, Some(2)), (4, None)] {
        let other = if seq == 0 { GroupAt { group: ops[0].group, ..unborn() } } else { op(ops[0], seq) };
        let wanted = if seq == 0 { Appending::Malformed } else { Appending::Stale };
        assert_eq!(append(store, &alice, other, with, 3).await, wanted, "{seq}");
    }
    assert_eq!(append(store, &alice, op(unborn(), 1), Some(2), 3).await, Appending::NotFound);
    assert_eq!(append(store, &alice, unborn(), Some(2), 3).await, Appending::Denied, "there is none for a first op");
    assert_eq!(append(store, &alice, next, Some(2), 3).await, Appending::Takes);
}

/// Somebody at a server asks for the place of an op, by the token of that number and for the next.
type Try<'a> = (&'a Shared, &'a Person, GroupAt, Option<u64>);

/// What becomes of those that are made at once, in their order.
async fn at_once(tries: impl IntoIterator<Item = Try<'_>>) -> Vec<Appending> {
    let tasks = tries.into_iter().map(|(store, by, at, with)| {
        let (store, by) = (store.clone(), by.clone());
        tokio::spawn(async move { append(&store, &by, at, with, with.map_or(0, |with| with + 1)).await })
    });
    let tasks: Vec<_> = tasks.collect();
    futures_util::future::join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

/// How many of them are this.
fn count(judged: &[Appending], wanted: Appending) -> usize {
    judged.iter().filter(|one| **one == wanted).count()
}

pub async fn account_makes_so_many_groups_also_at_two_servers(home: &Home) {
    let (store, other) = (&home.store, &home.beside().await);
    for _ in 0..10 {
        let mut devices = vec![person(store, "maker").await];
        for n in 0..3 {
            devices.push(further_device(store, &devices[n]).await);
        }
        let made = group(store, &devices[0], 0).await;
        group(store, &devices[1], 0).await;
        let tries = devices.iter().zip([store, other].into_iter().cycle());
        let judged = at_once(tries.map(|(by, store)| (store, by, unborn(), None))).await;
        assert_eq!((count(&judged, Appending::Takes), count(&judged, Appending::TooMany)), (1, 3), "{judged:?}");
        // what is appended is not counted
        assert_eq!(append(store, &devices[2], op(made[0], 1), Some(0), 1).await, Appending::Takes);
        assert_eq!(append(store, &devices[2], made[0], None, 1).await, Appending::Stands);
    }
    let bob = person(store, "joiner").await;
    assert_eq!(append(store, &bob, unborn(), None, 0).await, Appending::Takes, "nor what others make");
}

pub async fn of_racing_ops_one_takes_the_place(home: &Home) {
    let (store, other) = (&home.store, &home.beside().await);
    for _ in 0..10 {
        let (alice, bob) = (person(store, "racera").await, person(store, "racerb").await);
        let first = unborn();
        let judged = at_once([(store, &alice, first, None), (other, &bob, first, None)]).await;
        assert_eq!((count(&judged, Appending::Takes), count(&judged, Appending::Stands)), (1, 1), "{judged:?}");
        let ops: Vec<_> = (0..6).map(|_| op(first, 1)).collect();
        let racers = [(store, &alice), (other, &bob), (store, &bob), (other, &alice)].into_iter().cycle();
        let judged = at_once(ops.iter().zip(racers).map(|(at, (store, by))| (store, by, *at, Some(0)))).await;
        assert_eq!((count(&judged, Appending::Takes), count(&judged, Appending::Stale)), (1, 5), "{judged:?}");
        let won = ops.into_iter().zip(judged).find(|(_, one)| *one == Appending::Takes).unwrap().0;
        assert_eq!(stands(other, won).await, Some((1, OpThere::Same, token(1).hash())));
    }
}

pub async fn nothing_is_stored_under_an_op_once_the_next_one_was_called(home: &Home) {
    let (store, other) = (&home.store, &home.beside().await);
    let (alice, bob) = (person(store, "speaker").await, person(store, "hearer").await);
    let carol = person(store, "remover").await;
    let mut ops = group(store, &carol, 0).await;
    let (mut stored, mut refused) = (0, 0);
    for seq in 1..=40 {
        let (now, next) = (ops[ops.len() - 1], op(ops[0], seq));
        let said = (0..8).map(|n| {
            let row = said_in(now, submit(&alice, seq * 10 + n, &[&bob], "before it"));
            tokio::spawn(commit(if n % 2 == 0 { store.clone() } else { other.clone() }, vec![row]))
        });
        let said: Vec<_> = said.collect();
        assert_eq!(append(other, &carol, next, Some(seq - 1), seq).await, Appending::Takes);
        let last = store.mailbox_state(bob.device).await.unwrap().last;
        for said in said {
            match &said.await.unwrap()[..] {
                [SubmitOutcome::Stored { placed, .. }] => {
                    assert!(placed[0].1 <= last, "stored after the next op was called");
                    stored += 1;
                }
                [SubmitOutcome::Stale(heads)] if heads.is_empty() => refused += 1,
                other => panic!("{other:?}"),
            }
        }
        ops.push(next);
        store.mailbox_ack(bob.device, last).await.unwrap();
    }
    assert_eq!(stored + refused, 320);
}

pub async fn ended_device_appends_nothing(home: &Home) {
    let store = &home.store;
    let alice = person(store, "ended").await;
    let ops = group(store, &alice, 0).await;
    let next = genesis(&alice.user);
    assert_eq!(store.reset_log(alice.head, next).await.unwrap(), LogWrite::Written);
    for (at, token) in [(op(ops[0], 1), Some(token(0))), (unborn(), None)] {
        let new = NewOp { by: alice.device, at, next_token: AppendToken::new([1; 32]).hash(), token };
        assert_eq!(store.append_op(new, MOST).await.unwrap(), None);
        assert_eq!(
            stands(store, at).await.map(|(last, there, _)| (last, there)),
            (at.head.seq > 0).then_some((0, OpThere::NotYet))
        );
    }
}

pub async fn groups_outlive_sweeps_resets_and_their_account(home: &Home) {
    let store = &home.store;
    let (alice, bob) = (person(store, "mortal").await, person(store, "heir").await);
    let ops = group(store, &alice, 1).await;
    store.reset_log(alice.head, genesis(&alice.user)).await.unwrap();
    store.sweep(at(0) + DAY * 4_000, at(0) + DAY * 4_000, KEPT).await.unwrap();
    home.delete_account(alice.user.as_str()).await;
    assert_eq!(stands(store, ops[1]).await, Some((1, OpThere::Same, token(1).hash())));
    assert_eq!(append(store, &bob, ops[0], None, 7).await, Appending::Stands, "its id is not given again");
    assert_eq!(append(store, &bob, op(ops[0], 2), Some(1), 2).await, Appending::Takes, "it goes on without its maker");
}

pub async fn groups_answer_as_their_model(home: &Home) {
    let store = &home.store;
    for seed in 0..3 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut model, mut seen) = (Model::default(), BTreeMap::<_, u32>::new());
        let people = [person(store, "modela").await, person(store, "modelb").await];
        let groups: Vec<_> = (0..8).map(|_| unborn()).collect();
        for step in 0..200 {
            let group = groups[rng.random_range(0..groups.len())];
            let seq = (model.last(group.group) + rng.random_range(0..3)).saturating_sub(1);
            // of each place three ops are known, of the first the one that it is named after
            let called = match rng.random_range(0..3u8) {
                0 | 1 if seq == 0 => group.head.hash,
                variant => {
                    let mut hash = *group.head.hash.as_bytes();
                    (hash[30], hash[31]) = (u8::try_from(seq).unwrap(), variant);
                    OpHash::new(hash)
                }
            };
            let at = GroupAt { head: GroupHead { seq, hash: called }, ..group };
            let wanted = model.groups.get(&group.group).and_then(|(_, wanted)| *wanted);
            let with = if rng.random_bool(0.8) { wanted } else { Some(rng.random_range(0..step + 1)) };
            let by = rng.random_range(0..people.len());
            let expected = model.append(by, at, with, step);
            let judged = append(store, &people[by], at, with, step).await;
            assert_eq!(judged, expected, "seed {seed}, step {step}");
            assert_eq!(stands(store, at).await, model.stands(at), "seed {seed}, step {step}");
            *seen.entry(format!("{judged:?}")).or_default() += 1;
        }
        assert!(seen.len() == 7 && seen.values().all(|count| *count > 1), "seed {seed}: {seen:?}");
    }
}

fn said_in(group: GroupAt, row: SubmitRow) -> SubmitRow {
    SubmitRow { group: Some(group), ..row }
}

async fn commit(store: Shared, rows: Vec<SubmitRow>) -> Vec<SubmitOutcome> {
    store.commit_submits(rows, ROOMY).await.unwrap()
}

const fn is_stored(outcome: &SubmitOutcome) -> bool {
    matches!(outcome, SubmitOutcome::Stored { .. })
}

pub async fn submit_under_another_op_of_its_group_stores_nothing(home: &Home) {
    let store = &home.store;
    let (alice, bob) = (person(store, "sayer").await, person(store, "reader").await);
    let ops = group(store, &alice, 2).await;
    let wrong = [ops[1], ops[0], op(ops[0], 2), op(ops[0], 3), unborn(), GroupAt { group: unborn().group, ..ops[2] }];
    let rows = wrong.iter().zip(1..).map(|(at, n)| said_in(*at, submit(&alice, n, &[&bob], "old")));
    assert_eq!(commit(store.clone(), rows.collect()).await, vec![SubmitOutcome::Stale(vec![]); wrong.len()]);
    assert_eq!(store.mailbox_state(bob.device).await.unwrap().last, 0);
    // nothing of it was remembered either
    let outcome = commit(store.clone(), vec![said_in(ops[2], submit(&alice, 1, &[&bob], "now"))]).await;
    assert!(is_stored(&outcome[0]), "{outcome:?}");
    let unclaimed = SubmitRow { heads: vec![], ..said_in(ops[1], submit(&alice, 9, &[&bob], "both")) };
    assert_eq!(
        commit(store.clone(), vec![unclaimed]).await,
        [SubmitOutcome::Stale(vec![bob.claim()])],
        "log heads come first"
    );
}

pub async fn submit_is_repeated_and_its_answer_stays_when_the_group_went_on(home: &Home) {
    let store = &home.store;
    let (alice, bob) = (person(store, "repeater").await, person(store, "friend").await);
    let ops = group(store, &alice, 0).await;
    let row = said_in(ops[0], submit(&alice, 1, &[&bob], "hi"));
    assert!(is_stored(&commit(store.clone(), vec![row.clone()]).await[0]));
    let next = op(ops[0], 1);
    assert_eq!(append(store, &bob, next, Some(0), 1).await, Appending::Takes);
    assert_eq!(commit(store.clone(), vec![row]).await, [SubmitOutcome::Repeated { full: vec![] }]);
    let stale = commit(store.clone(), vec![said_in(ops[0], submit(&alice, 2, &[&bob], "late"))]).await;
    assert_eq!(stale, [SubmitOutcome::Stale(vec![])]);
    assert!(is_stored(&commit(store.clone(), vec![said_in(next, submit(&alice, 3, &[&bob], "now"))]).await[0]));
}

pub async fn submit_in_many_groups_is_judged_by_each(home: &Home) {
    let store = &home.store;
    let (alice, bob) = (person(store, "everywhere").await, person(store, "listener").await);
    let (one, two) = (group(store, &alice, 1).await, group(store, &bob, 0).await);
    let rows = [Some(one[1]), None, Some(two[0]), Some(one[0]), Some(one[1]), Some(op(two[0], 0))];
    let rows = rows.iter().zip(1..).map(|(at, n)| SubmitRow { group: *at, ..submit(&alice, n, &[&bob], "x") });
    let outcomes = commit(store.clone(), rows.collect()).await;
    assert_eq!(outcomes.iter().map(is_stored).collect::<Vec<_>>(), [true, true, true, false, true, false]);
    assert_eq!([&outcomes[3], &outcomes[5]], [&SubmitOutcome::Stale(vec![]); 2]);
    assert_eq!(store.mailbox_state(bob.device).await.unwrap().last, 4, "what is stale takes no number");
}

pub async fn all_devices_of_a_submit_may_be_full(home: &Home) {
    let store = &home.store;
    let (alice, open) = (person(store, "crowda").await, person(store, "open").await);
    let mut full = Vec::new();
    for _ in 1..chat_protocol::limits::MAX_SUBMIT_DEVICES {
        full.push(person(store, "full").await);
    }
    let quota = Quota { messages: 1, ..ROOMY };
    let fill = submit(&alice, 1, &full.iter().collect::<Vec<_>>(), "fills them");
    assert!(is_stored(&store.commit_submits(vec![fill], quota).await.unwrap()[0]));
    let everybody: Vec<_> = full.iter().chain([&open]).collect();
    let row = submit(&alice, 2, &everybody, "one finds room");
    let devices: Vec<_> = full.iter().map(|person| person.device).collect();
    let outcome = store.commit_submits(vec![row.clone()], quota).await.unwrap().remove(0);
    assert_eq!(outcome, SubmitOutcome::Stored { placed: vec![(open.device, 1)], full: devices.clone() });
    assert_eq!(store.commit_submits(vec![row], quota).await.unwrap(), [SubmitOutcome::Repeated { full: devices }]);
}
