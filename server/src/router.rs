//! Answers one question: where does it go?
//!
//! Owns the directory of who is online, one small map under one std mutex that is never held across an
//! await, a database call or an encoding. What is routed is already durable: a push that finds nobody,
//! or a connection that goes away, loses nothing. Order of locks: directory, then one peer's state, then its outbox.

mod directory;
mod online;
pub mod outbox;
mod pushes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_protocol::frame::Frame;
use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::server::{Post, PresenceChange, Push};

use crate::counters::Closed;
use crate::store::Mail;
use directory::Directory;
pub use online::{Due, Online, Opening};
pub use pushes::{POST_HEAD_BYTES, deliver_frame, encode};

/// Names in one presence frame: with the longest names still well inside a record.
const NAMES_PER_FRAME: usize = 1_000;

/// Everybody who is logged in.
#[derive(Debug, Default)]
pub struct Router {
    directory: Mutex<Directory>,
}

impl Router {
    /// Adds a peer before its login is answered, so that nothing committed from now on misses it. An older
    /// connection of the same device is closed.
    pub fn enter(&self, peer: &Arc<Online>) {
        let replaced = self.lock().enter(peer);
        if let Some(older) = replaced {
            older.outbox().close(Closed::Replaced);
        }
    }

    /// Removes a peer whose connection ends, unless a newer one of its device took its place.
    pub fn leave(&self, peer: &Arc<Online>) {
        self.lock().leave(peer);
    }

    /// Pushes mail that was just committed, or leaves it to the peer's own reading of the mailbox; tells whether it did.
    pub fn mail(&self, device: DeviceId, mail: &Mail) -> bool {
        let peer = self.lock().device(device);
        peer.is_some_and(|peer| peer.mail(mail))
    }

    /// Notes that a mailbox holds rows up to `last`, which its device will read from the store.
    pub fn waiting(&self, device: DeviceId, last: u64) {
        let peer = self.lock().device(device);
        if let Some(peer) = peer {
            peer.waiting(last);
        }
    }

    /// Whether the device is connected.
    #[must_use]
    pub fn is_online(&self, device: DeviceId) -> bool {
        self.lock().device(device).is_some()
    }

    /// Pushes to everybody connected; the body is encoded once and shared.
    pub fn everybody(&self, push: &Push) {
        let peers = self.lock().everybody();
        let frame = encode(&Frame::push(push));
        peers.iter().for_each(|peer| peer.push(frame.clone()));
    }

    /// Pushes a post that was just committed to whoever reads fast enough; the others are told how far the room has come
    /// once they have read what waits for them.
    pub fn post(&self, post: Post) {
        let (peers, seq) = (self.lock().everybody(), post.room_seq);
        let frame = encode(&Frame::push(&Push::Room(post)));
        peers.iter().for_each(|peer| peer.post(seq, &frame));
    }

    /// Pushes to the online devices of one account.
    pub fn account(&self, user: &Username, push: &Push) {
        let peers = self.lock().of_account(user);
        let frame = encode(&Frame::push(push));
        peers.iter().for_each(|peer| peer.push(frame.clone()));
    }

    /// Ends the connections of devices that may no longer speak. What they asked and was not yet begun is not done.
    pub fn end(&self, devices: &[DeviceId], why: Closed) {
        let peers: Vec<_> = {
            let directory = self.lock();
            devices.iter().filter_map(|device| directory.device(*device)).collect()
        };
        for peer in peers {
            self.leave(&peer);
            peer.end(why);
        }
    }

    /// Whether this connection still speaks for its device: neither replaced nor ended.
    #[must_use]
    pub fn speaks(&self, peer: &Arc<Online>) -> bool {
        self.lock().device(peer.device()).is_some_and(|current| Arc::ptr_eq(&current, peer))
    }

    /// Devices of an account that are online.
    #[must_use]
    pub fn devices_online(&self, user: &Username) -> Vec<DeviceId> {
        self.lock().of_account(user).iter().map(|peer| peer.device()).collect()
    }

    /// Devices that are online.
    #[must_use]
    pub fn everybody_online(&self) -> Vec<DeviceId> {
        self.lock().everybody().iter().map(|peer| peer.device()).collect()
    }

    /// Whether others may see this user online.
    #[must_use]
    pub fn sees(&self, user: &Username) -> bool {
        self.lock().is_visible(user)
    }

