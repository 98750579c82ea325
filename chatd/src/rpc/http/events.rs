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
use super::{LAST_EVENT_ID, Web};
use crate::rpc::outlet::{Outgoing, QUEUE};
use crate::rpc::service::Caller;
use crate::rpc::subscribe::{self, Place};
use crate::rpc::{access::Access, gate};

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
    gate::open::<EventsSubscribe>(&access, web.offer.api.as_ref()).await?;
    let Query(asked) = query.map_err(|error| RpcError::invalid("query", error.body_text()))?;
    let asked = asked.read(headers.get(LAST_EVENT_ID))?;
    gate::admit(&access, web.offer.api.as_ref(), &asked).await?;
    let outbound = begin(&web, access, asked).await?;
    let mut response = Sse::new(sent(outbound)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Starts the subscription; it ends with its reader, its token, or the daemon.
async fn begin(web: &Web, access: Access, asked: EventsSubscribe) -> Result<mpsc::Receiver<Outgoing>, RpcError> {
    let (outlet, outbound) = mpsc::channel(QUEUE);
    let place = Place {
        id: uuid::Uuid::now_v7().simple().to_string(),
        access: access.clone(),
        outlet,
        unsubscribed: web.shutdown.child_token(),
        ending: web.shutdown.child_token(),
        running: web.lasting.token(),
    };
    let (subscription, _) = subscribe::begin(Arc::clone(&web.offer.api), &web.offer.readers, asked, place).await?;
    tokio::spawn(async move {
        let caller = Caller::new(access);
        tokio::select! {
            () = subscription.run() => {}
            () = caller.ended() => {}
        }
    });
    Ok(outbound)
}

/// Each event as it leaves. The one before is taken as written once the next is asked for.
fn sent(outbound: mpsc::Receiver<Outgoing>) -> impl Stream<Item = Result<Sent, Infallible>> {
    unfold((outbound, None::<Outgoing>, true), |(mut outbound, before, first)| async move {
        if let Some(before) = before {
            before.was_written();
        }
        let next = outbound.recv().await?;
        let event = event(&next)?;
        let event = if first { event.retry(RETRY) } else { event };
        Some((Ok(event), (outbound, Some(next), false)))
    })
}

fn event(outgoing: &Outgoing) -> Option<Sent> {
    let Outgoing::Event(note) = outgoing else { return None };
    let event = Sent::default().data(serde_json::to_string(&note.notified).ok()?);
    Some(match note.notified.event.seq {
        Some(seq) => event.id(seq.to_string()),
        None => event,
    })
}

impl Asked {
    fn read(self, last: Option<&HeaderValue>) -> Result<EventsSubscribe, RpcError> {
        let from = match last {
            Some(last) => Some(after(last.to_str().unwrap_or_default(), "Last-Event-ID")?),
            None => self.from.as_deref().map(since).transpose()?,
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
