//! The server changes its key: which one a link asks for, and when it stops asking for the other.

use std::sync::Arc;

use chat_protocol::handshake::ServerKey;
use chatd::link::{LinkSetup, spawn};
use tokio::sync::mpsc;

use super::{Fixture, hasty, setup};
use crate::toy::Toy;

#[tokio::test]
async fn a_key_that_was_replaced_is_good_for_nothing_once_the_next_one_was_proven() {
    let (old, new) = (ServerKey::from_bytes([1; 32]), ServerKey::from_bytes([3; 32]));
    let mut toy = Toy::new().await;
    toy.next = Some(new.clone());
    let (sender, events) = mpsc::channel(16);
    let (pinned, mut pins) = mpsc::unbounded_channel();
    let pin = Arc::new(move |key, next| pinned.send((key, next)).unwrap());
    let link = spawn(LinkSetup { pin, ..setup(toy.server(), hasty()) }, sender);
    let mut f = Fixture { toy, link, events };
    // told by the present key, and asked for the next one as soon as it is known
    for pin in [(old.public(), Some(new.public())), (new.public(), None)] {
        let peer = f.toy.accept_login().await;
        assert_eq!(peer.secured.server_key, pin.0);
        drop(peer);
        f.online().await;
        assert_eq!(pins.recv().await.unwrap(), pin);
        f.offline().await;
    }
    // the key is finished; a thief still has it, and announces one of his own
    f.toy.next = Some(ServerKey::from_bytes([6; 32]));
    for _ in 0..3 {
        assert!(f.toy.accept().await.is_none(), "the old key was taken");
    }
    (f.toy.key, f.toy.next) = (new, None);
    f.toy.accept_login().await;
    f.online().await;
}

#[tokio::test]
async fn a_next_key_that_is_not_in_use_yet_keeps_nobody_out() {
    let toy = Toy::new().await;
    let next_key = Some(ServerKey::from_bytes([3; 32]).public());
    let (sender, events) = mpsc::channel(16);
    let link = spawn(LinkSetup { next_key, ..setup(toy.server(), hasty()) }, sender);
    assert!(toy.accept().await.is_none(), "asked for the next one first");
    toy.accept_login().await;
    Fixture { toy, link, events }.online().await;
}
