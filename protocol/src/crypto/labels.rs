//! The registry of labels: one for every purpose a hash or a derived key serves.

/// A purpose. Two purposes never share bytes, so nothing made for one is valid for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Label {
    /// Noise pre-shared key from secret.key.
    TransportPsk,
    /// The two record keys of a connection.
    TransportSplit,
    /// The next record key of one direction.
    TransportRekey,
    /// What login signatures are bound to.
    ChannelBinding,
    /// Prefix of every signed object.
    Signature,
    /// Device id from a certificate.
    Device,
    /// Account-log heads.
    Log,
    /// The digits two screens show when a device is approved.
    Approve,
    /// Transcript of an INIT.
    Init,
    /// Root secret of a session.
    Session,
    /// Session id.
    Sid,
    /// Root-chain step of the ratchet.
    RatchetRoot,
    /// Fernet key of one message.
    RatchetFernet,
    /// Associated data of a session.
    AssociatedData,
    /// Heads of a group: one of its ops.
    GroupOp,
    /// A group's state, as its ops name it.
    GroupState,
    /// The secret that appends one op to a group.
    GroupToken,
    /// The secret of a link to a group.
    GroupLink,
    /// What a member, or somebody with a link, asks of a group's admins.
    GroupWish,
    /// What of a message in a group is the same for all readers.
    GroupSaid,
    /// The chain of what a device said in a group.
    GroupSeen,
    /// Passphrase of the PEM files.
    StorePem,
    /// Index key of the daemon's store.
    StoreIndex,
    /// Sealing key of the daemon's store.
    StoreSeal,
    /// Replacement secret for an RSA ciphertext that does not open.
    StoreReject,
}

impl Label {
    /// Every label, for the test that proves them apart.
    pub const ALL: [Self; 25] = [
        Self::TransportPsk,
        Self::TransportSplit,
        Self::TransportRekey,
        Self::ChannelBinding,
        Self::Signature,
        Self::Device,
        Self::Log,
        Self::Approve,
        Self::Init,
        Self::Session,
        Self::Sid,
        Self::RatchetRoot,
        Self::RatchetFernet,
        Self::AssociatedData,
        Self::GroupOp,
        Self::GroupState,
        Self::GroupToken,
        Self::GroupLink,
        Self::GroupWish,
        Self::GroupSaid,
        Self::GroupSeen,
        Self::StorePem,
        Self::StoreIndex,
        Self::StoreSeal,
        Self::StoreReject,
    ];

    /// The ASCII bytes of the label.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::TransportPsk => b"chat/v1/transport/psk",
            Self::TransportSplit => b"chat/v1/transport/split",
            Self::TransportRekey => b"chat/v1/transport/rekey",
            Self::ChannelBinding => b"chat/v1/channel-binding",
            // the short form is the protocol's own; `chat/v1/sig` is no prefix of another label
            Self::Signature => b"chat/v1/sig",
            Self::Device => b"chat/v1/device",
            Self::Log => b"chat/v1/log",
            Self::Approve => b"chat/v1/approve",
            Self::Init => b"chat/v1/init",
            Self::Session => b"chat/v1/session",
            Self::Sid => b"chat/v1/sid",
            Self::RatchetRoot => b"chat/v1/dr/root",
            Self::RatchetFernet => b"chat/v1/dr/fernet",
            Self::AssociatedData => b"chat/v1/ad",
            Self::GroupOp => b"chat/v1/group/op",
            Self::GroupState => b"chat/v1/group/state",
            Self::GroupToken => b"chat/v1/group/token",
            Self::GroupLink => b"chat/v1/group/link",
            Self::GroupWish => b"chat/v1/group/wish",
            Self::GroupSaid => b"chat/v1/group/said",
            Self::GroupSeen => b"chat/v1/group/seen",
            Self::StorePem => b"chat/v1/store/pem",
            Self::StoreIndex => b"chat/v1/store/index",
            Self::StoreSeal => b"chat/v1/store/seal",
            Self::StoreReject => b"chat/v1/store/reject",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_is_a_prefix_of_another() {
        for a in Label::ALL {
            assert!(a.as_bytes().starts_with(b"chat/v1/"));
            for b in Label::ALL {
                assert!(a == b || !b.as_bytes().starts_with(a.as_bytes()), "{a:?} begins {b:?}");
            }
        }
    }
}
