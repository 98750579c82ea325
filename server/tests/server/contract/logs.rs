//! Account logs and devices.

use chat_protocol::ids::{DeviceId, Head};
use chat_server::store::{
    AppendEntry, DeviceState, LogWrite, NewBundle, NewDevice, NewLog, PendingReset, Publication, SubmitOutcome, Waiting,
};

use super::{DAY, KEPT, Person, ROOMY, Shared, account, at, bytes, fresh, genesis, hash, name, person, submit};
use crate::support::Home;

fn entry(alice: &Person, number: u64) -> AppendEntry {
    AppendEntry {
        user: alice.user.clone(),
        expected: alice.head,
        entry: format!("entry {number}").into_bytes(),
        head: Head { seq: alice.head.seq + 1, hash: hash(number) },
        activates: None,
        revokes: Vec::new(),
        at: at(2),
    }
}

async fn state(store: &Shared, device: DeviceId) -> Option<DeviceState> {
    store.device(device).await.unwrap().map(|device| device.state)
}

fn waiting(user: &chat_protocol::ids::Username) -> NewDevice {
    let number = fresh();
    NewDevice { user: user.clone(), device: DeviceId::new(bytes(number)), cert: vec![1], at: at(2) }
}

pub async fn of_two_first_enrolments_one_wins(home: &Home) {
    let store = &home.store;
    let user = account(store, "first").await;
    assert_eq!(store.log(&user, 0, 10).await.unwrap(), None);
    let (one, two) = (genesis(&user), genesis(&user));
    let (first, second) = tokio::join!(store.begin_log(one.clone()), store.begin_log(two.clone()));
    let (first, second) = (first.unwrap(), second.unwrap());
    let (winner, lost) = if first == LogWrite::Written { (one, second) } else { (two, first) };
    let head = Head { seq: 0, hash: winner.hash };
    assert_eq!(lost, LogWrite::Stale(head));
    assert_eq!(store.begin_log(winner.clone()).await.unwrap(), LogWrite::Written);
    let log = store.log(&user, 0, 10).await.unwrap().unwrap();
    assert_eq!((log.head, log.entries), (head, vec![winner.genesis]));
    assert_eq!(log.fingerprint.as_bytes(), winner.hash.as_bytes());
    assert_eq!(state(store, winner.device).await, Some(DeviceState::Active));
    assert_eq!(store.devices(&user).await.unwrap().len(), 1);
    assert_eq!(store.begin_log(genesis(&name("nobody"))).await.unwrap(), LogWrite::Missing);
}

pub async fn append_is_compare_and_set(home: &Home) {
    let store = &home.store;
    let alice = person(store, "append").await;
    let (one, other) = (entry(&alice, fresh()), entry(&alice, fresh()));
    assert_eq!(store.append_log(one.clone()).await.unwrap(), LogWrite::Written);
    assert_eq!(store.append_log(one.clone()).await.unwrap(), LogWrite::Written, "the same bytes may be sent again");
    assert_eq!(store.append_log(other).await.unwrap(), LogWrite::Stale(one.head));
    let log = store.log(&alice.user, 1, 10).await.unwrap().unwrap();
    assert_eq!((log.head, log.entries), (one.head, vec![one.entry]));
    let known = store.heads(&[name("nobody"), alice.user.clone()]).await.unwrap();
    assert_eq!(
        known.iter().map(|known| (&known.user, known.head)).collect::<Vec<_>>(),
        [(&alice.user, Some(one.head))]
    );
}

