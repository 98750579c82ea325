//! Messages: sending, reading back, and what became of them.

use crate::ids::{DeviceId, MessageId, Username};
use crate::rpc::define::{method, methods, object, word};
use crate::rpc::errors::Kind;
use crate::rpc::target::{ChatId, Target};
use crate::rpc::types::reasons::FailReason;

methods! {
    MessageMethods { MsgSend MsgGet MsgStatus MsgWait MsgOutbox MsgList }
}

word! {
    /// What became of a sent message. Only ever moves forward, in this order. The daemon's rows have
    /// the numbers.
    #[derive(PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
    #[cbor(index_only)]
    MessageState {
        /// Stored by the daemon, not yet by the server.
        #[n(0)]
        Queued,
        /// Stored by the server.
        #[n(1)]
        Accepted,
        /// The recipient's device says it could not open it, or that it never came.
        #[n(2)]
        NotReceived,
        /// On every device of the recipient that could get it.
        #[n(3)]
        Delivered,
        /// Seen.
        #[n(4)]
        Read,
        /// Given up.
        #[n(5)]
        Failed,
        /// Taken back before it left.
        #[n(6)]
        Cancelled,
    }
}
impl MessageState {
    /// Whether it is not on its way any more, and not there either. What was not received may still be, late.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::NotReceived | Self::Failed | Self::Cancelled)
    }
}
object! {
    /// A message.
    Message {
        /// Its id, chosen by the author.
        pub id: MessageId,
        /// The chat it belongs to.
        pub chat: ChatId,
        /// Author.
        pub from: Username,
        /// Whether it was sent by this account.
        pub outgoing: bool,
        /// What it says.
        pub text: String,
        /// When the author says it was sent.
        pub sent_ms: u64,
        /// When this daemon stored it.
        pub stored_ms: u64,
        /// What became of it, if it was sent by this account.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub state: Option<MessageState>,
        /// Why it did not arrive.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub error: Option<FailReason>,
        /// In the answer of [`MsgOutbox`]: it waits until somebody decides, and for what: a kind of error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub held: Option<Kind>,
        /// It came after messages that were sent after it.
        #[serde(default, skip_serializing_if = "is_false")]
        pub late: bool,
        /// The sender's own key for it, if it was sent through this daemon with one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub client_id: Option<String>,
        /// The message it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reply_to: Option<MessageId>,
        /// Whom it mentions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub mentions: Vec<Username>,
        /// When its author last changed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub edited_ms: Option<u64>,
        /// Its author took it back, or it was deleted here: the text is gone.
        #[serde(default, skip_serializing_if = "is_false")]
        pub deleted: bool,
        /// What others said to it with one sign, in order of the signs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub reactions: Vec<Reaction>,
        /// When it goes from the history by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expires_ms: Option<u64>,
        /// When it is to be sent, if that is not yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub at_ms: Option<u64>,
        /// Its author said, when it came, that a program writes there: a bot that answers none of these never talks
        /// to another for ever.
        #[serde(default, skip_serializing_if = "is_false")]
        pub from_bot: bool,
        /// Its author named an account log that the server did not show: a device of theirs may have been revoked, or
        /// added, without our knowing.
        #[serde(default, skip_serializing_if = "is_false")]
        pub unverified_log: bool,
        /// It came from a device that was not there when the author was last accepted or verified, and the policy of
        /// the chat is `strict`.
        #[serde(default, skip_serializing_if = "is_false")]
        pub unverified_device: bool,
        /// Nobody wrote it: this daemon notes here what happened, with its words in `text`.
        #[serde(default, skip_serializing_if = "is_false")]
        pub notice: bool,
    }
}
object! {
    /// A sign and who gave it.
    Reaction {
        /// One emoji.
        pub emoji: String,
        /// Who.
        pub users: Vec<Username>,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

method! {
    /// Sends a text. Returns once it is durable; offline it waits.
    ///
    /// To a name that the server does not know it fails later, with `not_found`: see `message.status` and
    /// `msg.outbox`.
    MsgSend("msg.send", Serial, [Send], to(to)) -> Sent {
        /// For whom.
        pub to: Target,
        /// What to say: 1 byte to 60 KiB, less the mentions; 8 KiB in the public room, where it is all there is.
        pub text: String,
        /// A key of the caller's, 1 to 256 bytes: a second call with it returns the first one's answer, also
        /// after a crash. `idempotency_mismatch` if text, chat, `reply_to`, `mentions`, `ttl_s` or `at_ms` differ.
        /// It is remembered for 60 days.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub client_id: Option<String>,
        /// Fail with `offline` instead of waiting for a connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub require_online: Option<bool>,
        /// Fail with `not_found`, and send nothing, if the server is there and says that there is no such user. Whom
        /// this daemon knows is not asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub require_user: Option<bool>,
        /// Fail with `identity_unverified` unless the peer's identity was compared.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub require_verified: Option<bool>,
        /// The message of the same chat that this one answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reply_to: Option<MessageId>,
        /// Whom it mentions: at most 32 names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub mentions: Option<Vec<Username>>,
        /// It goes from both histories so many seconds after it was sent, or stored there: 5 to 31,536,000; what
        /// the chat says when absent. It fails with `expired` if it could not be sent by then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ttl_s: Option<u32>,
        /// Send it then and not before: at most a year ahead; a time that has passed is now. It delays no other.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub at_ms: Option<u64>,
        /// Tell by `message.overdue`, once, if it was not delivered (in the public room: accepted) so long after it
        /// was to be sent: 1 ms to a year.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub notify_undelivered_after_ms: Option<u64>,
    }
    errors WRITING
    example {"to": "@bob", "text": "hi"} => {
        "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "chat": "@bob", "state": "queued", "duplicate": false
    }
}
impl MsgSend {
    /// A plain text.
    #[must_use]
    pub fn text(to: Target, text: impl Into<String>) -> Self {
        Self {
            to,
            text: text.into(),
            client_id: None,
            require_online: None,
            require_user: None,
            require_verified: None,
            reply_to: None,
            mentions: None,
            ttl_s: None,
            at_ms: None,
            notify_undelivered_after_ms: None,
        }
    }
}
object! {
    /// Answers [`MsgSend`].
    Sent {
        /// Id of the message.
        pub id: MessageId,
        /// The chat it went to.
        pub chat: ChatId,
        /// `queued`; of a note to oneself `read`; of a duplicate how far it has come.
        pub state: MessageState,
        /// Whether this `client_id` was sent before.
        pub duplicate: bool,
    }
}

method! {
    /// One message.
    MsgGet("msg.get", Parallel, [ReadHistory], message(id)) -> Message {
        /// Which.
        pub id: MessageId,
    }
    errors [NotFound]
    example {"id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90"} => {
        "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "chat": "@bob", "from": "alice", "outgoing": true,
        "text": "hi", "sent_ms": 1700000000000, "stored_ms": 1700000000000, "state": "delivered"
    }
}
method! {
    /// A chat's messages, oldest first: the newest page, or the one next to a message.
    MsgList("msg.list", Parallel, [ReadHistory], to(to)) -> MessagePage {
        /// Chat.
        pub to: Target,
        /// Those just before this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub before: Option<MessageId>,
        /// Those just after this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<MessageId>,
        /// At most so many; 50 when absent, 500 at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
    }
    errors [NotFound]
    example {"to": "@bob", "limit": 20} => {
        "messages": [
            {
                "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "chat": "@bob", "from": "alice", "outgoing": true,
                "text": "hi", "sent_ms": 1700000000000, "stored_ms": 1700000000000, "state": "delivered"
            }
        ],
        "more": false
    }
}
object! {
    /// Answers [`MsgList`].
    MessagePage {
        /// Messages, oldest first.
        pub messages: Vec<Message>,
        /// Whether there are more in the direction asked.
        pub more: bool,
    }
}

method! {
    /// Own messages that wait to be sent, and those that did not arrive, oldest first.
    ///
    /// One that failed or was not received stays here until it is sent again, or deleted.
    MsgOutbox("msg.outbox", Parallel, [ReadHistory], every) -> OutboxPage {
        /// At most so many; 50 when absent, 500 at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
        /// `cursor` of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cursor: Option<String>,
    }
    errors []
    example {} => {
        "messages": [
            {
                "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "chat": "@bob", "from": "alice", "outgoing": true,
                "text": "hi", "sent_ms": 1700000000000, "stored_ms": 1700000000000, "state": "queued"
            }
        ]
    }
}
object! {
    /// Answers [`MsgOutbox`].
    OutboxPage {
        /// Messages, each with its `state` and, if it did not arrive, the `error`, or, if it does not leave, `held`.
        pub messages: Vec<Message>,
        /// Asks for the next page; absent on the last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cursor: Option<String>,
        /// What the server put off, on every page the same; absent if nothing.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub delays: Vec<OutboxDelay>,
    }
}
object! {
    /// Why messages wait that are sent again by themselves.
    OutboxDelay {
        /// `rate_limited`: the server limits how much is sent, or is busy; of the room also: it failed to store a post.
        /// `mailbox_full`: no device of the user has room. `server_rejected`: the server failed to store a message.
        pub why: Kind,
        /// Whose messages; absent if all wait.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chat: Option<ChatId>,
        /// When it is tried again, by the clock of the daemon's machine.
        pub until_ms: u64,
    }
}

method! {
    /// What became of a sent message, for each recipient.
    MsgStatus("msg.status", Parallel, [ReadHistory, Send], message(id)) -> MessageStatus {
        /// Which.
        pub id: MessageId,
    }
    errors [NotFound]
    example {"id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90"} => {
        "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "state": "delivered", "recipients": [{"user": "bob"}]
    }
}
object! {
    /// Answers [`MsgStatus`].
    MessageStatus {
        /// Message.
        pub id: MessageId,
        /// What became of it.
        pub state: MessageState,
        /// One for each recipient, or for each of its devices once they are known.
        pub recipients: Vec<Recipient>,
    }
}
object! {
    /// A recipient of a message.
    Recipient {
        /// Who.
        pub user: Username,
        /// Which device.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub device: Option<DeviceId>,
        /// When the server stored it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub sent_ms: Option<u64>,
        /// When it was delivered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub delivered_ms: Option<u64>,
        /// When it was read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub read_ms: Option<u64>,
        /// Why it did not arrive.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub error: Option<FailReason>,
    }
}

method! {
    /// Waits until a sent message is at least so far, or has ended.
    ///
    /// Answers at once when it is. `failed`, `cancelled` and `not_received` end the wait too: see `state`. It takes
    /// one of the connection's places for calls, and ends with the connection. Only for own messages; in the public
    /// room only for `accepted`.
    MsgWait("msg.wait", Parallel, [ReadHistory, Send], message(id)) -> MessageStatus {
        /// Which.
        pub id: MessageId,
        /// `accepted`, `delivered` or `read`.
        pub state: MessageState,
        /// At most so long, then `timeout`; 30,000 when absent, 600,000 at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub timeout_ms: Option<u64>,
    }
    errors [NotFound, Timeout]
    example {"id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "state": "delivered", "timeout_ms": 10000} => MsgStatus
}
