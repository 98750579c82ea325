//! What the service manager hears of a program: sd_notify(3). Without one nothing here has an effect.

use std::time::Duration;

use sd_notify::NotifyState;

/// Says that the program is at work, and on what.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that settings are being read again; [`reloaded`] or [`ready`] has to follow.
pub fn reloading() {
    // a manager that waits for the reload tells our word from an older one by the time in it
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "the service manager was not told"),
    }
}

/// Says that settings were read again.
pub fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// Says that the end has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// How often [`alive`] is to be said, if anybody wants to hear it: twice within the limit, as sd_watchdog_enabled(3)
/// recommends.
#[must_use]
pub fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| (limit / 2).max(Duration::from_millis(1)))
}

/// A sign of life for the watchdog.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
