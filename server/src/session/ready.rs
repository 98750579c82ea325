//! One device of one account, logged in.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::client::Request;
use chat_protocol::message::server::{Code, LoggedIn, Refusal};
use minicbor::Encode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::asked::{Asked, bad_request};
use super::delivery::{self, Acknowledged};
use super::{Peer, seen};
use crate::limits::{InOrder, Refused, Source};
use crate::mailbox::{HEAD_BYTES, busy, store_failed};
use crate::router::outbox::{Outbox, Owed};
use crate::router::{Online, Opening};
use crate::shared::Shared;
use crate::store::DeviceState;
use crate::work::{Held, Share};

/// What waits for a commit, beside what it says: ids, names, heads.
const JOB_BYTES: usize = 1024;

/// Entries or texts of an answered page in bytes: with names and numbers far inside a record.
pub(super) const MAX_PAGE_BYTES: usize = 256 * 1024;

/// What is owed to a submit, post or acknowledgement that waits for a commit: a refusal that names nobody.
const ANSWER_BYTES: usize = 64;

/// A logged-in connection.
pub(crate) struct Ready {
    seat: Seat,
    pub(super) source: Source,
    /// One per request that waits for a commit.
    tickets: Arc<Semaphore>,
    most_tickets: u32,
    acks: mpsc::Sender<Acknowledged>,
    /// Bytes of them.
    queued: Share,
    /// Submits that were refused for their rate …
    pub(super) submits: InOrder,
    /// … and posts, which wait in a line of their own.
    pub(super) posts: InOrder,
    /// What was refused of both, for whatever reason.
    refused: Refused,
}

/// What a request has until it is answered.
pub(super) struct Ticket {
    _permit: OwnedSemaphorePermit,
    _owed: Owed,
}

/// Where somebody comes in: the server, the connection's queue, and where it comes from.
pub(crate) struct PeerContext {
    pub(crate) shared: Arc<Shared>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) source: Source,
}

/// A place in the directory, given up when dropped.
struct Seat {
    shared: Arc<Shared>,
    peer: Arc<Online>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.router.leave(&self.peer);
    }
}

impl Ready {
    /// Takes its place in the directory, looks once more whether the device may, and answers the login.
    ///
    /// In this order: a message committed, or a revocation accepted, from the moment the place is taken finds this
    /// connection; what came before is in the state read afterwards.
    pub(crate) async fn enter(
        context: PeerContext,
        user: Username,
        device: DeviceId,
        answer: impl FnOnce(LoggedIn) -> Bytes,
    ) -> Result<Self, Refusal> {
        let PeerContext { shared, outbox, source } = context;
        let peer = Arc::new(Online::new(user, device, outbox));
        shared.router.enter(&peer);
        let seat = Seat { shared: Arc::clone(&shared), peer: Arc::clone(&peer) };
        let state = login_state(&shared, &peer).await?;
        let window = shared.config().mailbox.delivery_window;
        let opening = Opening { window, acked: state.mailbox_acked, last: state.mailbox_last };
        peer.open(opening, [answer(state)]);
        tracing::debug!(user = %peer.user(), %device, "logged in");
        let most_tickets = u32::try_from(shared.config().connections.requests_at_once.max(1)).unwrap_or(u32::MAX);
        let (acks, acknowledged) = mpsc::channel(shared.config().connections.requests_at_once.max(1));
        let queued = Share::of(&shared.queued.submits);
        tokio::spawn(delivery::run(shared, peer, acknowledged));
        let tickets = Arc::new(Semaphore::new(most_tickets as usize));
        let (submits, posts, refused) = Default::default();
        Ok(Self { seat, source, tickets, most_tickets, acks, queued, submits, posts, refused })
    }

