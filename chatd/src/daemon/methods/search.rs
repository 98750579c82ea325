//! Searching what was said.

use std::sync::{Arc, PoisonError};

use chat_protocol::rpc::types::{MsgSearch, SearchPage};
use chat_protocol::rpc::{Handle, RpcError};

use crate::api::Answer;
use crate::daemon::{Daemon, blocking, errors, search};

/// One search at a time: they share the index.
impl Handle<MsgSearch> for Daemon {
    async fn handle(&self, asked: MsgSearch) -> Answer<SearchPage> {
        let (reader, index) = (Arc::clone(&self.reader), Arc::clone(&self.index));
        blocking(move || {
            let mut index = index.lock().unwrap_or_else(PoisonError::into_inner);
            reader
                .read(|rows| search::run(&mut index, rows, &asked).map_err(errors::Reading::from))
                .map_err(RpcError::from)
        })
        .await
    }
}
