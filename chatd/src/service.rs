//! What the service manager hears of the process, and the socket it may have made: sd_notify(3), sd_listen_fds(3).
//!
//! Without a service manager nothing here has an effect.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::net::UnixListener;

use crate::daemon::Daemon;

/// Says that callers are served.
pub(crate) fn ready(socket: &Path) {
    let status = format!("serving {}", socket.display());
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Says that settings are read again; [`ready`] says that they were.
pub(crate) fn reloading() {
    // a manager that waits for the reload tells our word from an older one by the time in it
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// Says that the end has begun.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Feeds the watchdog, if there is one, for as long as the daemon's loop takes and answers orders.
pub(crate) async fn feed_watchdog(daemon: Arc<Daemon>) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    // twice within the limit, as sd_watchdog_enabled(3) recommends
    let mut ticks = tokio::time::interval((limit / 2).max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        if !daemon.lives().await {
            return;
        }
        tell(&[NotifyState::Watchdog]);
    }
}

/// The socket a service manager listens on for us, if it does.
///
/// # Errors
/// If what was handed over is no Unix socket, or cannot be used.
pub(crate) fn inherited() -> std::io::Result<Option<UnixListener>> {
    let Some(listener) = listenfd::ListenFd::from_env().take_unix_listener(0)? else { return Ok(None) };
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener).map(Some)
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
