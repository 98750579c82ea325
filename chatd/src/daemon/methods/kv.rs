//! Values that bots keep.

use chat_protocol::rpc::types::{Done, KvDelete, KvEntry, KvGet, KvList, KvPage, KvSet};
use chat_protocol::rpc::{Handle, Kind, RpcError};

use crate::api::Answer;
use crate::daemon::{Daemon, reads};
use crate::engine::kv;

impl Handle<KvGet> for Daemon {
    async fn handle(&self, params: KvGet) -> Answer<KvEntry> {
        let found = self.rows(move |rows| kv::get(rows, &params.scope, &params.key)).await?;
        found.ok_or_else(|| RpcError::new(Kind::NotFound, "there is no such value"))
    }
}

impl Handle<KvSet> for Daemon {
    async fn handle(&self, params: KvSet) -> Answer<KvEntry> {
        let KvSet { scope, key, value, if_version } = params;
        self.command(move |txn| kv::set(txn, (&scope, &key), &value, if_version)).await
    }
}

impl Handle<KvDelete> for Daemon {
    async fn handle(&self, params: KvDelete) -> Answer<Done> {
        let KvDelete { scope, key, if_version } = params;
        self.command(move |txn| kv::delete(txn, (&scope, &key), if_version)).await?;
        Ok(Done {})
    }
}

impl Handle<KvList> for Daemon {
    async fn handle(&self, params: KvList) -> Answer<KvPage> {
        let limit = reads::limit(params.limit, 100)?;
        self.rows(move |rows| kv::list(rows, &params, limit)).await
    }
}
