//! `GET /ws`: the connection of the socket, a message for each line.
//!
//! Pings are answered by the library. A message over the limit is refused and the connection lives on, as a line is; one far
//! over it closes the connection.

use std::collections::VecDeque;
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
        connection
            .run(
                Messages { input, ahead: VecDeque::new(), bytes_ahead: 0, ended: false },
                MessageSink { output, waiting: Vec::new(), bytes: 0 },
            )
            .await;
        drop(lasting);
    })
}

struct Messages {
    input: SplitStream<WebSocket>,
    /// Read while nobody asked for them, to notice the end behind them.
    ahead: VecDeque<Line>,
    /// What these take.
    bytes_ahead: usize,
    ended: bool,
}

impl Messages {
    /// The next message from the socket. Cancel-safe.
    async fn read(&mut self) -> Option<Line> {
        while !self.ended {
            let bytes = match self.input.next().await {
                Some(Ok(Message::Text(text))) => text.into(),
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
            };
            if bytes.len() > MAX_LINE_BYTES {
                return Some(Line::TooLong);
            }
            if !bytes.trim_ascii().is_empty() {
                return Some(Line::Text(bytes.to_vec()));
            }
        }
        self.ended = true;
        None
    }
}

impl Source for Messages {
    async fn next(&mut self) -> Option<Line> {
        match self.ahead.pop_front() {
            None => self.read().await,
            ahead => {
                self.bytes_ahead -= ahead.as_ref().map_or(0, Line::bytes);
                ahead
            }
        }
    }

    /// A WebSocket has no half goodbye: who closed it hears nothing more.
    async fn hung_up(&mut self) {
        while self.bytes_ahead < MAX_LINE_BYTES {
            let Some(line) = self.read().await else { return };
            self.bytes_ahead += line.bytes();
            self.ahead.push_back(line);
        }
        // So much unread, and the end is noticed only when it is read.
        std::future::pending().await
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
