//! Registering, enrolling, logging in, starting again; and everybody who must not.

use std::time::Duration;

use chat_protocol::fixtures::{FirstDevice, first_device};
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::ids::DeviceId;
use chat_protocol::message::client::{
    ChangePassword, Enrol, Login, Lookup, OneTimeStatus, Register, ResetCancel, RoomSince, UserHead,
};
use chat_protocol::message::server::{Code, Enrolled, Push, ResetState};
use chat_protocol::time::Timestamp;
use chat_server::store::DeviceState;

use super::client::{End, now};
use super::world::{Absent, Later, World, enrol, genesis, login, password, register, replacing, reset, settings};

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn wrong(mut ask: Enrol) -> Enrol {
    ask.password = password("wrong horse");
    ask
}

fn must_wait(log: &AccountLog) -> Enrolled {
    Enrolled::ApprovalRequired(log.head(), log.fingerprint())
}

#[tokio::test]
async fn person_registers_enrols_and_logs_in_again() {
    let world = World::new().await;
    let alice = world.join("alice", 0).await;
    assert_eq!(alice.logged_in.head, alice.device.log.head());
    assert_eq!((alice.logged_in.mailbox_last, alice.logged_in.submit_counter, alice.logged_in.bundle_seq), (0, 0, 0));
    let mut alice = alice.vanish(&world).await.come_back(&world).await;
    let known =
        alice.client.call(&Lookup { users: vec!["nobody".parse().unwrap(), alice.user.clone()] }).await.unwrap();
    let [only] = known.users.as_slice() else { panic!("{known:?}") };
    assert_eq!((&only.user, only.head, only.online), (&alice.user, Some(alice.device.log.head()), false));
}

#[tokio::test]
async fn taken_name_is_refused_in_any_case() {
    let world = World::new().await;
    let mut guest = world.guest().await;
    guest.call(&register("Alice")).await.unwrap();
    assert_eq!(guest.refused(&register("alice")).await, Code::Exists);
}

#[tokio::test]
async fn guests_may_only_become_somebody() {
    let world = World::new().await;
    let mut guest = world.guest().await;
    assert_eq!(guest.refused(&OneTimeStatus {}).await, Code::Denied);
    assert_eq!(guest.refused(&RoomSince { seq: None, max: 1 }).await, Code::Denied);
    assert_eq!(guest.refused(&Lookup { users: vec![] }).await, Code::Denied);
}

#[tokio::test]
async fn guest_with_too_many_refusals_is_sent_away() {
    let world = World::new().await;
    let mut guest = world.guest().await;
    for _ in 0..16 {
        assert_eq!(guest.refused(&OneTimeStatus {}).await, Code::Denied);
    }
    assert_eq!(guest.end().await, End::Goodbye);
}

/// A login of the device on this connection with a signature that was made for another one.
async fn forged(world: &World, device: &FirstDevice) -> Login {
    let elsewhere = world.guest().await;
    login(&elsewhere, device)
}

#[tokio::test]
async fn wrong_login_signatures_are_limited_and_never_delay_a_right_one() {
    let world = World::new().await;
    let alice = world.join("alice", 0).await.vanish(&world).await;
    let bad = forged(&world, &alice.device).await;
    let mut guest = world.guest().await;
    for _ in 0..5 {
        assert_eq!(guest.refused(&bad).await, Code::Denied);
    }
    let refusal = guest.call(&bad).await.unwrap_err();
    assert_eq!(refusal.code, Code::RateLimited);
    assert!(refusal.retry_after_ms.is_some_and(|wait| wait > 60_000));
    assert_eq!(guest.end().await, End::Goodbye, "each further one costs a connection");
    let mut again = world.guest().await;
    assert_eq!(again.refused(&bad).await, Code::RateLimited);
    alice.come_back(&world).await;
}

#[tokio::test]
async fn logins_of_unknown_devices_are_limited_like_those_with_wrong_signatures() {
    let world = World::new().await;
    let unknown = Absent::unknown("alice", 1).device;
    let mut guest = world.guest().await;
    let ask = login(&guest, &unknown);
    for _ in 0..5 {
        assert_eq!(guest.refused(&ask).await, Code::Denied);
    }
    assert_eq!(guest.refused(&ask).await, Code::RateLimited, "nobody learns which devices there are");
}

