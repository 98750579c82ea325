//! Account logs, revocations, bundles: what devices say about themselves.

use std::time::Duration;

use chat_protocol::crypto::kdf::sha256;
use chat_protocol::fixtures::{FirstDevice, device_keys, first_device};
use chat_protocol::identity::account_log::{AccountLog, Author};
use chat_protocol::ids::{DeviceId, Head, KeyHash};
use chat_protocol::message::Blob;
use chat_protocol::message::client::{
    BundleFetch, BundlePublish, DevicesWaiting, LogAppend, LogFetch, Login, OneTimeStatus,
};
use chat_protocol::message::server::{Code, Enrolled, Push, Refusal};
use chat_protocol::session::bundle::{Draft, KemPrekey, OneTimePrekey, SignedPrekey, VerifiedBundle};
use chat_protocol::time::Timestamp;
use chat_server::counters::Closed;

use super::client::{End, now};
use super::world::{Absent, Later, Person, World, enrol, login, pass, settings, stop_the_clock, until};

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn author(device: &FirstDevice) -> Author<'_> {
    Author { key: &device.keys.signing, cert: &device.cert, at: AT }
}

/// A further device of `person`, waiting for approval.
async fn waiting(world: &World, person: &Person, n: usize) -> FirstDevice {
    let device = first_device(&person.user, n, AT);
    let mut guest = world.guest().await;
    let ask = enrol(&guest, &device, false);
    assert!(matches!(guest.call(&ask).await, Ok(Enrolled::ApprovalRequired(..))));
    device
}

/// The entry with which `person` adds `device`.
fn adding(person: &Person, device: &FirstDevice) -> LogAppend {
    let log = &person.device.log;
    let acceptance = device.keys.accept(&log.fingerprint(), &device.cert, &mut rand::rng());
    let entry = log.add_device(author(&person.device), &device.cert, acceptance, &mut rand::rng()).unwrap();
    LogAppend { head: log.head(), entry: Blob(entry) }
}

fn revoking(log: &AccountLog, by: &FirstDevice, device: &FirstDevice) -> LogAppend {
    let entry = log.revoke_devices(author(by), vec![device.cert.id()], &mut rand::rng()).unwrap();
    LogAppend { head: log.head(), entry: Blob(entry) }
}

fn at_home(device: &FirstDevice, log: &AccountLog) -> Absent {
    Absent::of(FirstDevice { log: log.clone(), ..device.clone() })
}

#[tokio::test]
async fn approved_device_logs_in_and_the_log_tells_everybody() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let tablet = waiting(&world, &alice, 2).await;
    let append = adding(&alice, &tablet);
    alice.client.call(&append).await.unwrap();
    alice.device.log.extend(&[&*append.entry]).unwrap();
    let grown = alice.device.log.head();
    let head = alice.client.push_of(|push| if let Push::LogGrew(grew) = push { Some(grew.head) } else { None }).await;
    assert_eq!(head, grown);
    let tablet = at_home(&tablet, &alice.device.log).come_back(&world).await;
    assert_eq!(tablet.logged_in.head, grown);
    let page = bob.client.call(&LogFetch { user: alice.user.clone(), from: 0 }).await.unwrap();
    let entries: Vec<_> = page.entries.iter().map(|entry| entry.0.clone()).collect();
    assert_eq!(AccountLog::verify(&alice.user, &entries).unwrap().head(), grown);
    let rest = bob.client.call(&LogFetch { user: alice.user.clone(), from: 1 }).await.unwrap();
    assert_eq!((rest.entries.len(), rest.head), (1, grown));
    assert_eq!(bob.client.refused(&LogFetch { user: "nobody".parse().unwrap(), from: 0 }).await, Code::NotFound);
}

#[tokio::test]
async fn atk_24_revoked_device_is_disconnected_and_refused() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    let tablet = waiting(&world, &alice, 1).await;
    let append = adding(&alice, &tablet);
    alice.client.call(&append).await.unwrap();
    alice.device.log.extend(&[&*append.entry]).unwrap();
    let mut thief = at_home(&tablet, &alice.device.log).come_back(&world).await;
    let mut bob = world.join("bob", 3).await;
    let revoke = revoking(&alice.device.log, &alice.device, &tablet);
    alice.client.call(&revoke).await.unwrap();
    assert!(!world.router.is_online(thief.id()), "gone before the revoker is answered");
    assert_eq!(thief.client.end().await, End::Goodbye);
    assert_eq!(at_home(&tablet, &alice.device.log).refused(&world).await, Code::Revoked);
    let refusal = bob.send(&thief, "psst").await.unwrap_err();
    assert_eq!(refusal.code, Code::Stale, "whoever still knows the old log learns of the new one");
    alice.device.log.extend(&[&*revoke.entry]).unwrap();
    thief.device.log = alice.device.log.clone();
    assert_eq!(bob.send(&thief, "psst").await.unwrap_err().code, Code::NotFound);
}

