//! What happens, as consumers hear it: one envelope for every type.
//!
//! A daemon stores the envelope's JSON with its cause, in one transaction. Volatile events
//! (`presence`, `heartbeat`, `subscription.ended`) have no `seq` and are never stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::errors::Kind;
use super::target::ChatId;
use super::types::chats::Chat;
use super::types::contacts::Contact;
use super::types::daemon::{ConnectionState, ConnectionTrouble};
use super::types::identity::LogHead;
use super::types::messages::{Message, MessageState};
use super::types::profiles::Profile;
use super::types::reasons::{DeletedReason, EndReason, FailReason, HeldReason, UndecryptableReason};
use super::types::requests::{Request, RequestKind};
use crate::ids::{DeviceId, Fingerprint, MessageId, Username};

/// One event: `{seq?, time_ms, type, chat?, replayed, data}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Place in the log, from 1; absent for volatile events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// When it happened.
    pub time_ms: u64,
    /// Name of its type; readers ignore those they do not know.
    #[serde(rename = "type")]
    pub kind: String,
    /// The chat it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatId>,
    /// Whether it was already in the log when the subscription began.
    #[serde(default)]
    pub replayed: bool,
    /// What its type carries: see [`EventBody`].
    pub data: Value,
}

/// `params` of a notification `event`: an [`Event`] and the subscription it belongs to, in one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notified {
    /// Which, as [`super::types::Subscribed`] named it.
    pub subscription: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Type name, variant and data of every event.
macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident($wire:literal, $data:ty);)*) => {
        /// The types of events and what each carries.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "type", content = "data")]
        pub enum EventBody {
            $($(#[$doc])* #[serde(rename = $wire)] $name($data),)*
        }

        impl EventBody {
            /// Every type name there is.
            pub const TYPES: &'static [&'static str] = &[$($wire),*];

            /// Name of the type.
            #[must_use]
            pub const fn type_name(&self) -> &'static str {
                match self { $(Self::$name(_) => $wire),* }
            }

            pub(super) fn to_json(&self) -> String {
                let json = match self { $(Self::$name(data) => serde_json::to_string(data)),* };
                json.unwrap_or_else(|_| "null".to_owned())
            }

            fn to_data(&self) -> Value {
                match self { $(Self::$name(data) => serde_json::to_value(data).unwrap_or_default()),* }
            }
        }
    };
}

bodies! {
    /// A message came in or was sent.
    MessageNew("message.new", Message);
    /// A sent message moved on.
    MessageStatus("message.status", StatusChanged);
    /// A message has another text.
    MessageEdited("message.edited", Message);
    /// A message was deleted, by its author, here, or because its time was over.
    MessageDeleted("message.deleted", Deleted);
    /// Somebody reacted to a message, or took that back.
    MessageReaction("message.reaction", Reacted);
    /// A message was not delivered in the time its sender named.
    MessageOverdue("message.overdue", StatusChanged);
    /// Messages of a peer were lost for good.
    MessageMissing("message.missing", Missing);
    /// A message does not open.
    MessageUndecryptable("message.undecryptable", Undecryptable);
    /// A message is kept back.
    MessageHeld("message.held", Held);
    /// Somebody who is not known here wrote for the first time, and it is kept back.
    RequestNew("request.new", Request);
    /// A request was decided, its author became known in another way, nobody decided for 30 days, or the setting keeps
    /// nothing back any more.
    RequestClosed("request.closed", RequestClosed);
    /// Volatile: who came and who went.
    Presence("presence", PresenceChanged);
    /// Messages of a chat were marked read.
    ChatRead("chat.read", ReadUpTo);
    /// A chat is new or changed.
    ChatUpdated("chat.updated", Chat);
    /// What is noted about a user changed.
    ContactUpdated("contact.updated", Contact);
    /// An account says something else of itself.
    ProfileUpdated("profile.updated", ProfileOf);
    /// A peer's identity is not the one known.
    IdentityChanged("identity.changed", IdentityChange);
    /// The user has compared a peer's identity.
    IdentityVerified("identity.verified", Verified);
    /// A peer's account has other devices than before.
    IdentityDevices("identity.devices", DevicesChange);
    /// A device that its account has revoked signed another version of the account's log; both are kept as evidence.
    IdentityForkEvidence("identity.fork_evidence", ForkEvidence);
    /// The server keeps back a part of a peer's account log.
    IdentityLogWithheld("identity.log_withheld", AboutUser);
    /// For ten minutes the server has lacked the end of an account log that is known here, perhaps since it was restored: it
    /// takes no message for that account until one of its devices was connected.
    IdentityLogBehind("identity.log_behind", AboutUser);
    /// Somebody asked to reset this account.
    ResetPending("account.reset_pending", ResetAt);
    /// The reset was cancelled.
    ResetCancelled("account.reset_cancelled", Nothing);
    /// A device asks to become one of this account: told once, until its digits were compared.
    DeviceWaiting("device.waiting", WaitingDevice);
    /// A device belongs to this account from now on.
    DeviceAdded("device.added", DeviceChange);
    /// A device of this account was ended.
    DeviceRevoked("device.revoked", DeviceChange);
    /// This machine's clock and the server's are far apart.
    ClockSkew("clock_skew", Skew);
    /// The connection to the server changed.
    Connection("connection", ConnectionChanged);
    /// Everything the server held for this device has been handled.
    SyncDone("sync.done", Synced);
    /// The daemon ends.
    DaemonStopping("daemon.stopping", Nothing);
    /// Events between these two, inclusive, are gone from the log.
    Gap("gap", Range);
    /// Volatile, and the last of its subscription, which ended.
    SubscriptionEnded("subscription.ended", Ended);
    /// Volatile: nothing happened for a while, and the connection lives.
    Heartbeat("heartbeat", Beat);
}

