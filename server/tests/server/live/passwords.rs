//! Passwords and registrations: what guessing, flooding and registering without end come to. Hashes are counted, not time.

use std::collections::BTreeSet;
use std::time::Duration;

use chat_protocol::fixtures::first_device;
use chat_protocol::message::client::{ChangePassword, Enrol, Register};
use chat_protocol::message::server::{Code, Enrolled};
use chat_protocol::message::{Blob, Call};
use chat_protocol::time::Timestamp;
use chat_server::config::Registration;
use chat_server::store::{Invite, NewAccount, PasswordHash};
use tokio_util::sync::CancellationToken;

use super::client::{Client, now};
use super::world::{PASSWORD, World, enrol, password, register, settings};

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn wrong(mut ask: Enrol) -> Enrol {
    ask.password = password("wrong horse");
    ask
}

#[tokio::test]
async fn atk_19_unknown_user_and_wrong_password_cost_a_hash_each_and_hear_the_same_in_200_tries() {
    const TRIES: u64 = 200;
    let mut config = settings();
    (config.rates.failed_logins, config.rates.password_checks_per_hour) = (1_000, 1_000_000);
    let world = World::with(config).await;
    let mut guest = world.guest().await;
    guest.call(&register("alice")).await.unwrap();
    // the password is looked at before the signature, which is of another connection soon
    let known = wrong(enrol(&guest, &first_device(&"alice".parse().unwrap(), 0, AT), true));
    let asks = [known.clone(), Enrol { user: "nobody".parse().unwrap(), ..known }];
    let mut heard = BTreeSet::new();
    for attempt in 0..TRIES {
        // a connection is refused sixteen times
        if attempt % 7 == 0 {
            guest = world.guest().await;
        }
        for ask in &asks {
            let before = world.counters.hashes.get();
            let id = guest.ask(ask).await;
            let answer = guest.answer_frame(id).await.unwrap();
            heard.insert((answer.number, answer.payload));
            assert_eq!(world.counters.hashes.get() - before, 1, "{}", ask.user);
        }
    }
    assert_eq!(heard.len(), 1, "byte for byte");
}

#[tokio::test]
async fn wrong_passwords_are_limited_before_any_hash() {
    let world = World::new().await;
    let mut guest = world.guest().await;
    guest.call(&register("alice")).await.unwrap();
    let device = first_device(&"alice".parse().unwrap(), 0, AT);
    let (good, bad) = (enrol(&guest, &device, true), wrong(enrol(&guest, &device, true)));
    for _ in 0..5 {
        assert_eq!(guest.refused(&bad).await, Code::Denied);
    }
    let before = world.counters.hashes.get();
    let refusal = guest.call(&good).await.unwrap_err();
    assert_eq!(refusal.code, Code::RateLimited);
    assert!(refusal.retry_after_ms.is_some_and(|wait| wait > 60_000));
    assert_eq!(world.counters.hashes.get(), before, "the password was not looked at");
    let mut other = world.guest().await;
    other.call(&register("bob")).await.expect("another account is not concerned");
}

/// A password for an account of its own, so that no limit per account helps. It is looked at before the signature.
fn attempt(one: &Enrol, n: usize) -> Enrol {
    Enrol { user: format!("nobody{n}").parse().unwrap(), ..one.clone() }
}

/// Addresses of the flood: two of each are let in line, which is more than there is room for.
const SOURCES: usize = 20;

/// Asks as long as it is let in line: how often it was told that the line is full, and how often that the password is wrong.
async fn flood(mut guest: Client, one: Enrol, n: usize, stop: CancellationToken) -> (u64, u64) {
    let mut denied = 0;
    // a connection is refused sixteen times
    while denied < 15 && !stop.is_cancelled() {
        match guest.refused(&attempt(&one, n * 100 + usize::try_from(denied).unwrap())).await {
            Code::Busy => return (1, denied),
            Code::Denied => denied += 1,
            other => panic!("{other:?}"),
        }
    }
    (0, denied)
}

