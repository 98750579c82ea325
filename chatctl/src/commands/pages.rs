//! Lists that come in pages, in order of the names in them.

use chat_protocol::ids::Username;
use chat_protocol::rpc::Method;
use chat_protocol::rpc::client::Client;

use crate::error::Failure;

/// What is on every page: `call` asks for those behind a name, `split` takes an answer apart and says whether there are
/// more, `user` is whose one is.
pub(super) async fn all_pages<M: Method, T>(
    client: &Client,
    call: impl Fn(Option<Username>) -> M,
    split: impl Fn(M::Answer) -> (Vec<T>, bool),
    user: impl Fn(&T) -> &Username,
) -> Result<Vec<T>, Failure> {
    let mut all: Vec<T> = Vec::new();
    loop {
        let after = all.last().map(|last| user(last).clone());
        let (page, more) = split(client.call(&call(after)).await?);
        all.extend(page);
        if !more {
            return Ok(all);
        }
    }
}
