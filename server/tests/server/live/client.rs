//! A client of the wire protocol for tests: one connection, one request at a time unless told otherwise.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::frame::{Frame, FrameKind, decode_frames};
use chat_protocol::handshake::ServerPublicKey;
use chat_protocol::handshake::client::Hello;
use chat_protocol::identity::login::Binding;
use chat_protocol::message::Call;
use chat_protocol::message::server::{Code, Deliver, Push, Refusal, Welcome};
use chat_protocol::record::{Opener, Record, Sealer};
use chat_protocol::time::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Nothing here takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

/// How a connection ended, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a goodbye.
    Goodbye,
    /// Without one.
    Cut,
}

pub struct Client {
    pub socket: TcpStream,
    pub sealer: Sealer,
    opener: Opener,
    pub welcome: Welcome,
    pub binding: Binding,
    next_id: u64,
    answers: VecDeque<Frame>,
    pushes: VecDeque<Push>,
    ended: Option<End>,
}

impl Client {
    pub async fn connect(at: SocketAddr, server_key: &ServerPublicKey, secret: &FernetKey) -> Option<Self> {
        let mut socket = TcpStream::connect(at).await.ok()?;
        let (hello, first_words) = Hello::start(server_key, secret);
        socket.write_all(&first_words).await.ok()?;
        Self::greeted(socket, hello).await
    }

    /// Connects from an address of this machine: all of 127.0.0.0/8 are.
    pub async fn connect_from(
        from: IpAddr,
        at: SocketAddr,
        server_key: &ServerPublicKey,
        secret: &FernetKey,
    ) -> Option<Self> {
        let socket = TcpSocket::new_v4().ok()?;
        socket.bind(SocketAddr::new(from, 0)).ok()?;
        let mut socket = socket.connect(at).await.ok()?;
        let (hello, first_words) = Hello::start(server_key, secret);
        socket.write_all(&first_words).await.ok()?;
        Self::greeted(socket, hello).await
    }

    async fn greeted(mut socket: TcpStream, hello: Hello) -> Option<Self> {
        let mut prefix = [0; 2];
        timeout(PATIENCE, socket.read_exact(&mut prefix)).await.unwrap().ok()?;
        let mut message = vec![0; Hello::message2_len(prefix).ok()?];
        socket.read_exact(&mut message).await.ok()?;
        let (secured, welcome) = hello.finish(&message, now()).ok()?;
        let binding = Binding { channel: secured.channel_binding, server_key: *secured.server_key.as_bytes() };
        Some(Self {
            socket,
            sealer: secured.sealer,
            opener: secured.opener,
            welcome,
            binding,
            next_id: 0,
            answers: VecDeque::new(),
            pushes: VecDeque::new(),
            ended: None,
        })
    }

    /// Sends a request and returns its id.
    pub async fn ask<T: Call>(&mut self, call: &T) -> u64 {
        self.next_id += 1;
        self.send(&[Frame::request(self.next_id, call)]).await;
        self.next_id
    }

    /// Sends frames in one record. A connection that is gone is noticed when reading.
    pub async fn send(&mut self, frames: &[Frame]) {
        let mut body = Vec::new();
        frames.iter().for_each(|frame| frame.encode_into(&mut body));
        self.send_record(&Record::Data(body)).await;
    }

    pub async fn send_record(&mut self, record: &Record) {
        let mut out = Vec::new();
        self.sealer.seal(record, now(), &mut out);
        self.send_raw(&out).await;
    }

    pub async fn send_raw(&mut self, bytes: &[u8]) {
        let _gone = self.socket.write_all(bytes).await;
    }

    /// Asks and waits for the answer.
    pub async fn call<T: Call>(&mut self, call: &T) -> Result<T::Answer, Refusal> {
        let id = self.ask(call).await;
        self.answer::<T>(id).await
    }

    /// Waits for the answer to `id`.
    pub async fn answer<T: Call>(&mut self, id: u64) -> Result<T::Answer, Refusal> {
        let frame = self.answer_frame(id).await.expect("the connection ended before the answer");
        assert_eq!(frame.number, T::TYPE);
        match frame.kind {
            FrameKind::Ok => Ok(chat_protocol::cbor::decode(&frame.payload).unwrap()),
            FrameKind::Error => Err(chat_protocol::cbor::decode(&frame.payload).unwrap()),
            other => panic!("answered with {other:?}"),
        }
    }

    /// Whether the answer to `id` has come already.
    pub fn has_answer(&self, id: u64) -> bool {
        self.answers.iter().any(|frame| frame.id == id)
    }

    pub async fn answer_frame(&mut self, id: u64) -> Option<Frame> {
        loop {
            if let Some(at) = self.answers.iter().position(|frame| frame.id == id) {
                return self.answers.remove(at);
            }
            self.read_record().await.ok()?;
        }
    }

    /// Asks for something that must be refused, and returns with which code.
    pub async fn refused<T: Call>(&mut self, call: &T) -> Code
    where
        T::Answer: std::fmt::Debug,
    {
        self.call(call).await.expect_err("this must be refused").code
    }

    /// The next push.
    pub async fn push(&mut self) -> Push {
        loop {
            if let Some(push) = self.pushes.pop_front() {
                return push;
            }
            self.read_record().await.expect("the connection ended before the push");
        }
    }

    /// The next push that `wanted` picks; others before it are dropped.
    pub async fn push_of<T>(&mut self, wanted: impl Fn(Push) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.push().await) {
                return found;
            }
        }
    }

    pub async fn delivery(&mut self) -> Deliver {
        self.push_of(|push| if let Push::Deliver(delivery) = push { Some(delivery.into_inner()) } else { None }).await
    }

    /// Pushes that arrived up to a moment after which nothing older is on its way: everything queued
    /// before the answer to one more question.
    pub async fn pushes_so_far(&mut self) -> Vec<Push> {
        let id = self.ask(&chat_protocol::message::client::OneTimeStatus {}).await;
        self.answer_frame(id).await.expect("an answer");
        self.pushes.drain(..).collect()
    }

    /// Waits for the end of the connection.
    pub async fn end(&mut self) -> End {
        loop {
            if let Err(end) = self.read_record().await {
                return end;
            }
        }
    }

    /// Reads the next record and sorts its frames.
    pub async fn read_record(&mut self) -> Result<(), End> {
        loop {
            if let Some(end) = self.ended {
                return Err(end);
            }
            match self.opener.next(now()).expect("the server seals well") {
                Some(Record::Data(body)) => {
                    self.sort(decode_frames(&body).unwrap());
                    return Ok(());
                }
                Some(Record::Close) => self.ended = Some(End::Goodbye),
                Some(Record::Ping) => self.send_record(&Record::Pong).await,
                Some(Record::Pong) => return Ok(()),
                None => self.read_some().await,
            }
        }
    }

    async fn read_some(&mut self) {
        let mut buffer = [0; 16 * 1024];
        match timeout(PATIENCE, self.socket.read(&mut buffer)).await.expect("the server says nothing") {
            Ok(0) | Err(_) => self.ended = Some(End::Cut),
            Ok(count) => self.opener.feed(&buffer[..count]),
        }
    }

    fn sort(&mut self, frames: Vec<Frame>) {
        for frame in frames {
            match frame.kind {
                FrameKind::Push => self.pushes.extend(Push::decode(frame.number, &frame.payload).unwrap()),
                _ => self.answers.push_back(frame),
            }
        }
    }
}