#[tokio::test]
async fn atk_24_a_revoked_device_that_does_not_read_is_cut_off_within_a_second() {
    let mut config = settings();
    config.connections.write = Duration::from_secs(3_600);
    config.rates.room_bytes_per_minute = 100_000_000;
    config.rates.room_posts_per_minute = 1_000_000;
    let world = World::with(config).await;
    let mut alice = world.join("alice", 0).await;
    let tablet = add(&mut alice, 1).await.unwrap();
    let mut thief = at_home(&tablet, &alice.device.log).come_back(&world).await;
    while world.router.waiting_bytes() < 64 * 1024 {
        alice.say(&"x".repeat(8 * 1024)).await;
    }
    stop_the_clock().await;
    let revoking = revoking(&alice.device.log, &alice.device, &tablet);
    append(&mut alice, &revoking).await.unwrap();
    assert!(!world.router.is_online(thief.id()), "it hears and says nothing more");
    pass(1).await;
    until(|| world.counters.closed.get(Closed::Revoked) == 1).await;
    assert_eq!(thief.client.end().await, End::Cut, "whatever it reads now was written before");
    assert_eq!(Absent::of(thief.device).refused(&world).await, Code::Revoked);
}

/// Appends an entry, or tells how it was refused.
async fn append(person: &mut Person, append: &LogAppend) -> Result<(), Refusal> {
    person.client.call(append).await?;
    person.device.log.extend(&[&*append.entry]).unwrap();
    Ok(())
}

/// A device comes into the account of `person`.
async fn add(person: &mut Person, n: usize) -> Result<FirstDevice, Refusal> {
    let device = first_device(&person.user, n, AT);
    let adding = adding(person, &device);
    append(person, &adding).await.map(|()| device)
}

#[tokio::test]
async fn atk_83_devices_are_added_at_a_rate_that_a_restart_remembers_and_revoked_all_the_while() {
    let mut config = settings();
    config.rates.devices_per_day = 4;
    let world = World::with(config.clone()).await;
    let mut alice = world.join("alice", 0).await;
    let mut added = Vec::new();
    for n in 1..=3 {
        added.push(add(&mut alice, n).await.unwrap());
    }
    let absent = at_home(&alice.device, &alice.device.log);
    drop(alice);
    let world = world.restart(config).await;
    let mut alice = absent.come_back(&world).await;
    let refusal = add(&mut alice, 4).await.unwrap_err();
    assert_eq!(
        (refusal.code, refusal.retry_after_ms.is_some_and(|wait| wait > 23 * 3_600_000)),
        (Code::RateLimited, true)
    );
    for device in &added {
        let revoking = revoking(&alice.device.log, &alice.device, device);
        append(&mut alice, &revoking).await.expect("whoever is to go, goes");
    }
    assert_eq!(add(&mut alice, 4).await.unwrap_err().code, Code::RateLimited, "each counts once");
    assert_eq!(world.store.heads(&[alice.user.clone()]).await.unwrap()[0].head.unwrap().seq, 6);
}

#[tokio::test]
async fn atk_83_after_a_day_there_is_room_for_devices_again() {
    let mut config = settings();
    config.rates.devices_per_day = 2;
    let later = Later::default();
    let world = World::in_later_times(config, later.clone()).await;
    let mut alice = world.join("alice", 0).await;
    add(&mut alice, 1).await.unwrap();
    assert_eq!(add(&mut alice, 2).await.unwrap_err().code, Code::RateLimited);
    later.pass(Duration::from_secs(25 * 60 * 60));
    add(&mut alice, 2).await.unwrap();
}

#[tokio::test]
async fn atk_83_what_one_device_has_verified_in_vain_keeps_no_other_from_revoking_it_and_what_is_stale_costs_a_row() {
    let mut config = settings();
    config.rates.log_entries_per_hour = 3;
    let world = World::with(config).await;
    let mut alice = world.join("alice", 0).await;
    let tablet = add(&mut alice, 1).await.unwrap();
    let mut thief = at_home(&tablet, &alice.device.log).come_back(&world).await;
    let stale = LogAppend { head: Head { seq: 0, ..alice.device.log.head() }, entry: Blob(vec![1; 100]) };
    for _ in 0..10 {
        assert_eq!(thief.client.refused(&stale).await, Code::Stale);
    }
    let worthless = LogAppend { head: alice.device.log.head(), entry: Blob(vec![1; 100]) };
    for _ in 0..3 {
        assert_eq!(thief.client.refused(&worthless).await, Code::BadRequest);
    }
    assert_eq!(thief.client.refused(&worthless).await, Code::RateLimited);
    let revoking = revoking(&alice.device.log, &alice.device, &tablet);
    append(&mut alice, &revoking).await.expect("another device is not concerned");
    alice.client.call(&revoking).await.expect("and what is in the log already is answered as if it were new");
}

