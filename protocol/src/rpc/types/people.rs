//! Others: who is there.

use super::profiles::Profile;
use crate::ids::{Fingerprint, Username};
use crate::rpc::define::{method, methods, object};

methods! {
    PeopleMethods { PresenceList UserLookup }
}

method! {
    /// Who is online now. Needs the server.
    PresenceList("presence.list", Parallel, [Contacts], every) -> PresenceAnswer {}
    errors []
    needs network
    example {} => {"users": [{"user": "alice", "me": true}, {"user": "bob", "me": false}]}
}
object! {
    /// Answers [`PresenceList`].
    PresenceAnswer {
        /// Those online and visible, the own account included, in order of their names.
        pub users: Vec<PresentUser>,
    }
}
object! {
    /// Somebody who is online.
    PresentUser {
        /// Name.
        pub user: Username,
        /// Whether it is the own account.
        pub me: bool,
    }
}

method! {
    /// Which of these names exist. Needs the server.
    UserLookup("user.lookup", Parallel, [Contacts], every) -> LookupAnswer {
        /// At most 100 names.
        pub users: Vec<Username>,
    }
    errors []
    needs network
    example {"users": ["bob"]} => {
        "users": [
            {
                "user": "bob", "exists": true, "online": true,
                "fingerprint": "81b637d8fcd2c6da6359e6963113a1170de795e4b725b84d1e0b4cfd9ec58ce9"
            }
        ]
    }
}
object! {
    /// Answers [`UserLookup`], in the order asked.
    LookupAnswer {
        /// One for each name.
        pub users: Vec<UserInfo>,
    }
}
object! {
    /// What is known of a name.
    UserInfo {
        /// Name.
        pub user: Username,
        /// Whether there is such an account.
        pub exists: bool,
        /// Whether it is online and visible.
        pub online: bool,
        /// The identity this daemon has pinned for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fingerprint: Option<Fingerprint>,
        /// What it told this account of itself: a claim.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub profile: Option<Profile>,
    }
}
