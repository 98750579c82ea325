//! Values that bots keep.

use super::done::Done;
use crate::rpc::define::{method, methods, object};
use crate::rpc::name::Name;

methods! {
    KvMethods { KvGet KvSet KvDelete KvList }
}

method! {
    /// A value a bot keeps in the daemon.
    KvGet("kv.get", Parallel, [], own(scope)) -> KvEntry {
        /// The bot's own namespace.
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
        /// The bot's own namespace.
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
        /// The bot's own namespace.
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
    /// Everything in a namespace, in order of the keys.
    KvList("kv.list", Parallel, [], own(scope)) -> KvPage {
        /// The bot's own namespace.
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
