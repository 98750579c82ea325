//! `rpc`: any call, for what has no verb yet.

use chat_protocol::rpc::types::{EventsPull, MsgWait};
use chat_protocol::rpc::{Kind, MAX_LINE_BYTES, Method, RpcError};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::cli::Rpc;
use crate::error::Failure;
use crate::input::{self, TextError};
use crate::output::reader::heard;
use crate::session::Session;

/// Keys whose values must not be arguments.
const SECRET_KEYS: [&str; 4] = ["password", "invite", "old", "new"];

/// Methods that wait for what may not happen for long, and change nothing.
const WAITING: [&str; 2] = [MsgWait::NAME, EventsPull::NAME];

/// `chatctl rpc METHOD '{json}'`
pub(super) async fn run(rpc: &Rpc, session: &mut Session) -> Result<(), Failure> {
    let params = params(rpc, session)?;
    let client = session.client().await?;
    let call = async { Ok(client.call_raw(&rpc.method, params).await?) };
    // What changes something is not left alone before its answer.
    let result = if WAITING.contains(&rpc.method.as_str()) { heard(call).await? } else { call.await? };
    session.out.object(&result)
}

fn params(Rpc { method, params: given }: &Rpc, session: &Session) -> Result<Box<RawValue>, Failure> {
    let mut read = Zeroizing::new(Vec::new());
    let text = if given == "-" {
        input::text(session.stdin()?, MAX_LINE_BYTES, &mut read).map_err(unusable)?
    } else if names_a_secret(method, given) {
        return Err(Failure::Usage(
            "secrets are not taken as arguments: write `-` and send them through stdin".to_owned(),
        ));
    } else {
        given
    };
    // Written anew, since the daemon wants it on one line.
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|_| Failure::Usage("the parameters are not JSON".to_owned()))?;
    serde_json::value::to_raw_value(&value).map_err(|error| Failure::Malformed(error.to_string()))
}

fn unusable(error: TextError) -> Failure {
    match error {
        TextError::TooLong(bytes) => {
            let words = format!("the parameters have {bytes} bytes, and at most {MAX_LINE_BYTES} fit into a call");
            RpcError::new(Kind::FrameTooLarge, words).into()
        }
        TextError::NotUtf8 => Failure::Usage("the parameters are not UTF-8, as all JSON is".to_owned()),
        TextError::Io(error) => error.into(),
    }
}

/// Only `hello` takes the text of a token; elsewhere `token` is the name of one.
fn names_a_secret(method: &str, json: &str) -> bool {
    let presented = (method == "hello").then_some("token");
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json)
        .is_ok_and(|params| SECRET_KEYS.into_iter().chain(presented).any(|key| params.contains_key(key)))
}
