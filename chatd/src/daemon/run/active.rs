//! The account the loop works for: taken up, connected anew, left, and ended by its own log.

use std::sync::Arc;

use chat_protocol::rpc::types::{Connection, ConnectionState};
use tokio::sync::mpsc;

use super::super::accounts::{Entry, Jobs, Shares};
use super::super::batch::Event;
use super::super::high_water_file::HighWaterFile;
use super::super::idle;
use super::{LINK_EVENTS, Loop, SHARES};
use crate::account;
use crate::engine::{Engine, Input};
use crate::link::{self, AuthFailure, LinkEvent, LinkHandle};

/// The account being worked for.
pub(super) struct Active {
    pub(super) link: LinkHandle,
    pub(super) events: mpsc::Receiver<LinkEvent>,
    pub(super) shares: Shares,
    pub(super) opener: Jobs,
    pub(super) setup: link::LinkSetup,
    pub(super) server: String,
    pub(super) online: bool,
}

impl Loop {
    /// A new link for the same account; the engine forgets what belonged to the old one.
    pub(super) fn reconnect(&mut self) {
        self.rest_until = None;
        let Some(active) = self.active.take() else { return };
        active.link.stop();
        if let Some(engine) = self.writer.as_mut().and_then(|writer| writer.engine.as_mut()) {
            engine.forget();
        }
        let (sender, events) = mpsc::channel(LINK_EVENTS);
        let link = link::spawn(active.setup.clone(), sender);
        self.asked.lost();
        self.active = Some(Active { link, events, online: false, ..active });
    }

    pub(super) async fn enter(&mut self, mut entry: Entry) {
        entry.link.heard = self.parts.heard.clone();
        let (sender, events) = mpsc::channel(LINK_EVENTS);
        let (opener, shares) = entry.spawn_opener(SHARES);
        let link = link::spawn(entry.link.clone(), sender);
        let server = entry.server.clone();
        let high_water_file = HighWaterFile::new(&self.parts.dir, entry.local.device);
        let noted = high_water_file.read();
        if let Some(writer) = &mut self.writer {
            (writer.engine, writer.high_water_file) = (Some(Engine::new(entry.local)), Some(high_water_file));
        }
        self.active = Some(Active { link, events, shares, opener, setup: entry.link, server, online: false });
        self.note(ConnectionState::Connecting, None, None);
        let inputs = noted.map(Input::HighWater).into_iter().chain([Input::Tick]);
        self.handle(inputs.map(Event::Input).collect()).await;
    }

    pub(super) fn leave(&mut self) {
        self.rest_until = None;
        if let Some(active) = self.active.take() {
            active.link.stop();
        }
        if let Some(writer) = &mut self.writer {
            (writer.engine, writer.high_water_file) = (None, None);
        }
        self.asked.lost();
        self.show(idle());
    }

    /// Handles a batch; if the server has said that the account ended this device, that is kept before anybody is told,
    /// and then the device is dialled for no more, after a restart neither.
    pub(super) async fn handle_to_the_end(&mut self, batch: Vec<Event>) {
        if !std::mem::take(&mut self.revoked) {
            return self.handle(batch).await;
        }
        let store = Arc::clone(&self.parts.store);
        let kept = tokio::task::spawn_blocking(move || account::note_revoked(&store)).await;
        self.handle(batch).await;
        if let Ok(Err(error)) = kept {
            // the next connection hears it again
            tracing::warn!(%error, "that this device was revoked is not kept");
            return;
        }
        tracing::warn!("{}", AuthFailure::Revoked);
        let server = self.active.as_ref().map(|active| active.server.clone());
        self.leave();
        let (state, reason) = (ConnectionState::AuthFailed, Some(AuthFailure::Revoked.to_string()));
        self.show(Connection { state, server, reason, ..idle() });
    }
}
