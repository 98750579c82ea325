//! `GET /ws`: the connection of the socket, a message for each line.
//!
//! Pings are answered by the library. A message over the limit is refused and the connection lives on, as a line is; one far
//! over it closes the connection.

use std::io;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use chat_protocol::rpc::MAX_LINE_BYTES;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;

use super::Web;
use super::access::Guest;
use crate::rpc::connection::Connection;
use crate::rpc::lines::Line;
use crate::rpc::outbound::Outgoing;
use crate::rpc::transport::{Sink, Source};

/// Longest message that is read at all, to be refused in words.
const MAX_READ_BYTES: usize = 4 * MAX_LINE_BYTES;
/// How long a caller may take to hear the goodbye.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);

/// Goes on as a WebSocket.
pub(super) async fn upgrade(State(web): State<Web>, Guest(access): Guest, upgrade: WebSocketUpgrade) -> Response {
    let lasting = web.lasting.token();
    let connection = Connection::new(web.table.clone(), web.caller.seated_with(access), web.shutdown.child_token());
    upgrade.max_message_size(MAX_READ_BYTES).max_frame_size(MAX_READ_BYTES).on_upgrade(async move |socket| {
        let (output, input) = socket.split();
        connection.run(Messages(input), MessageSink { output, waiting: Vec::new(), bytes: 0 }).await;
        drop(lasting);
    })
}

struct Messages(SplitStream<WebSocket>);

impl Source for Messages {
    async fn next(&mut self) -> Option<Line> {
        loop {
            let bytes = match self.0.next().await? {
                Ok(Message::Text(text)) => text.into(),
                Ok(Message::Binary(bytes)) => bytes,
                Ok(Message::Ping(_) | Message::Pong(_)) => continue,
                Ok(Message::Close(_)) | Err(_) => return None,
            };
            if bytes.len() > MAX_LINE_BYTES {
                return Some(Line::TooLong);
            }
            if !bytes.trim_ascii().is_empty() {
                return Some(Line::Text(bytes.to_vec()));
            }
        }
    }
}

struct MessageSink {
    output: SplitSink<WebSocket, Message>,
    waiting: Vec<Message>,
    bytes: usize,
}

impl Sink for MessageSink {
    fn add(&mut self, outgoing: &Outgoing) -> usize {
        let json = Utf8Bytes::from(outgoing.to_json().into_owned());
        self.bytes += json.len();
        self.waiting.push(Message::Text(json));
        self.bytes
    }

    async fn flush(&mut self) -> io::Result<()> {
        for message in self.waiting.drain(..) {
            self.output.feed(message).await.map_err(io::Error::other)?;
        }
        self.bytes = 0;
        self.output.flush().await.map_err(io::Error::other)
    }

    async fn close(mut self) {
        // whoever is gone already need not be told
        let _ = timeout(GOODBYE_WITHIN, self.output.close()).await;
    }
}
