//! A server of a few lines over the real handshake and records, scripted by each test.

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::frame::{Frame, decode_frames};
use chat_protocol::handshake::server::{Listening, wanted};
use chat_protocol::handshake::{Secured, ServerKey};
use chat_protocol::ids::{Head, HeadHash};
use chat_protocol::message::server::{LoggedIn, NextKeyProof, ServerLimits, Welcome};
use chat_protocol::record::Record;
use chat_protocol::time::Timestamp;
use chatd::clock;
use chatd::link::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Toy {
    listener: TcpListener,
    pub(crate) key: ServerKey,
    /// Answered for too, and announced.
    pub(crate) next: Option<ServerKey>,
    /// Who vouches for that.
    pub(crate) proof: Option<NextKeyProof>,
    secret: FernetKey,
}

impl Toy {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            listener,
            key: ServerKey::from_bytes([1; 32]),
            next: None,
            proof: None,
            secret: FernetKey::from_bytes([2; 32]),
        }
    }

    /// What clients are to know.
    pub(crate) fn server(&self) -> Server {
        let port = self.listener.local_addr().unwrap().port();
        Server {
            host: "127.0.0.1".into(),
            port,
            key: self.key.public(),
            secret: self.secret.clone(),
            offline_key: None,
        }
    }

    /// The next client, after its handshake; one with wrong keys is closed without a byte, as `None`.
    pub(crate) async fn accept(&self) -> Option<Peer> {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut received = Vec::new();
        while received.len() < wanted(&received).unwrap() {
            received.push(stream.read_u8().await.unwrap());
        }
        let listening = Listening::new(&self.key, &self.secret);
        let listening = self.next.iter().fold(listening, |listening, next| listening.and_next(next));
        let greeting = listening.read(&received).ok()?;
        let next_key = self.next.as_ref().map(|next| next.public().as_bytes().to_vec().into());
        let next_key_proof = self.proof.clone().map(Box::new);
        let (answer, secured) =
            greeting.reply(&Welcome { next_key, next_key_proof, ..welcome() }, clock::now()).unwrap();
        stream.write_all(&answer).await.unwrap();
        Some(Peer { stream, secured })
    }

    /// The next client, after its login.
    pub(crate) async fn accept_login(&self) -> Peer {
        let mut peer = self.accept().await.expect("the right keys");
        let login = peer.frames().await.remove(0);
        peer.send(&[Frame::ok(login.id, login.number, &logged_in())]).await;
        peer
    }
}

pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    pub(crate) secured: Secured,
}

impl Peer {
    /// The next record; `None` when the client is gone.
    pub(crate) async fn record(&mut self) -> Option<Record> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(record) = self.secured.opener.next(clock::now()).unwrap() {
                return Some(record);
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.secured.opener.feed(&buffer[..read]),
            }
        }
    }

    /// The frames of the next data record; pings in between are answered.
    pub(crate) async fn frames(&mut self) -> Vec<Frame> {
        loop {
            match self.record().await.expect("a record") {
                Record::Data(body) => return decode_frames(&body).unwrap(),
                Record::Ping => self.write(&Record::Pong).await,
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn send(&mut self, frames: &[Frame]) {
        let mut body = Vec::new();
        frames.iter().for_each(|frame| frame.encode_into(&mut body));
        self.write(&Record::Data(body)).await;
    }

    pub(crate) async fn write(&mut self, record: &Record) {
        let mut bytes = Vec::new();
        self.secured.sealer.seal(record, clock::now(), &mut bytes);
        self.stream.write_all(&bytes).await.unwrap();
    }
}

fn welcome() -> Welcome {
    Welcome {
        version: Some(1),
        lowest: 1,
        highest: 1,
        server_time: Timestamp::from_millis(clock::now().as_millis() + 3_600_000),
        limits: ServerLimits { delivery_window: 64, mailbox_days: 30, room_days: 30, invite_only: false },
        features: vec![],
        next_key: None,
        next_key_proof: None,
    }
}

pub(crate) fn logged_in() -> LoggedIn {
    LoggedIn {
        head: Head { seq: 0, hash: HeadHash::new([9; 32]) },
        mailbox_acked: 0,
        mailbox_last: 0,
        bundle_seq: 0,
        submit_counter: 0,
        room_last: 0,
        reset_pending: None,
        mailbox_generation: 1,
    }
}
