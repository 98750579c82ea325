//! What the socket side answers from by itself: tokens, readers of the event log, health.

use async_trait::async_trait;
use chat_protocol::ids::MessageId;
use chat_protocol::rpc::types::{Consumer, Health, Token};
use chat_protocol::rpc::{ChatId, Kind, Name, RpcError, WrittenEvent};
use tokio::sync::{broadcast, watch};

use super::{Daemon, reads};
use crate::api::{Answer, Backend, EventPage, TokenHash, Use};
use crate::engine::outbox::MAX_QUEUED_BY_TOKENS;
use crate::engine::{consumers, outbox, tokens};
use crate::metrics::Metrics;

#[async_trait]
impl Backend for Daemon {
    async fn health(&self) -> Answer<Health> {
        self.examine_health().await
    }

    async fn chat_of(&self, id: &MessageId) -> Answer<ChatId> {
        let id = *id;
        self.read(move |rows| Ok(reads::message(rows, &id)?.chat)).await
    }

    async fn token_create(&self, token: Token, hash: TokenHash) -> Answer<()> {
        self.command(move |txn| tokens::create(txn, &token, hash)).await
    }

    async fn token_find(&self, hash: TokenHash) -> Answer<Option<Token>> {
        self.rows(move |rows| tokens::find(rows, &hash)).await
    }

    async fn token_revoke(&self, name: &Name) -> Answer<()> {
        let name = name.clone();
        self.command(move |txn| tokens::revoke(txn, &name)).await
    }

    async fn token_used(&self, used: Use) -> Answer<()> {
        self.command(move |txn| tokens::record_use(txn, used)).await
    }

    async fn admit_token_message(&self) -> Answer<()> {
        if self.rows(outbox::has_room_for_tokens).await? {
            return Ok(());
        }
        let why =
            format!("{MAX_QUEUED_BY_TOKENS} messages wait to be sent, or half of those that may wait for their time");
        Err(RpcError::new(Kind::QuotaExceeded, why).with_hint("try again once they have left: chatctl outbox"))
    }

    async fn consumer_open(&self, consumer: Name, place: Option<u64>) -> Answer<u64> {
        self.command(move |txn| consumers::open(txn, &consumer, place)).await
    }

    async fn consumer_ack(&self, consumer: &Name, seq: u64) -> Answer<u64> {
        let consumer = consumer.clone();
        self.command(move |txn| consumers::ack(txn, &consumer, seq)).await
    }

    async fn consumer_forget(&self, consumer: &Name) -> Answer<()> {
        let consumer = consumer.clone();
        self.command(move |txn| consumers::forget(txn, &consumer)).await
    }

    async fn consumers(&self) -> Answer<Vec<Consumer>> {
        self.rows(consumers::list).await
    }

    fn newest_event(&self) -> watch::Receiver<u64> {
        self.newest.clone()
    }

    async fn events_after(&self, seq: u64, max: usize) -> Answer<EventPage> {
        self.read(move |rows| reads::events_after(rows, seq, max)).await
    }

    fn volatile(&self) -> broadcast::Receiver<WrittenEvent> {
        self.volatile.subscribe()
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
