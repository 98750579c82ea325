//! Calls of one connection, as jsonrpsee's middleware wants them: a small [`RpcServiceT`] over the methods.
//!
//! jsonrpsee's own service is private to its HTTP and WebSocket server; this one speaks for any
//! transport that can carry messages. Subscriptions are ours too: the answer says more than an id, events
//! are flat, and acknowledgements need to know what was written.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_protocol::rpc::types::{Done, EventsSubscribe, EventsUnsubscribe, Hello};
use chat_protocol::rpc::{Kind, MAX_LINE_BYTES, Method, RpcError, Secret};
use jsonrpsee::core::middleware::{Batch, BatchEntry, Notification, RpcServiceT};
use jsonrpsee::core::server::{
    BatchResponseBuilder, ConnectionId, Extensions, MethodCallback, MethodResponse, ResponsePayload,
};
use jsonrpsee::types::{Id, Params, Request};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::Access;
use super::gate;
use super::methods::{self, Offer, read, to_wire};
use super::outlet::{Outgoing, Outlet};
use super::subscribe::{self, Place};
use crate::api::Answer;

/// Most subscriptions of one connection.
const MAX_SUBSCRIPTIONS: usize = 16;
/// Most bytes of one batch's answer: each of its calls is bounded by a line, all together by this.
const MAX_BATCH_ANSWER_BYTES: usize = 4 * MAX_LINE_BYTES;

/// Answers the calls of one connection.
#[derive(Clone)]
pub(super) struct Service {
    offer: Arc<Offer>,
    connection: ConnectionId,
    caller: Arc<Caller>,
    stream: Option<Arc<Stream>>,
}

/// Who calls on a connection: a token that `hello` brings changes it.
#[derive(Debug)]
pub(super) struct Caller(watch::Sender<Access>);

impl Caller {
    /// At first.
    pub(super) fn new(access: Access) -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(access)))
    }

    fn access(&self) -> Access {
        self.0.borrow().clone()
    }

    /// Has these rights from now on; says whether they were others before.
    pub(super) fn take(&self, access: Access) -> bool {
        self.0.send_if_modified(|known| {
            let other = !known.is(&access);
            *known = access;
            other
        })
    }

    /// Waits until the caller's token is good no longer.
    pub(super) async fn ended(&self) {
        let mut changes = self.0.subscribe();
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
    outlet: Outlet,
    running: Mutex<HashMap<String, CancellationToken>>,
    /// Cancelled when the connection takes no more calls.
    pub(super) ending: CancellationToken,
    /// Counts the subscriptions that still send.
    pub(super) senders: TaskTracker,
}

