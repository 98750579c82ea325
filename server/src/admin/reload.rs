//! SIGHUP: reads the settings again and applies what can change; a bad file changes nothing.

use std::convert::Infallible;
use std::future::pending;
use std::io;

use chat_programs::service::{reloaded, reloading};
use chat_programs::settings::Layer;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::home::Home;
use super::log::Log;
use crate::config::Change;
use crate::failure::Failure;
use crate::serve::Reload;

/// Hangups from now on; before this is called one ends the process.
pub(super) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Reloads at every hangup. `more` are settings of the command line, as for [`Home::config`].
pub(super) async fn on(mut hangups: Signal, home: &Home, more: &Layer, log: &Log, server: Reload) -> Infallible {
    while hangups.recv().await.is_some() {
        reloading();
        match once(home, more, log, &server) {
            Ok(Some(change)) => tell(&change),
            Ok(None) => {}
            Err(failure) => tracing::error!("nothing is changed: {}", in_one_line(&failure)),
        }
        reloaded();
    }
    pending().await
}

fn once(home: &Home, more: &Layer, log: &Log, server: &Reload) -> Result<Option<Change>, Failure> {
    let config = home.config(more)?;
    log.follow(&config)?;
    Ok(server.apply(config))
}

fn tell(change: &Change) {
    if change.applied.is_empty() {
        tracing::info!("the settings were read again: nothing changes");
    } else {
        tracing::info!(changed = change.applied.join(" "), "the settings were read again");
    }
    if !change.kept.is_empty() {
        tracing::warn!(kept = change.kept.join(" "), "these settings change when the server is started again");
    }
}

fn in_one_line(failure: &Failure) -> String {
    failure.to_string().trim_end().replace('\n', "; ")
}
