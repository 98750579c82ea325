//! The daemon itself.

use chat_protocol::rpc::types::{DaemonInfo, DaemonInfoAnswer, DaemonLimits, DaemonShutdown, Done, NetKick};
use chat_protocol::rpc::{API_VERSION, Handle};

use crate::api::Answer;
use crate::daemon::{Daemon, LoopMessage};

impl Handle<DaemonInfo> for Daemon {
    async fn handle(&self, DaemonInfo {}: DaemonInfo) -> Answer<DaemonInfoAnswer> {
        Ok(DaemonInfoAnswer {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: API_VERSION.to_owned(),
            profile: self.setup.profile.clone(),
            data_dir: self.setup.dir.path().display().to_string(),
            socket: self.setup.socket.borrow().display().to_string(),
            pid: std::process::id(),
            uptime_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            limits: DaemonLimits::current(),
            features: Vec::new(),
        })
    }
}

/// Asks the process to drain and end; answers before it does.
impl Handle<DaemonShutdown> for Daemon {
    async fn handle(&self, DaemonShutdown {}: DaemonShutdown) -> Answer<Done> {
        self.ending.cancel();
        Ok(Done {})
    }
}

impl Handle<NetKick> for Daemon {
    async fn handle(&self, NetKick {}: NetKick) -> Answer<Done> {
        self.tell_loop(LoopMessage::Kick).await?;
        Ok(Done {})
    }
}
