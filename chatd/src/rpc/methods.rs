//! The table of methods: from a name to what answers its calls.
//!
//! It follows from the API's list. Most methods the daemon answers; some the socket side by itself ([`own`]); and
//! `hello` and subscriptions are answered where the connection is known ([`service`](super::service)). A call is looked up
//! once, when it is read. A handler authorizes, reads the named parameters, asks, and bounds the answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use chat_protocol::rpc::method::Registrar;
use chat_protocol::rpc::methods::every_handled;
use chat_protocol::rpc::types::{ChatList, ChatSet, EventsSubscribe, EventsUnsubscribe, Hello, MsgReact, MsgSend};
use chat_protocol::rpc::{Concurrency, Handle, Kind, Method, RpcError};
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use super::access::{Access, ActiveTokens};
use super::active_consumers::ActiveConsumers;
use super::reply::written;
use super::{authorize, own};
use crate::api::{Answer, Api, Backend, MAX_ANSWER_BYTES};

/// What answers calls of one name: from who calls and the parameters as they were written, to the result.
type Handler = Box<dyn Fn(Access, Option<Box<RawValue>>) -> BoxFuture<'static, Answer<Box<RawValue>>> + Send + Sync>;

/// Who answers a method.
pub(super) enum Answerer {
    /// `hello`: the connection.
    Hello,
    /// `events.subscribe`: the connection.
    Subscribe,
    /// `events.unsubscribe`: the connection.
    Unsubscribe,
    /// Anybody, from the table.
    Handler(Handler),
}

/// A method as the calls that name it find it.
pub(super) struct Route {
    name: &'static str,
    /// When its calls run.
    pub(super) concurrency: Concurrency,
    /// Whether the next call of a connection begins as soon as one of these has taken its turn, before its commit.
    pub(super) lines_up: bool,
    /// Who answers them.
    pub(super) answerer: Answerer,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What all connections share.
pub(super) struct Shared {
    /// What is answered from.
    pub(super) backend: Arc<dyn Backend>,
    /// Consumers that read now.
    pub(super) consumers: Arc<ActiveConsumers>,
    /// Tokens that are in use.
    pub(super) tokens: ActiveTokens,
}

/// Everything the socket answers.
pub(super) struct MethodTable {
    routes: HashMap<&'static str, Arc<Route>>,
    pub(super) shared: Arc<Shared>,
}

impl MethodTable {
    /// What `api` can do.
    pub(super) fn new<A: Api>(api: Arc<A>) -> Self {
        let shared = Shared { backend: api.clone(), consumers: Arc::default(), tokens: ActiveTokens::default() };
        let mut table = Self { routes: HashMap::new(), shared: Arc::new(shared) };
        table.route::<Hello>(Answerer::Hello);
        table.route::<EventsSubscribe>(Answerer::Subscribe);
        table.route::<EventsUnsubscribe>(Answerer::Unsubscribe);
        every_handled(&mut Handled { api: Arc::clone(&api), table: &mut table });
        own::add(&mut table);
        table.confine::<_, ChatList>(&api, |access, page| {
            page.chats.retain(|chat| access.chats().is_none_or(|chats| chats.contains(&chat.id)));
        });
        table.confine::<_, ChatSet>(&api, |access, chat| chat.last = chat.last.take().filter(|_| access.reads()));
        table.confine::<_, MsgReact>(&api, |access, message| {
            if !access.reads() {
                message.text.clear();
            }
        });
        table
    }

    fn route<M: Method>(&mut self, answerer: Answerer) {
        let lines_up = M::NAME == MsgSend::NAME;
        self.routes.insert(M::NAME, Arc::new(Route { name: M::NAME, concurrency: M::CONCURRENCY, lines_up, answerer }));
    }

    /// The method of this name.
    pub(super) fn find(&self, method: &str) -> Option<Arc<Route>> {
        self.routes.get(method).map(Arc::clone)
    }

    /// Counts a call and what came of it; names that are no methods share one.
    pub(super) fn count(&self, route: Option<&Route>, error: Option<Kind>) {
        let method = route.map_or("unknown", |route| route.name);
        self.shared.backend.metrics().called(method, error.map_or("ok", Kind::as_str));
    }

    /// Adds the method whose parameters `handler` takes.
    pub(super) fn add<M, F, Fut>(&mut self, handler: F)
    where
        M: Method,
        F: Fn(Arc<Shared>, Access, M) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Answer<M::Answer>> + Send + 'static,
    {
        self.add_written(move |shared, access, asked: M| {
            let answer = handler(shared, access, asked);
            async move { written(&answer.await?) }
        });
    }

    /// The same, for a handler that writes the JSON of its answer itself.
    pub(super) fn add_written<M, F, Fut>(&mut self, handler: F)
    where
        M: Method,
        F: Fn(Arc<Shared>, Access, M) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Answer<Box<RawValue>>> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let call = move |access: Access, params: Option<Box<RawValue>>| -> BoxFuture<'static, _> {
            let (shared, handler) = (Arc::clone(&shared), handler.clone());
            Box::pin(async move {
                let asked = authorize::call::<M>(&access, shared.backend.as_ref(), params.as_deref()).await?;
                fitting(handler(shared, access, asked).await?)
            })
        };
        self.route::<M>(Answerer::Handler(Box::new(call)));
    }

    /// Has the daemon's answer say no more than the caller may know.
    fn confine<A: Api + Handle<M>, M: Method>(&mut self, api: &Arc<A>, confine: fn(&Access, &mut M::Answer)) {
        let api = Arc::clone(api);
        self.add(move |_, access, asked: M| {
            let api = Arc::clone(&api);
            async move {
                let mut answer = api.handle(asked).await?;
                confine(&access, &mut answer);
                Ok(answer)
            }
        });
    }
}

/// Adds what the daemon answers.
struct Handled<'t, A> {
    api: Arc<A>,
    table: &'t mut MethodTable,
}

impl<A: Api> Registrar<A> for Handled<'_, A> {
    fn method<M: Method>(&mut self)
    where
        A: Handle<M>,
    {
        let api = Arc::clone(&self.api);
        self.table.add(move |_, _, asked: M| {
            let api = Arc::clone(&api);
            async move { api.handle(asked).await }
        });
    }
}

/// Refuses an answer that would not fit its line.
fn fitting(text: Box<RawValue>) -> Result<Box<RawValue>, RpcError> {
    if text.get().len() > MAX_ANSWER_BYTES {
        let refusal = RpcError::new(Kind::TooLarge, "the answer does not fit into one line");
        return Err(refusal.with_hint("ask for fewer with `limit`"));
    }
    Ok(text)
}
