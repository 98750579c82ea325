//! The loop: gathers what waits, has it handled in one transaction, then performs what follows.

mod active;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chat_protocol::rpc::events::{ConnectionChanged, PresenceChanged};
use chat_protocol::rpc::types::{Connection, ConnectionState, ConnectionTrouble};
use chat_protocol::rpc::{EventBody, WrittenEvent};
use chat_protocol::session::init::Share;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::active::Active;
use super::accounts::Entry;
use super::ask::Asked;
use super::batch::{Event, Job, Outcome, Writer};
use super::{LoopMessage, Unstored, idle};
use crate::clock::{self, Offset};
use crate::dirs::DataDir;
use crate::engine::{Action, Input, commands};
use crate::link::{AuthFailure, Heard, LinkEvent};
use crate::metrics::Metrics;
use crate::store::{RowsError, Store};

/// Most inputs of one transaction: a commit is shared by many, and nobody waits for too many.
const MAX_BATCH: usize = 256;
/// Link events that may wait for the loop; behind them nothing is read from the server.
const LINK_EVENTS: usize = 256;
/// RSA shares that may wait to be opened: as many as the engine gives out at once.
const SHARES: usize = 16;
/// Longest time until what is due is looked for again.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// Pause after a transaction that could not be committed, before the server is dialled again.
const FAILED_PAUSE: Duration = Duration::from_secs(5);

/// What the loop is made of.
pub(super) struct Parts {
    pub(super) store: Arc<Store>,
    pub(super) loop_messages: mpsc::Receiver<LoopMessage>,
    pub(super) newest: watch::Sender<u64>,
    pub(super) volatile: broadcast::Sender<WrittenEvent>,
    pub(super) connection: Arc<Mutex<Connection>>,
    pub(super) heard: Heard,
    pub(super) unstored: Unstored,
    /// How far the server's clock was ahead at the last login.
    pub(super) offset: Arc<Mutex<Option<Offset>>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) ending: CancellationToken,
    pub(super) dir: DataDir,
}

struct Loop {
    parts: Parts,
    /// Away while a batch is handled off the runtime.
    writer: Option<Writer>,
    active: Option<Active>,
    asked: Asked,
    /// The server says that the account ended this device.
    revoked: bool,
    /// What kept the connection from being there, until it is.
    trouble: Option<ConnectionTrouble>,
    /// The connection was cut because nothing could be stored: when to begin it anew.
    rest_until: Option<Instant>,
}

/// Starts the loop, for an account if there is one. It ends when the daemon is shut down.
pub(super) fn spawn(parts: Parts, entry: Option<Entry>) {
    let writer = Some(Writer { store: Arc::clone(&parts.store), engine: None, high_water_file: None });
    let mut main =
        Loop { parts, writer, active: None, asked: Asked::default(), revoked: false, trouble: None, rest_until: None };
    tokio::spawn(async move {
        if let Some(entry) = entry {
            main.enter(entry).await;
        }
        main.run().await;
    });
}

/// What woke the loop.
enum Woken {
    LoopMessage(Option<LoopMessage>),
    Link(Option<LinkEvent>),
    Share(Option<(u64, Share)>),
    Deadline,
    Rested,
    Ending,
}

impl Loop {
    async fn run(&mut self) {
        loop {
            match self.wait().await {
                Woken::Ending | Woken::LoopMessage(None) => return self.end().await,
                Woken::Deadline => self.handle(vec![Event::Input(Input::Tick)]).await,
                Woken::LoopMessage(Some(message)) => self.take_loop_messages(message).await,
                Woken::Link(Some(event)) => self.take_link_events(event).await,
                Woken::Share(Some((job, share))) => {
                    self.handle(vec![Event::Input(Input::ShareOpened { job, share })]).await;
                }
                // the link's task or the opener ended by itself: begin the connection anew
                Woken::Link(None) | Woken::Share(None) | Woken::Rested => self.reconnect(),
            }
        }
    }

    /// Cancel-safe: receiving from a channel and sleeping lose nothing when dropped.
    async fn wait(&mut self) -> Woken {
        let (deadline, rest) = (self.deadline(), self.rest_until);
        let messages = &mut self.parts.loop_messages;
        let Some(active) = &mut self.active else {
            tokio::select! {
                () = self.parts.ending.cancelled() => return Woken::Ending,
                message = messages.recv() => return Woken::LoopMessage(message),
            }
        };
        tokio::select! {
            biased;
            () = self.parts.ending.cancelled() => Woken::Ending,
            share = active.shares.recv() => Woken::Share(share),
            message = messages.recv() => Woken::LoopMessage(message),
            // the link that was cut has nothing more to say
            event = active.events.recv(), if rest.is_none() => Woken::Link(event),
            () = tokio::time::sleep_until(rest.unwrap_or_else(Instant::now)), if rest.is_some() => Woken::Rested,
            () = tokio::time::sleep(deadline.unwrap_or_default()), if deadline.is_some() => Woken::Deadline,
        }
    }

