//! What those ask for whom the user does not know.

use chat_protocol::rpc::method::Handle;
use chat_protocol::rpc::types::{Done, RequestAccept, RequestDecline, RequestList, Requests};

use crate::api::Answer;
use crate::daemon::{Daemon, reads};
use crate::engine::requests;

impl Handle<RequestList> for Daemon {
    async fn handle(&self, params: RequestList) -> Answer<Requests> {
        self.read(move |rows| reads::requests(rows, &params)).await
    }
}

impl Handle<RequestAccept> for Daemon {
    async fn handle(&self, params: RequestAccept) -> Answer<Done> {
        self.command(move |txn| requests::accept(txn, &params.user)).await?;
        Ok(Done {})
    }
}

impl Handle<RequestDecline> for Daemon {
    async fn handle(&self, params: RequestDecline) -> Answer<Done> {
        self.command(move |txn| requests::decline(txn, &params.user)).await?;
        Ok(Done {})
    }
}
