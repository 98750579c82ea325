//! Calls of one connection, as jsonrpsee's middleware wants them: a small [`RpcServiceT`] over [`Methods`].
//!
//! jsonrpsee's own service is private to its HTTP and WebSocket server; this one speaks for any
//! transport that can carry lines.

use std::sync::Arc;

use chat_protocol::rpc::types::EventsSubscribe;
use chat_protocol::rpc::{Kind, MAX_LINE_BYTES, Method, RpcError, UNSUBSCRIBE};
use jsonrpsee::core::middleware::{Batch, BatchEntry, Notification, RpcServiceT};
use jsonrpsee::core::server::{
    BatchResponseBuilder, BoundedSubscriptions, ConnectionId, Extensions, MethodCallback, MethodResponse, MethodSink,
    Methods, SubscriptionState,
};
use jsonrpsee::core::traits::IdProvider;
use jsonrpsee::types::{Id, Params, Request, SubscriptionId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::methods::to_wire;

/// Most subscriptions of one connection.
pub(super) const MAX_SUBSCRIPTIONS: u32 = 16;
/// Most bytes of one batch's answer: each of its calls is bounded by a line, all together by this.
const MAX_BATCH_ANSWER_BYTES: usize = 4 * MAX_LINE_BYTES;

/// Answers the calls of one connection.
#[derive(Clone)]
pub(super) struct Service {
    methods: Methods,
    connection: ConnectionId,
    subscriptions: BoundedSubscriptions,
    ids: Arc<dyn IdProvider>,
    sink: MethodSink,
    extensions: Extensions,
}

/// Names subscriptions by text: numbers would pass 2^53.
#[derive(Debug)]
struct TextIds;

impl IdProvider for TextIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        uuid::Uuid::now_v7().simple().to_string().into()
    }
}

impl Service {
    /// Calls of connection `number`, whose notifications go to `sink`.
    pub(super) fn new(number: usize, methods: Methods, sink: MethodSink, extensions: Extensions) -> Self {
        Self {
            methods,
            connection: ConnectionId(number),
            subscriptions: BoundedSubscriptions::new(MAX_SUBSCRIPTIONS),
            ids: Arc::new(TextIds),
            sink,
            extensions,
        }
    }

    async fn answer(self, request: Request<'_>) -> MethodResponse {
        let Request { id, method, params, .. } = request;
        let params = if method == UNSUBSCRIBE { positional(params) } else { params };
        let params = Params::new(params.as_deref().map(RawValue::get));
        let (connection, extensions) = (self.connection, self.extensions.clone());
        match self.methods.method(&method) {
            None => refuse(id, &RpcError::new(Kind::UnknownMethod, format!("there is no method {method:?}"))),
            Some(MethodCallback::Sync(call)) => call(id, params, MAX_LINE_BYTES, extensions),
            Some(MethodCallback::Async(call)) => {
                call(id.into_owned(), params.into_owned(), connection, MAX_LINE_BYTES, extensions).await
            }
            Some(MethodCallback::Unsubscription(call)) => call(id, params, connection, MAX_LINE_BYTES, extensions),
            Some(MethodCallback::Subscription(call)) => match self.subscriptions.acquire() {
                None => refuse(id, &Kind::TooManySubscriptions.into()),
                Some(subscription_permit) => {
                    let state = SubscriptionState { conn_id: connection, id_provider: &*self.ids, subscription_permit };
                    call(id, params, self.sink.clone(), state, extensions).await
                }
            },
        }
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
                    // Its answer would come before the batch's, and its events with it.
                    Ok(BatchEntry::Call(request)) if request.method == EventsSubscribe::NAME => {
                        refuse(request.id, &RpcError::new(Kind::InvalidRequest, "subscribe outside of batches"))
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

/// An error answer.
pub(super) fn refuse(id: Id<'_>, error: &RpcError) -> MethodResponse {
    MethodResponse::error(id, to_wire(error))
}

/// Parameters of a call, still as text.
type RawParams<'a> = Option<std::borrow::Cow<'a, RawValue>>;

/// `{subscription}` as jsonrpsee reads it: the id as the only positional parameter.
fn positional(params: RawParams<'_>) -> RawParams<'_> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named<'a> {
        #[serde(borrow)]
        subscription: SubscriptionId<'a>,
    }
    let named: Option<Named<'_>> = params.as_deref().and_then(|raw| serde_json::from_str(raw.get()).ok());
    let listed = named.and_then(|named| serde_json::value::to_raw_value(&[named.subscription]).ok());
    listed.map(std::borrow::Cow::Owned).or(params)
}
