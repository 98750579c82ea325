//! A device, as what it writes names it.

use minicbor::{CborLen, Decode, Encode};

use super::account_log::AccountLog;
use crate::ids::{DeviceId, Fingerprint, Head, Username};

/// One device of an account, whose log stands at `head` for whoever wrote this down: an end of an INIT, the author of an
/// op or of a wish.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Party {
    /// Account.
    #[n(0)]
    pub user: Username,
    /// Device.
    #[n(1)]
    pub device: DeviceId,
    /// The account's fingerprint.
    #[n(2)]
    pub fingerprint: Fingerprint,
    /// The account's head, as known to the writer.
    #[n(3)]
    pub head: Head,
}

impl Party {
    /// A device of an account whose log is known up to its head.
    #[must_use]
    pub fn new(log: &AccountLog, device: DeviceId) -> Self {
        Self { user: log.user().clone(), device, fingerprint: log.fingerprint(), head: log.head() }
    }
}