impl Stream {
    /// A connection whose events go to `outlet`.
    pub(super) fn new(outlet: Outlet) -> Self {
        Self { outlet, running: Mutex::default(), ending: CancellationToken::new(), senders: TaskTracker::new() }
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
        let (outlet, ending) = (self.outlet.clone(), self.ending.clone());
        Ok(Place { id, access, outlet, unsubscribed, ending, running: self.senders.token() })
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
    /// Calls of connection `number`; events go to `stream`, if it can carry any.
    pub(super) fn new(number: usize, offer: Arc<Offer>, caller: Arc<Caller>, stream: Option<Arc<Stream>>) -> Self {
        Self { offer, connection: ConnectionId(number), caller, stream }
    }

    async fn answer(self, request: Request<'_>) -> MethodResponse {
        let (offer, method) = (Arc::clone(&self.offer), request.method.to_string());
        let answer = self.respond(request).await;
        offer.count(&method, answer.as_error_code());
        answer
    }

    async fn respond(self, request: Request<'_>) -> MethodResponse {
        let Request { id, method, params, .. } = request;
        let params = Params::new(params.as_deref().map(RawValue::get));
        match method.as_ref() {
            Hello::NAME => self.hello(id, &params).await,
            EventsSubscribe::NAME => self.subscribe(id, &params).await,
            EventsUnsubscribe::NAME => self.unsubscribe(id, &params).await,
            method => self.dispatch(method, id, params).await,
        }
    }

    async fn dispatch(self, method: &str, id: Id<'_>, params: Params<'_>) -> MethodResponse {
        match self.offer.methods.method(method) {
            Some(MethodCallback::Async(call)) => {
                let (id, params) = (id.into_owned(), params.into_owned());
                let mut known = Extensions::new();
                known.insert(self.caller.access());
                call(id, params, self.connection, MAX_LINE_BYTES, known).await
            }
            _ => refuse(id, &RpcError::new(Kind::UnknownMethod, format!("there is no method {method:?}"))),
        }
    }

    /// Greets, and takes the rights of the token that came along.
    async fn hello(self, id: Id<'_>, params: &Params<'_>) -> MethodResponse {
        let greeted = async {
            let asked = read::<Hello>(params)?;
            if let Some(token) = &asked.token {
                self.present(token).await?;
            }
            methods::hello(&asked)
        };
        respond(id, greeted.await)
    }

    /// Has no rights but those of the token; none if it is none. What was begun with others ends.
    async fn present(&self, token: &Secret) -> Answer<()> {
        let known = self.offer.keyring.present(self.offer.api.as_ref(), token).await;
        let changed = self.caller.take(known.clone().unwrap_or(Access::Nobody));
        if let Some(stream) = self.stream.as_ref().filter(|_| changed) {
            stream.cut();
        }
        known.map(drop)
    }

    /// Answers through the connection's queue, so that the answer is there before the first event.
    async fn subscribe(self, id: Id<'_>, params: &Params<'_>) -> MethodResponse {
        let (access, api) = (self.caller.access(), self.offer.api.as_ref());
        if let Err(refused) = gate::open::<EventsSubscribe>(&access, api).await {
            return refuse(id, &refused);
        }
        let Some(stream) = &self.stream else { return refuse(id, &no_events()) };
        let begun = async {
            let asked = read::<EventsSubscribe>(params)?;
            gate::admit(&access, api, &asked).await?;
            let place = stream.place(access.clone())?;
            let name = place.id.clone();
            // a token that was shown meanwhile cut what had a place, and not this
            if !self.caller.access().is(&access) {
                stream.end(&name);
                return Err(gate::nobody());
            }
            let begun = subscribe::begin(Arc::clone(&self.offer.api), &self.offer.readers, asked, place).await;
            if begun.is_err() {
                stream.end(&name);
            }
            begun
        };
        let (subscription, answer) = match begun.await {
            Ok(begun) => begun,
            Err(refused) => return refuse(id, &refused),
        };
        let name = answer.subscription.clone();
        let said = MethodResponse::response(id, ResponsePayload::success(answer), MAX_LINE_BYTES);
        if stream.outlet.send(Outgoing::Answer(said.into_json())).await.is_ok() {
            let stream = Arc::clone(stream);
            tokio::spawn(async move {
                subscription.run().await;
                stream.end(&name);
            });
        }
        MethodResponse::notification()
    }

    async fn unsubscribe(&self, id: Id<'_>, params: &Params<'_>) -> MethodResponse {
        let ended = async {
            gate::open::<EventsUnsubscribe>(&self.caller.access(), self.offer.api.as_ref()).await?;
            let asked = read::<EventsUnsubscribe>(params)?;
            let known = self.stream.as_ref().is_some_and(|stream| stream.end(&asked.subscription));
            known.then_some(Done {}).ok_or_else(|| RpcError::new(Kind::NotFound, "there is no such subscription here"))
        };
        respond(id, ended.await)
    }
}

impl RpcServiceT for Service {
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.clone().answer(request)
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.clone();
        async move {
            let mut answers = BatchResponseBuilder::new_with_limit(MAX_BATCH_ANSWER_BYTES);
            for entry in batch {
                let answer = match entry {
                    Ok(BatchEntry::Notification(_)) => continue,
                    // Its events would come before the batch's answer.
                    Ok(BatchEntry::Call(request)) if request.method == EventsSubscribe::NAME => {
                        Self { stream: None, ..service.clone() }.answer(request).await
                    }
                    Ok(BatchEntry::Call(request)) => service.clone().answer(request).await,
                    Err(refused) => {
                        let (error, id) = refused.into_parts();
                        MethodResponse::error(id, error)
                    }
                };
                if let Err(too_large) = answers.append(answer) {
                    return too_large;
                }
            }
            if answers.is_empty() {
                MethodResponse::notification()
            } else {
                MethodResponse::from_batch(answers.finish())
            }
        }
    }

    fn notification<'a>(&self, _: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        std::future::ready(MethodResponse::notification())
    }
}

fn no_events() -> RpcError {
    let refusal = RpcError::new(Kind::InvalidRequest, "neither batches nor bodies carry events");
    refusal.with_hint("subscribe by a call of its own on the socket or a WebSocket; or GET /events, or events.pull")
}

fn respond(id: Id<'_>, outcome: Answer<impl Serialize + Clone>) -> MethodResponse {
    match outcome {
        Ok(result) => MethodResponse::response(id, ResponsePayload::success(result), MAX_LINE_BYTES),
        Err(refused) => refuse(id, &refused),
    }
}

/// An error answer.
pub(super) fn refuse(id: Id<'_>, error: &RpcError) -> MethodResponse {
    MethodResponse::error(id, to_wire(error))
}
