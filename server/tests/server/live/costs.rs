//! What somebody causes is counted to them: work, never time.

use std::sync::Arc;

use chat_protocol::fixtures::first_device;
use chat_protocol::frame::Frame;
use chat_protocol::ids::DeviceId;
use chat_protocol::message::Blob;
use chat_protocol::message::client::{
    BundleFetch, ChangePassword, Enrol, MailboxAck, OneTimeStatus, PresenceWatch, ResetCancel, RoomSince, Submit,
};
use chat_protocol::message::server::{Code, Enrolled};
use chat_protocol::time::Timestamp;
use chat_server::config::Config;
use chat_server::counters::Closed;
use tokio_util::sync::CancellationToken;

use super::world::{Person, World, enrol, pass, password, register, settings, stop_the_clock, until};

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Hashes slow enough that there is a line.
fn slow() -> Config {
    let mut config = settings();
    config.passwords.bcrypt_cost = 8;
    config
}

/// Asks for hash after hash under names nobody had, from one address, until told to stop.
async fn hashes_for_ever(world: Arc<World>, number: usize, stop: CancellationToken) {
    let device = first_device(&"nobody".parse().unwrap(), 9, AT);
    for round in 0.. {
        let Some(mut guest) = world.guest_at(9, 9).await else { return };
        let one = enrol(&guest, &device, true);
        for attempt in 0..15 {
            if stop.is_cancelled() {
                return;
            }
            let user = format!("n{number}x{round}x{attempt}").parse().unwrap();
            let id = guest.ask(&Enrol { user, ..one.clone() }).await;
            if guest.answer_frame(id).await.is_none() {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn atk_89_honest_people_register_enrol_and_log_in_while_24_guests_of_one_address_hash_for_ever() {
    let mut config = slow();
    config.rates.password_checks_per_hour = 1_000_000;
    config.connections.per_address_per_minute = 1_000_000;
    let (world, stop) = (Arc::new(World::with(config).await), CancellationToken::new());
    let member = world.join("member", 0).await.vanish(&world).await;
    let flood: Vec<_> = (0..24).map(|n| tokio::spawn(hashes_for_ever(Arc::clone(&world), n, stop.clone()))).collect();
    while world.counters.hashes.get() < 10 {
        tokio::task::yield_now().await;
    }
    let honest = (1..=15u8).map(|n| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let mut guest = world.guest_at(1, n).await.unwrap();
            let name = format!("honest{n}");
            guest.call(&register(&name)).await.expect("registered");
            let ask = enrol(&guest, &first_device(&name.parse().unwrap(), n.into(), AT), true);
            assert!(matches!(guest.call(&ask).await, Ok(Enrolled::Ready(_))));
        })
    });
    for person in honest.collect::<Vec<_>>() {
        person.await.unwrap();
    }
    let mut member = member.come_back(&world).await;
    let change = ChangePassword { old: password(super::world::PASSWORD), new: password("new horse") };
    member.client.call(&change).await.expect("changed");
    stop.cancel();
    for guest in flood {
        guest.await.unwrap();
    }
}

#[tokio::test]
async fn atk_89_one_address_is_given_so_many_hashes_over_all_names() {
    let mut config = settings();
    config.rates.password_checks_per_hour = 5;
    let world = World::with(config).await;
    let device = first_device(&"nobody".parse().unwrap(), 9, AT);
    let mut guest = world.guest().await;
    let one = enrol(&guest, &device, true);
    let named = |n: usize| Enrol { user: format!("nobody{n}").parse().unwrap(), ..one.clone() };
    for n in 0..5 {
        assert_eq!(guest.refused(&named(n)).await, Code::Denied);
    }
    let refusal = guest.call(&named(5)).await.unwrap_err();
    assert_eq!((refusal.code, refusal.retry_after_ms.is_some()), (Code::RateLimited, true));
    assert_eq!(world.counters.hashes.get(), 5, "the sixth was not looked at");
    let mut other = world.guest_at(1, 1).await.unwrap();
    assert_eq!(other.refused(&named(6)).await, Code::Denied, "another address is not concerned");
}

#[tokio::test]
async fn atk_89_a_device_that_changes_its_password_for_ever_is_given_so_many_hashes() {
    let mut config = settings();
    config.rates.password_changes_per_hour = 2;
    let world = World::with(config).await;
    let mut alice = world.join("alice", 0).await;
    let before = world.counters.hashes.get();
    let change = |old: &str, new: &str| ChangePassword { old: password(old), new: password(new) };
    assert_eq!(alice.client.refused(&change("wrong horse", "another horse")).await, Code::Denied);
    alice.client.call(&change(super::world::PASSWORD, "another horse")).await.unwrap();
    assert_eq!(alice.client.refused(&change("another horse", "a third horse")).await, Code::RateLimited);
    assert_eq!(world.counters.hashes.get() - before, 3, "one of the wrong one, two of the change");
}

/// A submit of the largest size for one device: content and INIT.
fn largest(person: &mut Person, to: &Person) -> Submit {
    let mut letter = person.letter(to, &"x".repeat(65_000));
    letter.to[0].envelope.init = Some(Blob(vec![1; 4_000]));
    letter
}

#[tokio::test]
async fn atk_90_submits_of_the_largest_size_wait_within_their_budget_and_another_device_still_has_room() {
    const QUEUED: usize = 64 << 20;
    let mut config = settings();
    config.memory.queued_bytes = QUEUED;
    let world = World::with(config).await;
    let mut people = Vec::new();
    for n in 0..5 {
        people.push(world.join(&format!("member{n}"), n).await);
    }
    let mut honest = people.pop().unwrap();
    // the database takes nothing: whatever is submitted waits
    let lock = super::database::locked(&world);
    for person in &mut people {
        for _ in 0..60 {
            let letter = largest(person, &honest);
            person.client.ask(&letter).await;
        }
    }
    until(|| world.counters.submits.refused.get(Code::Busy) > 100).await;
    let used = world.queued.submits.used();
    // a sixteenth of 16 MiB, then a sixteenth of the rest, and so on
    assert!((2 << 20..4 << 20).contains(&used), "{used}");
    let letter = honest.letter(&people[0], "small");
    let id = honest.client.ask(&letter).await;
    until(|| world.queued.submits.used() > used).await;
    lock.execute_batch("COMMIT").unwrap();
    honest.client.answer::<Submit>(id).await.unwrap();
    until(|| world.queued.submits.used() == 0).await;
}

#[tokio::test]
async fn atk_90_long_records_that_never_end_leave_short_ones_alone_and_have_so_many_places() {
    let mut config = settings();
    config.memory.queued_bytes = 16 << 20;
    let world = World::with(config).await;
    let (mut alice, mut bob, carol) =
        (world.join("alice", 0).await, world.join("bob", 1).await, world.join("carol", 2).await);
    // two places for long records: alice and bob take them, and what the socket holds more of theirs is not read
    for person in [&mut alice, &mut bob] {
        person.client.send_raw(&(500_000u32).to_be_bytes()).await;
        person.client.send_raw(&[b'A'; 100_000]).await;
    }
    until(|| world.queued.records_left() == 0).await;
    let (mut carol, mut dave) = (carol, world.join("dave", 3).await);
    carol.send(&dave, "short ones pass").await.unwrap();
    assert_eq!(dave.receive().await.1, "short ones pass");
    let letter = largest(&mut carol, &dave);
    let id = carol.client.ask(&letter).await;
    drop(alice);
    carol.client.answer::<Submit>(id).await.expect("as soon as a place is free");
    drop(bob);
}

/// A server with so many places for long records.
fn with_places(places: usize) -> Config {
    let mut config = settings();
    config.memory.queued_bytes = places * (8 << 20);
    config
}

/// Begins a long record and never ends it.
async fn begin_a_long_record(person: &mut Person) {
    person.client.send_raw(&(500_000u32).to_be_bytes()).await;
    person.client.send_raw(&[b'A'; 100_000]).await;
}

#[tokio::test]
async fn atk_90_one_account_has_a_part_of_the_places_for_long_records_however_many_devices_it_has() {
    let world = World::with(with_places(32)).await;
    let (alice, dave) = (world.join("alice", 0).await, world.join("dave", 1).await);
    let mut devices = Vec::new();
    for n in 2..8 {
        devices.push(world.further(&alice, n).await);
    }
    for device in &mut devices {
        begin_a_long_record(device).await;
    }
    until(|| world.queued.records_left() == 30 && world.queued.records_waiting() == 4).await;
    let mut carol = world.join("carol", 8).await;
    let letter = largest(&mut carol, &dave);
    carol.client.call(&letter).await.expect("there are places");
    assert_eq!(world.queued.records_left(), 30, "two of the account, the others wait for those");
    drop(devices.remove(0));
    until(|| world.queued.records_left() == 30 && world.queued.records_waiting() == 3).await;
    drop(devices);
    until(|| world.queued.records_left() == 32).await;
}

#[tokio::test]
async fn atk_90_who_waits_for_a_place_keeps_its_turn_over_pings_and_is_not_taken_for_dead() {
    let world = World::with(with_places(1)).await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let (mut carol, mut dave) = (world.join("carol", 2).await, world.join("dave", 3).await);
    let letters = (largest(&mut bob, &dave), largest(&mut carol, &dave));
    stop_the_clock().await;
    begin_a_long_record(&mut alice).await;
    until(|| world.queued.records_left() == 0).await;
    // bob asks first, then carol; he is pinged before and after that, she is not
    let first = bob.client.ask(&letters.0).await;
    until(|| world.queued.records_waiting() == 1).await;
    pass(20).await;
    bob.client.heard_ping().await;
    pass(10).await;
    for person in [&mut carol, &mut dave] {
        person.client.call(&OneTimeStatus {}).await.unwrap();
    }
    let second = carol.client.ask(&letters.1).await;
    until(|| world.queued.records_waiting() == 2).await;
    pass(11).await;
    bob.client.heard_ping().await;
    // alice has been silent for too long, and he not by his doing
    pass(5).await;
    until(|| world.counters.closed.get(Closed::Dead) == 1).await;
    bob.client.answer::<Submit>(first).await.unwrap();
    carol.client.answer::<Submit>(second).await.unwrap();
    let from = async |dave: &mut Person| dave.client.delivery().await.from;
    assert_eq!([from(&mut dave).await, from(&mut dave).await], [bob.user.clone(), carol.user.clone()]);
}

#[tokio::test]
async fn atk_90_who_keeps_a_place_and_does_not_read_its_answers_gives_it_back_like_somebody_silent() {
    let mut config = with_places(1);
    (config.connections.outbox_bytes, config.connections.write) = (64 * 1024, std::time::Duration::from_secs(3_600));
    (config.rates.lookups_per_minute, config.rates.room_bytes_per_minute) = (10_000, 1_000_000);
    let world = World::with(config).await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    for _ in 0..20 {
        bob.say(&"x".repeat(8 * 1024)).await;
    }
    stop_the_clock().await;
    // one long record of short requests, whose answers are long
    let asks: Vec<_> = (1..6_000).map(|id| Frame::request(id, &RoomSince { seq: Some(0), max: 20 })).collect();
    alice.client.send(&asks).await;
    until(|| world.queued.records_left() == 0 && world.router.waiting_bytes() > 32 * 1024).await;
    pass(44).await;
    bob.say("others are served").await;
    assert_eq!((world.queued.records_left(), world.counters.closed.get(Closed::SlowReader)), (0, 0));
    pass(2).await;
    bob.say("and has the time to be told so").await;
    pass(1).await;
    until(|| world.counters.closed.get(Closed::SlowReader) == 1).await;
    assert_eq!(world.queued.records_left(), 1);
}

#[tokio::test]
async fn atk_87_bundles_of_names_nobody_has_are_asked_for_by_the_thousand_and_looked_up_at_the_general_rate() {
    let world = World::with(settings()).await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let rate = u64::from(settings().rates.lookups_per_minute);
    let begun = std::time::Instant::now();
    let (mut looked_up, mut refused) = (0, 0);
    for n in 0..2_000 {
        let nobody = BundleFetch { user: format!("nobody{n}").parse().unwrap(), device: DeviceId::new([9; 16]) };
        match alice.client.refused(&nobody).await {
            Code::NotFound => looked_up += 1,
            Code::RateLimited => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    // what comes back meanwhile, with a minute's share of ten a second
    let most = rate + (begun.elapsed().as_secs() + 1) * rate / 60;
    assert!(
        (rate..=most).contains(&looked_up) && looked_up + refused == 2_000,
        "{looked_up} looked up, at most {most}"
    );
    let of_alice = BundleFetch { user: alice.user.clone(), device: alice.id() };
    assert_eq!(bob.client.refused(&of_alice).await, Code::NotFound, "another device is looked up for");
}

#[tokio::test]
async fn atk_87_whatever_a_device_asks_comes_out_of_one_budget_before_anything_is_looked_up() {
    let mut config = settings();
    config.rates.lookups_per_minute = 8;
    let world = World::with(config).await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let nobody = BundleFetch { user: "nobody".parse().unwrap(), device: DeviceId::new([9; 16]) };
    for _ in 0..6 {
        assert_eq!(alice.client.refused(&nobody).await, Code::NotFound);
    }
    alice.client.call(&ResetCancel {}).await.unwrap();
    alice.client.call(&PresenceWatch { visible: true }).await.unwrap();
    let refusal = alice.client.call(&nobody).await.unwrap_err();
    assert_eq!((refusal.code, refusal.retry_after_ms.is_some()), (Code::RateLimited, true));
    assert_eq!(alice.client.refused(&ResetCancel {}).await, Code::RateLimited);
    assert_eq!(alice.client.refused(&PresenceWatch { visible: false }).await, Code::RateLimited);
    assert_eq!(alice.client.refused(&MailboxAck { seq: 0 }).await, Code::RateLimited, "it acknowledges nothing");
    assert_eq!(
        alice.client.refused(&register("carol")).await,
        Code::RateLimited,
        "what cannot be asked is counted too"
    );
    alice.send(&bob, "messages have a rate of their own").await.unwrap();
}