/// Defines what a type carries; it may grow.
macro_rules! data {
    ($($(#[$doc:meta])* $name:ident { $($fields:tt)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub struct $name { $($fields)* }
    )*};
}

data! {
    /// No data.
    Nothing {}
    /// A sent message moved on.
    StatusChanged {
        /// Message.
        pub id: MessageId,
        /// Where it is now.
        pub state: MessageState,
        /// For whom, if not for all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub user: Option<Username>,
        /// Why it failed; or, beside a state that is not `failed`, why an edit, deletion or reaction of it was not
        /// sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub error: Option<FailReason>,
    }
    /// A message is gone.
    Deleted {
        /// Which.
        pub id: MessageId,
        /// Why.
        pub why: DeletedReason,
    }
    /// A reaction.
    Reacted {
        /// To which message.
        pub id: MessageId,
        /// Whose.
        pub user: Username,
        /// What; absent when it was taken back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub emoji: Option<String>,
    }
    /// Messages of a peer were lost for good.
    Missing {
        /// Whose.
        pub from_user: Username,
        /// How many.
        pub count: u64,
    }
    /// A message does not open.
    Undecryptable {
        /// Who is said to have sent it.
        pub from_user: Username,
        /// Why.
        pub reason: UndecryptableReason,
        /// Whether the sender will be asked to send it again.
        pub will_retry: bool,
    }
    /// A message is kept back.
    Held {
        /// Who sent it.
        pub from_user: Username,
        /// Why.
        pub why: HeldReason,
    }
    /// A request waits no longer.
    RequestClosed {
        /// Who asked.
        pub user: Username,
        /// For what.
        pub kind: RequestKind,
        /// Whether they are heard from now on.
        pub accepted: bool,
    }
    /// Who came and who went.
    PresenceChanged {
        /// Now online.
        pub online: Vec<Username>,
        /// Now offline.
        pub offline: Vec<Username>,
    }
    /// Messages of a chat were marked read.
    ReadUpTo {
        /// The last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub up_to: Option<MessageId>,
        /// What is still unread.
        pub unread: u64,
    }
    /// What an account says of itself.
    ProfileOf {
        /// Who; the own account too.
        pub user: Username,
        /// What it claims now.
        pub profile: Profile,
    }
    /// A peer's identity is not the one known.
    IdentityChange {
        /// Peer.
        pub user: Username,
        /// The one known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub old: Option<Fingerprint>,
        /// The one seen now.
        pub new: Fingerprint,
        /// Where its log stands: what `identity.accept` wants.
        pub head: LogHead,
    }
    /// The user has compared a peer's identity.
    Verified {
        /// Peer.
        pub user: Username,
        /// The identity that was compared.
        pub fingerprint: Fingerprint,
    }
    /// A peer's account has other devices than before.
    DevicesChange {
        /// Peer.
        pub user: Username,
        /// Devices that were added.
        pub added: Vec<DeviceId>,
        /// Devices that were revoked.
        pub revoked: Vec<DeviceId>,
        /// The policy leaves the added ones out until the peer is verified again.
        pub left_out: bool,
    }
    /// Two versions of an account's log.
    ForkEvidence {
        /// Peer, or this account.
        pub user: Username,
        /// First entry that differs.
        pub seq: u64,
        /// The revoked device that signed the other version.
        pub by: DeviceId,
    }
    /// About a peer.
    AboutUser {
        /// Peer.
        pub user: Username,
    }
    /// A reset waits.
    ResetAt {
        /// Until then.
        pub at_ms: u64,
    }
    /// A device asks to be let in.
    WaitingDevice {
        /// Which.
        pub device_id: DeviceId,
        /// What its screen has to show: whoever reads something else there is being deceived.
        pub digits: String,
        /// When its keys were made, by its own clock.
        pub created_ms: u64,
    }
    /// The account's log says something new of a device.
    DeviceChange {
        /// Which.
        pub device_id: DeviceId,
        /// The device that says so.
        pub by: DeviceId,
        /// Whether it is the one of this daemon.
        pub this: bool,
    }
    /// Clocks are apart.
    Skew {
        /// The server's clock less ours.
        pub offset_ms: i64,
    }
    /// The connection to the server changed.
    ConnectionChanged {
        /// What it is now.
        pub state: ConnectionState,
        /// Why, in words for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
        /// What kind of trouble that is, until there is a connection again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub trouble: Option<ConnectionTrouble>,
        /// When the next attempt is made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub next_retry_ms: Option<u64>,
    }
    /// Everything held was handled.
    Synced {
        /// How many messages.
        pub replayed: u64,
    }
    /// A range of the log.
    Range {
        /// First.
        pub from: u64,
        /// Last.
        pub to: u64,
    }
    /// Why a subscription ended.
    Ended {
        /// What ended it.
        pub reason: EndReason,
        /// The kind of error, if it `failed`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub error: Option<Kind>,
    }
    /// Sign of life.
    Beat {
        /// Newest event in the log.
        pub seq: u64,
    }
}

impl EventBody {
    /// Whether it carries a message that this account wrote.
    #[must_use]
    pub const fn is_outgoing(&self) -> bool {
        matches!(
            self,
            Self::MessageNew(Message { outgoing: true, .. }) | Self::MessageEdited(Message { outgoing: true, .. })
        )
    }
}

impl Event {
    /// A durable event; the log numbers it when it is stored.
    #[must_use]
    pub fn durable(seq: u64, time_ms: u64, chat: Option<ChatId>, body: &EventBody) -> Self {
        Self { seq: Some(seq), ..Self::volatile(time_ms, chat, body) }
    }

    /// An event that is sent to whoever listens now, and forgotten.
    #[must_use]
    pub fn volatile(time_ms: u64, chat: Option<ChatId>, body: &EventBody) -> Self {
        let kind = body.type_name().to_owned();
        Self { seq: None, time_ms, kind, chat, replayed: false, data: body.to_data() }
    }

    /// What it carries; `None` for a type this version does not know.
    #[must_use]
    pub fn body(&self) -> Option<EventBody> {
        let tagged = serde_json::json!({ "type": self.kind, "data": self.data });
        serde_json::from_value(tagged).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_back_as_stored() {
        let body = EventBody::SyncDone(Synced { replayed: 3 });
        let event = Event::durable(7, 1_000, None, &body);
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(json, r#"{"seq":7,"time_ms":1000,"type":"sync.done","replayed":false,"data":{"replayed":3}}"#);
        let read: Event = serde_json::from_str(&json).unwrap();
        assert_eq!(read.body(), Some(body));
    }

    #[test]
    fn types_and_keys_of_tomorrow_are_survived() {
        let json = r#"{"seq":7,"time_ms":1,"type":"of.tomorrow","data":[1],"more":true}"#;
        assert_eq!(serde_json::from_str::<Event>(json).unwrap().body(), None);
    }
}