/// Who is told to wait, as the account's device hears of it: (certificate, acceptance).
async fn who_waits(person: &mut Person) -> Vec<(Blob, Option<Blob>)> {
    let listed = person.client.call(&DevicesWaiting {}).await.unwrap();
    listed.devices.into_iter().map(|device| (device.cert, device.acceptance)).collect()
}

async fn told_of(person: &mut Person) -> DeviceId {
    person.client.push_of(|push| if let Push::DeviceWaits(waits) = push { Some(waits.device) } else { None }).await
}

#[tokio::test]
async fn device_that_waits_is_shown_to_its_account_and_what_it_signs_is_handed_on() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let tablet = first_device(&alice.user, 2, AT);
    let mut guest = world.guest().await;
    let ask = enrol(&guest, &tablet, false);
    let Ok(Enrolled::ApprovalRequired(head, fingerprint)) = guest.call(&ask).await else { panic!("it has to wait") };
    let log = &alice.device.log;
    assert_eq!((head, fingerprint), (log.head(), log.fingerprint()));
    assert_eq!(told_of(&mut alice).await, tablet.cert.id());
    let cert = Blob(tablet.cert.bytes().to_vec());
    assert_eq!(who_waits(&mut alice).await, [(cert.clone(), None)]);
    assert_eq!(who_waits(&mut bob).await, [], "it is nobody else's business");

    let acceptance = Blob(tablet.keys.accept(&fingerprint, &tablet.cert, &mut rand::rng()));
    let mut guest = world.guest().await;
    let again = Login { acceptance: Some(acceptance.clone()), ..login(&guest, &tablet) };
    assert_eq!(guest.refused(&again).await, Code::ApprovalRequired);
    assert_eq!(told_of(&mut alice).await, tablet.cert.id());
    assert_eq!(who_waits(&mut alice).await, [(cert, Some(acceptance))]);
    let forged = Login { acceptance: Some(Blob(vec![0; 384])), signature: Blob(vec![0; 384]), ..again };
    assert_eq!(guest.refused(&forged).await, Code::Denied);
    assert_ne!(who_waits(&mut alice).await[0].1, forged.acceptance, "only the device itself speaks for it");

    alice.client.call(&adding(&alice, &tablet)).await.unwrap();
    assert_eq!(who_waits(&mut alice).await, []);
}

#[tokio::test]
async fn device_that_revokes_itself_hears_the_answer_and_goes() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    let revoke = revoking(&alice.device.log, &alice.device, &alice.device);
    alice.client.call(&revoke).await.unwrap();
    assert_eq!(alice.client.end().await, End::Goodbye);
}

#[tokio::test]
async fn entry_under_an_outdated_head_learns_the_true_one_and_repeating_is_harmless() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    let (one, two) = (first_device(&alice.user, 1, AT), first_device(&alice.user, 2, AT));
    let (first, second) = (adding(&alice, &one), adding(&alice, &two));
    alice.client.call(&first).await.unwrap();
    alice.client.call(&first).await.expect("the same bytes again");
    let refusal = alice.client.call(&second).await.unwrap_err();
    alice.device.log.extend(&[&*first.entry]).unwrap();
    assert_eq!((refusal.code, refusal.heads), (Code::Stale, Some(vec![alice.head()])));
}

