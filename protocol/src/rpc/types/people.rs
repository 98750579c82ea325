//! Others: who is there, and who they are.

use super::{Profile, method, object, word};
use crate::ids::{DeviceId, Fingerprint, HeadHash, Username};

method! {
    /// Who is online now. Needs the server.
    PresenceList("presence.list", Free, [Contacts], every) -> PresenceAnswer {}
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
    UserLookup("user.lookup", Free, [Contacts], every) -> LookupAnswer {
        /// At most 100 names.
        pub users: Vec<Username>,
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

object! {
    /// Where an account's log stands.
    LogHead {
        /// Sequence of its last entry.
        pub seq: u64,
        /// Its hash.
        pub hash: HeadHash,
    }
}
impl From<crate::ids::Head> for LogHead {
    fn from(head: crate::ids::Head) -> Self {
        Self { seq: head.seq, hash: head.hash }
    }
}
impl From<&LogHead> for crate::ids::Head {
    fn from(head: &LogHead) -> Self {
        Self { seq: head.seq, hash: head.hash }
    }
}

method! {
    /// The own identity.
    IdentitySelf("identity.self", Free, [Identity]) -> OwnIdentity {}
}
object! {
    /// Answers [`IdentitySelf`].
    OwnIdentity {
        /// Account.
        pub user: Username,
        /// Its identity.
        pub fingerprint: Fingerprint,
        /// Where its log stands.
        pub head: LogHead,
        /// This device.
        pub device_id: DeviceId,
    }
}

method! {
    /// Who a peer is, and who it was.
    IdentityGet("identity.get", Free, [Identity], user(user)) -> PeerIdentity {
        /// Peer.
        pub user: Username,
    }
}
word! {
    /// What we think of an identity.
    IdentityState {
        /// Never seen.
        New,
        /// Taken at first sight.
        Tofu,
        /// Compared by its owner and us.
        Verified,
        /// Not the one we knew; nothing is sent until it is accepted.
        Changed,
        /// Its log ended it.
        Revoked,
    }
}
object! {
    /// Answers [`IdentityGet`] and [`IdentityAccept`].
    PeerIdentity {
        /// Peer.
        pub user: Username,
        /// What we think of it.
        pub state: IdentityState,
        /// Sixty digits both sides see alike when nobody is in the middle.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub safety_number: Option<String>,
        /// Every identity ever seen, newest last.
        pub seen: Vec<SeenIdentity>,
    }
}
object! {
    /// An identity as it was seen.
    SeenIdentity {
        /// Who.
        pub fingerprint: Fingerprint,
        /// Where its log stood.
        pub head: LogHead,
        /// When it was first seen.
        pub first_seen_ms: u64,
        /// What we think of it.
        pub state: IdentityState,
    }
}

method! {
    /// Accepts a changed identity: exactly the one that was shown, or `conflict`.
    IdentityAccept("identity.accept", InTurn, [Identity], user(user)) -> PeerIdentity {
        /// Peer.
        pub user: Username,
        /// The identity that was shown.
        pub fingerprint: Fingerprint,
        /// The head that was shown.
        pub head: LogHead,
    }
}
