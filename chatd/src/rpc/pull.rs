//! `events.pull`: the log for callers that come and go.

use std::time::Duration;

use chat_protocol::rpc::events::Range;
use chat_protocol::rpc::types::EventsPull;
use chat_protocol::rpc::{EventBody, Kind, RpcError, WrittenEvent};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::access::Access;
use super::filter::Filter;
use super::subscribe::now_ms;
use crate::api::{Answer, Backend, MAX_PAGE_BYTES};

/// Events when nothing else is asked for, and at most.
const USUAL: u32 = 100;
const MOST: u32 = 1_000;
/// Longest wait for the first event.
const LONGEST_WAIT_MS: u64 = 60_000;
/// Events read from the log at once.
const PAGE: usize = 64;

/// A batch in the making.
struct Batch {
    /// JSON of the events, with commas between.
    events: String,
    count: usize,
    cursor: u64,
    most: usize,
    room: usize,
}

/// The next events of a consumer.
///
/// # Errors
/// [`RpcError`] for limits out of range, unknown types, and what the log says.
pub(super) async fn pull(backend: &dyn Backend, access: &Access, asked: EventsPull) -> Answer<Box<RawValue>> {
    let most = match asked.max.unwrap_or(USUAL) {
        0 => return Err(RpcError::invalid("max", "must be at least 1")),
        max => usize::try_from(max.min(MOST)).unwrap_or(usize::MAX),
    };
    let filter = Filter::of_pull(&asked, access)?;
    let wait = Duration::from_millis(asked.wait_ms.unwrap_or(0).min(LONGEST_WAIT_MS));
    let until = Instant::now() + wait;
    let mut newest = backend.newest_event();
    newest.mark_unchanged();
    let cursor = backend.consumer_open(asked.consumer, None).await?;
    let mut batch = Batch { events: String::new(), count: 0, cursor, most, room: MAX_PAGE_BYTES };
    loop {
        // it may have waited longer than its token was good
        access.check()?;
        batch.fill(backend, &filter).await?;
        let grown = batch.events.is_empty() && matches!(timeout_at(until, newest.changed()).await, Ok(Ok(())));
        if !grown {
            return batch.finish();
        }
    }
}

impl Batch {
    /// Takes what the log has, until it ends or the batch is full.
    async fn fill(&mut self, backend: &dyn Backend, filter: &Filter) -> Answer<()> {
        loop {
            let page = backend.events_after(self.cursor, PAGE).await?;
            if page.oldest_seq > self.cursor.saturating_add(1) {
                let last = page.oldest_seq - 1;
                let gap = EventBody::Gap(Range { from: self.cursor + 1, to: last });
                if !self.take(&WrittenEvent::durable(last, now_ms(), None, &gap)) {
                    return Ok(());
                }
            }
            if page.events.is_empty() {
                return Ok(());
            }
            for event in page.events {
                let seq = event.seq.unwrap_or(self.cursor);
                if !filter.wants(&event) {
                    self.cursor = seq;
                } else if !self.take(&event) {
                    return Ok(());
                }
            }
        }
    }

    /// Adds an event and moves behind it; false if there is no room for it.
    fn take(&mut self, event: &WrittenEvent) -> bool {
        if self.count >= self.most {
            return false;
        }
        let before = self.events.len();
        if before > 0 {
            self.events.push(',');
        }
        event.write_into(&mut self.events, None, true);
        if self.events.len() > self.room {
            self.events.truncate(before);
            return false;
        }
        self.count += 1;
        self.cursor = event.seq.unwrap_or(self.cursor);
        true
    }

    /// An [`EventBatch`](chat_protocol::rpc::types::EventBatch).
    fn finish(self) -> Answer<Box<RawValue>> {
        let Self { events, cursor, .. } = self;
        let json = format!(r#"{{"events":[{events}],"next_seq":{}}}"#, cursor.saturating_add(1));
        RawValue::from_string(json).map_err(|_| RpcError::new(Kind::Internal, "an event in the log is not JSON"))
    }
}
