//! What is done about a message that was sent.

use chat_protocol::rpc::types::{
    DeleteScope, Done, Message, MessageStatus, MsgCancel, MsgDelete, MsgEdit, MsgReact, MsgResend, Sent,
};
use chat_protocol::rpc::{Handle, Kind, RpcError};

use crate::api::Answer;
use crate::daemon::{Daemon, reads};
use crate::engine::{EngineError, amend, history, view};

impl Handle<MsgEdit> for Daemon {
    async fn handle(&self, params: MsgEdit) -> Answer<Message> {
        let MsgEdit { id, text } = params;
        self.command(move |txn| shown(&amend::edit(txn, &id, text)?)).await
    }
}

impl Handle<MsgDelete> for Daemon {
    async fn handle(&self, params: MsgDelete) -> Answer<Done> {
        let MsgDelete { id, scope } = params;
        self.command(move |txn| match scope {
            DeleteScope::Myself => amend::delete_here(txn, &id),
            DeleteScope::All => amend::delete_everywhere(txn, &id),
        })
        .await?;
        Ok(Done {})
    }
}

impl Handle<MsgReact> for Daemon {
    async fn handle(&self, params: MsgReact) -> Answer<Message> {
        let MsgReact { id, emoji, remove } = params;
        self.command(move |txn| shown(&amend::react(txn, &id, &emoji, remove.unwrap_or(false))?)).await
    }
}

impl Handle<MsgCancel> for Daemon {
    async fn handle(&self, params: MsgCancel) -> Answer<MessageStatus> {
        let id = params.id;
        self.command(move |txn| Ok(reads::status_of(&amend::cancel(txn, &id)?)?)).await
    }
}

impl Handle<MsgResend> for Daemon {
    async fn handle(&self, params: MsgResend) -> Answer<Sent> {
        self.command(move |txn| amend::resend(txn, &params.id)).await
    }
}

fn shown(message: &history::Message) -> Result<Message, EngineError> {
    view::message(message).ok_or_else(|| RpcError::from(Kind::NotFound).into())
}