    /// The table of contents of everything a device may ask.
    pub(super) async fn take(mut self, asked: Asked, request: Result<Request, Refusal>) -> Peer {
        let counted_elsewhere =
            matches!(request, Ok(Request::Submit(_) | Request::RoomPost(_) | Request::MailboxAck(_)));
        let request = if counted_elsewhere { request } else { self.afford().and(request) };
        match request {
            Ok(Request::Lookup(ask)) => self.answer(asked, self.lookup(ask).await),
            Ok(Request::LogFetch(ask)) => {
                let owed = self.owe_page();
                self.answer(asked, self.log_fetch(&ask, &owed).await);
            }
            Ok(Request::LogAppend(ask)) => self.log_append(asked, ask).await,
            Ok(Request::ChangePassword(ask)) => self.answer(asked, self.change_password(ask).await),
            Ok(Request::ResetCancel(_)) => self.answer(asked, self.reset_cancel().await),
            Ok(Request::DevicesWaiting(_)) => self.answer(asked, self.devices_waiting().await),
            Ok(Request::PresenceWatch(ask)) => self.presence_watch(asked, ask),
            Ok(Request::BundlePublish(ask)) => self.answer(asked, self.bundle_publish(ask).await),
            Ok(Request::BundleFetch(ask)) => self.answer(asked, self.bundle_fetch(&ask).await),
            Ok(Request::OneTimeStatus(_)) => self.answer(asked, self.one_time_status().await),
            Ok(Request::Submit(ask)) => self.submit(asked, ask).await,
            Ok(Request::MailboxAck(ask)) => self.mailbox_ack(asked, ask).await,
            Ok(Request::RoomPost(ask)) => self.room_post(asked, ask).await,
            Ok(Request::RoomSince(ask)) => {
                let owed = self.owe_page();
                self.answer(asked, self.room_since(&ask, &owed).await);
            }
            Ok(Request::GroupAppend(ask)) => self.answer(asked, self.group_append(ask).await),
            Ok(Request::GroupHead(ask)) => self.answer(asked, self.group_head(&ask).await),
            Ok(Request::Register(_) | Request::Enrol(_) | Request::Login(_) | Request::Reset(_)) => {
                self.refuse(asked, bad_request());
            }
            Err(refusal) => self.refuse(asked, refusal),
        }
        Peer::Ready(self)
    }

    /// Takes one request from the device's budget, whatever it asks and whether or not that can be answered.
    pub(super) fn afford(&self) -> Result<(), Refusal> {
        Ok(self.shared().limits().requests.check(&self.device())?)
    }

    pub(super) fn answer<A: Encode<()>>(&self, asked: Asked, result: Result<A, Refusal>) {
        self.peer().outbox().push(asked.answer(&result));
    }

    pub(super) fn refuse(&self, asked: Asked, refusal: Refusal) {
        self.peer().outbox().push(asked.refuse(refusal));
    }

    /// Refuses a submit or post of so many bytes, and reads on after the pause that is due for it.
    pub(super) async fn refuse_and_pause(&mut self, asked: Asked, refusal: Refusal, bytes: usize) {
        self.refuse(asked, refusal);
        let pause = self.refused.pause(Instant::now(), bytes);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.seat.shared
    }

    pub(super) fn peer(&self) -> &Arc<Online> {
        &self.seat.peer
    }

    pub(crate) fn user(&self) -> &Username {
        self.peer().user()
    }

    pub(super) fn device(&self) -> DeviceId {
        self.peer().device()
    }

    /// One of the requests that may wait for a commit. With none left the next request waits here, unread
    /// ones in the socket: the peer that asks too much at once is slowed down, nobody else. Its answer is counted already,
    /// with so many heads in it at most.
    pub(super) async fn ticket(&self, heads: usize) -> Option<Ticket> {
        let owed = self.peer().outbox().owe(ANSWER_BYTES + heads * HEAD_BYTES);
        let permit = Arc::clone(&self.tickets).acquire_owned().await.ok()?;
        Some(Ticket { _permit: permit, _owed: owed })
    }

    /// Room for something of so many bytes that waits for a commit.
    pub(super) fn room(&self, bytes: usize) -> Result<(Held, Held), Refusal> {
        self.queued.take(bytes + JOB_BYTES).ok_or_else(busy)
    }

    /// The longest page that may be answered now, counted until it is in the queue.
    fn owe_page(&self) -> Owed {
        self.peer().outbox().owe_page(MAX_PAGE_BYTES)
    }

    /// Hands an acknowledgement to the delivery task.
    pub(super) async fn acknowledge(&self, acknowledged: Acknowledged) {
        // it is gone only when the connection ends: then nobody waits for the answer
        let _gone = self.acks.send(acknowledged).await;
    }

    /// Waits for every request in progress, unless the connection was severed.
    pub(super) async fn settle(self) {
        // both only wait
        tokio::select! {
            _ = self.tickets.acquire_many(self.most_tickets) => {}
            () = self.peer().outbox().severed() => {}
        }
    }
}

/// Where everything stands for a device that is in the directory already.
async fn login_state(shared: &Shared, peer: &Online) -> Result<LoggedIn, Refusal> {
    let failed = |error| store_failed("login", &error);
    let stored = shared.store.device(peer.device()).await.map_err(failed)?.ok_or(Code::Denied)?;
    match stored.state {
        DeviceState::Active if &stored.user == peer.user() => {}
        DeviceState::Waiting => return Err(Code::ApprovalRequired.into()),
        DeviceState::Revoked | DeviceState::Replaced => return Err(Code::Revoked.into()),
        DeviceState::Active => return Err(Code::Denied.into()),
    }
    seen::note_login(shared, &stored).await.map_err(failed)?;
    shared.store.login_state(peer.device()).await.map_err(failed)?.ok_or(Refusal::new(Code::Denied))
}
