//! Settings that change while people are connected.

use chat_protocol::message::server::Code;
use chat_server::config::Registration;

use super::world::{Absent, World, enrol, password, register, settings};

#[tokio::test]
async fn registration_closes_for_those_who_are_connected_too() {
    let world = World::new().await;
    let mut guest = world.guest().await;
    let mut config = settings();
    config.registration = Registration::Invite;
    let change = world.reload.apply(config).unwrap();
    assert_eq!(change.applied, ["registration"]);
    assert_eq!(guest.refused(&register("alice")).await, Code::Denied);
}

#[tokio::test]
async fn quotas_and_rates_hold_from_the_next_submit_on() {
    let world = World::new().await;
    let (mut alice, bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    alice.send(&bob, "one").await.unwrap();
    let mut config = settings();
    config.mailbox.messages = 1;
    world.reload.apply(config.clone()).unwrap();
    assert_eq!(alice.send(&bob, "two").await.unwrap_err().code, Code::MailboxFull);
    config.rates.submits_burst = 1;
    assert_eq!(world.reload.apply(config).unwrap().applied, ["rates.submits_burst"]);
    assert_eq!(alice.send(&bob, "three").await.unwrap_err().code, Code::MailboxFull);
    assert_eq!(alice.send(&bob, "four").await.unwrap_err().code, Code::RateLimited);
}

#[tokio::test]
async fn wrong_passwords_are_not_forgotten_by_a_reload() {
    let mut config = settings();
    config.rates.failed_logins = 1;
    let world = World::with(config.clone()).await;
    let _alice = world.join("alice", 0).await;
    let mut guest = world.guest().await;
    let mut ask = enrol(&guest, &Absent::unknown("alice", 1).device, true);
    ask.password = password("wrong");
    assert_eq!(guest.refused(&ask).await, Code::Denied);
    config.rates.lookups_per_minute += 1;
    world.reload.apply(config).unwrap();
    assert_eq!(guest.refused(&ask).await, Code::RateLimited);
}

#[tokio::test]
async fn a_server_that_has_ended_is_not_kept_by_its_reload() {
    let mut world = World::new().await;
    world.stop();
    world.ended().await.unwrap();
    assert_eq!(world.reload.apply(settings()), None);
}