#[tokio::test]
async fn wrong_signatures_at_enrolments_and_resets_are_limited_like_those_at_logins() {
    let world = World::new().await;
    let user = "alice".parse().unwrap();
    let device = first_device(&user, 0, AT);
    let mut guest = world.guest().await;
    guest.call(&register("alice")).await.unwrap();
    let elsewhere = world.guest().await;
    let bad = enrol(&elsewhere, &device, true);
    for _ in 0..5 {
        assert_eq!(guest.refused(&bad).await, Code::Denied);
    }
    assert_eq!(guest.refused(&bad).await, Code::RateLimited);
    assert_eq!(guest.end().await, End::Goodbye);
    let mut again = world.guest().await;
    let good = enrol(&again, &device, true);
    assert!(matches!(again.call(&good).await.unwrap(), Enrolled::Ready(_)), "a right one is always let in");
    let other = replacing(&user, 1, device.log.head());
    let mut guest = world.guest().await;
    let bad = reset(&elsewhere, &other, true);
    for _ in 0..5 {
        assert_eq!(guest.refused(&bad).await, Code::Denied);
    }
    assert_eq!(guest.refused(&bad).await, Code::RateLimited);
}

#[tokio::test]
async fn of_two_first_enrolments_one_wins_and_the_other_waits_for_approval() {
    let world = World::new().await;
    let user = "alice".parse().unwrap();
    let (mut one, mut two) = (world.guest().await, world.guest().await);
    one.call(&register("alice")).await.unwrap();
    let devices = [first_device(&user, 0, AT), first_device(&user, 1, AT)];
    let (first, second) = (enrol(&one, &devices[0], true), enrol(&two, &devices[1], true));
    let (a, b) = tokio::join!(one.call(&first), two.call(&second));
    let outcomes = [a.unwrap(), b.unwrap()];
    let winners = outcomes.iter().filter(|outcome| matches!(outcome, Enrolled::Ready(_))).count();
    assert_eq!(winners, 1, "{outcomes:?}");
    let winner = outcomes.iter().position(|outcome| matches!(outcome, Enrolled::Ready(_))).unwrap();
    assert_eq!(outcomes[1 - winner], must_wait(&devices[winner].log));
    let loser = devices[1 - winner].clone();
    let mut guest = world.guest().await;
    let ask = login(&guest, &loser);
    assert_eq!(guest.refused(&ask).await, Code::ApprovalRequired);
}

#[tokio::test]
async fn enrolment_whose_answer_was_lost_succeeds_again_with_the_same_bytes() {
    let world = World::new().await;
    let alice = world.join("alice", 0).await.vanish(&world).await;
    let mut guest = world.guest().await;
    let again = enrol(&guest, &alice.device, true);
    assert!(matches!(guest.call(&again).await, Ok(Enrolled::Ready(_))));
}

#[tokio::test]
async fn at_most_three_devices_wait_for_approval() {
    let world = World::new().await;
    let alice = world.join("alice", 0).await;
    for n in 1..=3 {
        let mut guest = world.guest().await;
        let ask = enrol(&guest, &first_device(&alice.user, n, AT), false);
        assert_eq!(guest.call(&ask).await.unwrap(), must_wait(&alice.device.log));
    }
    let mut guest = world.guest().await;
    let ask = enrol(&guest, &first_device(&alice.user, 4, AT), false);
    assert_eq!(guest.refused(&ask).await, Code::RateLimited);
}

#[tokio::test]
async fn genesis_of_another_device_or_name_is_refused() {
    let world = World::new().await;
    let mut guest = world.guest().await;
    guest.call(&register("alice")).await.unwrap();
    let user = "alice".parse().unwrap();
    let (mine, other) = (first_device(&user, 0, AT), first_device(&user, 1, AT));
    let foreign = Enrol { genesis: Some(genesis(&other.log)), ..enrol(&guest, &mine, true) };
    assert_eq!(guest.refused(&foreign).await, Code::BadRequest);
    let bobs = first_device(&"bob".parse().unwrap(), 0, AT);
    let renamed = Enrol { user: "alice".parse().unwrap(), ..enrol(&guest, &bobs, true) };
    assert_eq!(guest.refused(&renamed).await, Code::BadRequest);
}

