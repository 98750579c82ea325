//! Why something did not become of a message what was meant to: the words of answers and events.

use minicbor::decode::{Decoder, Error};
use minicbor::encode::{self, Encoder, Write};

use crate::rpc::define::reason;
use crate::rpc::errors::Kind;

reason! {
    /// Why a message, or an edit, deletion or reaction of one, was not sent. The daemon's rows have the names.
    FailReason {
        /// It waited longer than `outbox_days`, or the life of the message was over.
        Expired = "expired",
        /// The server knows no such user.
        NotFound = "not_found",
        /// The server takes nothing that large.
        TooLarge = "too_large",
        /// The server refused it.
        ServerRejected = "server_rejected",
        /// The user was blocked here before it left.
        Blocked = "blocked",
        /// The peer's identity is another one: it was decided for that, or nothing was decided when its time came.
        IdentityChanged = "identity_changed",
        /// No device of the peer was compared when its time came, and the policy wants that.
        IdentityUnverified = "identity_unverified",
        /// Too many messages waited when its time came.
        QuotaExceeded = "quota_exceeded",
    }
}

reason! {
    /// Why a message that came is kept back.
    HeldReason {
        /// Its device was revoked.
        DeviceRevoked = "device_revoked",
        /// Its author's identity is not the one known, and nothing was decided.
        IdentityChanged = "identity_changed",
        /// Its author's identity is one that the user decided against: it is not kept.
        IdentityRefused = "identity_refused",
    }
}

reason! {
    /// Why a message that came does not open.
    UndecryptableReason {
        /// Its keys do not fit, or its session is gone.
        DoesNotOpen = "does not open",
        /// It is said to come from this device.
        OwnMessage = "own message",
        /// Its session was begun with another device.
        OtherDevice = "session of another device",
        /// Nobody said within 30 days that its author has such a device.
        UnknownDevice = "of no known device",
        /// Its device has another identity than it claims.
        OtherIdentity = "of another identity",
        /// The one-time key that its session was begun with is not kept here any more: it is asked for again.
        OneTimeKeyGone = "its one-time key is gone",
        /// So much of its author waits to be opened that it found no room: it is asked for again.
        TooMuchWaits = "too much waits",
        /// This daemon failed at it; its log says how.
        CouldNotBeHandled = "could not be handled",
    }
}

reason! {
    /// Why a message is gone.
    DeletedReason {
        /// Its author deleted it.
        Author = "author",
        /// The user deleted it here.
        Here = "here",
        /// Its life was over, or the history keeps nothing that old.
        Expired = "expired",
    }
}

reason! {
    /// Why a subscription ended that its reader did not end.
    EndReason {
        /// Its consumer subscribed again, elsewhere.
        Replaced = "replaced",
        /// Its consumer was forgotten.
        Forgotten = "forgotten",
        /// The daemon could not read its log.
        Failed = "failed",
    }
}

impl FailReason {
    /// The kind of error that says the same; [`Kind::ServerRejected`] if there is none.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::TooLarge => Kind::TooLarge,
            Self::Blocked => Kind::Blocked,
            Self::IdentityChanged => Kind::IdentityChanged,
            Self::IdentityUnverified => Kind::IdentityUnverified,
            Self::QuotaExceeded => Kind::QuotaExceeded,
            Self::Expired | Self::ServerRejected | Self::Other => Kind::ServerRejected,
        }
    }
}

/// What a new message would be refused with.
impl From<Kind> for FailReason {
    fn from(kind: Kind) -> Self {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == kind.as_str()).unwrap_or(Self::Other)
    }
}

impl<C> minicbor::Encode<C> for FailReason {
    fn encode<W: Write>(&self, to: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        to.str(self.as_str())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for FailReason {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        Ok(Self::from_wire(from.str()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_its_name_in_json_and_in_rows() {
        for reason in FailReason::ALL {
            assert_eq!(serde_json::to_string(reason).unwrap(), format!("\"{reason}\""));
            assert_eq!(minicbor::to_vec(reason).unwrap(), minicbor::to_vec(reason.as_str()).unwrap());
            assert_eq!(minicbor::decode::<FailReason>(&minicbor::to_vec(reason).unwrap()).unwrap(), *reason);
        }
        for reason in UndecryptableReason::ALL {
            assert_eq!(serde_json::to_string(reason).unwrap(), format!("\"{reason}\""));
        }
    }

    #[test]
    fn a_kind_of_error_becomes_the_reason_of_its_name() {
        assert_eq!(FailReason::from(Kind::Blocked), FailReason::Blocked);
        assert_eq!(FailReason::from(Kind::Parse), FailReason::Other);
        for reason in FailReason::ALL.iter().filter(|reason| reason.kind() != Kind::ServerRejected) {
            assert_eq!(FailReason::from(reason.kind()), *reason);
        }
    }

    #[test]
    fn reasons_of_tomorrow_are_survived() {
        assert_eq!(serde_json::from_str::<HeldReason>(r#""of_tomorrow""#).unwrap(), HeldReason::Other);
        assert_eq!(FailReason::from_wire("of_tomorrow"), FailReason::Other);
    }
}
