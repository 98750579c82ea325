//! `rpc`: any call, for what has no verb yet.

use std::io::Read;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::Session;
use crate::cli::Rpc;
use crate::error::Failure;

/// Keys whose values must not be arguments.
const SECRET_KEYS: [&str; 4] = ["password", "invite", "old", "new"];

/// `chatctl rpc METHOD '{json}'`
pub(super) async fn run(rpc: &Rpc, session: &mut Session) -> Result<(), Failure> {
    let params = params(&rpc.method, &rpc.params)?;
    let result = session.client().await?.call_raw(&rpc.method, params).await?;
    session.out.object(&result)
}

fn params(method: &str, given: &str) -> Result<Box<RawValue>, Failure> {
    let mut text = Zeroizing::new(String::new());
    if given == "-" {
        std::io::stdin().lock().take(chat_protocol::rpc::MAX_LINE_BYTES as u64).read_to_string(&mut text)?;
    } else if names_a_secret(method, given) {
        return Err(Failure::Usage(
            "secrets are not taken as arguments: write `-` and send them through stdin".to_owned(),
        ));
    } else {
        given.clone_into(&mut text);
    }
    // Written anew, since the daemon wants it on one line.
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|_| Failure::Usage("the parameters are not JSON".to_owned()))?;
    serde_json::value::to_raw_value(&value).map_err(|error| Failure::Malformed(error.to_string()))
}

/// Only `hello` takes the text of a token; elsewhere `token` is the name of one.
fn names_a_secret(method: &str, json: &str) -> bool {
    let presented = (method == "hello").then_some("token");
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json)
        .is_ok_and(|params| SECRET_KEYS.into_iter().chain(presented).any(|key| params.contains_key(key)))
}
