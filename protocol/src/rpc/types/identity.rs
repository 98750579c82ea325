//! Identities: the own one, those of others, and how far they are trusted.

use crate::identity::code::IdentityCode;
use crate::identity::safety_number::SafetyNumber;
use crate::ids::{DeviceId, Fingerprint, HeadHash, Username};
use crate::rpc::define::{method, methods, object, word};
use crate::rpc::errors::RpcError;
use crate::rpc::target::{ChatId, Target};

methods! {
    IdentityMethods {
        IdentitySelf IdentityGet IdentityVerify IdentityUnverify IdentityAccept PolicyGet PolicySet
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
    IdentitySelf("identity.self", Parallel, [Identity]) -> OwnIdentity {}
    errors []
    example {} => {
        "user": "alice", "fingerprint": "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90",
        "head": {"seq": 0, "hash": "f43e2c402c2921460219268d9d1ef5eda766c8ed2b1f95b63282904225e729a4"},
        "device_id": "6f1d9c2b7a4e4d0f8b3c5e7a91d2f604",
        "qr": "chat-id:1:K9gGyX8OAK8aH8Myj6djqSaXI8jbj6xPk69x2xhtbpAAAAAAAAAAAPQ-LEAsKSFGAhkmjZ0e9e2nZsjtKx-VtjKCkEIl5ymkYWxpY2U"
    }
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
        /// All of it as one line, to be shown as a QR code: what `identity.verify` of others takes.
        pub qr: IdentityCode,
    }
}

method! {
    /// Who a peer is, and who it was. The server is asked first whether that changed, if there is a connection; somebody
    /// nothing was known of is pinned by it. `not_found` only if the server said so; if it did not say who they are, why:
    /// `rate_limited`, `offline`.
    IdentityGet("identity.get", Parallel, [Identity], user(user)) -> PeerIdentity {
        /// Peer.
        pub user: Username,
    }
    errors [NotFound, Offline]
    example {"user": "bob"} => {
        "user": "bob", "state": "tofu",
        "safety_number": "305716840293175064829317506482931750648293175064829317506482",
        "seen": [
            {
                "fingerprint": "81b637d8fcd2c6da6359e6963113a1170de795e4b725b84d1e0b4cfd9ec58ce9",
                "head": {"seq": 0, "hash": "5d377b501d0c6ed581b89563466f2554cac5ec0bb11af12c8d7a9331dbb3bfa1"},
                "first_seen_ms": 1700000000000, "state": "tofu",
                "safety_number": "305716840293175064829317506482931750648293175064829317506482"
            }
        ],
        "devices": [
            {
                "device_id": "41e07a9fd3b84c6692f5a0d81b7e3c25", "added_ms": 1700000000000, "unverified": false,
                "left_out": false
            }
        ],
        "policy": "tofu", "refreshed": true
    }
}
word! {
    /// What we think of an identity.
    IdentityState {
        /// Never seen.
        New,
        /// Taken at first sight, or accepted.
        Tofu,
        /// Compared by the user.
        Verified,
        /// Not the one we knew; nothing is sent until it is accepted or verified.
        Changed,
        /// No longer: the user decided for another one, or only a revoked device vouches for it.
        Revoked,
    }
}
word! {
    /// What happens when a peer's account gets a new device. The daemon's rows have the numbers.
    #[derive(Default, minicbor::Encode, minicbor::Decode)]
    #[cbor(index_only)]
    TrustPolicy {
        /// It gets messages like the others; `identity.devices` tells.
        #[default]
        #[n(0)]
        Tofu,
        /// The same, and a notice in the chat.
        #[n(1)]
        Notify,
        /// It gets nothing until the peer is verified again.
        #[n(2)]
        Strict,
    }
}
object! {
    /// Answers [`IdentityGet`] and what changes the trust in a peer.
    PeerIdentity {
        /// Peer.
        pub user: Username,
        /// What we think of it.
        pub state: IdentityState,
        /// Sixty digits both sides see alike when nobody is in the middle. While a change is undecided it is the one of
        /// the identity known before: each identity in `seen` has its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub safety_number: Option<SafetyNumber>,
        /// Every identity ever seen, the one known before those that want to take its place.
        pub seen: Vec<SeenIdentity>,
        /// Devices of the identity that is known.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub devices: Vec<PeerDevice>,
        /// What happens when it gets a new device.
        pub policy: TrustPolicy,
        /// Whether the server was asked just now: only then the safety number is sure to be the peer's present one.
        #[serde(default)]
        pub refreshed: bool,
        /// The peer has said that its log goes on, and the server does not show how.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pub log_withheld: bool,
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
        /// The digits to compare with whoever claims it; only of those that can be decided for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub safety_number: Option<SafetyNumber>,
        /// Where it parts from the log that is known, if it is another version of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fork: Option<LogFork>,
    }
}
object! {
    /// Where two versions of one account's log part.
    LogFork {
        /// First entry that differs.
        pub seq: u64,
        /// The device that signed the other version.
        pub by: DeviceId,
        /// The known version has revoked that device: evidence that it is in wrong hands.
        pub by_revoked: bool,
    }
}
object! {
    /// A device of a peer.
    PeerDevice {
        /// Which.
        pub device_id: DeviceId,
        /// When it says it was added.
        pub added_ms: u64,
        /// It was added since the peer was last accepted or verified.
        pub unverified: bool,
        /// The policy leaves it out: it gets nothing.
        pub left_out: bool,
    }
}

