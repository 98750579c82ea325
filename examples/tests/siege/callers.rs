//! Everything that programs on the machine of somebody honest can do to them, with a token that allows little, or none.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use chat_stories::Person;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

use crate::besiegers::Misdeed::{FillValues, MakeConsumers, SendWithoutEnd, TakePlaces};
use crate::besiegers::{Misdeed, Tally};

/// Names of tokens, and so of their consumers and values, by what they are used for.
const NAMES: [(Misdeed, &str); 4] =
    [(TakePlaces, "places"), (MakeConsumers, "consumers"), (FillValues, "values"), (SendWithoutEnd, "messages")];
/// Connections to the port that say nothing at once: more than there are places for.
const NAMELESS: usize = 48;
/// Bytes of the largest value.
pub const VALUE: usize = 47 * 1024;
/// Seconds from now to a time far away.
const LATER_MS: u64 = 365 * 24 * 60 * 60 * 1000;

/// The ways into somebody's daemon, and tokens for them.
#[derive(Clone)]
pub struct Door {
    port: SocketAddr,
    socket: PathBuf,
    tokens: BTreeMap<Misdeed, String>,
}

impl Door {
    /// Of somebody whose daemon was started with a port.
    pub fn of(person: &mut Person) -> Self {
        let said = person.said();
        let port = said.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next()).expect(&said);
        let port = port.parse().unwrap();
        let mut made = |name| {
            let allowed = json!({"name": name, "scopes": ["read:events", "send"], "rate": 30});
            let token = person.call("token.create", allowed).unwrap();
            token["token"].as_str().unwrap().to_owned()
        };
        let tokens = NAMES.into_iter().map(|(kind, name)| (kind, made(name))).collect();
        Self { port, socket: person.data().join("chat.sock"), tokens }
    }

    /// Follows the events over the port; whether that was allowed, and the connection.
    async fn follow(&self) -> Option<(bool, TcpStream)> {
        let mut stream = TcpStream::connect(self.port).await.ok()?;
        let (host, token) = (self.port, &self.tokens[&TakePlaces]);
        let asked = format!("GET /events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(asked.as_bytes()).await.ok()?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.ok()?;
        Some((status == *b"HTTP/1.1 200", stream))
    }
}

/// A connection to the socket that has shown the token.
struct Program {
    said: Lines<BufReader<OwnedReadHalf>>,
    to: OwnedWriteHalf,
    calls: u64,
}

impl Program {
    async fn connect(door: &Door, kind: Misdeed) -> Option<Self> {
        let (from, to) = UnixStream::connect(&door.socket).await.ok()?.into_split();
        let mut program = Self { said: BufReader::new(from).lines(), to, calls: 0 };
        let hello = json!({"api": "1", "client": "pest/1", "token": door.tokens[&kind]});
        program.call("hello", hello).await?.ok()?;
        Some(program)
    }

    async fn call(&mut self, method: &str, params: Value) -> Option<Result<Value, Value>> {
        self.calls += 1;
        let mut line = json!({"jsonrpc": "2.0", "id": self.calls, "method": method, "params": params}).to_string();
        line.push('\n');
        self.to.write_all(line.as_bytes()).await.ok()?;
        loop {
            let mut said: Value = serde_json::from_str(&self.said.next_line().await.ok()??).unwrap();
            if said["id"] == self.calls {
                return Some(said.get("error").cloned().map_or_else(|| Ok(said["result"].take()), Err));
            }
        }
    }
}

/// A program's life.
pub async fn bother(kind: Misdeed, door: Door, to: String, tally: Arc<Tally>) {
    for round in 0.. {
        let came_to_an_end = match kind {
            TakePlaces => take_places(&door, &tally).await,
            MakeConsumers | FillValues | SendWithoutEnd => call_much(kind, &door, &to, round, &tally).await,
            _ => say_nothing(&door, &tally).await,
        };
        if came_to_an_end.is_none() {
            tally.note(None);
        }
    }
}

/// Keeps every connection it gets, until it gets no more.
async fn take_places(door: &Door, tally: &Tally) -> Option<()> {
    let mut kept = Vec::new();
    loop {
        let (allowed, stream) = door.follow().await?;
        tally.note(Some(allowed));
        if !allowed {
            return Some(());
        }
        kept.push(stream);
    }
}

/// Begins to read under one name after the other, or writes value after value, or message after message.
async fn call_much(kind: Misdeed, door: &Door, to: &str, round: usize, tally: &Tally) -> Option<()> {
    let mut program = Program::connect(door, kind).await?;
    let token = NAMES.iter().find(|(of, _)| *of == kind).map_or("", |(_, name)| name);
    for number in 0.. {
        let name = format!("{token}.n{number}");
        let answer = match kind {
            MakeConsumers => program.call("events.pull", json!({"consumer": name})).await,
            FillValues => {
                let set = json!({"scope": name, "key": format!("r{round}"), "value": "x".repeat(VALUE)});
                program.call("kv.set", set).await
            }
            _ => {
                let at = chat_server::fixtures::client::now().as_millis() + LATER_MS;
                program.call("msg.send", json!({"to": format!("@{to}"), "text": name, "at_ms": at})).await
            }
        };
        tally.note(answer.as_ref().map(Result::is_ok));
        if answer?.is_err() {
            return Some(());
        }
    }
    Some(())
}

/// Connects to the port, more often than there are places, and waits until all are sent away.
async fn say_nothing(door: &Door, tally: &Arc<Tally>) -> Option<()> {
    let mut silent = JoinSet::new();
    for _ in 0..NAMELESS {
        let (mut stream, tally) = (TcpStream::connect(door.port).await.ok()?, Arc::clone(tally));
        silent.spawn(async move {
            let mut rest = Vec::new();
            let _ended = stream.read_to_end(&mut rest).await;
            tally.note(None);
        });
    }
    while silent.join_next().await.is_some() {}
    Some(())
}
