//! What accounts say of themselves.

use crate::ids::Username;
use crate::rpc::define::{method, methods, object};

methods! {
    ProfileMethods { ProfileGet ProfileSet }
}

method! {
    /// What an account says of itself. Of others it is known once they wrote to this account.
    ProfileGet("profile.get", Parallel, [Contacts], maybe_user(user)) -> Profile {
        /// Whose; the own one when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub user: Option<Username>,
    }
    errors [NotFound]
    example {} => {"display_name": "Alice", "about": "at the sea", "bot": false}
}
object! {
    /// What an account says of itself. It proves nothing: never show the name in the place of the user name.
    Profile {
        /// What it would like to be called.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub display_name: Option<String>,
        /// A line about itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub about: Option<String>,
        /// Whether a program writes there.
        pub bot: bool,
    }
}
method! {
    /// Changes what this account says of itself. What is absent stays; an empty text is taken away.
    ///
    /// It goes, end-to-end encrypted, to those this account has written to, and to others with the first message.
    ProfileSet("profile.set", Serial, [Account]) -> Profile {
        /// At most 80 bytes, no control or invisible characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub display_name: Option<String>,
        /// At most 500 bytes, no control or invisible characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub about: Option<String>,
        /// Whether a program writes here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub bot: Option<bool>,
    }
    errors []
    example {"display_name": "Alice", "about": "at the sea"} => {
        "display_name": "Alice", "about": "at the sea", "bot": false
    }
}
