//! The public room and who is there.

use std::time::Duration;

use chat_protocol::message::client::{PresenceWatch, RoomPost, RoomSince};
use chat_protocol::message::server::{Code, Post, Push};
use chat_server::config::Config;
use chat_server::counters::Closed;

use super::client::End;
use super::world::{Person, World, settings};

async fn heard(person: &mut Person) -> Post {
    person.client.push_of(|push| if let Push::Room(post) = push { Some(post) } else { None }).await
}

#[tokio::test]
async fn post_reaches_everybody_connected_with_its_true_author() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let seq = alice.say("hello, everybody").await;
    for person in [&mut bob, &mut alice] {
        let post = heard(person).await;
        assert_eq!((post.room_seq, post.user.as_str(), post.text.as_str()), (seq, "alice", "hello, everybody"));
    }
    assert_eq!(bob.vanish(&world).await.come_back(&world).await.logged_in.room_last, seq);
}

#[tokio::test]
async fn history_is_read_from_a_cursor_or_from_its_end() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    for n in 1..=5 {
        assert_eq!(alice.say(&format!("{n}")).await, n);
    }
    let texts = |posts: Vec<Post>| posts.into_iter().map(|post| post.text).collect::<Vec<_>>();
    let page = alice.client.call(&RoomSince { seq: Some(1), max: 2 }).await.unwrap();
    assert_eq!((page.last, page.oldest), (5, 1));
    assert_eq!(texts(page.posts), ["2", "3"]);
    let page = alice.client.call(&RoomSince { seq: None, max: 2 }).await.unwrap();
    assert_eq!(texts(page.posts), ["4", "5"]);
}

#[tokio::test]
async fn same_post_again_is_stored_once_and_told_again_under_its_number() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    let post = RoomPost { submit_id: alice.next_submit(), text: "once".into() };
    let first = alice.client.call(&post).await.unwrap();
    assert_eq!(alice.client.call(&post).await.unwrap(), first);
    // the first time its commit may not have been known to have happened, and nobody may have heard it
    for _ in 0..2 {
        let told = heard(&mut alice).await;
        assert_eq!((told.room_seq, told.text.as_str()), (first.room_seq, "once"));
    }
    alice.say("again").await;
    let next = heard(&mut alice).await;
    assert_eq!((next.room_seq, next.text.as_str()), (first.room_seq + 1, "again"));
}

#[tokio::test]
async fn empty_and_endless_posts_are_refused() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    let post = |text: String| RoomPost { submit_id: chat_protocol::ids::SubmitId::new(1, [0; 8]), text };
    assert_eq!(alice.client.refused(&post(String::new())).await, Code::BadRequest);
    assert_eq!(alice.client.refused(&post("x".repeat(8 * 1024 + 1))).await, Code::TooLarge);
}

#[tokio::test]
async fn long_history_comes_in_pages_that_fit_a_record() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    for _ in 0..40 {
        alice.say(&"x".repeat(8 * 1024)).await;
    }
    let page = alice.client.call(&RoomSince { seq: Some(0), max: 500 }).await.unwrap();
    assert!(page.posts.len() < 40 && page.posts[0].room_seq == 1);
    let rest = alice.client.call(&RoomSince { seq: Some(page.posts.len() as u64), max: 500 }).await.unwrap();
    assert_eq!(rest.posts.last().unwrap().room_seq, 40);
}

#[tokio::test]
async fn presence_is_a_snapshot_and_then_changes() {
    let world = World::new().await;
    let mut carol = world.join("carol", 2).await;
    carol.client.call(&PresenceWatch { visible: false }).await.unwrap();
    let mut alice = world.join("alice", 0).await;
    let seen = alice.client.call(&PresenceWatch { visible: true }).await.unwrap();
    assert_eq!(seen.users, [alice.user.clone()], "carol prefers not to be seen");
    let mut bob = world.join("bob", 1).await;
    let seen = bob.client.call(&PresenceWatch { visible: true }).await.unwrap();
    assert_eq!(seen.users, [alice.user.clone(), bob.user.clone()]);
    let (bob_is, carol_is) = (bob.user.clone(), carol.user.clone());
    let came = |push| match push {
        Push::Presence(change) if change.online.contains(&bob_is) => Some(change),
        _ => None,
    };
    assert!(!alice.client.push_of(came).await.online.contains(&carol_is));
    bob.vanish(&world).await;
    carol.vanish(&world).await;
    let went = |push| match push {
        Push::Presence(change) if !change.offline.is_empty() => Some(change.offline),
        _ => None,
    };
    assert_eq!(alice.client.push_of(went).await, [bob_is]);
}