#[tokio::test]
async fn entries_of_strangers_are_refused() {
    let world = World::new().await;
    let (alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let tablet = first_device(&alice.user, 2, AT);
    let alices = adding(&alice, &tablet);
    assert_eq!(bob.client.refused(&alices).await, Code::Stale);
    let forced = LogAppend { head: bob.device.log.head(), ..alices };
    assert_eq!(bob.client.refused(&forced).await, Code::BadRequest);
    let garbage = LogAppend { head: bob.device.log.head(), entry: Blob(vec![0xa0]) };
    assert_eq!(bob.client.refused(&garbage).await, Code::BadRequest);
    assert_eq!(world.store.log(&alice.user, 0, 10).await.unwrap().unwrap().head, alice.device.log.head());
}

/// A bundle with sequence `seq` that lists the given one-time keys.
fn bundle(device: &FirstDevice, seq: u64, one_time: &[OneTimePrekey]) -> BundlePublish {
    let hashes: Vec<_> = one_time.iter().map(OneTimePrekey::hash).collect();
    let (signed, kem) = (SignedPrekey::generate(seq, &mut rand::rng()), KemPrekey::generate(seq, &mut rand::rng()));
    let draft =
        Draft { cert: &device.cert, seq, created: now(), signed_prekey: &signed, kem_prekey: &kem, one_time: &hashes };
    let (bytes, _) = draft.sign(&device.keys.signing, &mut rand::rng());
    let keys = one_time.iter().map(|key| Blob(key.public_key().as_bytes().to_vec())).collect();
    BundlePublish { bundle: Blob(bytes), one_time: keys }
}

fn one_time(count: usize) -> Vec<OneTimePrekey> {
    (0..count).map(|_| OneTimePrekey::generate(&mut rand::rng())).collect()
}

#[tokio::test]
async fn each_one_time_key_is_handed_out_once() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let keys = one_time(2);
    alice.client.call(&bundle(&alice.device, 1, &keys)).await.unwrap();
    let fetch = BundleFetch { user: alice.user.clone(), device: alice.id() };
    let mut seen = Vec::new();
    for _ in 0..2 {
        let fetched = bob.client.call(&fetch).await.unwrap();
        let verified = VerifiedBundle::verify(&fetched.bundle, &alice.device.cert).unwrap();
        let key = fetched.one_time.expect("one is left");
        verified.with_one_time(Some(&key)).unwrap();
        seen.push(KeyHash::new(sha256(&key)));
    }
    assert_ne!(seen[0], seen[1]);
    assert_eq!(bob.client.call(&fetch).await.unwrap().one_time, None);
    let left = alice.client.call(&OneTimeStatus {}).await.unwrap();
    assert_eq!((left.hashes.as_slice(), left.bundle_seq), ([].as_slice(), 1));
}

#[tokio::test]
async fn bundles_that_are_old_foreign_or_list_less_than_they_bring_are_refused() {
    let world = World::new().await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    alice.client.call(&bundle(&alice.device, 5, &[])).await.unwrap();
    assert_eq!(alice.client.refused(&bundle(&alice.device, 5, &[])).await, Code::Stale);
    assert_eq!(alice.client.refused(&bundle(&bob.device, 6, &[])).await, Code::BadRequest);
    let unlisted = one_time(1)[0].public_key().as_bytes().to_vec();
    let more = BundlePublish { one_time: vec![Blob(unlisted)], ..bundle(&alice.device, 6, &[]) };
    assert_eq!(alice.client.refused(&more).await, Code::BadRequest);
}

#[tokio::test]
async fn atk_56_fetches_that_would_use_up_one_time_keys_are_limited() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    alice.client.call(&bundle(&alice.device, 1, &one_time(20))).await.unwrap();
    let fetch = BundleFetch { user: alice.user.clone(), device: alice.id() };
    for n in 0..12 {
        let with_key = bob.client.call(&fetch).await.unwrap().one_time.is_some();
        assert_eq!(with_key, n < 10, "bundle {n}");
    }
    assert_eq!(alice.client.call(&OneTimeStatus {}).await.unwrap().hashes.len(), 10);
}

#[tokio::test]
async fn atk_88_beyond_a_rate_per_target_a_bundle_comes_without_a_key_whoever_asks_and_is_never_refused() {
    let mut config = settings();
    config.rates.one_time_keys_per_hour = 3;
    let world = World::with(config).await;
    let mut alice = world.join("alice", 0).await;
    alice.client.call(&bundle(&alice.device, 1, &one_time(20))).await.unwrap();
    let fetch = BundleFetch { user: alice.user.clone(), device: alice.id() };
    let mut with_key = 0;
    for (n, name) in ["bob", "carol", "dave"].into_iter().enumerate() {
        let mut person = world.join(name, n + 1).await;
        for _ in 0..3 {
            with_key += usize::from(person.client.call(&fetch).await.unwrap().one_time.is_some());
        }
    }
    assert_eq!(with_key, 3);
    assert_eq!(alice.client.call(&OneTimeStatus {}).await.unwrap().hashes.len(), 17);
}

#[tokio::test]
async fn bundle_of_nobody_or_under_another_name_is_not_found() {
    let world = World::new().await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let none = BundleFetch { user: bob.user.clone(), device: bob.id() };
    assert_eq!(alice.client.refused(&none).await, Code::NotFound);
    let stranger = device_keys(3).certify(&bob.user, AT).unwrap().id();
    assert_eq!(alice.client.refused(&BundleFetch { user: bob.user, device: stranger }).await, Code::NotFound);
}
