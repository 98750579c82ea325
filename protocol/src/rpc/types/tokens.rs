//! Tokens: rights for programs that are not the owner, and what they were used for.

use super::done::Done;
use crate::rpc::access::Scope;
use crate::rpc::define::{method, methods, object};
use crate::rpc::name::Name;
use crate::rpc::secret::Secret;
use crate::rpc::target::{ChatId, Target};

methods! {
    TokenMethods { TokenList AuditList }
    socket { TokenCreate TokenRevoke }
}

method! {
    /// Makes a token for a program. Its text is in this answer and nowhere else; the daemon keeps only a hash.
    ///
    /// Only the owner makes tokens: a call with a token cannot. A token's own consumers and namespaces of values are
    /// those named like it, or beginning with its name and a dot.
    TokenCreate("token.create", Serial, [Owner]) -> TokenMade {
        /// What it is called; without dots. A token of this name must not be there.
        pub name: Name,
        /// What it opens.
        pub scopes: Vec<Scope>,
        /// Only these chats; all when absent, none when empty.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chats: Option<Vec<Target>>,
        /// Whom it may write to; everybody when absent, nobody when empty.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub allow_to: Option<Vec<Target>>,
        /// At most so many calls a minute that write to others; no limit when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub rate: Option<u32>,
        /// When it ends; never when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expires_ms: Option<u64>,
    }
    errors [AlreadyExists]
    example {"name": "deploy", "scopes": ["send"], "allow_to": ["@bob"]} => {
        "token": "chatd_EXAMPLE",
        "info": {"name": "deploy", "scopes": ["send"], "allow_to": ["@bob"], "created_ms": 1700000000000}
    }
}
object! {
    /// Answers [`TokenCreate`].
    TokenMade {
        /// The text that programs present.
        pub token: Secret,
        /// What was made.
        pub info: Token,
    }
}
object! {
    /// A token, without its text.
    Token {
        /// What it is called.
        pub name: Name,
        /// What it opens.
        pub scopes: Vec<Scope>,
        /// Only these chats, if it is confined to some.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chats: Option<Vec<ChatId>>,
        /// Whom it may write to, if not to everybody.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub allow_to: Option<Vec<ChatId>>,
        /// Calls a minute that write to others, if limited.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub rate: Option<u32>,
        /// When it was made.
        pub created_ms: u64,
        /// When it ends, if it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expires_ms: Option<u64>,
    }
}
method! {
    /// The tokens there are.
    TokenList("token.list", Parallel, [Tokens]) -> Tokens {}
    errors []
    example {} => {
        "tokens": [{"name": "deploy", "scopes": ["send"], "allow_to": ["@bob"], "created_ms": 1700000000000}]
    }
}
object! {
    /// Answers [`TokenList`].
    Tokens {
        /// In order of their names.
        pub tokens: Vec<Token>,
    }
}
method! {
    /// Ends a token at once: its connections are closed.
    TokenRevoke("token.revoke", Serial, [Tokens]) -> Done {
        /// Which.
        pub name: Name,
    }
    errors [NotFound]
    example {"name": "deploy"} => {}
}
method! {
    /// What tokens were used for: calls that change more than values and places of their own, and all that were refused;
    /// the newest first.
    ///
    /// An entry is stored before the call it is about is carried out. The last 10,000 of either kind are kept.
    AuditList("audit.list", Parallel, [Tokens]) -> AuditPage {
        /// Only of this token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub token: Option<Name>,
        /// Those before the entry with this number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub before: Option<u64>,
        /// At most so many; 100 when absent, 500 at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
    }
    errors []
    example {"token": "deploy", "limit": 10} => {
        "entries": [{"seq": 1, "time_ms": 1700000000000, "token": "deploy", "method": "msg.send", "chat": "@bob"}],
        "more": false
    }
}
object! {
    /// Answers [`AuditList`].
    AuditPage {
        /// The newest first.
        pub entries: Vec<AuditEntry>,
        /// Whether there are older ones.
        pub more: bool,
    }
}
object! {
    /// One call of a token.
    AuditEntry {
        /// Its number.
        pub seq: u64,
        /// When it was asked for.
        pub time_ms: u64,
        /// By which token.
        pub token: Name,
        /// What was asked for.
        pub method: String,
        /// About which chat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chat: Option<ChatId>,
        /// Why it was refused: the kind of the error; absent if it was allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub refused: Option<String>,
    }
}
