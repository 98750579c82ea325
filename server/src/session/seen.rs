//! When a device was last seen: noted at its login and now and then while it is connected.
//!
//! A reset of its account waits for whoever was there lately, however long ago that one logged in.

use std::time::Duration;

use chat_protocol::ids::DeviceId;
use chat_protocol::time::Timestamp;

use crate::config::Config;
use crate::shared::Shared;
use crate::store::{Result, StoredDevice};

/// Notes of one device are no closer than this: they matter to the day, and a whole town that reconnects should not
/// have to write.
const NOTE_EVERY: Duration = Duration::from_secs(60 * 60);
/// Devices noted in one transaction, so that nobody's message waits for a whole town.
const AT_ONCE: usize = 200;

/// How much later than noted a device may have been seen.
fn slack(config: &Config) -> Duration {
    NOTE_EVERY.min(config.accounts.reset_seen / 8)
}

/// How often it is noted who is connected.
pub(crate) fn period(config: &Config) -> Duration {
    Some(slack(config)).filter(|slack| !slack.is_zero()).unwrap_or(NOTE_EVERY)
}

/// Notes a login, unless the device was noted a moment ago.
pub(super) async fn note_login(shared: &Shared, device: &StoredDevice) -> Result<()> {
    let now = shared.now();
    let noted = device.last_login.is_some_and(|last| now.since(last) < period(&shared.config()));
    if noted { Ok(()) } else { shared.store.touch_devices(&[device.device], now).await }
}

/// Notes everybody who is connected.
pub(crate) async fn note_connected(shared: &Shared) {
    let devices: Vec<DeviceId> = shared.router.everybody_online();
    for devices in devices.chunks(AT_ONCE) {
        if let Err(error) = shared.store.touch_devices(devices, shared.now()).await {
            return tracing::warn!(%error, "who is connected was not noted, trying again later");
        }
    }
}

/// Whether a device was there within the time for which a reset waits.
pub(super) fn lately(config: &Config, device: &StoredDevice, now: Timestamp) -> bool {
    let within = config.accounts.reset_seen + slack(config);
    device.last_login.is_some_and(|last| now.since(last) < within)
}

#[cfg(test)]
mod tests {
    use chat_protocol::ids::Username;

    use super::*;
    use crate::store::DeviceState;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn noted(at: Timestamp) -> StoredDevice {
        let user: Username = "alice".parse().unwrap();
        let (device, cert, state) = (DeviceId::new([1; 16]), Vec::new(), DeviceState::Active);
        StoredDevice { device, user, cert, state, since: at, last_login: Some(at) }
    }

    #[test]
    fn who_left_within_the_time_was_there_lately_although_the_last_note_is_older() {
        let (config, noted_at) = (Config::default(), Timestamp::from_millis(1_800_000_000_000));
        assert_eq!(period(&config), NOTE_EVERY);
        let left = noted_at + NOTE_EVERY - Duration::from_millis(1);
        let asked = left + 7 * DAY - Duration::from_millis(1);
        assert!(lately(&config, &noted(noted_at), asked));
        assert!(!lately(&config, &noted(noted_at), asked + NOTE_EVERY));
    }

    #[test]
    fn a_shorter_time_is_noted_more_often_and_none_at_all_hardly() {
        let mut config = Config::default();
        config.accounts.reset_seen = Duration::from_secs(80);
        assert_eq!(period(&config), Duration::from_secs(10));
        config.accounts.reset_seen = Duration::ZERO;
        assert_eq!(period(&config), NOTE_EVERY);
        let at = Timestamp::from_millis(1);
        assert!(!lately(&config, &noted(at), at), "then nobody is waited for");
    }
}
