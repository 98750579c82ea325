//! Tokens, and what they were used for. They are made and revoked on the socket side, which knows those in use.

use chat_protocol::rpc::Handle;
use chat_protocol::rpc::types::{AuditList, AuditPage, TokenList, Tokens};

use crate::api::Answer;
use crate::daemon::{Daemon, reads};
use crate::engine::tokens;

impl Handle<TokenList> for Daemon {
    async fn handle(&self, TokenList {}: TokenList) -> Answer<Tokens> {
        self.rows(tokens::list).await.map(|tokens| Tokens { tokens })
    }
}

impl Handle<AuditList> for Daemon {
    async fn handle(&self, params: AuditList) -> Answer<AuditPage> {
        let limit = reads::limit(params.limit, 100)?;
        self.rows(move |rows| tokens::journal(rows, &params, limit)).await
    }
}
