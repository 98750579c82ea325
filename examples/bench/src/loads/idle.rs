//! Many who are there and say nothing.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Context, Counter, Listen, Measure, SETTLE, connect_all, split, with};
use crate::Fallible;

/// How long it is watched what they cost while they say nothing; within it chat-server pings everybody.
const WATCHED: Duration = Duration::from_secs(3);

/// The count is of logins.
pub(crate) async fn run(context: &Context, connections: usize, at_once: usize) -> Fallible<Value> {
    let peer = &context.peer;
    let (before, measure) = (context.server.resident(), Measure::begin(context, 0));
    let connected = connect_all(peer, 0..connections, at_once, Listen::Nothing).await?;
    let logins = measure.end(context, connected.len() as u64);
    let ended = Counter::default();
    for connection in connected {
        // whoever is pinged has to answer
        split(connection).start(Rc::clone(peer), Rc::clone(&ended), |_| {}, || {});
    }
    sleep(SETTLE + Duration::from_secs_f64(context.warm)).await;
    let (after, measure) = (context.server.resident(), Measure::begin(context, 0));
    sleep(WATCHED).await;
    let idle = measure.end(context, 0);
    let more = json!({
        "connection_kib": after.saturating_sub(before) as f64 / connections as f64,
        "idle_share": idle.server_cpu / idle.seconds,
        "lost": ended.get(),
    });
    Ok(with(logins.figures(), more))
}