    fn deadline(&self) -> Option<Duration> {
        // what is due waits until there is a chance to store it
        if self.rest_until.is_some() {
            return None;
        }
        let engine = self.writer.as_ref()?.engine.as_ref()?;
        // a machine that sleeps stops the clock that is waited by, not those that are read; and either may be set
        Some(engine.due_in(clock::read())?.min(LONGEST_SLEEP))
    }

    async fn take_loop_messages(&mut self, first: LoopMessage) {
        let mut batch = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next.take() {
            match message {
                LoopMessage::Command(command) => batch.push(Event::Command(command)),
                other => {
                    self.handle(std::mem::take(&mut batch)).await;
                    self.handle_loop_message(other).await;
                }
            }
            if batch.len() < MAX_BATCH {
                next = self.parts.loop_messages.try_recv().ok();
            }
        }
        self.take_waiting_events(&mut batch);
        self.handle_to_the_end(batch).await;
    }

    async fn handle_loop_message(&mut self, message: LoopMessage) {
        match message {
            LoopMessage::Command(_) => {}
            LoopMessage::Ask(question) => {
                let active = self.active.as_ref();
                self.asked.ask(question, active.map(|active| &active.link), active.is_some_and(|active| active.online));
            }
            LoopMessage::Enter(entry, done) => {
                self.leave();
                self.enter(*entry).await;
                let _ = done.send(());
            }
            LoopMessage::Leave(done) => {
                self.leave();
                let _ = done.send(());
            }
            LoopMessage::Probe(reply) => {
                let _ = reply.send(());
            }
            LoopMessage::Kick => {
                // whoever made room on the disk need not wait either
                self.rest_until = self.rest_until.map(|_| Instant::now());
                if let Some(active) = &self.active {
                    active.link.kick();
                }
            }
        }
    }

    async fn take_link_events(&mut self, first: LinkEvent) {
        let mut batch: Vec<Event> = self.input(first).into_iter().collect();
        self.take_waiting_events(&mut batch);
        self.handle_to_the_end(batch).await;
    }

    fn take_waiting_events(&mut self, batch: &mut Vec<Event>) {
        if self.rest_until.is_some() {
            return;
        }
        while batch.len() < MAX_BATCH {
            let Some(event) = self.active.as_mut().and_then(|active| active.events.try_recv().ok()) else { break };
            batch.extend(self.input(event));
        }
    }

    /// What the engine hears of a link event; notes the connection's state on the way.
    fn input(&mut self, event: LinkEvent) -> Option<Event> {
        let input = match event {
            LinkEvent::Online { logged_in, server_offset_ms, round_trip, .. } => {
                self.trouble = None;
                self.note(ConnectionState::Online, None, None);
                self.measured(round_trip);
                *self.parts.offset.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(Offset::new(server_offset_ms, clock::read()));
                self.parts.metrics.connected();
                Input::Online { logged_in, offset_ms: server_offset_ms }
            }
            LinkEvent::Connecting => Input::NotOnline(self.note(ConnectionState::Connecting, None, None)),
            LinkEvent::Offline { reason, trouble, retry_at } => {
                self.trouble = Some(trouble);
                let retry = Some(retry_at.as_millis());
                Input::NotOnline(self.note(ConnectionState::Offline, Some(reason), retry))
            }
            LinkEvent::AuthFailed { reason } => {
                self.revoked = reason == AuthFailure::Revoked;
                Input::NotOnline(self.note(ConnectionState::AuthFailed, Some(reason.to_string()), None))
            }
            LinkEvent::RoundTrip(took) => {
                self.measured(took);
                return None;
            }
            LinkEvent::Answer { id, result } => Input::Answer { id, result: self.asked.take(id, result)? },
            LinkEvent::Push(push) => Input::Push(push),
        };
        Some(Event::Input(input))
    }

