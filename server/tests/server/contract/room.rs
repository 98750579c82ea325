//! The public room. It is shared by everybody, so each promise counts from where it finds it.

use chat_protocol::ids::{DeviceId, SubmitId};
use chat_server::store::{NewPost, Posted};

use super::{DAY, KEPT, Person, Shared, at, bytes, fresh, person};
use crate::support::Home;

fn post(by: &Person, counter: u64, text: &str) -> NewPost {
    NewPost {
        device: by.device,
        submit_id: SubmitId::new(counter, [1; 8]),
        text: text.to_owned(),
        at: at(counter),
        kept: at(counter),
    }
}

async fn say(store: &Shared, post: NewPost) -> u64 {
    match store.room_post(post).await.unwrap() {
        Posted::New(post) => post.room_seq,
        other => panic!("not stored: {other:?}"),
    }
}

pub async fn posts_are_contiguous_and_deduplicated(home: &Home) {
    let store = &home.store;
    let (alice, bob) = (person(store, "rooma").await, person(store, "roomb").await);
    let before = store.room_since(None, 1).await.unwrap().last;
    let first = post(&alice, 1, "hello");
    assert_eq!(say(store, first.clone()).await, before + 1);
    assert_eq!(say(store, post(&bob, 1, "hi")).await, before + 2);
    let repeated = store.room_post(first.clone()).await.unwrap();
    assert_eq!(repeated, Posted::Repeated { room_seq: before + 1, at: first.at });
    let page = store.room_since(Some(before), 10).await.unwrap();
    assert_eq!(page.last, before + 2);
    let said: Vec<_> = page.posts.iter().map(|post| (post.room_seq, &post.user, post.text.as_str())).collect();
    assert_eq!(said, [(before + 1, &alice.user, "hello"), (before + 2, &bob.user, "hi")]);
    assert_eq!((page.posts[0].submit_id, page.posts[0].device), (first.submit_id, alice.device));
    assert_eq!(store.login_state(alice.device).await.unwrap().unwrap().submit_counter, 1);
    let nobody = NewPost { device: DeviceId::new(bytes(fresh())), ..first };
    assert_eq!(store.room_post(nobody).await.unwrap(), Posted::Missing);
}

pub async fn newest_posts_come_without_a_cursor(home: &Home) {
    let store = &home.store;
    let alice = person(store, "newest").await;
    for n in 1..=5 {
        say(store, post(&alice, n, &format!("post {n}"))).await;
    }
    let page = store.room_since(None, 2).await.unwrap();
    assert_eq!(page.posts.iter().map(|post| post.text.as_str()).collect::<Vec<_>>(), ["post 4", "post 5"]);
    assert_eq!(page.last, page.posts[1].room_seq);
    let earlier = store.room_since(Some(page.last - 5), 2).await.unwrap();
    assert_eq!(earlier.posts.iter().map(|post| post.text.as_str()).collect::<Vec<_>>(), ["post 1", "post 2"]);
    assert!(store.room_since(Some(u64::MAX), 2).await.unwrap().posts.is_empty());
}

pub async fn sweep_keeps_the_counter(home: &Home) {
    let store = &home.store;
    let alice = person(store, "swept").await;
    let last = say(store, post(&alice, 1, "old")).await;
    let swept = store.sweep(at(1) + DAY * 40, at(0), KEPT).await.unwrap();
    assert_eq!(swept.posts, last, "everything said before is old");
    let page = store.room_since(None, 10).await.unwrap();
    assert_eq!((page.posts.len(), page.last, page.oldest), (0, last, 0));
    assert_eq!(say(store, post(&alice, 2, "new")).await, last + 1);
    assert_eq!(store.room_since(None, 10).await.unwrap().oldest, last + 1);
}

pub async fn any_text_survives(home: &Home) {
    let store = &home.store;
    let alice = person(store, "anytext").await;
    let long = "\u{1f980}".repeat(2_048);
    for (n, text) in [(1, "'; DROP TABLE room_post; --"), (2, "a\0b"), (3, "\u{202e}évil"), (4, ""), (5, &long)] {
        say(store, post(&alice, n, text)).await;
        assert_eq!(store.room_since(None, 1).await.unwrap().posts[0].text, text);
    }
}
