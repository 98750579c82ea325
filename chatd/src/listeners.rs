//! The daemon's ways in, opened and closed together: the socket, the loopback port, and the pipes of a parent.
//!
//! Tasks: one for each and one that keeps the socket's file, which end when the listeners are closed. The file goes with them.

mod socket_file;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Api;
use crate::dirs::{DataDir, Lock};
use crate::rpc::{self, Policy, Server, SocketError};
use crate::service;
use socket_file::{Sign, SocketFile};

/// Which ways in there are.
pub(crate) struct Plan {
    /// The socket's file, unless a service manager hands one over; then where it is.
    pub(crate) socket: watch::Sender<PathBuf>,
    /// Where callers are told of it.
    pub(crate) dir: DataDir,
    /// The port, if there is one.
    pub(crate) listen: Option<SocketAddr>,
    /// Who may call there.
    pub(crate) policy: watch::Receiver<Policy>,
    /// Whether standard input and output are one.
    pub(crate) pipes: bool,
}

/// What is left of the socket when the listeners are closed.
enum Socket {
    /// The service manager's; its sign is ours.
    HandedOver { _sign: Option<Sign> },
    /// Our own, once nobody looks after it any more.
    Kept(JoinHandle<SocketFile>),
}

/// The open ways in.
pub(crate) struct Listeners {
    shutdown: CancellationToken,
    serving: TaskTracker,
    socket: Socket,
    /// Cancelled when a parent has said its last word and was answered.
    parted: CancellationToken,
}

impl Listeners {
    /// Opens all of them. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`SocketError`] if one cannot be opened; then none is.
    pub(crate) fn open<A: Api>(api: Arc<A>, plan: &Plan, lock: &Lock) -> Result<Self, SocketError> {
        let inherited = service::inherited().map_err(SocketError::HandedOver)?;
        let opened = match inherited {
            Some(listener) => (listener, None),
            None => SocketFile::open(&plan.socket, &plan.dir, lock)
                .map(|(listener, socket_file)| (listener, Some(socket_file)))?,
        };
        let port = plan.listen.map(rpc::bind_port).transpose()?;
        let (shutdown, serving, parted) = (CancellationToken::new(), TaskTracker::new(), CancellationToken::new());
        let server = Server::new(api, shutdown.clone());
        let socket = serve_socket(&server, opened, plan, &serving, &shutdown);
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
        Ok(Self { shutdown, serving, socket, parted })
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
        if let Socket::Kept(kept) = self.socket {
            drop(kept.await);
        }
    }
}

fn serve_socket(
    server: &Server,
    (listener, socket_file): (UnixListener, Option<SocketFile>),
    plan: &Plan,
    serving: &TaskTracker,
    shutdown: &CancellationToken,
) -> Socket {
    let Some(socket_file) = socket_file else {
        let address = listener.local_addr().ok();
        let path = address.as_ref().and_then(|address| address.as_pathname());
        let _sign = path.map(|path| Sign::put_up(&plan.dir, &plan.socket, path));
        serving.spawn(server.clone().socket(listener));
        return Socket::HandedOver { _sign };
    };
    let (sender, moved) = mpsc::channel(1);
    serving.spawn(server.clone().sockets(listener, moved));
    Socket::Kept(serving.spawn(socket_file.keep(sender, shutdown.clone())))
}
