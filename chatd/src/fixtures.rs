//! A daemon without network, keys or disk behind a real socket: what callers see of one.
//!
//! Methods that tests do not care about are answered by their examples. Never part of the default features.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "only tests use it, of chatd and of chatctl"
)]

mod account;
pub mod identity;
mod messages;
mod people;
mod served;
mod state;
mod values;

use std::any::Any;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::api::{Answer, Backend, EventPage, TokenHash, Use};
use crate::dirs::DataDir;
use crate::metrics::Metrics;
use crate::rpc::{Policy, Server};
use async_trait::async_trait;
use chat_protocol::ids::{DeviceId, Fingerprint, MessageId, Username};
use chat_protocol::rpc::events::{Deleted, Reacted, StatusChanged, Synced};
use chat_protocol::rpc::types::*;
use chat_protocol::rpc::{ChatId, Event, EventBody, Handle, Kind, Method, Name, RpcError, Target, WrittenEvent};
use tokio::sync::{Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;

pub use self::served::{Served, serve};
pub use self::state::{Fake, user};

/// The only password the fake accepts.
pub const PASSWORD: &str = "correct horse battery";
/// What a page of a search holds at most.
pub const FOUND_AT_ONCE: u32 = 20;
/// When everything happens.
pub const NOW: u64 = 1_700_000_000_000;

/// How one method is answered.
type Reply<M> = Box<dyn Fn(&Fake, M) -> Answer<<M as Method>::Answer> + Send + Sync>;

impl Fake {
    /// Answers a method so from now on.
    pub fn on<M: Method>(&mut self, reply: impl Fn(&Self, M) -> Answer<M::Answer> + Send + Sync + 'static) {
        let reply: Reply<M> = Box::new(reply);
        self.replies.insert(M::NAME, Box::new(reply));
    }

    /// As it was told to, or else with the method's example.
    ///
    /// # Errors
    /// Those it was told to answer.
    pub fn answer<M: Method>(&self, params: M) -> Answer<M::Answer> {
        match self.replies.get(M::NAME) {
            Some(reply) => reply.downcast_ref::<Reply<M>>().unwrap()(self, params),
            None => Ok(serde_json::from_str(M::EXAMPLE.result).unwrap()),
        }
    }
}

impl<M: Method> Handle<M> for Fake {
    async fn handle(&self, params: M) -> Answer<M::Answer> {
        if M::NAME == PresenceList::NAME {
            drop(self.gate.acquire().await.unwrap());
        }
        let waits = M::NAME == MsgWait::NAME && self.state().waits;
        if waits {
            let _place = self.waiting.enter();
            std::future::pending::<()>().await;
        }
        self.answer(params)
    }
}

#[async_trait]
impl Backend for Fake {
    async fn health(&self) -> Answer<Health> {
        Ok(self.state().health.clone())
    }

    async fn chat_of(&self, id: &MessageId) -> Answer<ChatId> {
        self.answer(MsgGet { id: *id }).map(|message| message.chat)
    }

    async fn token_create(&self, token: Token, hash: TokenHash) -> Answer<()> {
        let mut state = self.state();
        if state.tokens.contains_key(&token.name) {
            return Err(Kind::AlreadyExists.into());
        }
        state.tokens.insert(token.name.clone(), (token, hash));
        Ok(())
    }

    async fn token_find(&self, hash: TokenHash) -> Answer<Option<Token>> {
        let state = self.state();
        Ok(state.tokens.values().find(|(_, known)| *known == hash).map(|(token, _)| token.clone()))
    }

    async fn token_revoke(&self, name: &Name) -> Answer<()> {
        self.state().tokens.remove(name).map(drop).ok_or(Kind::NotFound.into())
    }

    async fn token_used(&self, used: Use) -> Answer<()> {
        let mut state = self.state();
        let seq = state.journal.len() as u64 + 1;
        let Use { token, method, chat, refused } = used;
        let (method, refused) = (method.to_owned(), refused.map(str::to_owned));
        state.journal.push(AuditEntry { seq, time_ms: NOW, token, method, chat, refused });
        Ok(())
    }

    async fn admit_token_message(&self) -> Answer<()> {
        if self.state().queue_full { Err(Kind::QuotaExceeded.into()) } else { Ok(()) }
    }

    async fn consumer_open(&self, consumer: Name, place: Option<u64>) -> Answer<u64> {
        let mut state = self.state();
        let newest = state.oldest + state.log.len() as u64 - 1;
        Ok(*state.consumers.entry(consumer).or_insert(place.unwrap_or(newest)))
    }

    async fn consumer_ack(&self, consumer: &Name, seq: u64) -> Answer<u64> {
        let mut state = self.state();
        state.acks += 1;
        let place = state.consumers.get_mut(consumer).ok_or(Kind::UnknownConsumer)?;
        *place = seq.max(*place);
        Ok(*place)
    }

    async fn consumer_forget(&self, consumer: &Name) -> Answer<()> {
        self.state().consumers.remove(consumer).map(drop).ok_or(Kind::UnknownConsumer.into())
    }

    async fn consumers(&self) -> Answer<Vec<Consumer>> {
        let state = self.state();
        let shown = |(name, acked): (&Name, &u64)| Consumer {
            name: name.clone(),
            acked_seq: *acked,
            lag: state.oldest + state.log.len() as u64 - 1 - acked,
            connected: false,
            seen_ms: NOW,
        };
        Ok(state.consumers.iter().map(shown).collect())
    }

    fn newest_event(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    async fn events_after(&self, seq: u64, max: usize) -> Answer<EventPage> {
        let state = self.state();
        if state.unreadable {
            return Err(Kind::Internal.into());
        }
        let behind = state.log.iter().filter(|event| event.seq.unwrap_or(0) > seq);
        Ok(EventPage { events: behind.take(max).cloned().map(WrittenEvent::from).collect(), oldest_seq: state.oldest })
    }

    fn volatile(&self) -> broadcast::Receiver<WrittenEvent> {
        self.volatile.subscribe()
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

/// An event of no consequence.
pub fn nothing_much(number: u64) -> EventBody {
    EventBody::SyncDone(Synced { replayed: number })
}
