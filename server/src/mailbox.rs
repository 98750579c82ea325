//! What the mailboxes promise: a message is in one durably before its sender hears `accepted`, and
//! stays until its device acknowledged it.
//!
//! One task ([`commit_loop`]) gathers whatever submits and posts came while the previous commit ran,
//! stores them together, then answers and routes all of them. It never waits on a timer: alone, a
//! submit is committed at once; under load one commit carries hundreds, and of what is too much for one the accounts take
//! turns. The queue is bounded and its full case is `busy`:
//! nothing was stored, the client tries again with the same bytes. The task ends when every [`Mailbox`] is dropped, after
//! everything queued was committed.

mod line;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::server::{Accepted, Code, Post, Refusal, RoomPosted};
use futures_util::future::join_all;
use tokio::sync::mpsc;

use self::line::Line;
use crate::config::{Config, Live};
use crate::counters::Counters;
use crate::router::Router;
use crate::store::{Mail, NewPost, Posted, SharedStore, Store, StoreError, SubmitOutcome, SubmitRow};

/// How long to wait before trying again when the queue is full or the database away, in milliseconds.
const RETRY_MS: u64 = 1_000;
/// How long while the disk is nearly full: somebody has to make room.
const FULL_DISK_RETRY_MS: u64 = 60_000;
/// What each head that a submit claims, or leaves out, may add to an answer, with a long name.
pub(crate) const HEAD_BYTES: usize = 256;

/// What becomes of the answer to a submit: called once, after its commit.
pub type Answer<T> = Box<dyn FnOnce(Result<T, Refusal>) + Send>;

/// Something to be stored, and whom to tell.
pub enum Job {
    /// Envelopes for mailboxes.
    Submit {
        /// What to store.
        row: SubmitRow,
        /// Account of the sending device.
        from: Username,
        /// Whom to tell.
        answer: Answer<Accepted>,
    },
    /// A post for the room.
    Post {
        /// What to store.
        post: NewPost,
        /// Account of the posting device.
        from: Username,
        /// Whom to tell.
        answer: Answer<RoomPosted>,
    },
}

/// The way in. Cheap to clone.
#[derive(Clone)]
pub struct Mailbox(mpsc::Sender<Job>);

impl Mailbox {
    /// Queues a job; its answer comes after the commit, or at once when the queue is full.
    pub fn take(&self, job: Job) {
        if let Err(mpsc::error::TrySendError::Full(job) | mpsc::error::TrySendError::Closed(job)) = self.0.try_send(job)
        {
            job.refuse(busy());
        }
    }
}

impl Job {
    const fn from(&self) -> &Username {
        match self {
            Self::Submit { from, .. } | Self::Post { from, .. } => from,
        }
    }

    /// Bytes that it brings to the store, and for each head that it claims those that stand for looking it up: they share a
    /// commit and its turns.
    fn bytes(&self) -> usize {
        match self {
            Self::Submit { row, .. } => {
                let envelopes: usize = row.to.iter().map(|(_, envelope)| envelope.len()).sum();
                envelopes + row.heads.len() * HEAD_BYTES
            }
            Self::Post { post, .. } => post.text.len(),
        }
    }

    fn refuse(self, refusal: Refusal) {
        match self {
            Self::Submit { answer, .. } => answer(Err(refusal)),
            Self::Post { answer, .. } => answer(Err(refusal)),
        }
    }
}

/// What the loop works with.
#[derive(Clone)]
pub struct Commits {
    /// Where it stores.
    pub store: SharedStore,
    /// Where it sends what was stored.
    pub router: Arc<Router>,
    /// Counts commits and what became of their jobs.
    pub counters: Arc<Counters>,
    /// What one mailbox may hold, and how many jobs one transaction takes.
    pub settings: Arc<Live<Config>>,
}

/// A queue of `depth` jobs; the receiver is for [`commit_loop`].
#[must_use]
pub fn queue(depth: usize) -> (Mailbox, mpsc::Receiver<Job>) {
    let (sender, receiver) = mpsc::channel(depth.max(1));
    (Mailbox(sender), receiver)
}

/// Commits what comes, until every [`Mailbox`] is gone and the queue is empty.
pub async fn commit_loop(commits: Commits, mut jobs: mpsc::Receiver<Job>) {
    let mut line = Line::default();
    while line.gather(&mut jobs).await {
        commits.commit(line.take(commits.at_once())).await;
    }
}

/// A submit whose row is at the store.
struct Pending {
    from: Username,
    device: DeviceId,
    envelopes: BTreeMap<DeviceId, Bytes>,
    answer: Answer<Accepted>,
}

impl Commits {
    fn at_once(&self) -> usize {
        self.settings.now().mailbox.commit_at_once.max(1)
    }

    async fn commit(&self, jobs: Vec<Job>) {
        if let Err(refusal) = check_disk(&*self.store, &self.settings.now()).await {
            return jobs.into_iter().for_each(|job| job.refuse(refusal.clone()));
        }
        let (mut rows, mut pending, mut posts) = (Vec::new(), Vec::new(), Vec::new());
        for job in jobs {
            match job {
                Job::Submit { row, from, answer } => {
                    let envelopes = row.to.iter().cloned().collect();
                    pending.push(Pending { from, device: row.sender, envelopes, answer });
                    rows.push(row);
                }
                Job::Post { post, answer, .. } => posts.push((post, answer)),
            }
        }
        // at once, so that a store which groups writes makes one transaction of both
        tokio::join!(self.commit_submits(rows, pending), self.commit_posts(posts));
    }

