//! What is known about other accounts, as it is kept: whoever may change it is above.

use chat_protocol::identity::account_log::{AccountLog, Fork, Relation};
use chat_protocol::ids::{DeviceId, Fingerprint, Username};
use chat_protocol::rpc::types::TrustPolicy;

use crate::rows::PINS;
pub use crate::rows::peers::{Identity, Peer, Trust};
use crate::store::{Rows, RowsError};

impl Peer {
    /// Somebody seen for the first time.
    pub(crate) const fn new(user: Username, pinned: Identity, trust: Trust) -> Self {
        Self {
            user,
            pinned,
            trust,
            rival: None,
            former: Vec::new(),
            withheld_since: None,
            others: Vec::new(),
            known_to: None,
            withheld: None,
            withheld_told: None,
        }
    }

    /// Whether a device came into the log since the user last accepted or compared it.
    #[must_use]
    pub fn is_new(&self, device: &DeviceId) -> bool {
        let added = self.pinned.log.device(device).map(|device| device.added);
        added.zip(self.known_to).is_some_and(|(added, known_to)| added > known_to)
    }

    /// Whether the pinned log has ended a device.
    #[must_use]
    pub fn has_revoked(&self, device: &DeviceId) -> bool {
        self.pinned.log.device(device).is_some_and(|device| device.revoked.is_some())
    }

    /// Where another log parts from the pinned one, if it is a version of it.
    #[must_use]
    pub fn fork(&self, log: &AccountLog) -> Option<Fork> {
        match self.pinned.log.relation(log) {
            Relation::Forked(fork) => Some(*fork),
            _ => None,
        }
    }

    /// Whether an identity was shown before, and the user decided for another one. Versions of one log have the same
    /// fingerprint: there it is the device that counts.
    #[must_use]
    pub fn refused(&self, fingerprint: &Fingerprint) -> bool {
        let mut others = self.others.iter().chain(&self.former);
        let decided = self.rival.is_none() && *fingerprint != self.pinned.log.fingerprint();
        decided && others.any(|other| other.log.fingerprint() == *fingerprint)
    }
}

/// What is known about `user`.
///
/// # Errors
/// [`RowsError`].
pub fn get(rows: &dyn Rows, user: &Username) -> Result<Option<Peer>, RowsError> {
    PINS.get(rows, user)
}

/// Everybody with a pinned identity, oldest acquaintance first.
///
/// # Errors
/// [`RowsError`].
pub fn all(rows: &dyn Rows) -> Result<Vec<Peer>, RowsError> {
    PINS.all(rows)
}

/// Whether a device of a peer gets nothing.
#[must_use]
pub fn leaves_out(policy: TrustPolicy, peer: &Peer, device: &DeviceId) -> bool {
    policy == TrustPolicy::Strict && peer.is_new(device)
}

/// Whether none of a peer's devices gets anything.
#[must_use]
pub fn leaves_all_out(policy: TrustPolicy, peer: &Peer) -> bool {
    let mut devices = peer.pinned.log.active_devices().map(|cert| cert.id()).peekable();
    devices.peek().is_some() && devices.all(|device| leaves_out(policy, peer, &device))
}
