//! Chats: which there are, and how they are kept.

use chat_protocol::rpc::types::{
    CanSend, Chat, ChatCanSend, ChatGet, ChatList, ChatMarkRead, ChatOpen, ChatPage, ChatSet, ChatUnread, MarkedRead,
    OpenedChat, Unread,
};
use chat_protocol::rpc::{ChatId, Handle, Kind, RpcError, Target};

use crate::api::Answer;
use crate::clock;
use crate::daemon::{Daemon, reads};
use crate::engine::{chats, commands, view};

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
        let wanted = user.clone();
        self.command(move |txn| {
            commands::open(txn, &wanted);
            Ok(())
        })
        .await?;
        self.read(move |rows| reads::opened(rows, &user, chat)).await
    }
}

impl Handle<ChatSet> for Daemon {
    async fn handle(&self, params: ChatSet) -> Answer<Chat> {
        let chat = reads::to(&params.to, &self.me().await?).chat();
        let id = chat.clone();
        self.command(move |txn| chats::set(txn, &id, &params)).await?;
        self.read(move |rows| reads::chat(rows, &chat)).await
    }
}

impl Handle<ChatMarkRead> for Daemon {
    async fn handle(&self, params: ChatMarkRead) -> Answer<MarkedRead> {
        let ChatMarkRead { to, up_to } = params;
        let to = reads::to(&to, &self.me().await?).chat();
        let chat = view::chat_id(&to).ok_or_else(|| RpcError::from(Kind::NotFound))?;
        let unread = self.command(move |txn| commands::mark_read(txn, &to, up_to.as_ref())).await?;
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
