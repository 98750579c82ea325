//! What a call is answered with: one JSON-RPC object, with the id as it came.
//!
//! An id is kept as the bytes the caller wrote: a text or a number of any form comes back as it was, also one that no
//! number of this machine holds.

use chat_protocol::rpc::errors::ErrorData;
use chat_protocol::rpc::{Kind, MAX_LINE_BYTES, RpcError};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::api::MAX_ID_BYTES;

/// Most bytes of one batch's answer: each of its calls is bounded by a line, all together by this.
const MAX_BATCH_ANSWER_BYTES: usize = 4 * MAX_LINE_BYTES;
/// Instead of an answer that could not be written.
const UNWRITABLE: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"the answer could not be written","data":{"kind":"internal","retryable":false}}}"#;

/// Whose answer it is: a text, a number or null, as the caller wrote it.
#[derive(Clone, Debug)]
pub(super) struct Id(Box<RawValue>);

/// An answer, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    json: String,
    error: Option<Failed>,
}

/// How a call failed, as far as a transport has a way of its own to say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) kind: Kind,
    pub(super) retry_after_ms: Option<u64>,
}

#[derive(Serialize)]
struct Success<'a> {
    jsonrpc: &'static str,
    id: &'a RawValue,
    result: &'a RawValue,
}

#[derive(Serialize)]
struct Failure<'a> {
    jsonrpc: &'static str,
    id: &'a RawValue,
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    code: i32,
    message: &'a str,
    data: ErrorData,
}

impl Id {
    /// Of an answer to nobody in particular.
    pub(super) fn null() -> Self {
        Self(RawValue::NULL.to_owned())
    }

    /// The id in this JSON, if it may be one.
    pub(super) fn read(json: &RawValue) -> Option<Self> {
        let text = json.get();
        let may =
            text == "null" || text.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit());
        (may && text.len() <= MAX_ID_BYTES).then(|| Self(json.to_owned()))
    }
}

impl Reply {
    /// To a call that succeeded.
    pub(super) fn success(id: &Id, result: &RawValue) -> Self {
        Self::written(&Success { jsonrpc: "2.0", id: &id.0, result }, None)
    }

    /// To a call that failed.
    pub(super) fn refused(id: &Id, error: &RpcError) -> Self {
        let object = ErrorObject { code: error.kind.code(), message: &error.message, data: error.data() };
        let failed = Failed { kind: error.kind, retry_after_ms: error.retry_after_ms };
        Self::written(&Failure { jsonrpc: "2.0", id: &id.0, error: object }, Some(failed))
    }

    /// To a call that ended like this.
    pub(super) fn to(id: &Id, outcome: &Result<Box<RawValue>, RpcError>) -> Self {
        match outcome {
            Ok(result) => Self::success(id, result),
            Err(error) => Self::refused(id, error),
        }
    }

    fn written(answer: &impl Serialize, error: Option<Failed>) -> Self {
        let json = serde_json::to_string(answer).unwrap_or_else(|_| UNWRITABLE.to_owned());
        Self { json, error }
    }

    /// How the call failed; `None` after a success, and for a batch, whose calls end each in their own way.
    pub(super) const fn failed(&self) -> Option<Failed> {
        self.error
    }

    pub(super) fn as_json(&self) -> &str {
        &self.json
    }
}

/// The answers of a batch, as they gather.
#[derive(Debug, Default)]
pub(super) struct Gathered(String);

impl Gathered {
    /// Adds the answer to `id`; one that does not fit any more says so in its place.
    pub(super) fn add(&mut self, id: &Id, reply: &Reply) {
        let fits = self.0.len() + reply.json.len() <= MAX_BATCH_ANSWER_BYTES;
        let too_large = || RpcError::new(Kind::TooLarge, "the answer does not fit into the batch's");
        let said = if fits { reply } else { &Reply::refused(id, &too_large().with_hint("call it alone")) };
        self.0.push(if self.0.is_empty() { '[' } else { ',' });
        self.0.push_str(&said.json);
    }

    /// All of them, if there are any.
    pub(super) fn finish(mut self) -> Option<Reply> {
        if self.0.is_empty() {
            return None;
        }
        self.0.push(']');
        Some(Reply { json: self.0, error: None })
    }
}

/// Writes a result out.
///
/// # Errors
/// `internal`, if it is none that JSON can say.
pub(super) fn written(result: &impl Serialize) -> Result<Box<RawValue>, RpcError> {
    to_raw_value(result).map_err(|_| RpcError::new(Kind::Internal, "the answer could not be written"))
}
