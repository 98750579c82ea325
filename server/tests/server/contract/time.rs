//! What is kept goes by the time that was seen to pass, which is kept too.

use chat_protocol::ids::SubmitId;
use chat_protocol::time::SeenMark;
use chat_server::store::{Creation, Invite, NewAccount, NewPost, PasswordHash};

use super::{DAY, KEPT, at, bytes, fresh, name, person};
use crate::support::Home;

pub async fn seen_time_is_kept_and_never_goes_back(home: &Home) {
    let store = &home.store;
    assert_eq!(store.seen_time().await.unwrap(), None);
    let first = SeenMark { time: at(5), wall: at(5) };
    store.keep_seen_time(first).await.unwrap();
    assert_eq!(store.seen_time().await.unwrap(), Some(first));
    let (later, set_back) = (SeenMark { time: at(9), wall: at(3) }, SeenMark { time: at(7), wall: at(2) });
    store.keep_seen_time(later).await.unwrap();
    assert_eq!(store.seen_time().await.unwrap(), Some(later));
    store.keep_seen_time(set_back).await.unwrap();
    assert_eq!(store.seen_time().await.unwrap(), Some(SeenMark { time: at(9), wall: at(2) }));
}

pub async fn a_post_goes_by_the_time_that_was_seen_whatever_its_clock_said(home: &Home) {
    let store = &home.store;
    let alice = person(store, "leaping").await;
    let post = |n: u64, clock, kept| NewPost {
        device: alice.device,
        submit_id: SubmitId::new(n, [1; 8]),
        text: format!("post {n}"),
        at: clock,
        kept,
    };
    let (old, young) = (at(1), at(1) + DAY * 20);
    for new in [post(1, old + DAY * 400, old), post(2, young - DAY * 400, young)] {
        store.room_post(new).await.unwrap();
    }
    store.sweep(old + DAY * 31, at(0), KEPT).await.unwrap();
    let page = store.room_since(None, 10).await.unwrap();
    assert_eq!(
        page.posts.iter().map(|post| (post.text.as_str(), post.at)).collect::<Vec<_>>(),
        [("post 2", young - DAY * 400)]
    );
}

pub async fn an_invite_goes_once_it_has_ended_and_not_with_what_is_old(home: &Home) {
    let store = &home.store;
    let invite = Invite { hash: bytes(fresh()), at: at(0), expires: at(0) + DAY * 7 };
    store.create_invite(invite).await.unwrap();
    store.sweep(at(0) + DAY * 40, at(0) + DAY * 6, KEPT).await.unwrap();
    let new = |user: &str| NewAccount {
        user: name(&format!("{user}{}", fresh())),
        hash: PasswordHash::new("$2b$04$x".into()),
        invite: Some(invite.hash),
        at: at(0) + DAY,
    };
    assert_eq!(store.create_account(new("invited")).await.unwrap(), Creation::Created);
    store.create_invite(invite).await.unwrap();
    let swept = store.sweep(at(0), at(0) + DAY * 7, KEPT).await.unwrap();
    assert_eq!(swept.invites, 1);
    assert_eq!(store.create_account(new("late")).await.unwrap(), Creation::InviteRefused);
}
