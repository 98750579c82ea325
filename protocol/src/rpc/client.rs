//! The typed client of the local socket, for chatctl and for bots written in Rust.
//!
//! A line transport under jsonrpsee's client: calls may be in flight together, and answers find
//! their callers. Never prints or logs what it carries.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::client::async_client::RpcService;
use jsonrpsee::core::client::{
    Client as Inner, ClientBuilder, ClientT, Error as InnerError, ReceivedMessage, Subscription, SubscriptionClientT,
    SubscriptionCloseReason, TransportReceiverT, TransportSenderT,
};
use jsonrpsee::core::middleware::RpcServiceBuilder;
use jsonrpsee::core::traits::ToRpcParams;
use rustix::process::geteuid;
use serde_json::value::RawValue;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::errors::{ErrorData, RpcError};
use super::types::{EventsAck, EventsSubscribe, EventsUnsubscribe, Since, SinceWord, Subscribed};
use super::{EVENT_NOTIFICATION, Event, MAX_LINE_BYTES, Method, Notified};

/// How long a call may take. Registering makes keys and waits for the server's password hash.
const CALL_WITHIN: Duration = Duration::from_secs(120);
/// The last event of a subscription.
const SUBSCRIPTION_ENDED: &str = "subscription.ended";
/// Events kept for a reader that is busy; more, and it resumes from its cursor.
const EVENTS_KEPT: usize = 1024;

/// Why there is no daemon to talk to.
#[derive(Debug, Error)]
#[error("no daemon answers on {}", path.display())]
pub struct ConnectError {
    /// The socket.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Why a call has no result.
#[derive(Debug, Error)]
pub enum CallError {
    /// The daemon said no.
    #[error(transparent)]
    Refused(#[from] RpcError),
    /// The connection ended first; the call may or may not have had its effect.
    #[error("the daemon closed the connection")]
    Disconnected,
    /// No answer in two minutes.
    #[error("the daemon did not answer in time")]
    TimedOut,
    /// The answer is not what this version expects.
    #[error("the daemon's answer was not understood: {0}")]
    Malformed(String),
}

impl From<InnerError> for CallError {
    fn from(error: InnerError) -> Self {
        match error {
            InnerError::Call(refusal) => {
                let data = refusal.data().and_then(|data| serde_json::from_str::<ErrorData>(data.get()).ok());
                Self::Refused(RpcError::from_wire(refusal.code(), refusal.message(), data))
            }
            InnerError::RequestTimeout => Self::TimedOut,
            InnerError::ParseError(why) => Self::Malformed(why.to_string()),
            InnerError::Transport(_) | InnerError::RestartNeeded(_) | InnerError::ServiceDisconnect => {
                Self::Disconnected
            }
            other => Self::Malformed(other.to_string()),
        }
    }
}

/// A connection to a daemon. Clones share it.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner<RpcService>>);

impl Client {
    /// Connects to the daemon's socket.
    ///
    /// # Errors
    /// [`ConnectError`] when nobody listens there, or another user: whoever it is would be given the passwords.
    pub async fn connect(path: &Path) -> Result<Self, ConnectError> {
        let failed = |source| ConnectError { path: path.to_owned(), source };
        let stream = UnixStream::connect(path).await.map_err(failed)?;
        stream.peer_cred().and_then(|peer| same_user(peer.uid(), geteuid().as_raw())).map_err(failed)?;
        let (input, output) = stream.into_split();
        // Without the default middleware, which would log passwords at trace level.
        let inner = ClientBuilder::new()
            .set_rpc_middleware(RpcServiceBuilder::new())
            .request_timeout(CALL_WITHIN)
            .max_buffer_capacity_per_subscription(EVENTS_KEPT)
            .build_with_tokio(Sender(output), Receiver(BufReader::new(input)));
        Ok(Self(Arc::new(inner)))
    }

    /// Makes a call.
    ///
    /// # Errors
    /// [`CallError::Refused`] with the daemon's reason, or what became of the connection.
    pub async fn call<M: Method>(&self, params: &M) -> Result<M::Answer, CallError> {
        Ok(self.0.request(M::NAME, Params(to_raw(params)?)).await?)
    }

    /// Makes a call by name, with parameters as they are.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_raw(&self, method: &str, params: Box<RawValue>) -> Result<serde_json::Value, CallError> {
        Ok(self.0.request(method, Params(params)).await?)
    }

    /// Asks for events. A connection carries one such stream at a time.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn events(&self, wanted: EventsSubscribe) -> Result<Events, CallError> {
        let (begun, stream) = self.subscribe(&wanted).await?;
        let mut events =
            Events { client: self.clone(), wanted, subscription: begun.subscription, stream, ended: false };
        if events.wanted.from == Some(Since::Word(SinceWord::Now)) {
            // Begun anew before anything happened, it would otherwise begin at a later `now`.
            events.wanted.from = Some(Since::After(begun.next_seq.saturating_sub(1)));
        }
        Ok(events)
    }

