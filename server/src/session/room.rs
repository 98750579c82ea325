//! The public room: readable by the server, and every client says so.

use std::sync::Arc;
use std::time::Instant;

use chat_protocol::limits::{MAX_ROOM_PAGE, MAX_ROOM_TEXT_BYTES};
use chat_protocol::message::client::{RoomPost, RoomSince};
use chat_protocol::message::server::{Code, Post, Refusal, RoomPage};

use super::asked::{Asked, bad_request};
use super::ready::Ready;
use crate::mailbox::{Job, store_failed};
use crate::router::POST_HEAD_BYTES;
use crate::router::outbox::Owed;
use crate::store::NewPost;

impl Ready {
    /// Queues a post; its answer follows its commit. The author is this device, whatever it may claim.
    pub(super) async fn room_post(&mut self, asked: Asked, ask: RoomPost) {
        let checked = check(&ask.text).or_else(|refusal| self.afford().and(Err(refusal)));
        let checked = checked.and_then(|()| self.afford_post(ask.text.len()));
        if let Err(refusal) = self.shared().counters.posts.judged(checked) {
            return self.refuse_and_pause(asked, refusal, ask.text.len()).await;
        }
        let Some(ticket) = self.ticket(0).await else { return };
        let room = match self.shared().counters.posts.judged(self.room(ask.text.len())) {
            Ok(room) => room,
            Err(refusal) => return self.refuse(asked, refusal),
        };
        let (at, kept) = (self.shared().now(), self.shared().seen());
        let post = NewPost { device: self.device(), submit_id: ask.submit_id, text: ask.text, at, kept };
        let (outbox, counters) = (self.peer().outbox().clone(), Arc::clone(&self.shared().counters));
        let answer = Box::new(move |result| {
            outbox.push(asked.answer(&counters.posts.judged(result)));
            drop((ticket, room));
        });
        self.shared().mailbox.take(Job::Post { post, from: self.user().clone(), answer });
    }

    fn afford_post(&mut self, bytes: usize) -> Result<(), Refusal> {
        let (limits, peer) = (self.shared().limits(), Arc::clone(self.peer()));
        Ok(self.posts.check(Instant::now(), || limits.post(peer.device(), peer.user(), bytes))?)
    }

    pub(super) async fn room_since(&self, ask: &RoomSince, owed: &Owed) -> Result<RoomPage, Refusal> {
        let limit = u32::try_from(ask.max.min(MAX_ROOM_PAGE)).unwrap_or(u32::MAX);
        let _place = self.shared().queued.page().await;
        let bytes = owed.bytes();
        let page = self.shared().store.room_since(ask.seq, limit).await;
        let mut page = page.map_err(|error| store_failed("room", &error))?;
        page.posts =
            if ask.seq.is_some() { first_that_fit(page.posts, bytes) } else { last_that_fit(page.posts, bytes) };
        Ok(page)
    }
}

fn check(text: &str) -> Result<(), Refusal> {
    match text.len() {
        0 => Err(bad_request()),
        len if len > MAX_ROOM_TEXT_BYTES => Err(Code::TooLarge.into()),
        _ => Ok(()),
    }
}

fn first_that_fit(posts: Vec<Post>, most: usize) -> Vec<Post> {
    let fitting = count_fitting(posts.iter(), most);
    posts.into_iter().take(fitting).collect()
}

fn last_that_fit(posts: Vec<Post>, most: usize) -> Vec<Post> {
    let fitting = count_fitting(posts.iter().rev(), most);
    let skipped = posts.len() - fitting;
    posts.into_iter().skip(skipped).collect()
}

fn count_fitting<'a>(posts: impl Iterator<Item = &'a Post>, most: usize) -> usize {
    let mut bytes = 0;
    posts
        .take_while(|post| {
            bytes += post.text.len() + POST_HEAD_BYTES;
            bytes <= most
        })
        .count()
}

#[cfg(test)]
mod tests {
    use chat_protocol::ids::{DeviceId, SubmitId};
    use chat_protocol::time::Timestamp;

    use super::super::ready::MAX_PAGE_BYTES;
    use super::*;

    fn post(room_seq: u64, len: usize) -> Post {
        Post {
            room_seq,
            user: "alice".parse().unwrap(),
            at: Timestamp::ZERO,
            text: "x".repeat(len),
            submit_id: SubmitId::new(1, [0; 8]),
            device: DeviceId::new([1; 16]),
        }
    }

    fn seqs(posts: &[Post]) -> Vec<u64> {
        posts.iter().map(|post| post.room_seq).collect()
    }

    #[test]
    fn pages_keep_the_end_that_was_asked_for() {
        let long = MAX_PAGE_BYTES / 2 - POST_HEAD_BYTES;
        let posts = || (1..=3).map(|seq| post(seq, long)).collect::<Vec<_>>();
        assert_eq!(seqs(&first_that_fit(posts(), MAX_PAGE_BYTES)), [1, 2]);
        assert_eq!(seqs(&last_that_fit(posts(), MAX_PAGE_BYTES)), [2, 3]);
        assert_eq!(seqs(&last_that_fit(posts(), MAX_PAGE_BYTES - 1)), [3]);
    }
}
