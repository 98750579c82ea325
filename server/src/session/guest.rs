//! Somebody who knows secret.key and has not said who they are.

use std::sync::Arc;

use chat_protocol::identity::login::Binding;
use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::client::Request;
use chat_protocol::message::server::{Code, Enrolled, LoggedIn, Refusal, ResetState};
use minicbor::Encode;

use super::Peer;
use super::account::{Enrolment, ResetOutcome};
use super::asked::Asked;
use super::ready::{PeerContext, Ready};
use crate::counters::Closed;
use crate::limits::Source;
use crate::router::outbox::Outbox;
use crate::shared::Shared;

/// Refusals after which a guest is sent away: enough for a person at a prompt, few for a program.
const MAX_REFUSALS: u32 = 16;

/// A connection without a login.
pub(crate) struct Guest {
    pub(super) shared: Arc<Shared>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) source: Source,
    pub(super) binding: Binding,
    refusals: u32,
}

impl Guest {
    pub(super) fn new(shared: Arc<Shared>, outbox: Arc<Outbox>, source: Source, binding: Binding) -> Self {
        Self { shared, outbox, source, binding, refusals: 0 }
    }

    pub(super) async fn take(mut self, asked: Asked, request: Result<Request, Refusal>) -> Peer {
        match request {
            Ok(Request::Register(request)) => {
                let outcome = self.register(request).await;
                self.stay(asked, outcome)
            }
            Ok(Request::Enrol(request)) => match self.enrol(request).await {
                Ok(Enrolment::Active(user, device)) => self.enter(asked, user, device, Enrolled::Ready).await,
                Ok(Enrolment::Waits(head, fingerprint)) => {
                    self.stay(asked, Ok(Enrolled::ApprovalRequired(head, fingerprint)))
                }
                Err(refusal) => self.turned_away::<Enrolled>(asked, refusal),
            },
            Ok(Request::Login(request)) => match self.login(&request).await {
                Ok(()) => self.enter(asked, request.user, request.device, std::convert::identity).await,
                Err(refusal) => self.turned_away::<LoggedIn>(asked, refusal),
            },
            Ok(Request::Reset(request)) => match self.reset(request).await {
                Ok(ResetOutcome::Done(user, device)) => self.enter(asked, user, device, ResetState::Done).await,
                Ok(ResetOutcome::Waits(until)) => self.stay(asked, Ok(ResetState::Waiting(until))),
                Err(refusal) => self.turned_away::<ResetState>(asked, refusal),
            },
            Ok(_) => self.stay::<LoggedIn>(asked, Err(Code::Denied.into())),
            Err(refusal) => self.stay::<LoggedIn>(asked, Err(refusal)),
        }
    }

    /// The next refusal is the last one.
    pub(super) fn dismiss(&mut self) {
        self.refusals = MAX_REFUSALS;
    }

    /// Answers and remains a guest; after too many refusals no longer.
    fn stay<A: Encode<()>>(mut self, asked: Asked, outcome: Result<A, Refusal>) -> Peer {
        self.outbox.push(asked.answer(&outcome));
        self.refusals = self.refusals.saturating_add(u32::from(outcome.is_err()));
        if self.refusals >= MAX_REFUSALS { Peer::Closing(Closed::Refused) } else { Peer::Guest(self) }
    }

    /// Becomes the device that was just proven.
    async fn enter<A: Encode<()>>(
        self,
        asked: Asked,
        user: Username,
        device: DeviceId,
        wrap: fn(LoggedIn) -> A,
    ) -> Peer {
        let context =
            PeerContext { shared: Arc::clone(&self.shared), outbox: Arc::clone(&self.outbox), source: self.source };
        match Ready::enter(context, user, device, |state| asked.answer(&Ok(wrap(state)))).await {
            Ok(ready) => {
                ready.shared().counters.logins.done.one();
                Peer::Ready(ready)
            }
            Err(refusal) => self.turned_away::<A>(asked, refusal),
        }
    }

    /// Did not become anybody, and remains a guest.
    fn turned_away<A: Encode<()>>(self, asked: Asked, refusal: Refusal) -> Peer {
        let outcome = self.shared.counters.logins.judged(Err::<A, _>(refusal));
        self.stay(asked, outcome)
    }
}
