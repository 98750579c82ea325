//! What is done about a message that was sent: taking it back, sending it again, changing, deleting, reacting.

use super::done::Done;
use super::messages::{Message, MessageStatus, Sent};
use crate::ids::MessageId;
use crate::rpc::define::{method, methods, word};

methods! {
    AmendMethods { MsgEdit MsgDelete MsgReact MsgCancel MsgResend }
}

method! {
    /// Takes a message back that has not left: `conflict` once it is under way, and for a post once it was said.
    ///
    /// Cancelling it twice is no error.
    MsgCancel("msg.cancel", Serial, [Send], message(id)) -> MessageStatus {
        /// Which.
        pub id: MessageId,
    }
    errors WRITING
    example {"id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90"} => {
        "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "state": "cancelled", "recipients": []
    }
}
method! {
    /// Sends a message that is `failed`, `cancelled` or `not_received` again, as a new one with the same text,
    /// `reply_to`, `mentions` and `ttl_s`; `conflict` in any other state, or when its text is gone.
    MsgResend("msg.resend", Serial, [Send], message(id)) -> Sent {
        /// Which.
        pub id: MessageId,
    }
    errors WRITING
    example {"id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90"} => {
        "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "chat": "@bob", "state": "queued", "duplicate": false
    }
}
method! {
    /// Changes the text of an own message, for everybody; at most 99 times.
    ///
    /// One that has not left is changed where it lies, and the peer never hears of its former text. `no_permission`
    /// for somebody else's message and for posts in the public room, `conflict` for one that was deleted or not sent.
    MsgEdit("msg.edit", Serial, [Send], message(id)) -> Message {
        /// Which.
        pub id: MessageId,
        /// What it says from now on.
        pub text: String,
    }
    errors WRITING
    example {"id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "text": "hi there"} => {
        "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "chat": "@bob", "from": "alice", "outgoing": true,
        "text": "hi there", "sent_ms": 1700000000000, "stored_ms": 1700000000000, "state": "delivered",
        "edited_ms": 1700000000000
    }
}
word! {
    /// For whom a message is deleted.
    DeleteScope {
        /// From this account's history only.
        #[serde(rename = "self")]
        Myself,
        /// For everybody who has it; only own messages.
        All,
    }
}
method! {
    /// Deletes a message: its text goes from the history, and from the events that carry it.
    ///
    /// With `all`, one that has not left is cancelled. With `self` that is a `conflict`: cancel it first.
    MsgDelete("msg.delete", Serial, [Send], message(id)) -> Done {
        /// Which.
        pub id: MessageId,
        /// For whom.
        pub scope: DeleteScope,
    }
    errors WRITING
    example {"id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "scope": "all"} => {}
}
method! {
    /// Reacts to a message with one emoji, in place of the one given before; not in the public room.
    ///
    /// The answer has the text only for those who may read it.
    MsgReact("msg.react", Serial, [React], message(id)) -> Message {
        /// Which.
        pub id: MessageId,
        /// One emoji: at most 64 bytes, no white space.
        pub emoji: String,
        /// Takes it back, if it was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub remove: Option<bool>,
    }
    errors WRITING
    example {"id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "emoji": "👍"} => {
        "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "chat": "@bob", "from": "alice", "outgoing": true,
        "text": "hi", "sent_ms": 1700000000000, "stored_ms": 1700000000000, "state": "delivered",
        "reactions": [{"emoji": "👍", "users": ["alice"]}]
    }
}
