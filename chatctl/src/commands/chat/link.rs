//! The events of a chat, for as long as it is on the screen: comes back by itself, and misses nothing.

use std::time::Duration;

use chat_protocol::rpc::Event;
use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::types::{EventsSubscribe, Since};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::error::Failure;
use crate::session::Way;

/// Between two attempts to reach a daemon that went away.
const RECONNECT: Duration = Duration::from_secs(1);
/// Events that wait to be shown; behind them the daemon's log waits.
const WAITING: usize = 64;

/// What is heard of the daemon.
pub(super) enum Heard {
    /// It is there; what it is asked goes this way.
    Here(Client),
    /// Something happened.
    Event(Box<Event>),
    /// It went away.
    Gone,
    /// It is there and refuses to tell anything.
    Refused(Failure),
}

/// Follows the events; ends with the receiver.
pub(super) fn follow(way: Way, wanted: EventsSubscribe) -> Receiver<Heard> {
    let (out, heard) = channel(WAITING);
    tokio::spawn(go(way, wanted, out));
    heard
}

async fn go(way: Way, mut wanted: EventsSubscribe, out: Sender<Heard>) {
    loop {
        let end = match once(&way, &mut wanted, &out).await {
            Ok(()) => Heard::Gone,
            Err(Failure::NotRunning { .. } | Failure::Lost) => {
                tokio::time::sleep(RECONNECT).await;
                continue;
            }
            Err(failure) => Heard::Refused(failure),
        };
        let last = matches!(end, Heard::Refused(_));
        if out.send(end).await.is_err() || last {
            return;
        }
    }
}

/// One connection, to its end. `wanted` then begins where it ended.
async fn once(way: &Way, wanted: &mut EventsSubscribe, out: &Sender<Heard>) -> Result<(), Failure> {
    let client = way.connect().await?;
    let mut events = client.events(wanted.clone()).await?;
    if out.send(Heard::Here(client)).await.is_err() {
        return Ok(());
    }
    loop {
        wanted.from = events.place().map(Since::After).or(wanted.from);
        match events.next().await {
            Ok(Some(event)) => {
                if out.send(Heard::Event(Box::new(event))).await.is_err() {
                    return Ok(());
                }
            }
            Ok(None) | Err(_) => return Ok(()),
        }
    }
}
