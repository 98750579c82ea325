//! Which devices a log names: whom to encrypt to and to believe, and who let whom in.

use super::{AccountLog, LogDevice};
use crate::identity::device::DeviceCert;
use crate::ids::DeviceId;

impl AccountLog {
    /// Every device there ever was, in the order they were added.
    #[must_use]
    pub fn devices(&self) -> &[LogDevice] {
        &self.devices
    }

    /// A device, active or revoked.
    #[must_use]
    pub fn device(&self, id: &DeviceId) -> Option<&LogDevice> {
        self.devices.iter().find(|device| device.cert.id() == *id)
    }

    /// The certificate of an active device: the only ones to encrypt to and to believe.
    #[must_use]
    pub fn active(&self, id: &DeviceId) -> Option<&DeviceCert> {
        self.device(id).filter(|device| device.revoked.is_none()).map(|device| &device.cert)
    }

    /// A device that was there once the entry at `seq` was taken, and whether it was active then. Whatever the log has
    /// beyond that entry changes nothing.
    #[must_use]
    pub fn device_at(&self, id: &DeviceId, seq: u64) -> Option<(&DeviceCert, bool)> {
        let device = self.device(id).filter(|device| device.added <= seq)?;
        Some((&device.cert, device.revoked.is_none_or(|revoked| revoked > seq)))
    }

    /// The certificates of all active devices.
    pub fn active_devices(&self) -> impl Iterator<Item = &DeviceCert> {
        self.devices.iter().filter(|device| device.revoked.is_none()).map(|device| &device.cert)
    }

    /// Active devices that `id` added, directly or through others: candidates for being revoked with it.
    #[must_use]
    pub fn added_through(&self, id: &DeviceId) -> Vec<DeviceId> {
        let mut found = vec![*id];
        for device in &self.devices {
            if device.added_by != device.cert.id() && found.contains(&device.added_by) {
                found.push(device.cert.id());
            }
        }
        found.retain(|found| found != id && self.active(found).is_some());
        found
    }
}