/// Asks at 127.0.1.`host` until there is room in line. Once there is, everybody else has their turn once at most.
async fn in_line<T: Call>(world: &World, host: u8, ask: impl Fn(&Client) -> T) -> T::Answer {
    loop {
        let mut guest = world.guest_at(1, host).await.unwrap();
        for _ in 0..15 {
            let before = world.counters.hashes.get();
            match guest.call(&ask(&guest)).await {
                Ok(answer) => {
                    // one of each other source, and those that ran until the request was read, which takes a busy machine long
                    let others = world.counters.hashes.get() - before - 1;
                    assert!(others <= 5 * SOURCES as u64, "{others} hashes of others came first");
                    return answer;
                }
                Err(refusal) => assert_eq!(refusal.code, Code::Busy),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn atk_20_of_500_passwords_at_once_the_surplus_is_busy_while_members_and_honest_people_are_served() {
    const FLOOD: usize = 500;
    let mut config = settings();
    config.passwords.bcrypt_cost = 8;
    config.rates.password_checks_per_hour = 1_000_000;
    config.connections.per_address_per_minute = 1_000_000;
    assert!(2 * SOURCES > config.passwords.queue + config.passwords.at_once);
    let world = World::with(config).await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let mut guests = Vec::new();
    for n in 0..FLOOD {
        guests.push(world.guest_at(8, u8::try_from(n % SOURCES + 1).unwrap()).await.unwrap());
    }
    let one = enrol(&guests[0], &first_device(&"nobody".parse().unwrap(), 2, AT), true);
    let (before, stop) = (world.counters.hashes.get(), CancellationToken::new());
    let flood: Vec<_> = guests
        .into_iter()
        .enumerate()
        .map(|(n, guest)| tokio::spawn(flood(guest, one.clone(), n, stop.clone())))
        .collect();
    // an address with nobody in line is told so as well: the line is full
    let mut witness = world.guest_at(1, 100).await.unwrap();
    let mut seen = 0;
    while witness.refused(&attempt(&one, 100_000 + seen)).await != Code::Busy {
        seen += 1;
    }
    let change = ChangePassword { old: password(PASSWORD), new: password("new horse") };
    alice.client.call(&change).await.expect("members have a line of their own");
    for n in 1..=5 {
        let name = format!("honest{n}");
        in_line(&world, n, |_| register(&name)).await;
        let device = first_device(&name.parse().unwrap(), n.into(), AT);
        assert!(matches!(in_line(&world, n, |guest| enrol(guest, &device, true)).await, Enrolled::Ready(_)));
        alice.send(&bob, &name).await.unwrap();
        assert_eq!(bob.receive().await, (n.into(), name));
    }
    stop.cancel();
    let (mut busy, mut denied) = (0, seen as u64);
    for guest in flood {
        let (was_busy, was_denied) = guest.await.unwrap();
        (busy, denied) = (busy + was_busy, denied + was_denied);
    }
    let at_most_in_line = 2 * SOURCES as u64;
    assert!(busy >= FLOOD as u64 - at_most_in_line, "{busy} busy, {denied} denied");
    assert_eq!(world.counters.hashes.get() - before, denied + 2 * 5 + 2, "those that were busy cost none");
}

#[tokio::test]
async fn atk_22_corrupt_hash_in_the_row_is_a_wrong_password() {
    let world = World::new().await;
    for (n, row) in ["", "$2b$12$short", "not a hash", "ü"].into_iter().enumerate() {
        let user = format!("user{n}");
        let hash = PasswordHash::new(row.into());
        let new = NewAccount { user: user.parse().unwrap(), hash, invite: None, at: now() };
        world.store.create_account(new).await.unwrap();
        let mut guest = world.guest().await;
        let ask = enrol(&guest, &first_device(&user.parse().unwrap(), n, AT), true);
        assert_eq!(guest.refused(&ask).await, Code::Denied, "{row:?}");
    }
}

#[tokio::test]
async fn new_passwords_under_eight_bytes_are_refused_and_adopted_ones_of_any_length_log_in() {
    let world = World::new().await;
    let mut guest = world.guest().await;
    let named = |text: &str| Register { password: password(text), ..register("alice") };
    assert_eq!(guest.refused(&named("1234567")).await, Code::BadRequest);
    guest.call(&named("12345678")).await.unwrap();
    let hash = chat_server::password::hash(&password("x"), 4).unwrap();
    let bob = first_device(&"bob".parse().unwrap(), 0, AT);
    let adopted = NewAccount { user: "bob".parse().unwrap(), hash, invite: None, at: AT };
    world.store.create_account(adopted).await.unwrap();
    let ask = Enrol { password: password("x"), ..enrol(&guest, &bob, true) };
    assert!(matches!(guest.call(&ask).await, Ok(Enrolled::Ready(_))));
    let change = |new: &str| ChangePassword { old: password("x"), new: password(new) };
    assert_eq!(guest.refused(&change("1234567")).await, Code::BadRequest);
    guest.call(&change("12345678")).await.unwrap();
}

#[tokio::test]
async fn atk_25_who_registers_without_end_gets_so_many_accounts_per_address_and_of_all() {
    let world = World::new().await;
    let began = std::time::Instant::now();
    let (mut made, mut refused) = (0, 0);
    for source in 0..60 {
        let mut guest = world.guest_at(7, source + 1).await.unwrap();
        for n in 0..22 {
            // a connection is refused sixteen times
            if n == 15 {
                guest = world.guest_at(7, source + 1).await.unwrap();
            }
            match guest.call(&register(&format!("user{source}x{n}"))).await {
                Ok(_) => made += 1,
                Err(refusal) => {
                    assert_eq!((refusal.code, refusal.retry_after_ms.is_some()), (Code::RateLimited, true));
                    refused += 1;
                }
            }
            if n == 21 {
                assert!(made <= 20 * (u64::from(source) + 1));
            }
        }
    }
    // one more comes back every 3.6 seconds
    let most = 1_001 + began.elapsed().as_secs() / 3;
    assert!((1_000..=most).contains(&made) && made + refused == 60 * 22, "{made} made, {refused} refused");
    assert_eq!(world.counters.hashes.get(), made, "and those that were refused cost no hash");
}

#[tokio::test]
async fn atk_25_where_invites_are_asked_for_a_used_one_is_refused() {
    let mut config = settings();
    config.registration = Registration::Invite;
    let world = World::with(config).await;
    let token = [9; 16];
    let hash = chat_protocol::crypto::kdf::sha256(&token);
    let expires = now() + Duration::from_secs(60);
    world.store.create_invite(Invite { hash, at: now(), expires }).await.unwrap();
    let mut guest = world.guest().await;
    assert!(guest.welcome.limits.invite_only);
    let with = |name: &str, token: [u8; 16]| Register { invite: Some(Blob(token.to_vec())), ..register(name) };
    assert_eq!(guest.refused(&register("alice")).await, Code::Denied);
    assert_eq!(guest.refused(&with("alice", [1; 16])).await, Code::Denied);
    guest.call(&with("alice", token)).await.unwrap();
    assert_eq!(guest.refused(&with("mallory", token)).await, Code::Denied);
}
