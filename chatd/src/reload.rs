//! Reads the settings again while the daemon runs, and applies what can be applied: the log, and who may call on the
//! loopback port.
//!
//! A file that is wrong changes nothing. What needs a restart is named each time, and keeps the value the daemon was
//! started with.

use std::io::IsTerminal;

use chat_programs::log::{self, SetFilter};
use chat_programs::settings::{self, Effect};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::config::keys::LOG;
use crate::config::{Config, ConfigError, HttpConfig, Sources};
use crate::report::Chain;
use crate::rpc::Policy;

/// What can be read again.
pub(crate) struct Reload {
    sources: Sources,
    /// What was read last.
    config: Config,
    /// What the daemon was started with.
    started: Config,
    set_filter: SetFilter,
    policy: watch::Sender<Policy>,
}

impl Reload {
    /// Begins the log as `config` has it.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`].
    pub(crate) fn begin(sources: Sources, config: Config) -> Result<Self, ConfigError> {
        let set_filter = log::begin(config.filter()?, std::io::stderr().is_terminal());
        let policy = watch::Sender::new(policy(&config.http));
        Ok(Self { sources, started: config.clone(), config, set_filter, policy })
    }

    /// Who may call on the loopback port, from now on.
    pub(crate) fn policy(&self) -> watch::Receiver<Policy> {
        self.policy.subscribe()
    }

    /// Reads the files again.
    pub(crate) fn read_again(&mut self) {
        match self.sources.read().and_then(|config| Ok((config.filter()?, config))) {
            Ok((filter, config)) => self.apply(filter, config),
            Err(error) => tracing::error!(error = %Chain(&error), "the settings stay as they are"),
        }
    }

    fn apply(&mut self, filter: EnvFilter, config: Config) {
        let changed = changes(&self.config, &config, Effect::Reload);
        if changed.iter().any(|key| key == LOG) {
            // it only fails when there is no log any more
            let _ = (self.set_filter)(filter);
        }
        self.policy.send_replace(policy(&config.http));
        match changed.is_empty() {
            true => tracing::debug!("the settings were read again: nothing has changed"),
            false => tracing::info!(changed = changed.join(", "), "the settings were read again"),
        }
        let waiting = changes(&self.started, &config, Effect::Restart);
        if !waiting.is_empty() {
            tracing::warn!(changed = waiting.join(", "), "these settings count at the next start");
        }
        self.config = config;
    }
}

fn policy(http: &HttpConfig) -> Policy {
    Policy { hosts: http.hosts.clone(), origins: http.origins.clone() }
}

/// Names of the keys of one kind whose values differ.
fn changes(before: &Config, after: &Config, effect: Effect) -> Vec<String> {
    let changed = settings::changed(&before.settings, &after.settings).into_iter();
    changed.filter(|key| key.effect == effect).map(|key| key.name).collect()
}
