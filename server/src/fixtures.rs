//! A server without sockets, for simulations: its sessions, router, windows and commit loop, told the time.
//!
//! What is left out is what a simulation has of its own: bytes, handshakes, and the signature of a login. A
//! connection here is a queue of frames towards the server and its [`Outbox`] back; nothing begins or ends
//! but what the caller's runtime drives. Never part of the default features.

pub mod client;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::frame::Frame;
use chat_protocol::handshake::ServerKey;
use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::Call;
use chat_protocol::message::client::Login;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Look};
use crate::config::Config;
use crate::counters::Closed;
use crate::limits::Source;
use crate::router::outbox::{Outbox, OutboxLimits};
use crate::serve::{Keys, Server, sweep_once};
use crate::session::{Asked, Peer, PeerContext, Ready};
use crate::store::SharedStore;

/// Frames of one connection that the server has not read yet; more wait on the way.
const UNREAD: usize = 64;

/// The client's end of a connection.
#[derive(Debug)]
pub struct Line {
    /// Towards the server. Dropping it breaks the connection.
    pub up: mpsc::Sender<Frame>,
    /// What the server has to say; the caller is its writer.
    pub outbox: Arc<Outbox>,
}

impl Server {
    /// A server whose sessions take the time from `look`. Its runtime must be there.
    #[must_use]
    pub fn simulated(config: Config, store: SharedStore, look: Look) -> Self {
        let keys = Keys {
            server: ServerKey::from_bytes([1; 32]),
            next: None,
            next_proof: None,
            offline: None,
            secret: FernetKey::from_bytes([2; 32]),
        };
        Self::new(config, store, &keys, CancellationToken::new(), Clock::beginning_now(look))
    }

    /// Deletes what has outlived its time, as the housekeeper does now and then.
    pub async fn sweep(&self) {
        sweep_once(&self.shared).await;
    }

    /// Connects a device that is believed without a signature. The first frame back answers its [`Login`], as
    /// request 0: either it is logged in, or the connection ends.
    #[must_use]
    pub fn connect(&self, user: Username, device: DeviceId) -> Line {
        let settings = &self.shared.config().connections;
        let limits = OutboxLimits { bytes: settings.outbox_bytes, frames: settings.outbox_frames };
        let outbox = Arc::new(Outbox::new(limits, &self.shared.queued.outboxes));
        let (up, frames) = mpsc::channel(UNREAD);
        let source = Source::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let context = PeerContext { shared: Arc::clone(&self.shared), outbox: Arc::clone(&outbox), source };
        tokio::spawn(serve(context, user, device, frames));
        Line { up, outbox }
    }
}

/// A connection from its login to its end, as the transport leads it.
async fn serve(context: PeerContext, user: Username, device: DeviceId, frames: mpsc::Receiver<Frame>) {
    let (outbox, asked) = (Arc::clone(&context.outbox), Asked { id: 0, number: Login::TYPE });
    let ready = match Ready::enter(context, user, device, |state| asked.answer(&Ok(state))).await {
        Ok(ready) => ready,
        Err(refusal) => {
            outbox.push(asked.refuse(refusal));
            return outbox.close(Closed::Refused);
        }
    };
    let (peer, why) = converse(Peer::Ready(ready), &outbox, frames).await;
    peer.settle().await;
    match why {
        Closed::Io => outbox.sever(why),
        _ => outbox.close(why),
    }
}

async fn converse(mut peer: Peer, outbox: &Outbox, mut frames: mpsc::Receiver<Frame>) -> (Peer, Closed) {
    loop {
        // both are cancel-safe: the first only waits, the other takes nothing unless it is chosen
        let frame = tokio::select! {
            biased;
            () = outbox.ending() => None,
            frame = frames.recv() => frame,
        };
        let Some(frame) = frame else { return (peer, outbox.closed().unwrap_or(Closed::Io)) };
        peer = peer.take(frame).await;
        if let Peer::Closing(why) = peer {
            return (peer, why);
        }
    }
}
