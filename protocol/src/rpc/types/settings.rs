//! Settings of the account.

use super::identity::TrustPolicy;
use crate::rpc::define::{method, methods, object, word};

methods! {
    SettingsMethods { SettingsGet SettingsSet }
}

word! {
    /// Whose private messages are shown as they come. The daemon's rows have the numbers.
    #[derive(Default, minicbor::Encode, minicbor::Decode)]
    #[cbor(index_only)]
    MessagesFrom {
        /// Everybody's but those of blocked users.
        #[default]
        #[n(0)]
        Anyone,
        /// Those of users this account has written to, noted something about, compared, or whose request it accepted.
        /// What others write waits as a request.
        #[n(1)]
        ContactsOnly,
    }
}
method! {
    /// The account's settings.
    SettingsGet("account.settings.get", Parallel, [Account]) -> Settings {}
    errors []
    example {} => {
        "read_receipts": true, "presence": true, "history_days": 0, "event_days": 30, "max_events": 1000000,
        "trust_policy": "tofu", "outbox_days": 30, "history_mib": 4096, "max_event_mib": 256,
        "messages_from": "anyone"
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
        /// About how many MiB the history may take: beyond it those the user does not know lose their oldest
        /// messages, then the chat that takes most. 0 keeps them.
        pub history_mib: u32,
        /// About how many MiB of events are kept, acknowledged or not.
        pub max_event_mib: u32,
        /// Whose messages are shown as they come.
        pub messages_from: MessagesFrom,
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
        /// 0 to 1,048,576.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub history_mib: Option<u32>,
        /// 1 to 1,048,576.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_event_mib: Option<u32>,
        /// `anyone` lets go of what was kept back, but for what was declined.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub messages_from: Option<MessagesFrom>,
    }
    errors []
    example {"history_days": 90} => {
        "read_receipts": true, "presence": true, "history_days": 90, "event_days": 30, "max_events": 1000000,
        "trust_policy": "tofu", "outbox_days": 30, "history_mib": 4096, "max_event_mib": 256,
        "messages_from": "anyone"
    }
}
