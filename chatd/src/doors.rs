//! The daemon's ways in, opened and closed together: the socket, the loopback port, and the pipes of a parent.
//!
//! Tasks: one for each, which ends when the doors are closed. The socket's file goes with them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Api;
use crate::dirs::Lock;
use crate::rpc::{self, Policy, Server, SocketError};
use crate::service;

/// Which ways in there are.
pub(crate) struct Plan {
    /// The socket's file, unless a service manager hands one over.
    pub(crate) socket: PathBuf,
    /// The port, if there is one.
    pub(crate) listen: Option<SocketAddr>,
    /// Who may call there.
    pub(crate) policy: watch::Receiver<Policy>,
    /// Whether standard input and output are one.
    pub(crate) pipes: bool,
}

/// The open ways in.
pub(crate) struct Doors {
    shutdown: CancellationToken,
    serving: TaskTracker,
    bound: Option<rpc::Bound>,
    /// Cancelled when a parent has said its last word and was answered.
    parted: CancellationToken,
}

impl Doors {
    /// Opens all of them. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`SocketError`] if one cannot be opened; then none is.
    pub(crate) fn open(api: Arc<dyn Api>, plan: &Plan, lock: &Lock) -> Result<Self, SocketError> {
        let (listener, bound) = match service::inherited().map_err(SocketError::HandedOver)? {
            Some(listener) => (listener, None),
            None => rpc::bind(&plan.socket, lock).map(|(listener, bound)| (listener, Some(bound)))?,
        };
        let port = plan.listen.map(rpc::bind_port).transpose()?;
        let (shutdown, serving, parted) = (CancellationToken::new(), TaskTracker::new(), CancellationToken::new());
        let server = Server::new(api, shutdown.clone());
        serving.spawn(server.clone().socket(listener));
        if let Some(port) = port {
            if let Ok(address) = port.local_addr() {
                tracing::info!(%address, "offering HTTP to callers with a token");
            }
            serving.spawn(server.clone().port(port, plan.policy.clone()));
        }
        if plan.pipes {
            let parted = parted.clone();
            serving.spawn(async move {
                server.pipes(tokio::io::stdin(), tokio::io::stdout()).await;
                parted.cancel();
            });
        }
        Ok(Self { shutdown, serving, bound, parted })
    }

    /// Waits until the parent has said its last word; forever if there is none.
    pub(crate) async fn parted(&self) {
        self.parted.cancelled().await;
    }

    /// Lets no new work in, answers what was begun, and takes the socket away.
    pub(crate) async fn close(self) {
        self.shutdown.cancel();
        self.serving.close();
        self.serving.wait().await;
        drop(self.bound);
    }
}