    async fn subscribe(&self, wanted: &EventsSubscribe) -> Result<(Subscribed, Subscription<Notified>), CallError> {
        // first, so that nothing that follows the answer is missed
        let stream = self.0.subscribe_to_method(EVENT_NOTIFICATION).await?;
        let answer = self.call(wanted).await?;
        Ok((answer, stream))
    }
}

/// A daemon answers its own user and nobody else, so another one's is not the one that is looked for.
fn same_user(daemon: u32, caller: u32) -> io::Result<()> {
    if daemon == caller {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("user {daemon} listens there, and you are user {caller}"),
    ))
}

/// Events as they come, in order and without holes.
#[derive(Debug)]
pub struct Events {
    client: Client,
    wanted: EventsSubscribe,
    subscription: String,
    stream: Subscription<Notified>,
    ended: bool,
}

impl Events {
    /// The next event; `None` when the daemon is gone.
    ///
    /// A subscription that the daemon ends says why by `subscription.ended`, and then nothing more.
    /// A reader slower than the daemon falls back to the log by itself.
    ///
    /// # Errors
    /// [`CallError`] when the subscription could not be resumed.
    pub async fn next(&mut self) -> Result<Option<Event>, CallError> {
        if self.ended {
            return Ok(None);
        }
        loop {
            match self.stream.next().await {
                Some(Ok(notified)) if notified.subscription != self.subscription => {}
                Some(Ok(Notified { event, .. })) => {
                    self.ended = event.kind == SUBSCRIPTION_ENDED;
                    if let Some(seq) = event.seq {
                        self.wanted.from = Some(Since::After(seq));
                    }
                    return Ok(Some(event));
                }
                Some(Err(why)) => return Err(CallError::Malformed(why.to_string())),
                None => match self.stream.close_reason() {
                    Some(SubscriptionCloseReason::Lagged) => self.resume().await?,
                    _ => return Ok(None),
                },
            }
        }
    }

    /// The last event that was handed out, or the one it began behind: where another subscription goes on.
    ///
    /// `None` while that is for the daemon to say: of a consumer, and from the start, until the first event.
    #[must_use]
    pub const fn place(&self) -> Option<u64> {
        match self.wanted.from {
            Some(Since::After(seq)) => Some(seq),
            _ => None,
        }
    }

    /// Says that everything up to `seq` was handled, for a subscription with a consumer.
    ///
    /// # Errors
    /// As [`Client::call`]; [`CallError::Malformed`] without a consumer.
    pub async fn ack(&self, seq: u64) -> Result<(), CallError> {
        let Some(consumer) = self.wanted.consumer.clone() else {
            return Err(CallError::Malformed("only a consumer acknowledges".to_owned()));
        };
        self.client.call(&EventsAck { consumer, seq }).await.map(drop)
    }

    /// Begins anew behind the last event that was handed out.
    async fn resume(&mut self) -> Result<(), CallError> {
        let ended = EventsUnsubscribe { subscription: self.subscription.clone() };
        match self.client.call(&ended).await {
            // it ended by itself, or under another reader of the same name
            Ok(_) | Err(CallError::Refused(_)) => {}
            Err(gone) => return Err(gone),
        }
        let (begun, stream) = self.client.subscribe(&self.wanted).await?;
        (self.subscription, self.stream) = (begun.subscription, stream);
        Ok(())
    }
}

/// Named parameters, already written.
struct Params(Box<RawValue>);

impl ToRpcParams for Params {
    fn to_rpc_params(self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        Ok(Some(self.0))
    }
}

fn to_raw(params: &impl serde::Serialize) -> Result<Box<RawValue>, CallError> {
    serde_json::value::to_raw_value(params).map_err(|why| CallError::Malformed(why.to_string()))
}

struct Sender(OwnedWriteHalf);

impl TransportSenderT for Sender {
    type Error = io::Error;

    async fn send(&mut self, mut line: String) -> Result<(), io::Error> {
        line.push('\n');
        self.0.write_all(line.as_bytes()).await
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.0.shutdown().await
    }
}

struct Receiver(BufReader<OwnedReadHalf>);

impl TransportReceiverT for Receiver {
    type Error = io::Error;

    /// The daemon keeps its lines below the limit; batches, which this client does not send, may be longer.
    async fn receive(&mut self) -> Result<ReceivedMessage, io::Error> {
        let limit = MAX_LINE_BYTES as u64 + 1;
        let mut line = Vec::new();
        let read = (&mut self.0).take(limit).read_until(b'\n', &mut line).await?;
        match line.pop() {
            Some(b'\n') => Ok(ReceivedMessage::Bytes(line)),
            Some(_) if read as u64 == limit => Err(io::Error::new(io::ErrorKind::InvalidData, "line too long")),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::same_user;

    #[test]
    fn another_user_who_listens_is_not_taken_for_the_daemon() {
        assert!(same_user(1000, 1000).is_ok());
        assert!(same_user(1001, 1000).unwrap_err().to_string().contains("user 1001 listens there"));
        assert!(same_user(1000, 0).is_err(), "root has a daemon of its own");
    }
}
