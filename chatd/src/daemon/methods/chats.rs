//! Chats: which there are, and how they are kept.

use chat_protocol::rpc::types::{
    CanSend, Chat, ChatCanSend, ChatGet, ChatList, ChatMarkRead, ChatOpen, ChatPage, ChatSet, ChatUnread, MarkedRead,
    OpenedChat, Unread,
};
use chat_protocol::rpc::{ChatId, Handle, RpcError, Target};

use crate::api::Answer;
use crate::clock;
use crate::daemon::{Daemon, reads};
use crate::engine::{chats, commands};

impl Handle<ChatList> for Daemon {
    async fn handle(&self, params: ChatList) -> Answer<ChatPage> {
        self.read(move |rows| reads::chats(rows, &params)).await
    }
}

impl Handle<ChatGet> for Daemon {
    async fn handle(&self, params: ChatGet) -> Answer<Chat> {
        self.read(move |rows| reads::chat(rows, &reads::chat_of(rows, &params.to)?)).await
    }
}

impl Handle<ChatOpen> for Daemon {
    async fn handle(&self, params: ChatOpen) -> Answer<OpenedChat> {
        let Target::User(user) = &params.to else {
            return Err(RpcError::invalid("to", "only a chat with one user has sessions"));
        };
        let (user, chat) = (user.clone(), ChatId::from(&params.to));
        self.command(move |txn| {
            commands::open(txn, &user);
            Ok(reads::opened(txn.rows, &user, chat)?)
        })
        .await
    }
}

impl Handle<ChatSet> for Daemon {
    async fn handle(&self, params: ChatSet) -> Answer<Chat> {
        self.command(move |txn| {
            let chat = reads::chat_of(txn.rows, &params.to)?;
            chats::set(txn, &chat, &params)?;
            Ok(reads::chat(txn.rows, &chat)?)
        })
        .await
    }
}

impl Handle<ChatMarkRead> for Daemon {
    async fn handle(&self, params: ChatMarkRead) -> Answer<MarkedRead> {
        let ChatMarkRead { to, up_to } = params;
        let to = reads::to(&to, &self.me().await?);
        let chat = ChatId::from(&to);
        let unread = self.command(move |txn| commands::mark_read(txn, &to.to_string(), up_to.as_ref())).await?;
        Ok(MarkedRead { chat, unread })
    }
}

impl Handle<ChatCanSend> for Daemon {
    async fn handle(&self, params: ChatCanSend) -> Answer<CanSend> {
        self.read(move |rows| reads::can_send(rows, &params.to)).await
    }
}

impl Handle<ChatUnread> for Daemon {
    async fn handle(&self, ChatUnread {}: ChatUnread) -> Answer<Unread> {
        self.rows(|rows| chats::unread(rows, clock::now())).await
    }
}
