//! What the service manager hears of the server: sd_notify(3). Without one nothing here has an effect.

use std::net::SocketAddr;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

/// Between two signs of life when nobody watches: the task then only waits for the end.
const UNWATCHED: Duration = Duration::from_secs(3600);

/// Says that the server listens on `address`, feeds the watchdog, and says when the end has begun.
///
/// The watchdog finds a runtime that is stuck. A database that is away is no reason to end: who is logged in
/// stays, and what is submitted is answered with `busy`.
pub(crate) async fn tell(stopping: CancellationToken, address: SocketAddr) {
    let status = format!("listening on {address}");
    say(&[NotifyState::Ready, NotifyState::Status(&status)]);
    let limit = sd_notify::watchdog_enabled();
    // twice within the limit, as sd_watchdog_enabled(3) recommends
    let mut ticks = tokio::time::interval(limit.map_or(UNWATCHED, |limit| (limit / 2).max(Duration::from_millis(1))));
    loop {
        // both branches only wait: losing one loses nothing
        tokio::select! {
            () = stopping.cancelled() => break,
            _ = ticks.tick() => if limit.is_some() { say(&[NotifyState::Watchdog]) },
        }
    }
    say(&[NotifyState::Stopping]);
}

/// Says that settings are being read again; [`reloaded`] has to follow.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => say(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "the service manager was not told"),
    }
}

/// Says that the server is ready again.
pub(crate) fn reloaded() {
    say(&[NotifyState::Ready]);
}

fn say(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
