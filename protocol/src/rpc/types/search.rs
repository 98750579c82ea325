//! Searching what was said.

use super::messages::Message;
use crate::ids::Username;
use crate::rpc::define::{method, methods, object};
use crate::rpc::target::Target;

methods! {
    SearchMethods { MsgSearch }
}

method! {
    /// Messages that contain all words of a query, newest first.
    MsgSearch("msg.search", Parallel, [ReadHistory], maybe_to(to)) -> SearchPage {
        /// Words, at most 4 KiB, with or without their accents; a word ending in `*` matches what begins with it. In
        /// scripts that write no spaces whatever stands together is found.
        pub query: String,
        /// Only in this chat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub to: Option<Target>,
        /// Only by this author.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub from: Option<Username>,
        /// Only those stored at this time or later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub since_ms: Option<u64>,
        /// Only those stored before this time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub until_ms: Option<u64>,
        /// At most so many; 50 when absent, 500 at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
        /// `cursor` of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cursor: Option<String>,
    }
    errors []
    example {"query": "hi", "to": "@bob"} => {
        "messages": [
            {
                "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "chat": "@bob", "from": "alice", "outgoing": true,
                "text": "hi", "sent_ms": 1700000000000, "stored_ms": 1700000000000, "state": "delivered"
            }
        ]
    }
}
object! {
    /// Answers [`MsgSearch`].
    SearchPage {
        /// What was found, newest first.
        pub messages: Vec<Message>,
        /// Asks for the next page; absent on the last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cursor: Option<String>,
        /// Whether only the newest messages were searched, 64 MiB of them, because there are more; absent if all were.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pub partial: bool,
    }
}
