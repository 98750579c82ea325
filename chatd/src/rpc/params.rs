//! Reading the parameters of a call.

use chat_protocol::rpc::{Method, RpcError};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// Reads named parameters; none at all, and an empty list of them, are the same as `{}`.
pub(super) fn read<M: Method>(params: Option<&RawValue>) -> Result<M, RpcError> {
    let none = params.is_none_or(|params| serde_json::from_str::<[IgnoredAny; 0]>(params.get()).is_ok());
    let text = params.filter(|_| !none).map_or("{}", RawValue::get);
    if !text.starts_with('{') {
        return Err(RpcError::invalid("params", "parameters must be named: an object"));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let message = error.inner().to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        RpcError::invalid(path_of(&error.path().to_string(), message), message)
    })
}

/// Where the mistake is; a missing key has no place of its own, so its name is the path.
fn path_of(found: &str, message: &str) -> String {
    let named = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match (found, named) {
        (".", Some(name)) => name.to_owned(),
        (".", None) => "params".to_owned(),
        (path, Some(name)) => format!("{path}.{name}"),
        (path, None) => path.to_owned(),
    }
}