method! {
    /// Notes that a peer's identity was compared: exactly one of the three says with what. `identity_unverified` if it
    /// is not that of the peer, whom the server is asked for first.
    ///
    /// While a change is undecided this decides it, for the identity that fits.
    IdentityVerify("identity.verify", Serial, [Identity], user(user)) -> PeerIdentity {
        /// Peer.
        pub user: Username,
        /// Their fingerprint.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fingerprint: Option<Fingerprint>,
        /// The safety number their side shows; white space does not matter.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub safety_number: Option<SafetyNumber>,
        /// What their QR code says: `qr` of their `identity.self`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub qr: Option<IdentityCode>,
    }
    errors [NotFound, IdentityUnverified, Offline]
    example {"user": "bob", "safety_number": "305716840293175064829317506482931750648293175064829317506482"} => {
        "user": "bob", "state": "verified",
        "safety_number": "305716840293175064829317506482931750648293175064829317506482",
        "seen": [
            {
                "fingerprint": "81b637d8fcd2c6da6359e6963113a1170de795e4b725b84d1e0b4cfd9ec58ce9",
                "head": {"seq": 0, "hash": "5d377b501d0c6ed581b89563466f2554cac5ec0bb11af12c8d7a9331dbb3bfa1"},
                "first_seen_ms": 1700000000000, "state": "verified",
                "safety_number": "305716840293175064829317506482931750648293175064829317506482"
            }
        ],
        "devices": [
            {
                "device_id": "41e07a9fd3b84c6692f5a0d81b7e3c25", "added_ms": 1700000000000, "unverified": false,
                "left_out": false
            }
        ],
        "policy": "tofu", "refreshed": true
    }
}
/// With what an identity was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The fingerprint.
    Fingerprint(Fingerprint),
    /// The safety number.
    SafetyNumber(SafetyNumber),
    /// The QR code.
    Code(IdentityCode),
}
impl IdentityVerify {
    /// With what the identity was compared.
    ///
    /// # Errors
    /// `invalid_params` unless exactly one thing was given.
    pub fn compared(&self) -> Result<Compared, RpcError> {
        match (&self.fingerprint, &self.safety_number, &self.qr) {
            (Some(fingerprint), None, None) => Ok(Compared::Fingerprint(*fingerprint)),
            (None, Some(number), None) => Ok(Compared::SafetyNumber(number.clone())),
            (None, None, Some(code)) => Ok(Compared::Code(code.clone())),
            (None, None, None) => Err(RpcError::invalid("safety_number", "missing; or else fingerprint or qr")),
            _ => Err(RpcError::invalid("safety_number", "name one of safety_number, fingerprint and qr")),
        }
    }
}

method! {
    /// Takes back that a peer's identity was compared.
    IdentityUnverify("identity.unverify", Serial, [Identity], user(user)) -> PeerIdentity {
        /// Peer.
        pub user: Username,
    }
    errors [NotFound]
    example {"user": "bob"} => IdentityGet
}
method! {
    /// Accepts an identity of a peer, also one that was refused before: exactly the one that was shown, or `conflict`.
    IdentityAccept("identity.accept", Serial, [Identity], user(user)) -> PeerIdentity {
        /// Peer.
        pub user: Username,
        /// The identity that was shown.
        pub fingerprint: Fingerprint,
        /// The head that was shown.
        pub head: LogHead,
    }
    errors [NotFound, Conflict]
    example {
        "user": "bob", "fingerprint": "81b637d8fcd2c6da6359e6963113a1170de795e4b725b84d1e0b4cfd9ec58ce9",
        "head": {"seq": 0, "hash": "5d377b501d0c6ed581b89563466f2554cac5ec0bb11af12c8d7a9331dbb3bfa1"}
    } => IdentityGet
}
method! {
    /// What happens when peers get new devices.
    PolicyGet("identity.policy.get", Parallel, [Identity], maybe_to(chat)) -> PolicyAnswer {
        /// In this private chat; by default when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chat: Option<Target>,
    }
    errors []
    example {"chat": "@bob"} => {"chat": "@bob", "policy": "tofu", "default": "tofu"}
}
method! {
    /// Decides what happens when peers get new devices. The default is also `trust_policy` of the settings.
    PolicySet("identity.policy.set", Serial, [Identity], maybe_to(chat)) -> PolicyAnswer {
        /// In this private chat; by default when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chat: Option<Target>,
        /// What happens; when absent the chat goes by the default again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub policy: Option<TrustPolicy>,
    }
    errors [NotFound]
    example {"chat": "@bob", "policy": "strict"} => {"chat": "@bob", "policy": "strict", "default": "tofu"}
}
object! {
    /// Answers [`PolicyGet`] and [`PolicySet`].
    PolicyAnswer {
        /// The chat that was named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chat: Option<ChatId>,
        /// What is in force there.
        pub policy: TrustPolicy,
        /// What is in force where nothing else was decided.
        pub default: TrustPolicy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_compared_with_one_thing() {
        let verify =
            |more: &str| -> IdentityVerify { serde_json::from_str(&format!(r#"{{"user":"bob"{more}}}"#)).unwrap() };
        let fingerprint = format!(r#","fingerprint":"{}""#, "ab".repeat(32));
        let number = format!(r#","safety_number":"{}""#, "12345 ".repeat(12));
        assert!(matches!(verify(&fingerprint).compared(), Ok(Compared::Fingerprint(_))));
        assert!(matches!(verify(&number).compared(), Ok(Compared::SafetyNumber(_))));
        assert_eq!(verify("").compared().unwrap_err().path.as_deref(), Some("safety_number"));
        assert!(verify(&format!("{fingerprint}{number}")).compared().is_err());
    }
}