#[tokio::test]
async fn password_is_changed_by_whoever_knows_the_old_one() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    let change = |old: &str| ChangePassword { old: password(old), new: password("new horse") };
    assert_eq!(alice.client.refused(&change("wrong horse")).await, Code::Denied);
    alice.client.call(&change(super::world::PASSWORD)).await.unwrap();
    let mut guest = world.guest().await;
    let ask = enrol(&guest, &first_device(&alice.user, 1, AT), false);
    assert_eq!(guest.refused(&ask).await, Code::Denied);
    let ask = Enrol { password: password("new horse"), ..ask };
    assert!(matches!(guest.call(&ask).await, Ok(Enrolled::ApprovalRequired(..))));
}

#[tokio::test]
async fn cheap_hash_is_replaced_at_the_next_right_password() {
    let mut config = settings();
    let world = World::with(config.clone()).await;
    let alice = world.join("alice", 0).await;
    let hash = async |world: &World| world.store.account(&alice.user).await.unwrap().unwrap().hash.expose().to_owned();
    assert!(hash(&world).await.starts_with("$2b$04$"));
    config.passwords.bcrypt_cost = 5;
    let world = world.restart(config).await;
    let mut guest = world.guest().await;
    let ask = enrol(&guest, &first_device(&alice.user, 1, AT), false);
    guest.call(&ask).await.unwrap();
    assert!(hash(&world).await.starts_with("$2b$05$"));
}

#[tokio::test]
async fn reset_of_a_deserted_account_happens_at_once() {
    let mut config = settings();
    config.accounts.reset_seen = Duration::ZERO;
    let world = World::with(config).await;
    let mut bob = world.join("bob", 5).await;
    let alice = world.join("alice", 0).await.vanish(&world).await;
    let mut guest = world.guest().await;
    let ask = reset(&guest, &first_device(&alice.user, 1, AT), false);
    let refusal = guest.call(&ask).await.unwrap_err();
    let old = alice.device.log.head();
    assert_eq!(refusal.heads, Some(vec![UserHead { user: alice.user.clone(), head: old }]));
    let device = replacing(&alice.user, 1, old);
    let ask = reset(&guest, &device, true);
    let Ok(ResetState::Done(state)) = guest.call(&ask).await else { panic!("not reset") };
    assert_eq!(state.head, device.log.head());
    assert_eq!(alice.refused(&world).await, Code::Revoked);
    let letter = chat_protocol::message::client::Submit {
        submit_id: bob.next_submit(),
        heads: vec![UserHead { user: alice.user.clone(), head: old }],
        to: vec![super::world::addressed(alice.device.cert.id(), "hi")],
        group: None,
    };
    let refusal = bob.client.call(&letter).await.unwrap_err();
    assert_eq!(refusal.heads, Some(vec![UserHead { user: alice.user.clone(), head: device.log.head() }]));
}

#[tokio::test]
async fn reset_of_an_account_in_use_waits_is_announced_and_can_be_cancelled() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    let device = replacing(&alice.user, 1, alice.device.log.head());
    let mut guest = world.guest().await;
    let ask = reset(&guest, &device, true);
    let Ok(ResetState::Waiting(due)) = guest.call(&ask).await else { panic!("not waiting") };
    assert!(due > now() + Duration::from_secs(23 * 3600));
    let told = |push| if let Push::Reset(notice) = push { Some(notice.at) } else { None };
    assert_eq!(alice.client.push_of(told).await, Some(due));
    let Ok(ResetState::Waiting(again)) = guest.call(&ask).await else { panic!("not waiting") };
    // but for what two clocks are rounded by
    assert!(due <= again && again.since(due) < Duration::from_secs(1), "asking again changes nothing");
    alice.client.call(&ResetCancel {}).await.unwrap();
    assert_eq!(alice.client.push_of(told).await, None);
    assert_eq!(world.store.pending_reset(&alice.user).await.unwrap(), None);
}

#[tokio::test]
async fn reset_that_waited_its_time_ends_the_old_devices() {
    let mut config = settings();
    config.accounts.reset_wait = Duration::ZERO;
    let world = World::with(config).await;
    let mut alice = world.join("alice", 0).await;
    let device = replacing(&alice.user, 1, alice.device.log.head());
    let mut guest = world.guest().await;
    let ask = reset(&guest, &device, true);
    assert!(matches!(guest.call(&ask).await, Ok(ResetState::Waiting(_))));
    assert!(matches!(guest.call(&ask).await, Ok(ResetState::Done(_))));
    assert_eq!(alice.client.end().await, End::Goodbye);
    let old = world.store.device(alice.id()).await.unwrap().unwrap();
    assert_eq!(old.state, DeviceState::Replaced);
}

