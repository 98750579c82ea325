//! Calls of one connection, whatever carries them.
//!
//! Most go to the methods' handlers. `hello` and subscriptions are answered here, where the connection is known: the
//! one changes who calls, the others' events leave through it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_protocol::rpc::types::{Done, EventsSubscribe, EventsUnsubscribe, Hello};
use chat_protocol::rpc::{Kind, RpcError, Secret};
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::Access;
use super::authorize;
use super::methods::{Answerer, MethodTable};
use super::outbound::{Outbound, Outgoing};
use super::own;
use super::params::read;
use super::reply::{Gathered, Id, Reply, written};
use super::requests::{Call, Entry};
use super::seats::Nameless;
use super::subscribe::{self, Place};
use crate::api::Answer;

/// Most subscriptions of one connection.
const MAX_SUBSCRIPTIONS: usize = 16;

/// Answers the calls of one connection.
#[derive(Clone)]
pub(super) struct Service {
    table: Arc<MethodTable>,
    caller: Arc<Caller>,
    stream: Option<Arc<Stream>>,
}

/// Who calls on a connection: a token that `hello` brings changes it.
#[derive(Debug)]
pub(super) struct Caller {
    access: watch::Sender<Access>,
    /// Its place among the connections of its token.
    place: Mutex<Option<OwnedSemaphorePermit>>,
    /// Its seat, if it has to say who it is.
    nameless: Option<Nameless>,
}

impl Caller {
    /// At first.
    pub(super) fn new(access: Access, nameless: Option<Nameless>) -> Arc<Self> {
        Arc::new(Self { access: watch::Sender::new(access), place: Mutex::default(), nameless })
    }

    /// The same in the same seat, with rights of its own from now on.
    pub(super) fn seated_with(&self, access: Access) -> Arc<Self> {
        Self::new(access, self.nameless.clone())
    }

    /// Whether it has not said who it is, and has to.
    pub(super) fn is_nobody(&self) -> bool {
        matches!(*self.access.borrow(), Access::Nobody)
    }

    fn access(&self) -> Access {
        self.access.borrow().clone()
    }

    /// Has these rights from now on; says whether they were others before.
    ///
    /// # Errors
    /// `quota_exceeded` if the token has as many connections as it may; nothing has changed then.
    pub(super) fn take(&self, access: Access) -> Answer<bool> {
        if self.access.borrow().is(&access) {
            return Ok(false);
        }
        // whoever has no rights any more keeps the place it came by: its token made the connection
        if let Some(place) = access.place()? {
            *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
        }
        if let (Some(nameless), Access::Owner | Access::Bearer(_)) = (&self.nameless, &access) {
            nameless.is_known();
        }
        self.access.send_replace(access);
        Ok(true)
    }

