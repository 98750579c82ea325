//! Chats: the private ones, the public room, the notes to oneself.

use super::identity::IdentityState;
use super::messages::Message;
use crate::ids::{DeviceId, MessageId, Username};
use crate::rpc::define::{method, methods, object, word};
use crate::rpc::errors::Kind;
use crate::rpc::target::{ChatId, Target};

methods! {
    ChatMethods { ChatList ChatGet ChatOpen ChatSet ChatMarkRead ChatCanSend ChatUnread }
}

word! {
    /// What a chat is.
    ChatKind {
        /// With one peer, end-to-end encrypted.
        Direct,
        /// The public room, readable by the server.
        Room,
        /// Notes to oneself; they never leave the account's devices.
        #[serde(rename = "self")]
        Myself,
        /// A group.
        Group,
    }
}
object! {
    /// A chat.
    Chat {
        /// Its id, also usable as a target.
        pub id: ChatId,
        /// What it is.
        pub kind: ChatKind,
        /// For people.
        pub title: String,
        /// Whether only its members can read it; false for the public room.
        pub end_to_end: bool,
        /// Messages not marked read.
        pub unread: u64,
        /// The newest message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub last: Option<Message>,
        /// In a private chat: the peer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub peer: Option<Username>,
        /// In a private chat: what we think of the peer's identity.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub identity: Option<IdentityState>,
        /// No notice is wanted until then; `u64::MAX` stands for always.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub muted_until_ms: Option<u64>,
        /// Messages go from both histories so many seconds after they were sent, unless they say otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ttl_s: Option<u32>,
        /// Put away: not listed unless asked for. A new message brings it back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pub archived: bool,
    }
}

method! {
    /// Starts the private sessions with a peer's devices now.
    ChatOpen("chat.open", Serial, [Send], to(to)) -> OpenedChat {
        /// Peer.
        pub to: Target,
    }
    errors WRITING
    example {"to": "@bob"} => {
        "chat": "@bob", "devices": [{"device": "41e07a9fd3b84c6692f5a0d81b7e3c25", "session": "confirmed"}],
        "identity": "tofu"
    }
}
object! {
    /// Answers [`ChatOpen`].
    OpenedChat {
        /// The chat.
        pub chat: ChatId,
        /// The peer's devices.
        pub devices: Vec<DeviceSession>,
        /// What we think of the peer's identity.
        pub identity: IdentityState,
    }
}
object! {
    /// A device of a peer, and the session with it.
    DeviceSession {
        /// Device.
        pub device: DeviceId,
        /// How far the session is.
        pub session: SessionState,
    }
}
word! {
    /// How far a session is.
    SessionState {
        /// There is none.
        None,
        /// Begun, not yet answered.
        Starting,
        /// Both sides have it.
        Confirmed,
    }
}

method! {
    /// Chats, the one with the newest message first.
    ChatList("chat.list", Parallel, [ReadHistory]) -> ChatPage {
        /// Only those with unread messages.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub unread: Option<bool>,
        /// Whether archived ones come too; they do not when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub archived: Option<bool>,
        /// At most so many; 100 when absent, 500 at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
        /// `cursor` of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cursor: Option<String>,
    }
    errors []
    example {"limit": 20} => {
        "chats": [
            {
                "id": "@bob", "kind": "direct", "title": "@bob", "end_to_end": true, "unread": 0,
                "last": {
                    "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "chat": "@bob", "from": "alice", "outgoing": true,
                    "text": "hi", "sent_ms": 1700000000000, "stored_ms": 1700000000000, "state": "delivered"
                },
                "peer": "bob", "identity": "tofu"
            }
        ]
    }
}
object! {
    /// Answers [`ChatList`].
    ChatPage {
        /// Chats.
        pub chats: Vec<Chat>,
        /// Asks for the next page; absent on the last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cursor: Option<String>,
    }
}
method! {
    /// One chat.
    ChatGet("chat.get", Parallel, [ReadHistory], to(to)) -> Chat {
        /// Which.
        pub to: Target,
    }
    errors [NotFound]
    example {"to": "@bob"} => {
        "id": "@bob", "kind": "direct", "title": "@bob", "end_to_end": true, "unread": 0,
        "last": {
            "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "chat": "@bob", "from": "alice", "outgoing": true,
            "text": "hi", "sent_ms": 1700000000000, "stored_ms": 1700000000000, "state": "delivered"
        },
        "peer": "bob", "identity": "tofu"
    }
}
method! {
    /// Marks the messages of a chat as read.
    ChatMarkRead("chat.mark_read", Serial, [React], to(to)) -> MarkedRead {
        /// Chat.
        pub to: Target,
        /// The last one that was read; the newest when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub up_to: Option<MessageId>,
    }
    errors [NotFound]
    example {"to": "@bob"} => {"chat": "@bob", "unread": 0}
}
object! {
    /// Answers [`ChatMarkRead`].
    MarkedRead {
        /// The chat.
        pub chat: ChatId,
        /// What is still unread.
        pub unread: u64,
    }
}

method! {
    /// Changes how a chat is kept. What is absent stays.
    ///
    /// The answer has the newest message only for those who may read it.
    ChatSet("chat.set", Serial, [Send], to(to)) -> Chat {
        /// Chat.
        pub to: Target,
        /// No notice is wanted until then; 0 ends it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub muted_until_ms: Option<u64>,
        /// Own messages go from both histories so many seconds after they were sent: 5 to a year; 0 ends it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ttl_s: Option<u32>,
        /// Puts it away, or brings it back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub archived: Option<bool>,
    }
    errors [NotFound]
    example {"to": "@bob", "ttl_s": 86400} => {
        "id": "@bob", "kind": "direct", "title": "@bob", "end_to_end": true, "unread": 0,
        "last": {
            "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "chat": "@bob", "from": "alice", "outgoing": true,
            "text": "hi", "sent_ms": 1700000000000, "stored_ms": 1700000000000, "state": "delivered"
        },
        "peer": "bob", "identity": "tofu", "ttl_s": 86400
    }
}
method! {
    /// Whether a message could be sent there, and why not.
    ChatCanSend("chat.can_send", Parallel, [ReadHistory, Send], to(to)) -> CanSend {
        /// Chat.
        pub to: Target,
    }
    errors WRITING
    example {"to": "@bob"} => {"ok": true, "reasons": []}
}
object! {
    /// Answers [`ChatCanSend`].
    CanSend {
        /// Whether `msg.send` would take a message.
        pub ok: bool,
        /// The kinds of error it would give.
        pub reasons: Vec<Kind>,
    }
}
method! {
    /// What is unread, in all chats that are not muted.
    ChatUnread("chat.unread", Parallel, [ReadHistory], every) -> Unread {}
    errors []
    example {} => {"messages": 2, "chats": 1, "mentions": 0}
}
object! {
    /// Answers [`ChatUnread`].
    Unread {
        /// Messages.
        pub messages: u64,
        /// Chats that have some.
        pub chats: u64,
        /// Messages that mention this account.
        pub mentions: u64,
    }
}
