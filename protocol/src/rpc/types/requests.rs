//! What those ask for whom the user does not know.

use super::done::Done;
use crate::ids::Username;
use crate::rpc::define::{method, methods, object, reason};

methods! {
    RequestMethods { RequestList RequestAccept RequestDecline }
}

reason! {
    /// What a request asks for.
    RequestKind {
        /// To be heard: private messages wait.
        Messages = "messages",
    }
}

object! {
    /// Something a user who is not known here asks for. By this device they are told nothing, neither that it came nor what
    /// becomes of it, until they are heard. It waits at most 30 days.
    Request {
        /// Who asks.
        pub user: Username,
        /// For what.
        pub kind: RequestKind,
        /// When the first of it came.
        pub since_ms: u64,
        /// How many messages wait.
        pub messages: u64,
        /// How the first one begins, if it has a text that is to stay: at most 280 bytes. Absent in events.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub text: Option<String>,
    }
}
method! {
    /// Requests that nobody decided about, as many as fit a line. There are some only while `messages_from` is
    /// `contacts_only`.
    RequestList("request.list", Parallel, [ReadHistory], every) -> Requests {
        /// Those of users whose names come behind this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<Username>,
    }
    errors []
    example {} => {"requests": [], "more": false}
}
object! {
    /// Answers [`RequestList`].
    Requests {
        /// In order of the names.
        pub requests: Vec<Request>,
        /// Whether there are more behind them.
        pub more: bool,
    }
}
method! {
    /// Hears a user from now on: what waits of theirs is shown and acknowledged, and they count as a contact.
    ///
    /// Those who were declined may be accepted too. Whoever has not written yet is made known by `contact.set`.
    RequestAccept("request.accept", Serial, [Contacts], user(user)) -> Done {
        /// Who.
        pub user: Username,
    }
    errors [NotFound, Blocked]
    example {"user": "bob"} => {}
}
method! {
    /// Drops what waits of a user, and what they write from now on, until they become known or are accepted. Of a user who was
    /// accepted, takes that back: what they write next waits as a request.
    RequestDecline("request.decline", Serial, [Contacts], user(user)) -> Done {
        /// Who.
        pub user: Username,
    }
    errors [NotFound]
    example {"user": "dave"} => {}
}