    /// Bytes that wait to be written to whoever is logged in.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.lock().everybody().iter().map(|peer| peer.outbox().waiting()).sum()
    }

    /// Connections that are logged in.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().count()
    }

    /// Shows or hides a peer and subscribes it to changes. Returns who is visible now in ascending order,
    /// in parts that fit a frame: at least one, perhaps empty.
    pub fn watch(&self, peer: &Arc<Online>, visible: bool) -> Vec<Vec<Username>> {
        let mut directory = self.lock();
        directory.show(peer, visible);
        peer.watch_presence();
        let names = directory.visible();
        drop(directory);
        let parts: Vec<_> = names.chunks(NAMES_PER_FRAME).map(<[_]>::to_vec).collect();
        if parts.is_empty() { vec![Vec::new()] } else { parts }
    }

    /// Tells the watchers who came and went since the last call. Called once a second.
    ///
    /// Who came and has not said within a whole period that it prefers not to be seen is shown.
    /// A change says how it is now, not what happened: somebody who left and came back within the
    /// second is named as online, which is right for those who saw either.
    pub fn tell_presence(&self) {
        let (changes, watchers) = {
            let mut directory = self.lock();
            directory.show_undecided();
            let changes = directory.take_changes();
            if changes.is_empty() {
                return;
            }
            (changes, directory.everybody())
        };
        let watchers: Vec<_> = watchers.into_iter().filter(|peer| peer.watches_presence()).collect();
        for part in changes.chunks(NAMES_PER_FRAME) {
            let frame = encode(&Frame::push(&Push::Presence(change(part))));
            watchers.iter().for_each(|peer| peer.push(frame.clone()));
        }
    }

    /// Drops every connection as it is.
    pub fn sever_all(&self, why: Closed) {
        let peers = self.lock().everybody();
        peers.iter().for_each(|peer| peer.outbox().sever(why));
    }

    fn lock(&self) -> MutexGuard<'_, Directory> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn change(part: &[(Username, bool)]) -> PresenceChange {
    let names = |online: bool| part.iter().filter(|(_, now)| *now == online).map(|(user, _)| user.clone()).collect();
    PresenceChange { online: names(true), offline: names(false) }
}

#[cfg(test)]
mod tests {
    use chat_protocol::frame::{FrameKind, decode_frames};
    use chat_protocol::ids::{HeadHash, SessionId};
    use chat_protocol::message::{Blob, Envelope};

    use super::outbox::{Outbox, OutboxLimits};
    use super::*;

    fn peer(router: &Router, user: &str, id: u8) -> Arc<Online> {
        let outbox = Arc::new(Outbox::new(
            OutboxLimits { bytes: 1 << 20, frames: 100 },
            &Arc::new(crate::work::Budget::new(1 << 30)),
        ));
        let peer = Arc::new(Online::new(user.parse().unwrap(), DeviceId::new([id; 16]), outbox));
        router.enter(&peer);
        peer
    }

    fn opened(router: &Router, user: &str, id: u8) -> Arc<Online> {
        let peer = peer(router, user, id);
        peer.open(Opening { window: 2, acked: 0, last: 0 }, []);
        peer
    }

    fn mail(seq: u64) -> Mail {
        let (token, header) = (Blob(vec![1; 73]), Blob(vec![2; 40]));
        let envelope = Envelope { sid: SessionId::new([3; 16]), header, token, init: None };
        Mail {
            seq,
            from: "alice".parse().unwrap(),
            from_device: DeviceId::new([9; 16]),
            envelope: chat_protocol::cbor::encode(&envelope).into(),
        }
    }

    async fn pushes(peer: &Online) -> Vec<Push> {
        let batch = peer.outbox().next().await;
        let frames = batch.frames.iter().flat_map(|frame| decode_frames(frame).unwrap());
        frames
            .filter(|frame| frame.kind == FrameKind::Push)
            .map(|frame| Push::decode(frame.number, &frame.payload).unwrap().unwrap())
            .collect()
    }

    fn seqs(pushes: &[Push]) -> Vec<u64> {
        pushes.iter().filter_map(|push| if let Push::Deliver(d) = push { Some(d.mailbox_seq) } else { None }).collect()
    }

    #[tokio::test]
    async fn mail_reaches_the_addressed_device_only_and_stops_at_the_window() {
        let router = Router::default();
        let (bob, carol) = (opened(&router, "bob", 1), opened(&router, "carol", 2));
        let pushed: Vec<_> = (1..=3).map(|seq| router.mail(bob.device(), &mail(seq))).collect();
        assert_eq!(pushed, [true, true, false]);
        assert_eq!(seqs(&pushes(&bob).await), [1, 2]);
        carol.push(encode(&Frame::push(&Push::Presence(change(&[])))));
        assert_eq!(seqs(&pushes(&carol).await), [0u64; 0]);
    }

    #[tokio::test]
    async fn a_row_that_holds_no_envelope_is_passed_over() {
        let router = Router::default();
        let bob = peer(&router, "bob", 1);
        bob.open(Opening { window: 9, acked: 0, last: 3 }, []);
        let damaged = Mail { envelope: b"poison".as_slice().into(), ..mail(2) };
        assert_eq!(bob.stored(&[mail(1), damaged, mail(3)]), 3);
        assert_eq!(seqs(&pushes(&bob).await), [1, 3]);
    }

