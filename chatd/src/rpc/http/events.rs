//! `GET /events`: a subscription as server-sent events.
//!
//! ```text
//! id: 1742
//! data: {"subscription":"…","seq":1742,"time_ms":…,"type":"message.new","chat":"@bob","replayed":false,"data":{…}}
//! ```
//! The query says what `events.subscribe` takes; lists are parted by commas. A reader that comes back with
//! `Last-Event-ID` goes on behind that event, which is what browsers and libraries do by themselves.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event as Sent, Sse};
use axum::response::{IntoResponse, Response};
use chat_protocol::rpc::types::{AckMode, EventsSubscribe, Since, SinceWord};
use chat_protocol::rpc::{ChatId, Name, RpcError, Target};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::access::Known;
use super::refusal::Refusal;
use super::taken::Taken;
use super::{LAST_EVENT_ID, Web};
use crate::rpc::outbound::{Outgoing, QUEUE};
use crate::rpc::service::Caller;
use crate::rpc::subscribe::{self, Place};
use crate::rpc::{access::Access, authorize};

/// How long a reader waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// The query.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    consumer: Option<String>,
    from: Option<String>,
    types: Option<String>,
    chats: Option<String>,
    include_self: Option<bool>,
    ack: Option<AckMode>,
    max_inflight: Option<u32>,
}

/// Sends events for as long as somebody reads.
pub(super) async fn stream(
    State(web): State<Web>,
    Known(access): Known,
    headers: HeaderMap,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Refusal> {
    authorize::open::<EventsSubscribe>(&access, web.table.shared.backend.as_ref()).await?;
    let Query(asked) = query.map_err(|error| RpcError::invalid("query", error.body_text()))?;
    let asked = asked.read(headers.get(LAST_EVENT_ID))?;
    authorize::admit(&access, web.table.shared.backend.as_ref(), &asked).await?;
    let queued = begin(&web, access, asked).await?;
    let mut response = Sse::new(sent(queued, Arc::clone(&web.taken))).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Starts the subscription; it ends with its reader, its token, or the daemon.
async fn begin(web: &Web, access: Access, asked: EventsSubscribe) -> Result<mpsc::Receiver<Outgoing>, RpcError> {
    let (outbound, queued) = mpsc::channel(QUEUE);
    let place = Place {
        id: uuid::Uuid::now_v7().simple().to_string(),
        access: access.clone(),
        outbound,
        unsubscribed: web.shutdown.child_token(),
        ending: web.shutdown.child_token(),
        running: web.lasting.token(),
    };
    let (subscription, _) =
        subscribe::begin(Arc::clone(&web.table.shared.backend), &web.table.shared.consumers, asked, place).await?;
    tokio::spawn(async move {
        let caller = Caller::new(access, None);
        tokio::select! {
            () = subscription.run() => {}
            () = caller.ended() => {}
        }
    });
    Ok(queued)
}

/// Each event as it leaves; `taken` says when it was written.
fn sent(queued: mpsc::Receiver<Outgoing>, taken: Arc<Taken>) -> impl Stream<Item = Result<Sent, Infallible>> {
    unfold((queued, taken, true), |(mut queued, taken, first)| async move {
        let next = queued.recv().await?;
        let event = event(&next)?;
        taken.hand(next);
        let event = if first { event.retry(RETRY) } else { event };
        Some((Ok(event), (queued, taken, false)))
    })
}

fn event(outgoing: &Outgoing) -> Option<Sent> {
    let Outgoing::Event(note) = outgoing else { return None };
    let event = Sent::default().data(note.params());
    Some(match note.seq() {
        Some(seq) => event.id(seq.to_string()),
        None => event,
    })
}

impl Asked {
    fn read(self, last: Option<&HeaderValue>) -> Result<EventsSubscribe, RpcError> {
        // a reader that has seen nothing yet says so by an empty value, or not at all
        let last = last.filter(|last| !last.is_empty());
        let from = match last {
            Some(last) => Some(after(last.to_str().unwrap_or_default(), "Last-Event-ID")?),
            None => self.from.as_deref().filter(|from| !from.is_empty()).map(since).transpose()?,
        };
        Ok(EventsSubscribe {
            consumer: self.consumer.as_deref().map(str::parse::<Name>).transpose().map_err(wrong("consumer"))?,
            from,
            types: self.types.as_deref().map(|types| parts(types).map(str::to_owned).collect()),
            chats: self.chats.as_deref().map(chats).transpose()?,
            include_self: self.include_self,
            ack: self.ack,
            max_inflight: self.max_inflight,
        })
    }
}

fn since(text: &str) -> Result<Since, RpcError> {
    match text {
        "now" => Ok(Since::Word(SinceWord::Now)),
        "start" => Ok(Since::Word(SinceWord::Start)),
        "acked" => Ok(Since::Word(SinceWord::Acked)),
        number => after(number, "from"),
    }
}

fn after(text: &str, path: &str) -> Result<Since, RpcError> {
    text.parse().map(Since::After).map_err(|_| RpcError::invalid(path, "must be the number of an event"))
}

fn chats(text: &str) -> Result<Vec<ChatId>, RpcError> {
    parts(text).map(|part| part.parse::<Target>().map(|target| ChatId::from(&target)).map_err(wrong("chats"))).collect()
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn wrong<E: std::fmt::Display>(path: &'static str) -> impl Fn(E) -> RpcError {
    move |error| RpcError::invalid(path, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use chat_protocol::rpc::events::Synced;
    use chat_protocol::rpc::{EventBody, WrittenEvent};
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::taken::Tapped;
    use super::*;
    use crate::rpc::outbound::Written;
    use crate::rpc::subscribe::now_ms;

    const EVENTS: u64 = 8;
    /// Smaller than an event, so that the reader has nearly all that was written.
    const PIPE: usize = 32;

    #[tokio::test]
    async fn an_event_is_written_when_the_reader_can_have_it_and_not_when_it_is_only_buffered() {
        let (outbound, queued) = mpsc::channel(QUEUE);
        let (written, known) = Written::new();
        for seq in 1..=EVENTS {
            let event = WrittenEvent::durable(seq, now_ms(), None, &EventBody::SyncDone(Synced { replayed: seq }));
            outbound.send(Outgoing::event("a", event, false, Some(written.clone()))).await.unwrap();
        }
        let taken = Arc::<Taken>::default();
        let response = Mutex::new(Some(Sse::new(sent(queued, Arc::clone(&taken))).into_response()));
        let (mut reader, ours) = tokio::io::duplex(PIPE);
        tokio::spawn(async move {
            let answer = service_fn(|_| std::future::ready(response.lock().unwrap().take().ok_or(std::fmt::Error)));
            let io = TokioIo::new(Tapped::new(ours, taken));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, answer).await;
        });
        reader.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut heard = String::new();
        while heard.matches("data: ").count() < usize::try_from(EVENTS).unwrap() || !heard.ends_with("\n\n\r\n") {
            heard.push(char::from(reader.read_u8().await.unwrap()));
            let whole = heard.matches("\n\n").count() as u64;
            assert!(*known.borrow() <= whole + 1, "{} of {whole}", *known.borrow());
        }
        let mut known = known;
        assert!(known.wait_for(|seq| *seq == EVENTS).await.is_ok());
    }
}
