//! From a line to calls: what is JSON, what is a request, what is a batch.

use std::borrow::Cow;
use std::sync::Arc;

use chat_protocol::rpc::{Concurrency, Kind, MAX_BATCH, RpcError};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::methods::{Answerer, MethodTable, Route};
use super::reply::{Id, Reply};
use super::service::Service;

/// How much of a name that is no method is said again.
const SHOWN_CHARS: usize = 64;

/// A call, as it was written.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: Id,
    /// What it names, or as much of the name as is said again if that is no method.
    pub(super) method: Result<Arc<Route>, String>,
    pub(super) params: Option<Box<RawValue>>,
}

/// One entry of a batch that is answered: a call, or what is said instead of carrying it out.
pub(super) type Entry = Result<Call, (Id, Reply)>;

/// What a line asks for.
#[derive(Debug)]
pub(super) enum Work {
    /// A call.
    Call(Call),
    /// Several, answered together.
    Batch(Vec<Entry>),
    /// Nothing: it is answered already.
    Refused(Reply),
    /// Notifications, which are never answered; this API takes none.
    Nothing,
}

impl Work {
    /// When it runs: a batch keeps its place if one of its calls does.
    pub(super) fn concurrency(&self) -> Concurrency {
        let serial = |route: &Route| route.concurrency == Concurrency::Serial;
        if self.routes().any(serial) { Concurrency::Serial } else { Concurrency::Parallel }
    }

    /// Whether it is a call behind which the next may begin as soon as it is in line.
    pub(super) fn lines_up(&self) -> bool {
        matches!(self, Self::Call(call) if call.method.as_ref().is_ok_and(|route| route.lines_up))
    }

    /// Whether it can change whose calls the next ones are.
    pub(super) fn greets(&self) -> bool {
        self.routes().any(|route| matches!(route.answerer, Answerer::Hello))
    }

    fn routes(&self) -> impl Iterator<Item = &Route> {
        let (one, many) = match self {
            Self::Call(call) => (Some(call), [].as_slice()),
            Self::Batch(entries) => (None, entries.as_slice()),
            Self::Refused(_) | Self::Nothing => (None, [].as_slice()),
        };
        one.into_iter().chain(many.iter().flatten()).filter_map(|call| call.method.as_deref().ok())
    }

    /// Carries it out. `None` where nothing is answered, or was answered already.
    pub(super) async fn run(self, service: &Service) -> Option<Reply> {
        match self {
            Self::Call(call) => service.call(call).await,
            Self::Batch(entries) => service.batch(entries).await,
            Self::Refused(reply) => Some(reply),
            Self::Nothing => None,
        }
    }
}

/// Reads a line, a message or a body, whose calls name methods of `table`.
pub(super) fn parse(line: &[u8], table: &MethodTable) -> Work {
    let Ok(text) = std::str::from_utf8(line) else { return refused(Kind::Parse, "not UTF-8") };
    match serde_json::from_str::<&RawValue>(text) {
        Err(_) => refused(Kind::Parse, "not JSON"),
        Ok(json) if json.get().starts_with('[') => parse_batch(json.get(), table),
        Ok(json) => match parse_one(json.get(), table) {
            Some(Ok(call)) => Work::Call(call),
            Some(Err((_, reply))) => Work::Refused(reply),
            None => Work::Nothing,
        },
    }
}

fn parse_batch(json: &str, table: &MethodTable) -> Work {
    let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(json) else {
        return refused(Kind::Parse, "not JSON");
    };
    if entries.is_empty() || entries.len() > MAX_BATCH {
        return refused(Kind::InvalidRequest, format!("a batch has 1 to {MAX_BATCH} calls"));
    }
    Work::Batch(entries.into_iter().filter_map(|entry| parse_one(entry.get(), table)).collect())
}

/// Reads one request, or says whose it would have been; `None` is a notification.
fn parse_one(json: &str, table: &MethodTable) -> Option<Entry> {
    let wrong = |id: Id| {
        let refusal = RpcError::new(Kind::InvalidRequest, "not a JSON-RPC 2.0 request");
        Some(Err((id.clone(), Reply::refused(&id, &refusal))))
    };
    let id = match serde_json::from_str::<Identified<'_>>(json) {
        Err(_) => return wrong(Id::null()),
        Ok(Identified { id: Some(id) }) => match Id::read(id) {
            None => return wrong(Id::null()),
            known => known,
        },
        Ok(Identified { id: None }) => None,
    };
    match (serde_json::from_str::<Envelope<'_>>(json), id) {
        (Ok(said), Some(id)) if said.jsonrpc == "2.0" => {
            let params = said.params.map(ToOwned::to_owned);
            let method = table.find(&said.method).ok_or_else(|| said.method.chars().take(SHOWN_CHARS).collect());
            Some(Ok(Call { id, method, params }))
        }
        (Ok(said), None) if said.jsonrpc == "2.0" => None,
        (_, id) => wrong(id.unwrap_or_else(Id::null)),
    }
}

/// Whose request it is, whatever else is wrong with it.
#[derive(Deserialize)]
struct Identified<'a> {
    /// `null` is an id, and no id is a notification.
    #[serde(borrow, default, deserialize_with = "there")]
    id: Option<&'a RawValue>,
}

/// The rest of a request.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

fn there<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

fn refused(kind: Kind, message: impl Into<String>) -> Work {
    Work::Refused(Reply::refused(&Id::null(), &RpcError::new(kind, message)))
}