    /// Waits until the caller's token is good no longer.
    pub(super) async fn ended(&self) {
        let mut changes = self.access.subscribe();
        loop {
            let access = changes.borrow_and_update().clone();
            // Either wait can be begun anew.
            tokio::select! {
                () = access.ended() => return,
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// A connection that can carry events.
pub(super) struct Stream {
    outbound: Outbound,
    running: Mutex<HashMap<String, CancellationToken>>,
    /// Cancelled when the connection takes no more calls.
    pub(super) ending: CancellationToken,
    /// Counts the subscriptions that still send.
    pub(super) senders: TaskTracker,
}

impl Stream {
    /// A connection whose events go to `outbound`.
    pub(super) fn new(outbound: Outbound) -> Self {
        Self { outbound, running: Mutex::default(), ending: CancellationToken::new(), senders: TaskTracker::new() }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every subscription at once: what is in the log is not for this caller any more.
    pub(super) fn cut(&self) {
        self.running().drain().for_each(|(_, unsubscribed)| unsubscribed.cancel());
    }

    /// A place for one more subscription.
    fn place(&self, access: Access) -> Answer<Place> {
        let id = uuid::Uuid::now_v7().simple().to_string();
        let unsubscribed = CancellationToken::new();
        let mut running = self.running();
        if running.len() >= MAX_SUBSCRIPTIONS {
            return Err(Kind::TooManySubscriptions.into());
        }
        running.insert(id.clone(), unsubscribed.clone());
        drop(running);
        let (outbound, ending) = (self.outbound.clone(), self.ending.clone());
        Ok(Place { id, access, outbound, unsubscribed, ending, running: self.senders.token() })
    }

    /// Ends a subscription, or forgets one that has ended; says whether there was one.
    fn end(&self, id: &str) -> bool {
        let ended = self.running().remove(id);
        if let Some(unsubscribed) = &ended {
            unsubscribed.cancel();
        }
        ended.is_some()
    }
}

impl Service {
    /// Calls of a connection; events go to `stream`, if it can carry any.
    pub(super) const fn new(table: Arc<MethodTable>, caller: Arc<Caller>, stream: Option<Arc<Stream>>) -> Self {
        Self { table, caller, stream }
    }

    /// Answers a call. `None` if its answer has left already, ahead of its events.
    pub(super) async fn call(&self, call: Call) -> Option<Reply> {
        let Call { id, method, params } = call;
        let outcome = match method.as_ref().map(|route| &route.answerer) {
            Err(named) => Err(RpcError::new(Kind::UnknownMethod, format!("there is no method {named:?}"))),
            Ok(Answerer::Handler(handle)) => handle(self.caller.access(), params).await,
            Ok(Answerer::Hello) => self.hello(params.as_deref()).await,
            Ok(Answerer::Unsubscribe) => self.unsubscribe(params.as_deref()).await,
            Ok(Answerer::Subscribe) => match self.subscribe(&id, params.as_deref()).await {
                Ok(()) => {
                    self.table.count(method.as_deref().ok(), None);
                    return None;
                }
                Err(refused) => Err(refused),
            },
        };
        self.table.count(method.as_deref().ok(), outcome.as_ref().err().map(|error| error.kind));
        Some(Reply::to(&id, &outcome))
    }

    /// Answers the calls of a batch, one after the other.
    pub(super) async fn batch(&self, entries: Vec<Entry>) -> Option<Reply> {
        // The events of a subscription would come before the batch's answer.
        let eventless = Self { stream: None, ..self.clone() };
        let mut answers = Gathered::default();
        for entry in entries {
            let (id, reply) = match entry {
                Ok(call) => {
                    let subscribes = matches!(&call.method, Ok(route) if matches!(route.answerer, Answerer::Subscribe));
                    let service = if subscribes { &eventless } else { self };
                    (call.id.clone(), service.call(call).await)
                }
                Err((id, refused)) => (id, Some(refused)),
            };
            reply.into_iter().for_each(|reply| answers.add(&id, &reply));
        }
        answers.finish()
    }

    /// Greets, and takes the rights of the token that came along.
    async fn hello(&self, params: Option<&RawValue>) -> Answer<Box<RawValue>> {
        let asked = read::<Hello>(params)?;
        if let Some(token) = &asked.token {
            self.present(token).await?;
        }
        written(&own::hello(&asked)?)
    }

    /// Has no rights but those of the token; none if it is none. What was begun with others ends.
    async fn present(&self, token: &Secret) -> Answer<()> {
        let known = self.table.shared.tokens.present(self.table.shared.backend.as_ref(), token).await;
        let taken = known.and_then(|access| self.caller.take(access));
        let changed = match &taken {
            Ok(changed) => *changed,
            Err(_) => self.caller.take(Access::Nobody)?,
        };
        if let Some(stream) = self.stream.as_ref().filter(|_| changed) {
            stream.cut();
        }
        taken.map(drop)
    }

    /// Answers through the connection's queue, so that the answer is there before the first event.
    async fn subscribe(&self, id: &Id, params: Option<&RawValue>) -> Answer<()> {
        let (access, backend) = (self.caller.access(), self.table.shared.backend.as_ref());
        authorize::open::<EventsSubscribe>(&access, backend).await?;
        let stream = self.stream.as_ref().ok_or_else(no_events)?;
        let asked = read::<EventsSubscribe>(params)?;
        authorize::admit(&access, backend, &asked).await?;
        let place = stream.place(access.clone())?;
        let name = place.id.clone();
        // a token that was shown meanwhile cut what had a place, and not this
        if !self.caller.access().is(&access) {
            stream.end(&name);
            return Err(authorize::nobody());
        }
        let begun =
            subscribe::begin(Arc::clone(&self.table.shared.backend), &self.table.shared.consumers, asked, place).await;
        let begun = begun.and_then(|(subscription, answer)| Ok((subscription, written(&answer)?)));
        let (subscription, answer) = begun.inspect_err(|_| {
            stream.end(&name);
        })?;
        if stream.outbound.send(Outgoing::Answer(Reply::success(id, &answer))).await.is_ok() {
            let stream = Arc::clone(stream);
            tokio::spawn(async move {
                subscription.run().await;
                stream.end(&name);
            });
        }
        Ok(())
    }

    async fn unsubscribe(&self, params: Option<&RawValue>) -> Answer<Box<RawValue>> {
        authorize::open::<EventsUnsubscribe>(&self.caller.access(), self.table.shared.backend.as_ref()).await?;
        let asked = read::<EventsUnsubscribe>(params)?;
        if self.stream.as_ref().is_some_and(|stream| stream.end(&asked.subscription)) {
            written(&Done {})
        } else {
            Err(RpcError::new(Kind::NotFound, "there is no such subscription here"))
        }
    }
}

fn no_events() -> RpcError {
    let refusal = RpcError::new(Kind::InvalidRequest, "neither batches nor bodies carry events");
    refusal.with_hint("subscribe by a call of its own on the socket or a WebSocket; or GET /events, or events.pull")
}
