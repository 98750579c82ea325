//! The watchdog of the service manager, and the socket it may have made: sd_listen_fds(3).
//!
//! Without a service manager nothing here has an effect.

use std::sync::Arc;

use chat_programs::service::{alive, watchdog_period};
use tokio::net::UnixListener;

use crate::daemon::Daemon;

/// Feeds the watchdog, if there is one, for as long as the daemon's loop takes and answers messages.
pub(crate) async fn feed_watchdog(daemon: Arc<Daemon>) {
    let Some(period) = watchdog_period() else { return };
    let mut ticks = tokio::time::interval(period);
    loop {
        ticks.tick().await;
        if !daemon.lives().await {
            return;
        }
        alive();
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