/// A server whose room takes whatever one account says, and with little room for who does not read it.
fn loud() -> Config {
    let mut config = settings();
    (config.rates.room_posts_per_minute, config.rates.room_bytes_per_minute) = (1_000_000, 100_000_000);
    (config.connections.outbox_bytes, config.connections.outbox_frames) = (64 * 1024, 64);
    config
}

#[tokio::test]
async fn atk_85_a_member_on_a_slow_line_stays_connected_in_bounded_memory_and_has_every_post_in_the_end() {
    let world = World::with(loud()).await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    // bob does not read; sockets take the first posts, his queue some more
    let mut posts = 0;
    while posts < 2_000 {
        posts = alice.say(&"x".repeat(8 * 1024)).await;
        assert_eq!(heard(&mut alice).await.room_seq, posts);
        assert!(world.router.waiting_bytes() <= 40 * 1024, "{posts} posts");
    }
    assert!(world.router.is_online(bob.id()));
    let (mut last, mut told) = (0, None);
    while told.is_none() {
        match bob.client.push().await {
            Push::Room(post) => {
                assert_eq!(post.room_seq, last + 1);
                last = post.room_seq;
            }
            Push::RoomGrew(grew) => told = Some(grew.seq),
            _ => {}
        }
    }
    assert_eq!(told, Some(posts));
    while last < posts {
        let page = bob.client.call(&RoomSince { seq: Some(last), max: 500 }).await.unwrap();
        for post in page.posts {
            assert_eq!(post.room_seq, last + 1);
            last = post.room_seq;
        }
    }
    let next = alice.say("and on").await;
    assert_eq!(heard(&mut bob).await.room_seq, next);
}

#[tokio::test]
async fn atk_85_of_2000_posts_of_8_kib_ten_minutes_worth_are_taken_and_the_rest_is_told_when_to_come_again() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let mut refused = 0;
    for _ in 0..2_000 {
        let post = RoomPost { submit_id: alice.next_submit(), text: "x".repeat(8 * 1024) };
        if let Err(refusal) = alice.client.call(&post).await {
            assert_eq!((refusal.code, refusal.retry_after_ms.is_some()), (Code::RateLimited, true));
            refused += 1;
        }
    }
    let page = world.store.room_since(Some(0), 2_000).await.unwrap();
    assert_eq!(page.posts.len() + refused, 2_000);
    // eight more a minute
    assert!((80..90).contains(&page.posts.len()), "{}", page.posts.len());
    bob.say("another account is not concerned").await;
}

#[tokio::test]
async fn atk_13_who_asks_and_does_not_read_is_disconnected_and_finds_its_messages_in_the_mailbox() {
    let mut config = loud();
    (config.rates.lookups_per_minute, config.connections.write) = (10_000, Duration::from_millis(200));
    let world = World::with(config).await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    alice.send(&bob, "do not miss this").await.unwrap();
    for _ in 0..4 {
        alice.say(&"x".repeat(8 * 1024)).await;
    }
    // answers fill the sockets, then half his queue; then nothing more is read of what he asks
    for _ in 0..500 {
        bob.client.ask(&RoomSince { seq: Some(0), max: 4 }).await;
        assert!(world.router.waiting_bytes() < 64 * 1024);
    }
    super::world::until(|| world.counters.closed.get(Closed::SlowReader) == 1).await;
    assert_eq!(bob.client.end().await, End::Cut);
    let mut bob = super::world::Absent::of(bob.device).come_back(&world).await;
    assert_eq!(bob.drained().await, ["do not miss this"]);
}
