//! What every message is judged by of the account log that is pinned for its author, beside the log: so a message costs
//! what any costs, however long that is.
//!
//! Derived from the pins alone, and stored wherever one is. A log is read only where it is compared with another, goes
//! on, or is told; a certificate where a session begins.

use std::collections::BTreeMap;

use chat_protocol::ids::{DeviceId, Fingerprint, Head, Username};
use chat_protocol::rpc::types::TrustPolicy;

use crate::records::pins::Peer;
use crate::rows::peers::ActiveDevice;
pub use crate::rows::peers::DeviceTable;
use crate::rows::{DEVICE_TABLES, LOG_HEADS, PINS, REVOKED_DEVICES};
use crate::store::{Rows, RowsError};

impl DeviceTable {
    /// What a pin says.
    #[must_use]
    pub fn of(peer: &Peer) -> Self {
        let log = &peer.pinned.log;
        let mut refused: Vec<_> =
            peer.others.iter().chain(&peer.former).map(|identity| identity.log.fingerprint()).collect();
        refused.sort_unstable();
        refused.dedup();
        refused.retain(|fingerprint| *fingerprint != log.fingerprint());
        let active = log.devices().iter().filter(|device| device.revoked.is_none());
        Self {
            user: peer.user.clone(),
            fingerprint: log.fingerprint(),
            head: log.head(),
            trust: peer.trust,
            changed: peer.rival.is_some(),
            refused,
            known_to: peer.known_to,
            active: active.map(|device| ActiveDevice { id: device.cert.id(), added: device.added }).collect(),
        }
    }

    /// The active devices.
    pub fn devices(&self) -> impl Iterator<Item = DeviceId> {
        self.active.iter().map(|device| device.id)
    }

    /// Whether a device is active.
    #[must_use]
    pub fn has(&self, device: &DeviceId) -> bool {
        self.active.iter().any(|active| active.id == *device)
    }

    /// Whether the log has ended a device.
    pub(crate) fn has_revoked(&self, rows: &dyn Rows, device: &DeviceId) -> Result<bool, RowsError> {
        REVOKED_DEVICES.of(&self.user).has(rows, device)
    }

    /// Whether an active device came into the log since the user last accepted or compared it.
    #[must_use]
    pub fn is_new(&self, device: &DeviceId) -> bool {
        let added = self.active.iter().find(|active| active.id == *device).map(|active| active.added);
        added.zip(self.known_to).is_some_and(|(added, known_to)| added > known_to)
    }

    /// Whether a head lies on the log.
    pub(crate) fn contains(&self, rows: &dyn Rows, head: Head) -> Result<bool, RowsError> {
        if head.seq >= self.head.seq {
            return Ok(head == self.head);
        }
        Ok(LOG_HEADS.of(&self.user).get(rows, &head.seq)? == Some(head.hash))
    }

    /// Whether an identity was shown before, and the user decided for another one. Versions of one log have the same
    /// fingerprint: there it is the device that counts.
    pub(crate) fn refuses(&self, fingerprint: &Fingerprint) -> bool {
        !self.changed && self.refused.contains(fingerprint)
    }
}

/// Whether a device of a peer gets nothing.
#[must_use]
pub fn leaves_out(policy: TrustPolicy, peer: &DeviceTable, device: &DeviceId) -> bool {
    policy == TrustPolicy::Strict && peer.is_new(device)
}

/// Whether none of a peer's devices gets anything.
#[must_use]
pub fn leaves_all_out(policy: TrustPolicy, peer: &DeviceTable) -> bool {
    !peer.active.is_empty() && peer.devices().all(|device| leaves_out(policy, peer, &device))
}

/// The table of a user whose log is pinned.
///
/// # Errors
/// [`RowsError`].
pub fn get(rows: &dyn Rows, user: &Username) -> Result<Option<DeviceTable>, RowsError> {
    match DEVICE_TABLES.get(rows, user)? {
        Some(table) => Ok(Some(table)),
        // pinned by a version that had no tables, and not looked at yet by an engine
        None => Ok(PINS.get(rows, user)?.as_ref().map(DeviceTable::of)),
    }
}

/// A pin was stored: what is derived from it follows.
pub(crate) fn store(rows: &mut dyn Rows, peer: &Peer) -> Result<(), RowsError> {
    let (log, table) = (&peer.pinned.log, DeviceTable::of(peer));
    let before = DEVICE_TABLES.get(rows, &peer.user)?.map(|before| before.head);
    let from = match before.filter(|before| log.contains(*before)) {
        Some(before) => before.seq.saturating_add(1),
        None => {
            forget(rows, &peer.user)?;
            0
        }
    };
    for head in (from..=log.head().seq).filter_map(|seq| log.head_at(seq)) {
        LOG_HEADS.of(&peer.user).put(rows, &head.seq, head.seq, &head.hash)?;
    }
    for device in log.devices() {
        if let Some(seq) = device.revoked.filter(|seq| *seq >= from) {
            REVOKED_DEVICES.of(&peer.user).put(rows, &device.cert.id(), seq, &())?;
        }
    }
    DEVICE_TABLES.put(rows, &peer.user, 0, &table)
}

/// A pin is gone, or another log took its place.
pub(crate) fn forget(rows: &mut dyn Rows, user: &Username) -> Result<(), RowsError> {
    LOG_HEADS.of(user).clear(rows)?;
    REVOKED_DEVICES.of(user).clear(rows)?;
    DEVICE_TABLES.delete(rows, user).map(drop)
}

/// Derives what is missing or of another pin: a version that had no tables stored that, before this one or in between.
pub(crate) fn derive_missing(rows: &mut dyn Rows) -> Result<(), RowsError> {
    let tables = DEVICE_TABLES.all(rows)?.into_iter().map(|table| (table.user.clone(), table));
    let mut tables: BTreeMap<_, _> = tables.collect();
    for peer in PINS.all(rows)? {
        if tables.remove(&peer.user).is_none_or(|table| table != DeviceTable::of(&peer)) {
            store(rows, &peer)?;
        }
    }
    tables.keys().try_for_each(|user| forget(rows, user))
}

#[cfg(test)]
mod tests {
    use chat_protocol::identity::account_log::Author;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::harness::Harness;
    use crate::peers;

    #[test]
    fn what_an_older_program_pinned_meanwhile_is_derived_at_the_next_start() {
        let mut alice = Harness::new();
        let me = alice.me().clone();
        let mut peer = alice.step(peers::own);
        // it knows nothing of tables: one log goes on, another is gone
        let author = Author { key: &me.keys.signing, cert: &me.cert, at: crate::harness::BEGIN };
        let mut rng = StdRng::seed_from_u64(1);
        let entry = peer.pinned.log.revoke_devices(author, vec![me.device], &mut rng).unwrap();
        peer.pinned.log.extend(&[entry]).unwrap();
        PINS.put(&mut alice.rows, &peer.user, 0, &peer).unwrap();
        let gone = DeviceTable { user: crate::harness::bob(), ..DeviceTable::of(&peer) };
        DEVICE_TABLES.put(&mut alice.rows, &gone.user, 0, &gone).unwrap();
        alice.restarts();
        assert_eq!(DEVICE_TABLES.all(&alice.rows).unwrap(), [DeviceTable::of(&peer)]);
        assert!(REVOKED_DEVICES.of(&peer.user).has(&alice.rows, &me.device).unwrap());
        assert_eq!(LOG_HEADS.of(&peer.user).count(&alice.rows).unwrap(), 2);
    }
}
