//! The public room and who is there.

use chat_protocol::message::client::{PresenceWatch, RoomPost, RoomSince};
use chat_protocol::message::server::{Code, Post, Push};
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

#[tokio::test]
async fn atk_13_slow_reader_is_disconnected_and_finds_its_messages_in_the_mailbox() {
    let mut config = settings();
    (config.connections.outbox_bytes, config.connections.outbox_frames) = (64 * 1024, 64);
    let world = World::with(config).await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    alice.send(&bob, "do not miss this").await.unwrap();
    // bob stops reading; posts fill the sockets, then his queue
    let id = bob.id();
    let mut posts = 0;
    while world.router.is_online(id) {
        alice.say(&"x".repeat(8 * 1024)).await;
        heard(&mut alice).await;
        posts += 1;
        assert!(posts < 10_000, "never disconnected");
    }
    assert_eq!(bob.client.end().await, End::Cut);
    super::world::until(|| world.counters.closed.get(Closed::SlowReader) == 1).await;
    let mut bob = super::world::Absent::of(bob.device).come_back(&world).await;
    assert_eq!(bob.drained().await, ["do not miss this"]);
}