    #[tokio::test]
    async fn what_comes_before_the_login_is_answered_follows_the_answer() {
        let router = Router::default();
        let bob = peer(&router, "bob", 1);
        router.mail(bob.device(), &mail(1));
        let grew = chat_protocol::ids::Head { seq: 0, hash: HeadHash::new([1; 32]) };
        let grew = chat_protocol::message::server::LogGrew { user: "bob".parse().unwrap(), head: grew };
        router.everybody(&Push::LogGrew(grew.clone()));
        let answer = Frame::ok(5, 3, &chat_protocol::message::Done {});
        assert!(bob.open(Opening { window: 2, acked: 0, last: 0 }, [encode(&answer)]) == 2, "mail is due");
        let batch = bob.outbox().next().await;
        let kinds: Vec<_> = batch.frames.iter().map(|frame| decode_frames(frame).unwrap()[0].kind).collect();
        assert_eq!(kinds, [FrameKind::Ok, FrameKind::Push]);
    }

    #[tokio::test]
    async fn atk_85_posts_beyond_half_the_queue_are_left_out_and_their_last_number_is_told_once_there_is_room() {
        let router = Router::default();
        let (early, bob) = (peer(&router, "carol", 2), opened(&router, "bob", 1));
        let said = |room_seq| {
            let (submit_id, device) = (chat_protocol::ids::SubmitId::new(room_seq, [1; 8]), DeviceId::new([9; 16]));
            let at = chat_protocol::time::Timestamp::ZERO;
            Post { room_seq, user: "alice".parse().unwrap(), at, text: "hello".into(), submit_id, device }
        };
        (1..=1_000).for_each(|seq| router.post(said(seq)));
        assert_eq!(bob.outbox().closed(), None);
        let heard = |pushes: Vec<Push>| {
            let seq = |push: &Push| if let Push::Room(post) = push { (post.room_seq, false) } else { told(push) };
            pushes.iter().map(seq).collect::<Vec<_>>()
        };
        bob.tell_room();
        assert_eq!(heard(pushes(&bob).await), (1..=50).map(|seq| (seq, false)).collect::<Vec<_>>());
        router.post(said(1_001));
        bob.tell_room();
        router.post(said(1_002));
        assert_eq!(heard(pushes(&bob).await), [(1_001, true), (1_002, false)]);
        early.open(Opening { window: 2, acked: 0, last: 0 }, []);
        early.tell_room();
        assert_eq!(heard(pushes(&early).await), [(1_002, true)], "also who was being logged in meanwhile");
    }

    fn told(push: &Push) -> (u64, bool) {
        let Push::RoomGrew(grew) = push else { panic!("{push:?}") };
        (grew.seq, true)
    }

    #[tokio::test]
    async fn newer_connection_of_a_device_takes_over() {
        let router = Router::default();
        let (older, newer) = (opened(&router, "bob", 1), opened(&router, "bob", 1));
        assert_eq!(older.outbox().closed(), Some(Closed::Replaced));
        router.leave(&older);
        assert!(router.speaks(&newer) && !router.speaks(&older));
    }

    #[tokio::test]
    async fn presence_is_a_snapshot_then_changes() {
        let router = Router::default();
        let (alice, bob) = (opened(&router, "alice", 1), opened(&router, "bob", 2));
        assert_eq!(router.watch(&alice, true), [["alice".parse().unwrap()]]);
        assert!(!router.sees(&"bob".parse().unwrap()), "nobody is shown before having had time to say no");
        router.watch(&bob, true);
        router.tell_presence();
        let shown = pushes(&alice).await;
        let [Push::Presence(change)] = shown.as_slice() else { panic!("{shown:?}") };
        assert_eq!(change.online, ["alice".parse().unwrap(), "bob".parse().unwrap()]);
        router.leave(&bob);
        router.tell_presence();
        let shown = pushes(&alice).await;
        let [Push::Presence(change)] = shown.as_slice() else { panic!("{shown:?}") };
        assert_eq!((change.online.len(), change.offline.as_slice()), (0, ["bob".parse().unwrap()].as_slice()));
    }

    #[test]
    fn whoever_says_nothing_is_shown_after_a_whole_period() {
        let router = Router::default();
        let (bob, carol) = (opened(&router, "bob", 1), opened(&router, "carol", 2));
        router.tell_presence();
        assert!(!router.sees(bob.user()));
        router.watch(&carol, false);
        router.tell_presence();
        assert!(router.sees(bob.user()) && !router.sees(carol.user()));
        let late = opened(&router, "dave", 3);
        router.leave(&late);
        router.tell_presence();
        router.tell_presence();
        assert!(!router.sees(late.user()));
    }

    #[tokio::test]
    async fn the_invisible_are_never_named() {
        let router = Router::default();
        let (alice, bob) = (opened(&router, "alice", 1), opened(&router, "bob", 2));
        router.watch(&alice, true);
        router.tell_presence();
        pushes(&alice).await;
        router.watch(&bob, false);
        router.leave(&bob);
        router.tell_presence();
        alice.push(encode(&Frame::push(&Push::Drained(chat_protocol::message::server::MailboxDrained { seq: 1 }))));
        assert_eq!(pushes(&alice).await.len(), 1, "only the marker");
    }
}
