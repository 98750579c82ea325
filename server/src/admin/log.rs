//! The log: on standard error, with a filter that can change while the program runs.

use chat_programs::log::{self, SetFilter};
use tracing_subscriber::EnvFilter;

use super::output::Done;
use crate::config::Config;
use crate::failure::{Exit, Failure};

/// What a server tells unless told otherwise.
pub(super) const OF_A_SERVER: &str = "info";

/// The log of this process.
pub(super) struct Log(SetFilter);

impl Log {
    pub(super) fn start(filter: &str) -> Result<Self, Failure> {
        let filter = EnvFilter::try_new(filter);
        let filter = filter.map_err(|error| Failure::new(Exit::Usage, "--log is not a log filter").because(error))?;
        Ok(Self(log::begin(filter, false)))
    }

    /// Tells from now on what the settings of a server say.
    pub(super) fn follow(&self, config: &Config) -> Done {
        let filter = EnvFilter::try_new(config.log.as_deref().unwrap_or(OF_A_SERVER));
        let filter = filter.map_err(|error| Failure::new(Exit::Config, "`log` is not a log filter").because(error))?;
        (self.0)(filter).map_err(|error| Failure::new(Exit::Internal, "the log cannot be changed").because(error))
    }
}
