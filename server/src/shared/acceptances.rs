//! What devices that wait for approval have signed, in memory: see [`crate::session`] for when it comes and goes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chat_protocol::ids::DeviceId;
use chat_protocol::message::Blob;
use chat_protocol::time::Timestamp;

/// Acceptances of devices that wait.
#[derive(Debug, Default)]
pub(crate) struct Acceptances(Mutex<HashMap<DeviceId, (Timestamp, Blob)>>);

impl Acceptances {
    /// Keeps what a device that proved itself has signed, and says whether that is news. What is older than a
    /// device may wait goes.
    pub(crate) fn keep(&self, device: DeviceId, acceptance: Blob, now: Timestamp, wait: Duration) -> bool {
        let mut kept = self.lock();
        kept.retain(|_, (at, _)| now.since(*at) < wait);
        match kept.insert(device, (now, acceptance.clone())) {
            Some((_, before)) => before != acceptance,
            None => true,
        }
    }

    /// What a device has signed.
    pub(crate) fn of(&self, device: &DeviceId) -> Option<Blob> {
        self.lock().get(device).map(|(_, acceptance)| acceptance.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, (Timestamp, Blob)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
