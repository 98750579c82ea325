//! Mailboxes: order, deduplication, quotas, retention.

use chat_protocol::ids::{DeviceId, SubmitId};
use chat_server::rules::{Ack, Quota};
use chat_server::store::{LogWrite, MailboxState, SubmitOutcome, SubmitRow};

use super::{DAY, KEPT, Person, ROOMY, Shared, at, bytes, fresh, person, submit};
use crate::support::Home;

async fn three(store: &Shared) -> (Person, Person, Person) {
    (person(store, "alice").await, person(store, "bob").await, person(store, "carol").await)
}

fn stored(placed: &[(&Person, u64)], full: &[&Person]) -> SubmitOutcome {
    SubmitOutcome::Stored {
        placed: placed.iter().map(|(person, seq)| (person.device, *seq)).collect(),
        full: full.iter().map(|person| person.device).collect(),
    }
}

async fn read(store: &Shared, person: &Person) -> Vec<(u64, String)> {
    let mail = store.mailbox_after(person.device, 0, 1_000, 1 << 30).await.unwrap();
    mail.into_iter().map(|mail| (mail.seq, String::from_utf8(mail.envelope.to_vec()).unwrap())).collect()
}

pub async fn sequences_are_contiguous_per_device(home: &Home) {
    let store = &home.store;
    let (alice, bob, carol) = three(store).await;
    let rows = vec![
        submit(&alice, 1, &[&bob, &carol], "both"),
        submit(&alice, 2, &[&carol], "carol"),
        submit(&carol, 1, &[&bob], "from carol"),
    ];
    let outcomes = store.commit_submits(rows, ROOMY).await.unwrap();
    assert_eq!(
        outcomes,
        [stored(&[(&bob, 1), (&carol, 1)], &[]), stored(&[(&carol, 2)], &[]), stored(&[(&bob, 2)], &[])]
    );
    let mail = store.mailbox_after(bob.device, 0, 10, 1 << 20).await.unwrap();
    assert_eq!(mail.iter().map(|mail| mail.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((&mail[0].from, mail[0].from_device), (&alice.user, alice.device));
    assert_eq!((&mail[1].from, &mail[1].envelope[..]), (&carol.user, &b"from carol"[..]));
    assert_eq!(store.mailbox_after(bob.device, 1, 10, 1 << 20).await.unwrap().len(), 1);
}

pub async fn repeated_submit_gets_its_first_answer(home: &Home) {
    let store = &home.store;
    let (alice, bob, carol) = three(store).await;
    let quota = Quota { messages: 1, ..ROOMY };
    store.commit_submits(vec![submit(&carol, 1, &[&bob], "fills bob")], quota).await.unwrap();
    let row = submit(&alice, 1, &[&bob, &carol], "hi");
    let first = store.commit_submits(vec![row.clone(), row.clone()], quota).await.unwrap();
    let repeated = SubmitOutcome::Repeated { full: vec![bob.device] };
    assert_eq!(first, [stored(&[(&carol, 1)], &[&bob]), repeated.clone()]);
    store.mailbox_ack(bob.device, 1).await.unwrap();
    // outdated heads and a mailbox that has room by now change nothing
    let later = SubmitRow { heads: vec![], ..row.clone() };
    assert_eq!(store.commit_submits(vec![later], ROOMY).await.unwrap()[0], repeated);
    assert_eq!(read(store, &carol).await.len(), 1);
    // still after 30 days, no longer after the memory of submits has ended
    store.sweep(row.at + DAY * 30, at(0), KEPT).await.unwrap();
    assert_eq!(store.commit_submits(vec![row.clone()], ROOMY).await.unwrap(), [repeated]);
    store.sweep(row.at + DAY * 32, at(0), KEPT).await.unwrap();
    assert!(matches!(store.commit_submits(vec![row], ROOMY).await.unwrap()[..], [SubmitOutcome::Stored { .. }]));
}

pub async fn one_bad_row_fails_alone(home: &Home) {
    let store = &home.store;
    let (alice, bob, carol) = three(store).await;
    let mut bad = submit(&alice, 2, &[&bob], "bad");
    bad.to = vec![
        (carol.device, b"good part".as_slice().into()),
        (DeviceId::new(bytes(fresh())), b"lost".as_slice().into()),
    ];
    let rows = vec![submit(&alice, 1, &[&bob], "one"), bad, submit(&carol, 1, &[&bob], "two")];
    let outcomes = store.commit_submits(rows, ROOMY).await.unwrap();
    assert!(!matches!(outcomes[1], SubmitOutcome::Stored { .. } | SubmitOutcome::Repeated { .. }));
    assert_eq!([&outcomes[0], &outcomes[2]], [&stored(&[(&bob, 1)], &[]), &stored(&[(&bob, 2)], &[])]);
    assert_eq!(read(store, &carol).await, []);
    let poison = home.poison();
    let rows = vec![
        submit(&alice, 3, &[&bob], "three"),
        submit(&alice, 4, &[&carol, &bob], poison),
        submit(&carol, 2, &[&bob], "four"),
    ];
    home.set_poison(true).await;
    let outcomes = store.commit_submits(rows, ROOMY).await.unwrap();
    home.set_poison(false).await;
    assert_eq!(outcomes, [stored(&[(&bob, 3)], &[]), SubmitOutcome::Failed, stored(&[(&bob, 4)], &[])]);
    let again = store.commit_submits(vec![submit(&alice, 4, &[&carol, &bob], "healed")], ROOMY).await.unwrap();
    assert_eq!(again, [stored(&[(&carol, 1), (&bob, 5)], &[])], "a failed row is not remembered");
}

pub async fn outdated_head_stores_nothing(home: &Home) {
    let store = &home.store;
    let (alice, bob, carol) = three(store).await;
    let mut row = submit(&alice, 1, &[&bob, &carol], "hi");
    row.heads[1].head.seq = 7;
    let outcomes = store.commit_submits(vec![row.clone()], ROOMY).await.unwrap();
    assert_eq!(outcomes, [SubmitOutcome::Stale(vec![carol.claim()])]);
    row.heads = vec![bob.claim(), carol.claim()];
    assert_eq!(store.commit_submits(vec![row], ROOMY).await.unwrap(), [stored(&[(&bob, 1), (&carol, 1)], &[])]);
    // an account that is named without a device counts too: the sender's own other devices may have changed
    let mut own = submit(&alice, 2, &[&bob], "hi");
    let wrong = chat_protocol::message::client::UserHead { user: alice.user.clone(), head: carol.head };
    own.heads.push(wrong);
    assert_eq!(store.commit_submits(vec![own], ROOMY).await.unwrap(), [SubmitOutcome::Stale(vec![alice.claim()])]);
}

pub async fn full_mailbox_is_named_and_others_served(home: &Home) {
    let store = &home.store;
    let (alice, bob, carol) = three(store).await;
    let quota = Quota { messages: 2, bytes: 1_000, from_one: 1_000, ..ROOMY };
    store.commit_submits(vec![submit(&carol, 1, &[&bob], "1"), submit(&carol, 2, &[&bob], "2")], quota).await.unwrap();
    let outcomes = store.commit_submits(vec![submit(&alice, 1, &[&bob, &carol], "x")], quota).await.unwrap();
    assert_eq!(outcomes, [stored(&[(&carol, 1)], &[&bob])]);
    let only_full = submit(&alice, 2, &[&bob], "x");
    assert_eq!(store.commit_submits(vec![only_full.clone()], quota).await.unwrap(), [SubmitOutcome::Full]);
    store.mailbox_ack(bob.device, 2).await.unwrap();
    assert_eq!(store.commit_submits(vec![only_full], quota).await.unwrap(), [stored(&[(&bob, 3)], &[])]);
}

pub async fn bytes_of_an_account_are_counted_over_all_mailboxes_until_they_go(home: &Home) {
    let store = &home.store;
    let (alice, bob, carol) = three(store).await;
    let quota = Quota { of_account: 180_000, ..ROOMY };
    let text = "x".repeat(60_000);
    let mut counter = 0;
    let mut next = async |from: &Person, to: &[&Person]| {
        counter += 1;
        let mut outcomes = store.commit_submits(vec![submit(from, counter, to, &text)], quota).await.unwrap();
        match outcomes.remove(0) {
            SubmitOutcome::Stored { placed, .. } => placed.len(),
            _ => 0,
        }
    };
    for placed in [1, 1, 1, 0] {
        assert_eq!(next(&alice, &[&bob]).await, placed, "three are within the sum");
    }
    // the first of a mailbox is admitted beyond it
    assert_eq!((next(&alice, &[&carol]).await, next(&alice, &[&carol]).await), (1, 0));
    assert_eq!((next(&bob, &[&carol]).await, next(&bob, &[&carol]).await), (1, 1), "another account is not concerned");
    store.mailbox_ack(bob.device, 2).await.unwrap();
    assert_eq!(next(&alice, &[&bob, &carol]).await, 1, "what was acknowledged is gone, and only one fits");
    assert_eq!(next(&alice, &[&carol]).await, 0);
    store.sweep(at(0) + DAY * 40, at(0), KEPT).await.unwrap();
    for placed in [1, 1, 1, 0] {
        assert_eq!(next(&alice, &[&carol]).await, placed, "so is what was swept");
    }
    let mut replaced = super::genesis(&carol.user);
    replaced.at = at(0) + DAY * 40;
    assert_eq!(store.reset_log(carol.head, replaced).await.unwrap(), LogWrite::Written);
    for placed in [1, 1, 1, 0] {
        assert_eq!(next(&alice, &[&bob]).await, placed, "and what a device that ended was sent");
    }
}

pub async fn quotas_count_within_one_commit(home: &Home) {
    let store = &home.store;
    let (alice, bob, carol) = three(store).await;
    let quota = Quota { messages: 5, bytes: 10, from_one: 2, ..ROOMY };
    let rows = vec![
        submit(&alice, 1, &[&bob], "a1"),
        submit(&alice, 2, &[&bob], "a2"),
        submit(&alice, 3, &[&bob], "a3"),
        submit(&carol, 1, &[&bob], "c1"),
        submit(&carol, 2, &[&bob], "c-two"),
    ];
    let outcomes = store.commit_submits(rows, quota).await.unwrap();
    let placed = |seq| stored(&[(&bob, seq)], &[]);
    assert_eq!(outcomes, [placed(1), placed(2), SubmitOutcome::Full, placed(3), SubmitOutcome::Full]);
    let state = MailboxState { acked: 0, last: 3, messages: 3, bytes: 6 };
    assert_eq!(store.mailbox_state(bob.device).await.unwrap(), state);
}

pub async fn atk_84_bytes_of_one_sender_leave_room_for_others_and_come_back_when_they_go(home: &Home) {
    let store = &home.store;
    let (alice, bob, carol) = three(store).await;
    let quota = Quota { messages: 1_000, bytes: 1 << 20, from_one: 1_000, ..ROOMY };
    let text = "x".repeat(64 * 1024);
    let full = |outcomes: &[SubmitOutcome]| outcomes.iter().filter(|one| **one == SubmitOutcome::Full).count();
    // a quarter of what others leave free: four of them, within one commit and from one to the next
    let rows = (1..=6).map(|n| submit(&alice, n, &[&bob], &text)).collect();
    assert_eq!(full(&store.commit_submits(rows, quota).await.unwrap()), 2);
    let more = store.commit_submits(vec![submit(&alice, 7, &[&bob], &text)], quota).await.unwrap();
    assert_eq!(more, [SubmitOutcome::Full]);
    let rows = (1..=4).map(|n| submit(&carol, n, &[&bob], &text)).collect();
    assert_eq!(full(&store.commit_submits(rows, quota).await.unwrap()), 1, "a quarter of what is left");
    assert_eq!(store.mailbox_ack(bob.device, 2).await.unwrap(), Ack::Forget);
    let rows = (8..=10).map(|n| submit(&alice, n, &[&bob], &text)).collect();
    assert_eq!(full(&store.commit_submits(rows, quota).await.unwrap()), 2, "what went made room");
}

pub async fn acknowledged_messages_make_room(home: &Home) {
    let store = &home.store;
    let (alice, bob, _) = three(store).await;
    let quota = Quota { messages: 10, bytes: 100, from_one: 2, ..ROOMY };
    let rows = vec![submit(&alice, 1, &[&bob], "one"), submit(&alice, 2, &[&bob], "two")];
    store.commit_submits(rows, quota).await.unwrap();
    assert_eq!(store.mailbox_ack(bob.device, 1).await.unwrap(), Ack::Forget);
    assert_eq!(store.mailbox_ack(bob.device, 1).await.unwrap(), Ack::Known);
    assert_eq!(read(store, &bob).await, [(2, "two".into())]);
    let outcomes = store.commit_submits(vec![submit(&alice, 3, &[&bob], "three")], quota).await.unwrap();
    assert_eq!(outcomes, [stored(&[(&bob, 3)], &[])]);
    let state = MailboxState { acked: 1, last: 3, messages: 2, bytes: 8 };
    assert_eq!(store.mailbox_state(bob.device).await.unwrap(), state);
}

pub async fn acknowledgement_ahead_is_refused(home: &Home) {
    let store = &home.store;
    let (alice, bob, _) = three(store).await;
    assert_eq!(store.mailbox_ack(bob.device, 1).await.unwrap(), Ack::Unknown);
    store.commit_submits(vec![submit(&alice, 1, &[&bob], "one")], ROOMY).await.unwrap();
    assert_eq!(store.mailbox_ack(bob.device, u64::MAX).await.unwrap(), Ack::Unknown);
    assert_eq!(read(store, &bob).await.len(), 1);
}

pub async fn reading_stops_at_the_byte_limit(home: &Home) {
    let store = &home.store;
    let (alice, bob, _) = three(store).await;
    let rows = (1..=4).map(|n| submit(&alice, n, &[&bob], &"x".repeat(100))).collect();
    store.commit_submits(rows, ROOMY).await.unwrap();
    let read = async |limit, bytes| store.mailbox_after(bob.device, 0, limit, bytes).await.unwrap().len();
    assert_eq!(read(10, 250).await, 2);
    assert_eq!(read(10, 1).await, 1, "one always comes, or nothing ever would");
    assert_eq!(read(3, 10_000).await, 3);
}

pub async fn unknown_and_ended_devices_are_not_found(home: &Home) {
    let store = &home.store;
    let (alice, bob, carol) = three(store).await;
    let next = super::genesis(&carol.user);
    store.reset_log(carol.head, next.clone()).await.unwrap();
    let ended = Person { head: chat_protocol::ids::Head { seq: 0, hash: next.hash }, ..carol.clone() };
    let rows = vec![submit(&alice, 1, &[&ended], "to nobody"), submit(&ended, 1, &[&bob], "from nobody")];
    let outcomes = store.commit_submits(rows, ROOMY).await.unwrap();
    assert_eq!(outcomes, [SubmitOutcome::NotFound, SubmitOutcome::NotFound]);
    assert_eq!(read(store, &bob).await, []);
}

pub async fn sweep_forgets_by_age_and_keeps_the_sequence(home: &Home) {
    let store = &home.store;
    let (alice, bob, _) = three(store).await;
    let old = submit(&alice, 1, &[&bob], "old");
    let young = SubmitRow { at: old.at + DAY * 20, ..submit(&alice, 2, &[&bob], "young") };
    store.commit_submits(vec![old.clone(), young], ROOMY).await.unwrap();
    store.sweep(old.at + DAY * 31, at(0), KEPT).await.unwrap();
    assert_eq!(read(store, &bob).await, [(2, "young".into())]);
    let state = MailboxState { acked: 0, last: 2, messages: 1, bytes: 5 };
    assert_eq!(store.mailbox_state(bob.device).await.unwrap(), state);
    let outcomes = store.commit_submits(vec![submit(&alice, 3, &[&bob], "next")], ROOMY).await.unwrap();
    assert_eq!(outcomes, [stored(&[(&bob, 3)], &[])]);
}

pub async fn how_far_submits_had_come_outlives_their_memory(home: &Home) {
    let store = &home.store;
    let (alice, bob, carol) = three(store).await;
    let come = async |from: &Person| store.login_state(from.device).await.unwrap().unwrap().submit_counter;
    let rows = vec![submit(&alice, 7, &[&bob], "x"), submit(&carol, 3, &[&bob], "y"), submit(&alice, 5, &[&bob], "z")];
    let late = rows[0].at + DAY * 40;
    store.commit_submits(rows, ROOMY).await.unwrap();
    assert_eq!((come(&alice).await, come(&carol).await, come(&bob).await), (7, 3, 0));
    assert_eq!(store.sweep(late, at(0), KEPT).await.unwrap().submits, 3);
    assert_eq!((come(&alice).await, come(&carol).await), (7, 3));
    store.commit_submits(vec![submit(&carol, 4, &[&bob], "next")], ROOMY).await.unwrap();
    assert_eq!((come(&alice).await, come(&carol).await), (7, 4));
}

pub async fn sweep_of_much_lets_others_in_between(home: &Home) {
    const OLD: u64 = 6_500;
    let store = &home.store;
    let (alice, bob, carol) = three(store).await;
    let roomy = Quota { messages: 10_000, bytes: 1 << 30, from_one: 10_000, ..ROOMY };
    let rows: Vec<_> = (1..=OLD).map(|n| SubmitRow { at: at(0), ..submit(&alice, n, &[&bob], "old") }).collect();
    for part in rows.chunks(500) {
        store.commit_submits(part.to_vec(), roomy).await.unwrap();
    }
    let (now, sweeping) = (at(0) + DAY * 40, store.clone());
    let mut sweeping = tokio::spawn(async move { sweeping.sweep(now, at(0), KEPT).await.unwrap() });
    let mut meanwhile = 0;
    let swept = loop {
        let young = SubmitRow { at: now, ..submit(&carol, meanwhile + 1, &[&bob], "young") };
        tokio::select! {
            biased;
            swept = &mut sweeping => break swept.unwrap(),
            stored = store.commit_submits(vec![young], roomy) => {
                assert!(matches!(stored.unwrap()[..], [SubmitOutcome::Stored { .. }]));
                meanwhile += 1;
            }
        }
    };
    assert_eq!((swept.mail, swept.submits), (OLD, OLD));
    // one transaction would let in what waited when it began, and nobody else
    assert!(meanwhile > 3, "{meanwhile} submits were stored meanwhile");
    let state = store.mailbox_state(bob.device).await.unwrap();
    assert!(state.messages >= meanwhile && state.last >= OLD + meanwhile, "{state:?}");
}

pub async fn racing_commits_leave_no_gap(home: &Home) {
    let store = &home.store;
    let (alice, bob, carol) = three(store).await;
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let (store, alice, bob, carol) = (store.clone(), alice.clone(), bob.clone(), carol.clone());
            tokio::spawn(async move {
                // opposite orders: a store that locks as it goes would deadlock here
                let to = if task % 2 == 0 { [&bob, &carol] } else { [&carol, &bob] };
                for n in 0..5 {
                    let outcomes = store.commit_submits(vec![submit(&alice, task * 100 + n, &to, "x")], ROOMY).await;
                    assert!(matches!(outcomes.unwrap()[..], [SubmitOutcome::Stored { .. }]));
                    store.mailbox_ack(bob.device, 1).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let seqs = |mail: Vec<(u64, String)>| mail.into_iter().map(|(seq, _)| seq).collect::<Vec<_>>();
    assert_eq!(seqs(read(store, &carol).await), (1..=80).collect::<Vec<_>>());
    assert_eq!(seqs(read(store, &bob).await), (2..=80).collect::<Vec<_>>());
    assert_eq!(store.mailbox_state(bob.device).await.unwrap().messages, 79);
}

pub async fn large_commits_are_whole(home: &Home) {
    let store = &home.store;
    let (alice, bob, carol) = three(store).await;
    let text = "y".repeat(40_000);
    let quota = Quota { messages: 10_000, bytes: 1 << 30, from_one: 10_000, ..ROOMY };
    let rows: Vec<_> = (1..=150).map(|n| submit(&alice, n, &[&bob, &carol], &text)).collect();
    let outcomes = store.commit_submits(rows, quota).await.unwrap();
    for (outcome, seq) in outcomes.iter().zip(1..) {
        assert_eq!(*outcome, stored(&[(&bob, seq), (&carol, seq)], &[]));
    }
    assert_eq!(read(store, &bob).await.len(), 150);
    assert_eq!(store.login_state(alice.device).await.unwrap().unwrap().submit_counter, 150);
    let forged = SubmitRow { submit_id: SubmitId::new(u64::MAX, [0; 8]), ..submit(&alice, 1, &[&bob], "forged") };
    assert!(matches!(store.commit_submits(vec![forged], quota).await.unwrap()[..], [SubmitOutcome::Stored { .. }]));
}
