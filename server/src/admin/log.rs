//! The log: on standard error, with a filter that can change while the program runs.

use std::io;

use tracing_subscriber::EnvFilter;

use super::Done;
use crate::config::Config;
use crate::failure::{Exit, Failure};

/// What a server tells unless told otherwise.
pub(super) const OF_A_SERVER: &str = "info";

/// The log of this process.
pub(super) struct Log(Box<dyn Fn(EnvFilter) -> Result<(), tracing_subscriber::reload::Error> + Send + Sync>);

impl Log {
    pub(super) fn start(filter: &str) -> Result<Self, Failure> {
        let filter = EnvFilter::try_new(filter);
        let filter = filter.map_err(|error| Failure::new(Exit::Usage, "--log is not a log filter").because(error))?;
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
        let log = log.with_filter_reloading();
        let handle = log.reload_handle();
        // a second log in one process, in tests, keeps the first
        let _ = log.try_init();
        Ok(Self(Box::new(move |filter| handle.reload(filter))))
    }

    /// Tells from now on what the settings of a server say.
    pub(super) fn follow(&self, config: &Config) -> Done {
        let filter = EnvFilter::try_new(config.log.as_deref().unwrap_or(OF_A_SERVER));
        let filter = filter.map_err(|error| Failure::new(Exit::Config, "`log` is not a log filter").because(error))?;
        (self.0)(filter).map_err(|error| Failure::new(Exit::Internal, "the log cannot be changed").because(error))
    }
}
