//! What the service manager hears of the server while it runs.

use std::net::SocketAddr;
use std::time::Duration;

use chat_programs::service::{alive, ready, stopping, watchdog_period};
use tokio_util::sync::CancellationToken;

/// Between two signs of life when nobody watches: the task then only waits for the end.
const UNWATCHED: Duration = Duration::from_secs(3600);

/// Says that the server listens on `address`, feeds the watchdog, and says when the end has begun.
///
/// The watchdog finds a runtime that is stuck. A database that is away is no reason to end: who is logged in
/// stays, and what is submitted is answered with `busy`.
pub(crate) async fn tell(ending: CancellationToken, address: SocketAddr) {
    ready(&format!("listening on {address}"));
    let period = watchdog_period();
    let mut ticks = tokio::time::interval(period.unwrap_or(UNWATCHED));
    loop {
        // both branches only wait: losing one loses nothing
        tokio::select! {
            () = ending.cancelled() => break,
            _ = ticks.tick() => if period.is_some() { alive() },
        }
    }
    stopping();
}
