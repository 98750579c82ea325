//! The counter file: how far the database had come, noted beside it.
//!
//! It is written after commits and so never ahead. A database that is below it was put back from an older copy, and the
//! engine begins its sessions anew before anything is sealed. A file that is missing, damaged or of another device says
//! nothing; then there is only the server's word.

use std::path::PathBuf;
use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::ids::DeviceId;
use tokio::time::Instant;

use crate::dirs::{self, DataDir};
use crate::engine::sessions::HighWater;

const NAME: &str = "counters";
/// Five numbers and an id fit several times.
const MAX_BYTES: u64 = 256;
/// The file is written at most this often, and at the end.
const PAUSE: Duration = Duration::from_secs(60);

/// The counter file of one device.
pub(super) struct HighWaterFile {
    path: PathBuf,
    device: DeviceId,
    written: Option<Instant>,
}

impl HighWaterFile {
    pub(super) fn new(dir: &DataDir, device: DeviceId) -> Self {
        Self { path: dir.file(NAME), device, written: None }
    }

    /// What was noted last.
    pub(super) fn read(&self) -> Option<HighWater> {
        let bytes = match dirs::read_private(&self.path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) => {
                if !error.is_missing() {
                    tracing::warn!(%error, "the counters beside the database are not used");
                }
                return None;
            }
        };
        let (device, high_water): (DeviceId, HighWater) = cbor::decode(&bytes).ok()?;
        (device == self.device).then_some(high_water)
    }

    pub(super) fn is_due(&self) -> bool {
        self.written.is_none_or(|at| at.elapsed() >= PAUSE)
    }

    /// The next commit is noted, however short a time ago the last one was.
    pub(super) const fn hurry(&mut self) {
        self.written = None;
    }

    /// Notes what is committed.
    pub(super) fn write(&mut self, high_water: &HighWater) {
        self.written = Some(Instant::now());
        if let Err(error) = dirs::write_private(&self.path, &cbor::encode(&(self.device, high_water))) {
            tracing::warn!(%error, "the counters beside the database are not written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_again_by_the_same_device_alone() {
        let outer = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&outer.path().join("data")).unwrap();
        let mut high_water_file = HighWaterFile::new(&dir, DeviceId::new([1; 16]));
        assert_eq!((high_water_file.read(), high_water_file.is_due()), (None, true));
        let high_water = HighWater { taken: 1, submit: 2, bundle: 3, event: 4 };
        high_water_file.write(&high_water);
        assert_eq!((high_water_file.read(), high_water_file.is_due()), (Some(high_water), false));
        assert_eq!(HighWaterFile::new(&dir, DeviceId::new([2; 16])).read(), None);
        std::fs::write(dir.file(NAME), b"damaged").unwrap();
        assert_eq!(high_water_file.read(), None);
        high_water_file.hurry();
        assert!(high_water_file.is_due());
    }
}
