//! What is noted about others, and who is blocked.

use super::profiles::Profile;
use crate::ids::Username;
use crate::rpc::define::{method, methods, object};

methods! {
    ContactMethods { ContactList ContactGet ContactSet ContactBlock ContactUnblock }
}

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
        /// Whether their request was accepted.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pub accepted: bool,
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
