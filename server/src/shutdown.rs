//! Turns SIGTERM and SIGINT into one token: the server stops accepting, finishes its commits, says goodbye.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGTERM or SIGINT.
///
/// The task that waits for them ends with the first one; a second signal is ignored, since draining is bounded.
///
/// # Errors
/// When the handlers cannot be installed. Must be called inside a runtime.
pub fn on_signals() -> io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        // both branches only wait: losing one loses nothing
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
        cancelled.cancel();
    });
    Ok(token)
}