/// When a device was last seen, as is noted.
async fn noted(world: &World, device: DeviceId) -> Timestamp {
    world.store.device(device).await.unwrap().unwrap().last_login.unwrap()
}

#[tokio::test]
async fn atk_101_reset_waits_for_a_device_that_was_connected_for_longer_than_a_login_counts() {
    let (mut config, later, day) = (settings(), Later::default(), Duration::from_secs(24 * 3600));
    // who is connected is noted often, so that the test need not wait for it
    config.accounts.reset_seen = Duration::from_millis(160);
    let world = World::in_later_times(config.clone(), later.clone()).await;
    let (alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await.vanish(&world).await);
    let (id, login) = (alice.id(), noted(&world, alice.id()).await);
    later.pass(8 * day);
    let is_noted = async { while noted(&world, id).await.since(login) < 8 * day {} };
    tokio::time::timeout(Duration::from_secs(20), is_noted).await.expect("nobody notes that she is there");
    config.accounts.reset_seen = 7 * day;
    world.reload.apply(config).expect("it runs");
    let alice = alice.vanish(&world).await;
    // both logged in eight days ago, and only she has stayed
    let mut guest = world.guest().await;
    for (user, log, n, waits) in [(&alice.user, &alice.device.log, 2, true), (&bob.user, &bob.device.log, 3, false)] {
        let ask = reset(&guest, &replacing(user, n, log.head()), true);
        let state = guest.call(&ask).await.unwrap();
        assert_eq!(matches!(state, ResetState::Waiting(_)), waits, "{user}: {state:?}");
    }
}

#[tokio::test]
async fn atk_21_hostile_names_are_refused_on_the_wire() {
    let world = World::new().await;
    let mut guest = world.guest().await;
    for hostile in
        ["Alice", "@alice", "alice\n", "-rf", "..", "a'; DROP TABLE chat_app; --", "\u{202e}alice", "ali\u{200b}ce"]
    {
        let mut payload = vec![0xa2, 0x00];
        payload.extend(chat_protocol::cbor::encode(&hostile.to_owned()));
        payload.extend([0x01, 0x63, b'p', b'w', b'd']);
        let frame = chat_protocol::frame::Frame {
            kind: chat_protocol::frame::FrameKind::Request,
            id: 9,
            number: <Register as chat_protocol::message::Call>::TYPE,
            payload,
        };
        guest.send(&[frame]).await;
        let refusal = guest.answer::<Register>(9).await.unwrap_err();
        assert_eq!(refusal.code, Code::BadRequest, "{hostile:?}");
    }
    assert_eq!(world.store.accounts(0, 10).await.unwrap(), []);
}

#[tokio::test]
async fn atk_23_swapped_hashes_change_no_identity() {
    let world = World::new().await;
    let alice = world.join("alice", 0).await;
    let mut mallory = world.guest().await;
    mallory.call(&Register { password: password("mallory's"), ..register("mallory") }).await.unwrap();
    let stolen = world.store.account(&"mallory".parse().unwrap()).await.unwrap().unwrap().hash;
    assert!(world.store.set_password(&alice.user, stolen, None).await.unwrap());
    let thief = first_device(&alice.user, 1, AT);
    let ask = Enrol { password: password("mallory's"), ..enrol(&mallory, &thief, true) };
    let outcome = mallory.call(&ask).await.unwrap();
    assert_eq!(outcome, must_wait(&alice.device.log), "the log is what it was");
    let ask = login(&mallory, &thief);
    assert_eq!(mallory.refused(&ask).await, Code::ApprovalRequired);
}

#[tokio::test]
async fn device_of_somebody_else_cannot_be_claimed() {
    let world = World::new().await;
    let alice = world.join("alice", 0).await.vanish(&world).await;
    let bob = world.join("bob", 1).await.vanish(&world).await;
    let mut guest = world.guest().await;
    let ask = login(&guest, &bob.device);
    let ask = chat_protocol::message::client::Login { user: alice.user.clone(), ..ask };
    assert_eq!(guest.refused(&ask).await, Code::Denied);
    let unknown = Absent::unknown("carol", 2);
    assert_eq!(unknown.refused(&world).await, Code::Denied);
}