pub async fn revoked_device_loses_everything_and_never_returns(home: &Home) {
    let store = &home.store;
    let (mut alice, bob) = (person(store, "revoker").await, person(store, "witness").await);
    let second = DeviceId::new(bytes(fresh()));
    let mut add = entry(&alice, fresh());
    add.activates = Some((second, vec![2]));
    assert_eq!(store.append_log(add.clone()).await.unwrap(), LogWrite::Written);
    alice.head = add.head;
    let to = Person { device: second, ..alice.clone() };
    let sent = store.commit_submits(vec![submit(&bob, 1, &[&to], "hi")], ROOMY).await.unwrap();
    assert!(matches!(sent[..], [SubmitOutcome::Stored { .. }]));
    let bundle = NewBundle { device: second, seq: 1, bundle: vec![1], one_time: vec![], listed: vec![] };
    assert_eq!(store.publish_bundle(bundle.clone()).await.unwrap(), Publication::Published);

    let mut revoke = entry(&alice, fresh());
    revoke.revokes = vec![second];
    assert_eq!(store.append_log(revoke.clone()).await.unwrap(), LogWrite::Written);
    alice.head = revoke.head;

    assert_eq!(state(store, second).await, Some(DeviceState::Revoked));
    assert!(store.mailbox_after(second, 0, 10, 1 << 20).await.unwrap().is_empty());
    assert_eq!(store.take_bundle(second, true).await.unwrap(), None);
    assert_eq!(store.publish_bundle(NewBundle { seq: 2, ..bundle }).await.unwrap(), Publication::Missing);
    let mut again = entry(&alice, fresh());
    again.activates = Some((second, vec![2]));
    assert_eq!(store.append_log(again).await.unwrap(), LogWrite::Missing);
    assert_eq!(store.log(&alice.user, 0, 10).await.unwrap().unwrap().head, alice.head);
}

pub async fn reset_archives_and_ends_the_old_devices(home: &Home) {
    let store = &home.store;
    let (alice, bob) = (person(store, "lost").await, person(store, "friend").await);
    store.commit_submits(vec![submit(&bob, 1, &[&alice], "hi")], ROOMY).await.unwrap();
    let next = genesis(&alice.user);
    let elsewhere = Head { seq: 4, hash: hash(fresh()) };
    assert_eq!(store.reset_log(elsewhere, next.clone()).await.unwrap(), LogWrite::Stale(alice.head));
    assert_eq!(store.reset_log(alice.head, next.clone()).await.unwrap(), LogWrite::Written);
    assert_eq!(store.reset_log(alice.head, next.clone()).await.unwrap(), LogWrite::Written, "repeatable");
    let log = store.log(&alice.user, 0, 10).await.unwrap().unwrap();
    assert_eq!((log.head, log.entries), (Head { seq: 0, hash: next.hash }, vec![next.genesis.clone()]));
    assert_eq!(state(store, alice.device).await, Some(DeviceState::Replaced));
    assert_eq!(state(store, next.device).await, Some(DeviceState::Active));
    assert!(store.mailbox_after(alice.device, 0, 10, 1 << 20).await.unwrap().is_empty());
    let old = NewLog { at: at(9), ..alice.genesis };
    let head = Head { seq: 0, hash: next.hash };
    assert_eq!(store.reset_log(head, old).await.unwrap(), LogWrite::Missing, "an ended device begins no log");
    let account = account(store, "unenrolled").await;
    assert_eq!(store.reset_log(head, genesis(&account)).await.unwrap(), LogWrite::Missing);
}

pub async fn reset_waits_and_is_cancelled(home: &Home) {
    let store = &home.store;
    let alice = person(store, "patient").await;
    let reset = PendingReset { genesis: hash(fresh()), at: at(3), due: at(3) + DAY };
    assert!(store.put_reset(&alice.user, reset).await.unwrap());
    assert_eq!(store.pending_reset(&alice.user).await.unwrap(), Some(reset));
    assert_eq!(store.login_state(alice.device).await.unwrap().unwrap().reset_pending, Some(reset.due));
    assert!(store.cancel_reset(&alice.user).await.unwrap());
    assert!(!store.cancel_reset(&alice.user).await.unwrap());
    assert_eq!(store.pending_reset(&alice.user).await.unwrap(), None);
    assert!(store.put_reset(&alice.user, reset).await.unwrap());
    assert_eq!(store.reset_log(alice.head, genesis(&alice.user)).await.unwrap(), LogWrite::Written);
    assert_eq!(store.pending_reset(&alice.user).await.unwrap(), None, "a reset that happened no longer waits");
    assert!(!store.put_reset(&name("nobody"), reset).await.unwrap());
}

