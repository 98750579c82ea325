//! Messages: sending, reading back, and what became of them.

use super::{method, object, word};
use crate::ids::{DeviceId, MessageId, Username};
use crate::rpc::target::{ChatId, Target};

word! {
    /// What became of a sent message. Only ever moves forward.
    MessageState {
        /// Stored by the daemon, not yet by the server.
        Queued,
        /// Stored by the server.
        Accepted,
        /// On every device of the recipient that could get it.
        Delivered,
        /// Seen.
        Read,
        /// The recipient's device says it could not open it, or that it never came.
        NotReceived,
        /// Given up.
        Failed,
        /// Taken back before it left.
        Cancelled,
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
        /// It came after messages that were sent after it.
        #[serde(default, skip_serializing_if = "is_false")]
        pub late: bool,
        /// The sender's own key for it, if it was sent through this daemon with one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub client_id: Option<String>,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

method! {
    /// Sends a text. Returns once it is durable; offline it waits.
    MsgSend("msg.send", InTurn) -> Sent {
        /// For whom.
        pub to: Target,
        /// What to say: 1 byte to 60 KiB; 8 KiB in the public room.
        pub text: String,
        /// A key of the caller's: a second call with it returns the first one's answer, also after a crash.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub client_id: Option<String>,
        /// Fail with `offline` instead of waiting for a connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub require_online: Option<bool>,
    }
}
object! {
    /// Answers [`MsgSend`].
    Sent {
        /// Id of the message.
        pub id: MessageId,
        /// The chat it went to.
        pub chat: ChatId,
        /// `queued` or `accepted`.
        pub state: MessageState,
        /// Whether this `client_id` was sent before.
        pub duplicate: bool,
    }
}

method! {
    /// One message.
    MsgGet("msg.get", Free) -> Message {
        /// Which.
        pub id: MessageId,
    }
}
method! {
    /// A chat's messages, oldest first: the newest page, or the one next to a message.
    MsgList("msg.list", Free) -> MessagePage {
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
    /// What became of a sent message, for each recipient.
    MsgStatus("msg.status", Free) -> MessageStatus {
        /// Which.
        pub id: MessageId,
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
        pub error: Option<String>,
    }
}
