//! What is noted about others and who is blocked; settings; and values that bots keep.

use super::{Done, Profile, TrustPolicy, method, object};
use crate::ids::Username;
use crate::rpc::Name;

method! {
    /// Users something is noted about, as many as fit a line.
    ContactList("contact.list", Parallel, [Contacts], every) -> Contacts {
        /// Those whose names come behind this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<Username>,
    }
    errors []
    example {} => {
        "contacts": [{"user": "bob", "alias": "Bobby", "note": "met in Rome", "blocked": false}], "more": false
    }
}
object! {
    /// Answers [`ContactList`].
    Contacts {
        /// In order of their names.
        pub contacts: Vec<Contact>,
        /// Whether there are more behind them.
        pub more: bool,
    }
}
object! {
    /// What is noted about a user, none of which leaves this account; and what they say of themselves.
    Contact {
        /// Who.
        pub user: Username,
        /// What this account calls them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub alias: Option<String>,
        /// A note.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub note: Option<String>,
        /// Whether their messages are dropped and nothing is sent to them.
        pub blocked: bool,
        /// What they say of themselves: a claim.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub profile: Option<Profile>,
    }
}
method! {
    /// What is noted about one user.
    ContactGet("contact.get", Parallel, [Contacts], user(user)) -> Contact {
        /// Who.
        pub user: Username,
    }
    errors []
    example {"user": "bob"} => {"user": "bob", "alias": "Bobby", "note": "met in Rome", "blocked": false}
}
method! {
    /// Notes something about a user. What is absent stays; an empty text is taken away.
    ContactSet("contact.set", Serial, [Contacts], user(user)) -> Contact {
        /// Who.
        pub user: Username,
        /// What this account calls them: at most 150 bytes, no control characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub alias: Option<String>,
        /// A note: at most 4 KiB.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub note: Option<String>,
    }
    errors []
    example {"user": "bob", "alias": "Bobby", "note": "met in Rome"} => {
        "user": "bob", "alias": "Bobby", "note": "met in Rome", "blocked": false
    }
}
method! {
    /// Drops a user's messages and posts from now on, and sends them nothing.
    ///
    /// They are not told: their messages look delivered to them, and never read.
    ContactBlock("contact.block", Serial, [Contacts], user(user)) -> Contact {
        /// Who.
        pub user: Username,
    }
    errors []
    example {"user": "bob"} => {"user": "bob", "alias": "Bobby", "note": "met in Rome", "blocked": true}
}
method! {
    /// Ends a block.
    ContactUnblock("contact.unblock", Serial, [Contacts], user(user)) -> Contact {
        /// Who.
        pub user: Username,
    }
    errors []
    example {"user": "bob"} => {"user": "bob", "alias": "Bobby", "note": "met in Rome", "blocked": false}
}

method! {
    /// The account's settings.
    SettingsGet("account.settings.get", Parallel, [Account]) -> Settings {}
    errors []
    example {} => {
        "read_receipts": true, "presence": true, "history_days": 0, "event_days": 30, "max_events": 1000000,
        "trust_policy": "tofu", "outbox_days": 30
    }
}
object! {
    /// Answers [`SettingsGet`] and [`SettingsSet`].
    Settings {
        /// Whether authors are told what was read.
        pub read_receipts: bool,
        /// Whether others see that the account is online.
        pub presence: bool,
        /// Messages older than this go from the history; 0 keeps them.
        pub history_days: u32,
        /// Events older than this go from the log once every consumer has acknowledged them.
        pub event_days: u32,
        /// At most so many events are kept, acknowledged or not.
        pub max_events: u64,
        /// What happens when peers get new devices, where no chat says otherwise.
        pub trust_policy: TrustPolicy,
        /// What waited longer than this to be sent fails as `expired`; 0 lets it wait.
        pub outbox_days: u32,
    }
}
method! {
    /// Changes settings. What is absent stays.
    #[derive(Default)]
    SettingsSet("account.settings.set", Serial, [Account]) -> Settings {
        /// Whether authors are told what was read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub read_receipts: Option<bool>,
        /// Whether others see that the account is online.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub presence: Option<bool>,
        /// 0 to 36,500.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub history_days: Option<u32>,
        /// 1 to 36,500.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub event_days: Option<u32>,
        /// 1,000 to 10,000,000.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_events: Option<u64>,
        /// As `identity.policy.set` without a chat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub trust_policy: Option<TrustPolicy>,
        /// 0 to 36,500.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub outbox_days: Option<u32>,
    }
    errors []
    example {"history_days": 90} => {
        "read_receipts": true, "presence": true, "history_days": 90, "event_days": 30, "max_events": 1000000,
        "trust_policy": "tofu", "outbox_days": 30
    }
}

method! {
    /// A value a bot keeps in the daemon.
    KvGet("kv.get", Parallel, [], own(scope)) -> KvEntry {
        /// The bot's own drawer.
        pub scope: Name,
        /// Which: 1 to 200 bytes.
        pub key: String,
    }
    errors [NotFound]
    example {"scope": "mailbot", "key": "last"} => {"key": "last", "value": {"seen": 7}, "version": 1}
}
object! {
    /// A value and its version.
    KvEntry {
        /// Key.
        pub key: String,
        /// Any JSON, at most 48 KiB.
        pub value: serde_json::Value,
        /// Grows by one with each change, from 1.
        pub version: u64,
    }
}
method! {
    /// Keeps a value.
    KvSet("kv.set", Serial, [], own(scope)) -> KvEntry {
        /// The bot's own drawer.
        pub scope: Name,
        /// At most 200 bytes.
        pub key: String,
        /// Any JSON, at most 48 KiB.
        pub value: serde_json::Value,
        /// Only if this is its version (0: there is none yet); otherwise `conflict`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub if_version: Option<u64>,
    }
    errors [Conflict]
    example {"scope": "mailbot", "key": "last", "value": {"seen": 7}} => {
        "key": "last", "value": {"seen": 7}, "version": 1
    }
}
method! {
    /// Forgets a value.
    KvDelete("kv.delete", Serial, [], own(scope)) -> Done {
        /// The bot's own drawer.
        pub scope: Name,
        /// Key.
        pub key: String,
        /// Only if this is its version; otherwise `conflict`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub if_version: Option<u64>,
    }
    errors [NotFound, Conflict]
    example {"scope": "mailbot", "key": "last"} => {}
}
method! {
    /// Everything in a drawer, in order of the keys.
    KvList("kv.list", Parallel, [], own(scope)) -> KvPage {
        /// The bot's own drawer.
        pub scope: Name,
        /// Only keys that begin so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub prefix: Option<String>,
        /// At most so many; 100 when absent, 500 at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
        /// Only keys behind this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<String>,
    }
    errors []
    example {"scope": "mailbot"} => {"entries": [{"key": "last", "value": {"seen": 7}, "version": 1}], "more": false}
}
object! {
    /// Answers [`KvList`].
    KvPage {
        /// Values.
        pub entries: Vec<KvEntry>,
        /// Whether there are more.
        pub more: bool,
    }
}