pub async fn waiting_devices_are_few_and_known(home: &Home) {
    let store = &home.store;
    let alice = person(store, "many").await;
    let (one, two, three) = (waiting(&alice.user), waiting(&alice.user), waiting(&alice.user));
    assert_eq!(store.add_waiting_device(one.clone(), 2).await.unwrap(), Waiting::Waits);
    assert_eq!(store.add_waiting_device(two.clone(), 2).await.unwrap(), Waiting::Waits);
    assert_eq!(store.add_waiting_device(three.clone(), 2).await.unwrap(), Waiting::TooMany);
    assert_eq!(store.add_waiting_device(one.clone(), 2).await.unwrap(), Waiting::Waits, "it waits already");
    let active = NewDevice { device: alice.device, ..one.clone() };
    assert_eq!(store.add_waiting_device(active, 2).await.unwrap(), Waiting::Known(DeviceState::Active));
    assert_eq!(store.add_waiting_device(waiting(&name("nobody")), 2).await.unwrap(), Waiting::Missing);
    let stored = store.device(one.device).await.unwrap().unwrap();
    assert_eq!((stored.user, stored.cert, stored.state), (alice.user.clone(), one.cert.clone(), DeviceState::Waiting));

    let mut approve = entry(&alice, fresh());
    approve.activates = Some((one.device, one.cert));
    assert_eq!(store.append_log(approve).await.unwrap(), LogWrite::Written);
    assert_eq!(state(store, one.device).await, Some(DeviceState::Active));
    assert_eq!(store.add_waiting_device(three, 2).await.unwrap(), Waiting::Waits);
    store.sweep(at(3) + DAY + DAY, at(0), KEPT).await.unwrap();
    assert_eq!(state(store, two.device).await, None, "who waited in vain is forgotten");
    assert_eq!(state(store, one.device).await, Some(DeviceState::Active));
}

pub async fn atk_23_swapped_hashes_change_no_identity(home: &Home) {
    let store = &home.store;
    let (alice, bob) = (person(store, "swapa").await, person(store, "swapb").await);
    let hash = |user| async move { store.account(user).await.unwrap().unwrap().hash };
    let before = (store.log(&alice.user, 0, 9).await.unwrap(), store.devices(&alice.user).await.unwrap());
    let (a, b) = (hash(&alice.user).await, hash(&bob.user).await);
    store.set_password(&alice.user, b, None).await.unwrap();
    store.set_password(&bob.user, a, None).await.unwrap();
    let after = (store.log(&alice.user, 0, 9).await.unwrap(), store.devices(&alice.user).await.unwrap());
    assert_eq!(before, after);
    assert_eq!(store.device(bob.device).await.unwrap().unwrap().user, bob.user);
}

pub async fn login_state_tells_where_everything_stands(home: &Home) {
    let store = &home.store;
    let (alice, bob) = (person(store, "statea").await, person(store, "stateb").await);
    let fresh_state = store.login_state(alice.device).await.unwrap().unwrap();
    assert_eq!((fresh_state.head, fresh_state.mailbox_last, fresh_state.bundle_seq), (alice.head, 0, 0));
    let rows =
        vec![submit(&bob, 4, &[&alice], "one"), submit(&bob, 9, &[&alice], "two"), submit(&bob, 5, &[&alice], "x")];
    store.commit_submits(rows, ROOMY).await.unwrap();
    store.mailbox_ack(alice.device, 2).await.unwrap();
    let bundle = NewBundle { device: alice.device, seq: 6, bundle: vec![1], one_time: vec![], listed: vec![] };
    store.publish_bundle(bundle).await.unwrap();
    let state = store.login_state(alice.device).await.unwrap().unwrap();
    assert_eq!((state.mailbox_acked, state.mailbox_last, state.bundle_seq), (2, 3, 6));
    assert_eq!(store.login_state(bob.device).await.unwrap().unwrap().submit_counter, 9);
    assert_eq!(store.login_state(DeviceId::new(bytes(fresh()))).await.unwrap(), None);
}
