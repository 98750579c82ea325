//! What the control socket asks of the daemon.
//!
//! The socket side ([`crate::rpc`]) parses, bounds, orders, authorizes and answers. What a method means is in the
//! daemon's `Handle` for it; what the socket side answers from by itself (tokens, readers of the log, health) is in
//! [`Backend`]. Errors are for the caller's eyes: nothing secret is in them.

pub(crate) mod turn;

use async_trait::async_trait;
use chat_protocol::ids::MessageId;
use chat_protocol::rpc::types::{Consumer, Health, Token};
use chat_protocol::rpc::{ChatId, MAX_LINE_BYTES, Methods, Name, RpcError, WrittenEvent};
use tokio::sync::{broadcast, watch};

use crate::metrics::Metrics;

pub use crate::engine::tokens::{TokenHash, Use};

/// Longest id of a call: it stands in every answer, errors too. UUIDs and sentences are far below.
pub const MAX_ID_BYTES: usize = 4096;
/// Longest answer: what a line has room for besides the id and what frames both.
pub const MAX_ANSWER_BYTES: usize = MAX_LINE_BYTES - 1024 - MAX_ID_BYTES;
/// Most bytes of a page's objects: what an answer has room for besides its cursor and names.
pub const MAX_PAGE_BYTES: usize = MAX_ANSWER_BYTES - 1024;

/// A stretch of the durable event log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventPage {
    /// Events behind the place asked for, ascending, each with its `seq`.
    pub events: Vec<WrittenEvent>,
    /// The oldest sequence still kept; one more than the newest when the log is empty.
    pub oldest_seq: u64,
}

/// The outcome of a call.
pub type Answer<T> = Result<T, RpcError>;

/// The daemon as the control socket sees it. Calls may come from many connections at once.
pub trait Api: Methods + Backend {}
impl<T: Methods + Backend> Api for T {}

/// What the socket side answers from. A call that is dropped half-way either had its whole effect or none.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// How the daemon is doing; which consumers are connected is not known here.
    async fn health(&self) -> Answer<Health>;
    /// The chat of a message.
    async fn chat_of(&self, id: &MessageId) -> Answer<ChatId>;

    /// Keeps a new token beside the hash of its text.
    async fn token_create(&self, token: Token, hash: TokenHash) -> Answer<()>;
    /// The token whose text has this hash.
    async fn token_find(&self, hash: TokenHash) -> Answer<Option<Token>>;
    /// Forgets a token.
    async fn token_revoke(&self, name: &Name) -> Answer<()>;
    /// Notes what a token is used for; durable once this returns.
    async fn token_used(&self, used: Use) -> Answer<()>;

    /// Whether a token may have one more message wait to be sent.
    async fn admit_token_message(&self) -> Answer<()>;

    /// Makes sure that there is a consumer, and returns its place: `place` if it is new, or the log's end.
    async fn consumer_open(&self, consumer: Name, place: Option<u64>) -> Answer<u64>;
    /// Moves a consumer's place, never back, and returns where it is.
    async fn consumer_ack(&self, consumer: &Name, seq: u64) -> Answer<u64>;
    /// Forgets a consumer.
    async fn consumer_forget(&self, consumer: &Name) -> Answer<()>;
    /// The consumers there are, in order of their names.
    async fn consumers(&self) -> Answer<Vec<Consumer>>;

    /// The newest sequence in the event log, changed after each commit that appended; 0 when empty.
    fn newest_event(&self) -> watch::Receiver<u64>;
    /// Events behind `seq`, at most `max`.
    async fn events_after(&self, seq: u64, max: usize) -> Answer<EventPage>;
    /// Volatile events from now on. Whoever lags behind misses some, and is not told.
    fn volatile(&self) -> broadcast::Receiver<WrittenEvent>;
    /// What is counted.
    fn metrics(&self) -> &Metrics;
}