    async fn commit_submits(&self, rows: Vec<SubmitRow>, pending: Vec<Pending>) {
        if rows.is_empty() {
            return;
        }
        let begun = Instant::now();
        let committed = self.store.commit_submits(rows, self.settings.now().quota()).await;
        self.counters.commits.took(begun.elapsed());
        match committed {
            Ok(outcomes) => {
                for (outcome, pending) in outcomes.into_iter().zip(pending) {
                    self.finish(outcome, pending).await;
                }
            }
            Err(error) => {
                let refusal = store_failed("submits", &error);
                pending.into_iter().for_each(|pending| (pending.answer)(Err(refusal.clone())));
            }
        }
    }

    /// Answers the sender, then routes: the sender's answer is queued first because it is owed.
    async fn finish(&self, outcome: SubmitOutcome, mut pending: Pending) {
        match outcome {
            SubmitOutcome::Stored { placed, full } => {
                self.counters.submits.done.one();
                (pending.answer)(Ok(Accepted { full }));
                for (device, seq) in placed {
                    let envelope = pending.envelopes.remove(&device).unwrap_or_default();
                    let mail = Mail { seq, from: pending.from.clone(), from_device: pending.device, envelope };
                    if self.router.mail(device, &mail) {
                        self.counters.pushed.one();
                    }
                }
            }
            SubmitOutcome::Repeated { full } => {
                self.counters.submits.repeated.one();
                (pending.answer)(Ok(Accepted { full }));
                self.remind(pending.envelopes.into_keys()).await;
            }
            SubmitOutcome::Stale(heads) => {
                let heads = (!heads.is_empty()).then_some(heads);
                (pending.answer)(Err(Refusal { heads, ..Refusal::new(Code::Stale) }));
            }
            SubmitOutcome::Full => (pending.answer)(Err(Code::MailboxFull.into())),
            SubmitOutcome::NotFound => (pending.answer)(Err(Code::NotFound.into())),
            SubmitOutcome::Failed => (pending.answer)(Err(Code::Internal.into())),
        }
    }

    /// A repeated submit may be one whose commit was not known to have happened: then nobody was told.
    async fn remind(&self, devices: impl Iterator<Item = DeviceId>) {
        for device in devices.filter(|device| self.router.is_online(*device)) {
            match self.store.mailbox_state(device).await {
                Ok(state) => self.router.waiting(device, state.last),
                Err(error) => tracing::warn!(%device, %error, "mailbox state unknown"),
            }
        }
    }

    /// A repeated post may be one whose commit was not known to have happened: then nobody in the room has heard it.
    /// Whoever has knows it by its number.
    async fn told_again(&self, room_seq: u64) -> Vec<Post> {
        let found = self.store.room_since(Some(room_seq.saturating_sub(1)), 1).await;
        found.map_or_else(
            |error| {
                tracing::warn!(room_seq, %error, "a repeated post was not told again");
                Vec::new()
            },
            |page| page.posts,
        )
    }

    async fn commit_posts(&self, posts: Vec<(NewPost, Answer<RoomPosted>)>) {
        let (posts, answers): (Vec<_>, Vec<_>) = posts.into_iter().unzip();
        let outcomes = join_all(posts.into_iter().map(|post| self.store.room_post(post))).await;
        let (mut fresh, mut repeated) = (Vec::new(), Vec::new());
        for (outcome, answer) in outcomes.into_iter().zip(answers) {
            answer(match outcome {
                Ok(Posted::New(post)) => {
                    self.counters.posts.done.one();
                    let posted = RoomPosted { room_seq: post.room_seq, at: post.at };
                    fresh.push(post);
                    Ok(posted)
                }
                Ok(Posted::Repeated { room_seq, at }) => {
                    self.counters.posts.repeated.one();
                    repeated.push(room_seq);
                    Ok(RoomPosted { room_seq, at })
                }
                Ok(Posted::Missing) => Err(Code::ApprovalRequired.into()),
                Err(error) => Err(store_failed("room post", &error)),
            });
        }
        for room_seq in repeated {
            fresh.extend(self.told_again(room_seq).await);
        }
        fresh.sort_by_key(|post| post.room_seq);
        fresh.into_iter().for_each(|post| self.router.post(post));
    }
}

/// What a client hears when the store fails: with `busy` the same bytes may be sent again.
pub(crate) fn store_failed(what: &'static str, error: &StoreError) -> Refusal {
    match error {
        StoreError::Unavailable(cause) => {
            tracing::warn!(what, %cause, "database unavailable");
            busy()
        }
        StoreError::Corrupt(_) | StoreError::Unsuitable { .. } | StoreError::Internal(_) => {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(what, %error, cause, "database failed");
            Code::Internal.into()
        }
    }
}

/// Keeps some of the disk free of what others say, so that what was acknowledged can still be deleted there.
///
/// # Errors
/// `busy`: nothing that needs room is to be stored now.
pub(crate) async fn check_disk(store: &dyn Store, config: &Config) -> Result<(), Refusal> {
    let floor = config.mailbox.free_disk;
    match store.free_disk(floor).await {
        Ok(Some(free)) if free < floor => {
            tracing::warn!(free, "the disk is nearly full: nothing more is stored on it");
            Err(Refusal { retry_after_ms: Some(FULL_DISK_RETRY_MS), ..Refusal::new(Code::Busy) })
        }
        // a database that does not answer says so where it is asked to store
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Too much to do: try the same again in a moment.
pub(crate) fn busy() -> Refusal {
    Refusal { retry_after_ms: Some(RETRY_MS), ..Refusal::new(Code::Busy) }
}
