//! The wait of a new device: until its user has compared the digits on both screens, and the account's log lists it.
//!
//! One task, begun by a login that has to wait or at the daemon's start, and ended when the device is in, when the wait
//! is over, by a logout or with the daemon. It looks at the server after growing pauses, and at once after the
//! user has spoken.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use chat_protocol::rpc::RpcError;
use chat_protocol::rpc::types::{Connection, ConnectionState};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Daemon, idle};
use crate::account::Standing;
use crate::account::waiting::{self, Looked};
use crate::engine::own_log;
use crate::link::AuthFailure;
use crate::report::Chain;

/// Longest pause between two looks: whoever approves a device stands beside it.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Said of a device nobody let in.
const LAPSED: &str = "nobody let this device in while it waited: log in again";

/// The task, if there is one.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    stop: Mutex<Option<CancellationToken>>,
    spoken: Arc<Notify>,
}

impl Waiting {
    /// Ends the task.
    pub(super) fn stop(&self) {
        self.replace(None);
    }

    fn replace(&self, next: Option<CancellationToken>) {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = std::mem::replace(&mut *stop, next) {
            before.cancel();
        }
    }

    /// Has the server looked at now.
    pub(super) fn kick(&self) {
        self.spoken.notify_one();
    }
}

impl Daemon {
    /// Begins to wait for the account that is kept.
    pub(super) fn wait_to_be_let_in(&self) {
        let stop = self.ending.child_token();
        self.waiting.replace(Some(stop.clone()));
        let (daemon, spoken) = (self.me.clone(), Arc::clone(&self.waiting.spoken));
        tokio::spawn(async move {
            tokio::select! {
                () = wait(daemon, &spoken) => {}
                () = stop.cancelled() => {}
            }
        });
    }

    /// One look at the server; true when there is nothing more to wait for.
    async fn look(&self) -> bool {
        let _entering = self.entering.lock().await;
        let looked = match waiting::look(&self.context()).await {
            Ok(looked) => looked,
            Err(error) => {
                tracing::info!(error = %Chain(&error), "whether this device is let in could not be seen");
                self.show_waiting(&Chain(&error).to_string());
                return false;
            }
        };
        match looked {
            Looked::Waits => {
                self.show_waiting(&AuthFailure::ApprovalRequired.to_string());
                false
            }
            Looked::In => {
                if let Err(error) = self.begin_as_new_device().await {
                    tracing::error!(%error, "this device was let in, and cannot begin");
                }
                true
            }
            Looked::Over => {
                self.show_over();
                true
            }
        }
    }

    async fn begin_as_new_device(&self) -> Result<(), RpcError> {
        self.work_for_account().await?;
        self.command(own_log::let_in).await
    }

    /// Shows why there is no connection, and will be none.
    pub(super) fn show_over(&self) {
        let standing = self.context().account().ok().flatten().map(|account| account.standing);
        match standing {
            Some(Standing::Lapsed) => self.show_waiting(LAPSED),
            Some(Standing::Revoked) => self.show_waiting(&AuthFailure::Revoked.to_string()),
            _ => {}
        }
    }

    fn show_waiting(&self, reason: &str) {
        let account = self.context().account().ok().flatten();
        let server = account.map(|account| format!("{}:{}", account.server.host, account.server.port));
        let (state, reason) = (ConnectionState::AuthFailed, Some(reason.to_owned()));
        let shown = Connection { state, server, reason, ..idle() };
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }
}

/// Cancel-safe: a look that is dropped has had its whole effect or none.
async fn wait(daemon: Weak<Daemon>, spoken: &Notify) {
    let mut pause = Duration::ZERO;
    loop {
        let Some(daemon) = daemon.upgrade() else { return };
        if daemon.look().await {
            return;
        }
        let first = daemon.setup.timing.first_wait;
        drop(daemon);
        pause = (pause * 2).max(first).min(LONGEST_PAUSE);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = spoken.notified() => pause = Duration::ZERO,
        }
    }
}
