//! The server changes its key: which one a link asks for, and when it stops asking for the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chat_protocol::fixtures::device_keys;
use chat_protocol::handshake::ServerKey;
use chat_protocol::offline_key::{OfflineKey, vouch};
use chatd::link::{LinkSetup, Server, spawn};
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
    let pin = Arc::new(move |key, next| pinned.send((key, next)).is_ok());
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
async fn atk_102_a_next_key_is_believed_only_with_the_signature_of_the_offline_key_that_the_invite_named() {
    let (old, new, thiefs) = ([1; 32], [3; 32], [6; 32]);
    let [old, new, thiefs] = [old, new, thiefs].map(ServerKey::from_bytes);
    let (named, other) = (&device_keys(2).signing, &device_keys(3).signing);
    let vouched = |key, next: &ServerKey| Some(vouch(key, &old.public(), &next.public(), &mut rand::rng()));
    let mut toy = Toy::new().await;
    let server = Server { offline_key: Some(OfflineKey::of(&named.verifying_key())), ..toy.server() };
    let (sender, events) = mpsc::channel(16);
    let (pinned, mut pins) = mpsc::unbounded_channel();
    // the first time there is no room to write it down
    let written = AtomicBool::new(false);
    let pin = Arc::new(move |key, next| pinned.send((key, next)).is_ok() && written.swap(true, Ordering::Relaxed));
    toy.next = Some(thiefs.clone());
    let link = spawn(LinkSetup { pin, ..setup(server, hasty()) }, sender);
    let mut f = Fixture { toy, link, events };
    // whoever has the present key, and not that one, announces a key: alone, vouched for by another, by a word about another
    for proof in [None, vouched(other, &thiefs), vouched(named, &new)] {
        f.toy.proof = proof;
        let peer = f.toy.accept_login().await;
        assert_eq!(peer.secured.server_key, old.public());
        drop(peer);
        f.online().await;
        f.offline().await;
    }
    assert!(pins.try_recv().is_err(), "nothing was believed");
    (f.toy.next, f.toy.proof) = (Some(new.clone()), vouched(named, &new));
    drop(f.toy.accept_login().await);
    f.online().await;
    assert_eq!(pins.recv().await.unwrap(), (new.public(), None), "the old key is good for nothing any more");
    // whoever stole that keeps the next one from being used
    (f.toy.next, f.toy.proof) = (None, None);
    for _ in 0..3 {
        assert!(f.toy.accept().await.is_none(), "the old key was taken");
    }
    // and what nobody vouches for changes nothing of the new one
    (f.toy.key, f.toy.next) = (new.clone(), Some(thiefs));
    for _ in 0..2 {
        let peer = f.toy.accept_login().await;
        assert_eq!(peer.secured.server_key, new.public());
        drop(peer);
        f.online().await;
        f.offline().await;
    }
    assert_eq!(pins.recv().await.unwrap(), (new.public(), None), "written down at the next login");
    assert!(pins.try_recv().is_err(), "nothing was believed");
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