    /// Shows the connection's new state, and gives up the questions of one that is gone.
    fn note(
        &mut self,
        state: ConnectionState,
        reason: Option<String>,
        next_retry_ms: Option<u64>,
    ) -> ConnectionChanged {
        if let Some(active) = &mut self.active {
            active.online = state == ConnectionState::Online;
            let server = Some(active.server.clone());
            let reason = reason.clone();
            self.show(Connection { state, server, reason, trouble: self.trouble, next_retry_ms, ..idle() });
        }
        if state != ConnectionState::Online {
            self.asked.lost();
        }
        ConnectionChanged { state, reason, trouble: self.trouble, next_retry_ms }
    }

    fn measured(&self, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.parts.connection.lock().unwrap_or_else(PoisonError::into_inner).rtt_ms = Some(millis);
    }

    fn show(&self, connection: Connection) {
        *self.parts.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }

    /// Has a batch handled off the runtime, then performs what follows from its commit.
    async fn handle(&mut self, batch: Vec<Event>) {
        if batch.is_empty() {
            return;
        }
        let Some(mut writer) = self.writer.take() else { return };
        let (inputs, began, works) = (batch.len(), Instant::now(), writer.engine.is_some());
        let handled = tokio::task::spawn_blocking(move || {
            let outcome = writer.handle(batch);
            (writer, outcome)
        });
        let handled = handled.await;
        if works && let Ok((_, outcome)) = &handled {
            self.tried(inputs, began.elapsed(), outcome.as_ref().err());
        }
        match handled {
            Ok((writer, Ok(outcome))) => {
                self.writer = Some(writer);
                self.perform(outcome);
            }
            Ok((writer, Err(error))) => {
                self.writer = Some(writer);
                self.not_stored(&error);
            }
            Err(error) => {
                tracing::error!(%error, "the engine stopped; the daemon ends");
                self.parts.ending.cancel();
            }
        }
    }

    /// Notes whether a transaction stored what it had to.
    fn tried(&self, inputs: usize, took: Duration, failure: Option<&RowsError>) {
        self.parts.metrics.committed(inputs, took, failure.is_none());
        *self.parts.unstored.lock().unwrap_or_else(PoisonError::into_inner) = failure.map(ToString::to_string);
    }

    fn perform(&mut self, outcome: Outcome) {
        let mut said = true;
        for action in outcome.actions {
            match action {
                // none overtakes one that was not taken
                Action::Request { .. } if !said => {}
                action => said &= self.act(action),
            }
        }
        if !said {
            // the engine takes it for sent: only a new connection makes it say everything again
            self.reconnect();
        }
        self.parts.newest.send_if_modified(|newest| std::mem::replace(newest, outcome.newest) != outcome.newest);
    }

    /// Performs one action; false if the connection did not take it.
    fn act(&self, action: Action) -> bool {
        match (action, &self.active) {
            (Action::Request { id, number, payload }, Some(active)) if active.online => {
                let taken = active.link.request(id, number, payload);
                taken.inspect_err(|error| tracing::warn!(%error, "the connection is begun anew")).is_ok()
            }
            (Action::OpenShare { job, init }, Some(active)) => {
                // never more than the engine's own bound waits here
                active.opener.try_send((job, init)).is_ok()
            }
            (Action::Count(counted), _) => {
                self.parts.metrics.count(counted);
                true
            }
            (Action::Presence { online, offline }, _) => {
                let body = EventBody::Presence(PresenceChanged { online, offline });
                // nobody listening is no failure
                let _ = self.parts.volatile.send(WrittenEvent::volatile(clock::now().as_millis(), None, &body));
                true
            }
            _ => true,
        }
    }

    /// Nothing was committed, so nothing may have left: the connection is cut and begun anew a little later.
    fn not_stored(&mut self, error: &RowsError) {
        let retry_at = clock::now() + FAILED_PAUSE;
        self.note(ConnectionState::Offline, Some(error.to_string()), Some(retry_at.as_millis()));
        if let Some(active) = &self.active {
            active.link.stop();
            self.rest_until = Some(Instant::now() + FAILED_PAUSE);
        }
    }

    async fn end(&mut self) {
        self.parts.loop_messages.close();
        while let Ok(message) = self.parts.loop_messages.try_recv() {
            if let LoopMessage::Command(command) = message {
                self.handle(vec![Event::Command(command)]).await;
            }
        }
        if let Some(high_water_file) = self.writer.as_mut().and_then(|writer| writer.high_water_file.as_mut()) {
            high_water_file.hurry();
        }
        let (reply, _) = tokio::sync::oneshot::channel();
        self.handle(vec![Event::Command(Box::new(Job::new(commands::stopping, reply)))]).await;
        self.leave();
    }
}
