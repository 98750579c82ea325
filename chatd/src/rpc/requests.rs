//! From a line to calls: what is JSON, what is a request, what is a batch.

use chat_protocol::rpc::types::Hello;
use chat_protocol::rpc::{Kind, MAX_BATCH, Method, Order, RpcError};
use jsonrpsee::core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification, RpcServiceT};
use jsonrpsee::core::server::MethodResponse;
use jsonrpsee::types::{Id, InvalidRequest, Request};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::methods::{Orders, to_wire};
use super::service::{Service, refuse};

/// What a line asks for.
#[derive(Debug)]
pub(super) enum Work {
    /// A call.
    Call(Request<'static>),
    /// Several, answered together.
    Batch(Batch<'static>),
    /// Nothing: it is answered already.
    Refused(MethodResponse),
    /// A notification, which is never answered; this API takes none.
    Nothing,
}

impl Work {
    /// When it runs: a batch keeps its place if one of its calls does.
    pub(super) fn order(&self, orders: &Orders) -> Order {
        let of = |name: &str| orders.get(name).copied().unwrap_or(Order::Free);
        match self {
            Self::Call(request) => of(&request.method),
            Self::Batch(batch) => {
                let in_turn = |entry: &Result<BatchEntry<'_>, _>| {
                    entry.as_ref().is_ok_and(|entry| of(entry.method_name()) == Order::InTurn)
                };
                if batch.iter().any(in_turn) { Order::InTurn } else { Order::Free }
            }
            Self::Refused(_) | Self::Nothing => Order::Free,
        }
    }

    /// Whether it can change whose calls the next ones are.
    pub(super) fn greets(&self) -> bool {
        match self {
            Self::Call(request) => request.method == Hello::NAME,
            Self::Batch(batch) => {
                let greets = |entry: &Result<BatchEntry<'_>, _>| {
                    entry.as_ref().is_ok_and(|entry| entry.method_name() == Hello::NAME)
                };
                batch.iter().any(greets)
            }
            Self::Refused(_) | Self::Nothing => false,
        }
    }

    /// Carries it out.
    pub(super) async fn run(self, service: &Service) -> MethodResponse {
        match self {
            Self::Call(request) => service.call(request).await,
            Self::Batch(batch) => service.batch(batch).await,
            Self::Refused(answer) => answer,
            Self::Nothing => MethodResponse::notification(),
        }
    }
}

/// Reads a line.
pub(super) fn parse(line: &[u8]) -> Work {
    let Ok(text) = std::str::from_utf8(line) else { return refused(Kind::Parse, "the line is not UTF-8") };
    match serde_json::from_str::<&RawValue>(text) {
        Err(_) => refused(Kind::Parse, "the line is not JSON"),
        Ok(json) if json.get().starts_with('[') => parse_batch(json.get()),
        Ok(json) => match parse_one(json.get()) {
            Ok(BatchEntry::Call(request)) => Work::Call(request),
            Ok(BatchEntry::Notification(_)) => Work::Nothing,
            Err(id) => Work::Refused(refuse(id, &not_a_request())),
        },
    }
}

fn parse_batch(json: &str) -> Work {
    let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(json) else {
        return refused(Kind::Parse, "the line is not JSON");
    };
    if entries.is_empty() || entries.len() > MAX_BATCH {
        return refused(Kind::InvalidRequest, "a batch has 1 to 100 calls");
    }
    let read =
        |entry: &RawValue| parse_one(entry.get()).map_err(|id| BatchEntryErr::new(id, to_wire(&not_a_request())));
    Work::Batch(Batch::from(entries.into_iter().map(read).collect()))
}

/// Reads one request, or says whose it would have been.
fn parse_one(json: &str) -> Result<BatchEntry<'static>, Id<'static>> {
    if let Ok(request) = serde_json::from_str::<Request<'_>>(json) {
        let Request { id, method, params, .. } = request;
        let params = params.map(|params| params.into_owned());
        return Ok(BatchEntry::Call(Request::owned(method.into_owned(), params, id.into_owned())));
    }
    if let Ok(Identified { id: None }) = serde_json::from_str(json)
        && let Ok(said) = serde_json::from_str::<Notification<'_>>(json)
    {
        let method = said.method.into_owned().into();
        return Ok(BatchEntry::Notification(Notification::new(method, None)));
    }
    let id = serde_json::from_str::<InvalidRequest<'_>>(json).map_or(Id::Null, |invalid| invalid.id.into_owned());
    Err(id)
}

/// Tells a request with an unusable id from a notification, which has none.
#[derive(Deserialize)]
struct Identified<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

fn not_a_request() -> RpcError {
    RpcError::new(Kind::InvalidRequest, "not a JSON-RPC 2.0 request")
}

fn refused(kind: Kind, message: &str) -> Work {
    Work::Refused(refuse(Id::Null, &RpcError::new(kind, message)))
}
