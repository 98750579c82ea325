//! Tokens: what a program may do that is not the account's owner, and what it did.

use super::{Done, method, object, word};
use crate::rpc::Secret;
use crate::rpc::target::{ChatId, Target};

word! {
    /// What a token allows.
    #[derive(PartialOrd, Ord)]
    Scope {
        /// Subscribing to events.
        #[serde(rename = "read:events")]
        ReadEvents,
        /// Reading chats and messages.
        #[serde(rename = "read:history")]
        ReadHistory,
        /// Sending, editing and deleting messages.
        Send,
        /// Reacting to messages.
        React,
        /// Working on groups.
        Groups,
        /// Contacts, profiles and who is online.
        Contacts,
        /// Trust in identities.
        Identity,
        /// Files.
        Files,
        /// The account itself: login, password, settings.
        Account,
        /// The daemon.
        Admin,
        /// Tokens and the audit log.
        Tokens,
    }
}
method! {
    /// Makes a token. Its secret is shown once, here.
    TokenCreate("token.create", InTurn) -> NewToken {
        /// For people: 1 to 64 letters, digits, `-`, `_` and `.`; one token of a name.
        pub name: String,
        /// What it allows.
        pub scopes: Vec<Scope>,
        /// Only these chats may be read; all when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chats: Option<Vec<Target>>,
        /// Only to these may be sent; to all when absent, to nobody when empty.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub allow_to: Option<Vec<Target>>,
        /// At most so many messages a minute; as many as the account when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub rate: Option<u32>,
        /// It ends then; never when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expires_ms: Option<u64>,
    }
}
object! {
    /// Answers [`TokenCreate`].
    NewToken {
        /// What was made.
        pub info: TokenInfo,
        /// The secret: `Authorization: Bearer …`, or `token` of `hello`.
        pub token: Secret,
    }
}
object! {
    /// A token, without its secret.
    TokenInfo {
        /// Its id.
        pub id: String,
        /// Its name.
        pub name: String,
        /// What it allows.
        pub scopes: Vec<Scope>,
        /// Only these chats may be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chats: Option<Vec<ChatId>>,
        /// Only to these may be sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub allow_to: Option<Vec<ChatId>>,
        /// At most so many messages a minute.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub rate: Option<u32>,
        /// When it was made.
        pub created_ms: u64,
        /// When it ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expires_ms: Option<u64>,
        /// When it was last used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub used_ms: Option<u64>,
    }
}
method! {
    /// Every token that was not revoked.
    TokenList("token.list", Free) -> TokenPage {}
}
object! {
    /// Answers [`TokenList`].
    TokenPage {
        /// In order of their names.
        pub tokens: Vec<TokenInfo>,
    }
}
method! {
    /// Ends a token now, its connections included.
    TokenRevoke("token.revoke", InTurn) -> Done {
        /// Name or id.
        pub token: String,
    }
}
method! {
    /// What was done with tokens, newest first.
    AuditList("audit.list", Free) -> AuditPage {
        /// Only this token, by name or id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub token: Option<String>,
        /// At most so many; 100 when absent, 500 at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
        /// Only entries before this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub before: Option<u64>,
    }
}
object! {
    /// Answers [`AuditList`].
    AuditPage {
        /// Entries, newest first.
        pub entries: Vec<AuditEntry>,
        /// Whether there are more.
        pub more: bool,
    }
}
object! {
    /// A call that was made, or refused. Texts and secrets are not in it.
    AuditEntry {
        /// Place in the log.
        pub seq: u64,
        /// When.
        pub time_ms: u64,
        /// Which token: its id; absent for an unknown one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub token: Option<String>,
        /// Its name then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// The method called.
        pub method: String,
        /// The chat it was about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chat: Option<ChatId>,
        /// `ok`, or the kind of error.
        pub outcome: String,
    }
}
