//! Whether this machine's clock is right, as far as the server's tells.

use std::time::Duration;

use chat_protocol::rpc::client::{CallError, Client};
use chat_protocol::rpc::types::{ConnectionState, EventsSubscribe, Since, SinceWord};
use chat_protocol::rpc::{Event, EventBody};

use super::Finding;
use crate::Way;
use crate::error::Failure;

/// Events that are looked through for the last connection.
const LOOKED_AT: u64 = 2_000;
/// Longest look.
const WITHIN: Duration = Duration::from_secs(10);

/// The server's time comes with every connection; a difference that matters is an event just before it.
pub(super) async fn examine(way: &Way, client: &Client) -> Finding {
    let skew = tokio::time::timeout(WITHIN, offset(way, client)).await;
    match skew {
        Ok(Ok(Some(millis))) => Finding::bad(
            format!("this clock and the server's differ by {} s", millis.unsigned_abs() / 1000),
            "timedatectl set-ntp true, then: chatctl rpc net.kick",
        ),
        Ok(Ok(None)) => Finding::good("the clock agrees with the server's, as far as chatd was told"),
        // A token without the right to events, or a log nobody can read now: not the clock's fault.
        Ok(Err(_)) | Err(_) => Finding::good("the clock could not be compared with the server's"),
    }
}

async fn offset(way: &Way, client: &Client) -> Result<Option<i64>, Failure> {
    let now = EventsSubscribe::everything(Since::Word(SinceWord::Now));
    let newest = client.events(now.clone()).await?.place().unwrap_or(0);
    let from = Since::After(newest.saturating_sub(LOOKED_AT));
    // A connection carries one stream of events.
    let mut events = way.connect().await?.events(EventsSubscribe { from: Some(from), ..now }).await?;
    let mut last = Last::default();
    while events.place().is_some_and(|place| place < newest) {
        last.hear(&events.next().await?.ok_or(CallError::Disconnected)?);
    }
    Ok(last.connected)
}

/// What was told with the last connection.
#[derive(Default)]
struct Last {
    told: Option<i64>,
    connected: Option<i64>,
}

impl Last {
    fn hear(&mut self, event: &Event) {
        match event.body() {
            Some(EventBody::ClockSkew(skew)) => self.told = Some(skew.offset_ms),
            Some(EventBody::Connection(change)) if change.state == ConnectionState::Online => {
                self.connected = self.told.take();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use chat_protocol::rpc::events::{ConnectionChanged, Skew};

    use super::*;

    #[test]
    fn only_what_was_told_with_the_last_connection_counts() {
        let online = ConnectionChanged { state: ConnectionState::Online, reason: None, next_retry_ms: None };
        let online = Event::durable(2, 0, None, &EventBody::Connection(online));
        let skew = Event::durable(1, 0, None, &EventBody::ClockSkew(Skew { offset_ms: -7_200_000 }));
        let mut last = Last::default();
        last.hear(&skew);
        last.hear(&online);
        assert_eq!(last.connected, Some(-7_200_000));
        last.hear(&online);
        assert_eq!(last.connected, None);
    }
}
