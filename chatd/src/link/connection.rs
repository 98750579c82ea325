//! One encrypted connection, asked one question at a time: dial, handshake, call.
//!
//! Registration and login are talks of this kind; the link takes the connection over after its login.

use std::collections::VecDeque;
use std::io;

use chat_protocol::cbor;
use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::frame::{Frame, FrameKind, decode_frames};
use chat_protocol::handshake::client::Hello;
use chat_protocol::handshake::{HandshakeError, Secured, ServerPublicKey};
use chat_protocol::limits::{HANDSHAKE_DEADLINE, MAX_RECORD_BYTES};
use chat_protocol::message::Call;
use chat_protocol::message::server::{Refusal, Welcome};
use chat_protocol::offline_key::OfflineKey;
use chat_protocol::record::{Opener, Record, RecordError, Sealer};
use chat_protocol::rpc::types::ConnectionTrouble;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroize;

use super::Timing;
use crate::clock;

/// Bytes asked of the socket at once: a full record of packed frames, and a little.
pub(super) const READ_BYTES: usize = 24 * 1024;

/// Most frames that are kept while an answer is waited for. A server has nothing to say before it.
const MAX_PENDING: usize = 1_024;

/// Which server, and what proves it.
#[derive(Clone, Debug)]
pub struct Server {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The key it must prove.
    pub key: ServerPublicKey,
    /// The shared key that lets members in at all.
    pub secret: FernetKey,
    /// Without whose signature no other key is believed.
    pub offline_key: Option<OfflineKey>,
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Nobody answers at that address.
    #[error("cannot reach {server}")]
    Unreachable {
        /// Address.
        server: String,
        /// Why.
        source: io::Error,
    },
    /// It took too long.
    #[error("{server} does not answer")]
    Slow {
        /// Address.
        server: String,
    },
    /// The server closed without a word, or did not prove its key. Which of the two keys is wrong cannot be told.
    #[error(
        "{server} did not accept the handshake: the secret key or the server key is not the one in use there; \
         compare your invite with a fresh one (`chat-server invite` on the server), both keys are part of it; if the \
         server changed its key while this daemon was away, `chatctl login` with the fresh one"
    )]
    Keys {
        /// Address.
        server: String,
    },
    /// Versions, or a greeting that cannot be read.
    #[error("cannot speak with {server}")]
    Handshake {
        /// Address.
        server: String,
        /// Why.
        source: HandshakeError,
    },
}

impl ConnectError {
    /// What kind of trouble it is.
    #[must_use]
    pub const fn trouble(&self) -> ConnectionTrouble {
        match self {
            Self::Unreachable { .. } | Self::Slow { .. } => ConnectionTrouble::Unreachable,
            Self::Keys { .. } => ConnectionTrouble::Keys,
            Self::Handshake { .. } => ConnectionTrouble::Incompatible,
        }
    }
}

/// Why a connection ended.
#[derive(Debug, Error)]
pub enum Lost {
    /// The network failed.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// A record was changed, repeated, missing, or cut off.
    #[error("the connection is not intact")]
    Record(#[from] RecordError),
    /// The server said something that cannot be understood.
    #[error("the server sent something malformed")]
    Malformed,
    /// No sign of life.
    #[error("the server fell silent")]
    Silent,
    /// The server closed in good order.
    #[error("the server closed the connection")]
    Closed,
}

/// Why a call got no answer.
#[derive(Debug, Error)]
pub enum CallError {
    /// The server says no.
    #[error("the server refused: {0:?}")]
    Refused(Refusal),
    /// The connection ended first; whether the call took effect is unknown.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// An encrypted connection to a proven server.
pub struct Connection<S = TcpStream> {
    pub(super) stream: S,
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
    /// Frames that came along with an answer and were not for it.
    pub(super) pending: VecDeque<Frame>,
    /// What logins are bound to.
    pub channel_binding: [u8; 32],
    /// The key the server proved.
    pub server_key: ServerPublicKey,
    /// Its greeting.
    pub welcome: Welcome,
    /// The server's clock less ours at the handshake, in milliseconds.
    pub server_offset_ms: i64,
    answer_within: std::time::Duration,
    last_id: u64,
}

impl Connection {
    /// Connects over TCP and shakes hands.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn dial(server: &Server, timing: &Timing) -> Result<Self, ConnectError> {
        let name = || server.to_string();
        let connected = timeout(timing.connect, TcpStream::connect((server.host.as_str(), server.port))).await;
        let stream = connected
            .map_err(|_| ConnectError::Slow { server: name() })?
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|source| ConnectError::Unreachable { server: name(), source })?;
        Self::greet(stream, server, timing).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Shakes hands over a stream.
    ///
    /// # Errors
    /// [`ConnectError`]; a server that closes instead of answering did not like the keys.
    pub async fn greet(mut stream: S, server: &Server, timing: &Timing) -> Result<Self, ConnectError> {
        let name = || server.to_string();
        let (hello, opening) = Hello::start(&server.key, &server.secret);
        let talk = async {
            stream.write_all(&opening).await?;
            read_message(&mut stream).await
        };
        let answered = timeout(HANDSHAKE_DEADLINE, talk).await.map_err(|_| ConnectError::Slow { server: name() })?;
        let sort = |source| match source {
            HandshakeError::Failed => ConnectError::Keys { server: name() },
            source => ConnectError::Handshake { server: name(), source },
        };
        let message = match answered {
            Ok(message) => message.map_err(sort)?,
            Err(error) if refused(&error) => return Err(ConnectError::Keys { server: name() }),
            Err(source) => return Err(ConnectError::Unreachable { server: name(), source }),
        };
        let (secured, welcome) = hello.finish(&message, clock::running()).map_err(sort)?;
        Ok(Self::new(stream, secured, welcome, timing))
    }

    fn new(stream: S, secured: Secured, welcome: Welcome, timing: &Timing) -> Self {
        let millis = |time: chat_protocol::time::Timestamp| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Self {
            stream,
            sealer: secured.sealer,
            opener: secured.opener,
            pending: VecDeque::new(),
            channel_binding: secured.channel_binding,
            server_key: secured.server_key,
            server_offset_ms: millis(welcome.server_time).saturating_sub(millis(clock::now())),
            welcome,
            answer_within: timing.answer,
            last_id: 0,
        }
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call<T: Call>(&mut self, call: &T) -> Result<T::Answer, CallError> {
        self.last_id += 1;
        self.send(Frame::request(self.last_id, call)).await?;
        let frame = timeout(self.answer_within, self.answer(self.last_id)).await.map_err(|_| Lost::Silent)??;
        if frame.number != T::TYPE {
            return Err(Lost::Malformed.into());
        }
        match frame.kind {
            FrameKind::Ok => cbor::decode(&frame.payload).map_err(|_| Lost::Malformed.into()),
            FrameKind::Error => Err(cbor::decode(&frame.payload).map_or(Lost::Malformed.into(), CallError::Refused)),
            FrameKind::Request | FrameKind::Push => Err(Lost::Malformed.into()),
        }
    }

    /// Ends the connection in good order. That the server hears of it is not waited for.
    pub async fn close(mut self) {
        let mut bytes = Vec::new();
        self.sealer.seal(&Record::Close, clock::running(), &mut bytes);
        // the connection is over either way
        let _ = self.stream.write_all(&bytes).await;
        let _ = self.stream.shutdown().await;
    }

    /// The call may hold a password: what was in the clear is wiped.
    async fn send(&mut self, mut frame: Frame) -> Result<(), Lost> {
        let mut body = Vec::with_capacity(frame.payload.len() + 32);
        frame.encode_into(&mut body);
        frame.payload.zeroize();
        let mut record = Record::Data(body);
        let mut bytes = Vec::new();
        self.sealer.seal(&record, clock::running(), &mut bytes);
        if let Record::Data(body) = &mut record {
            body.zeroize();
        }
        Ok(self.stream.write_all(&bytes).await?)
    }

    /// Reads until the answer to `id` has come; what came before it and with it is kept, up to a record's worth.
    async fn answer(&mut self, id: u64) -> Result<Frame, Lost> {
        loop {
            let kept: usize = self.pending.iter().map(|frame| frame.payload.len()).sum();
            if kept > MAX_RECORD_BYTES || self.pending.len() > MAX_PENDING {
                return Err(Lost::Malformed);
            }
            for frame in self.read_frames().await? {
                self.pending.push_back(frame);
            }
            let answers = |frame: &Frame| frame.kind != FrameKind::Push && frame.id == id;
            if let Some(at) = self.pending.iter().position(answers) {
                return self.pending.remove(at).ok_or(Lost::Malformed);
            }
        }
    }

    /// The frames of the next data record; pings are answered meanwhile.
    async fn read_frames(&mut self) -> Result<Vec<Frame>, Lost> {
        loop {
            match next_record(&mut self.stream, &mut self.opener).await? {
                Record::Data(body) => return decode_frames(&body).map_err(|_| Lost::Malformed),
                Record::Close => return Err(Lost::Closed),
                Record::Pong => {}
                Record::Ping => {
                    let mut bytes = Vec::new();
                    self.sealer.seal(&Record::Pong, clock::running(), &mut bytes);
                    self.stream.write_all(&bytes).await?;
                }
            }
        }
    }
}

impl<S> std::fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connection({})", self.server_key)
    }
}

/// The next record of a direction. Cancel-safe: bytes read are in the opener before anything else is waited for.
pub(super) async fn next_record<R: AsyncRead + Unpin>(stream: &mut R, opener: &mut Opener) -> Result<Record, Lost> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        if let Some(record) = opener.next(clock::running())? {
            return Ok(record);
        }
        match stream.read(&mut buffer).await? {
            0 => return Err(opener.end().map_or_else(Lost::from, |()| Lost::Closed)),
            read => opener.feed(buffer.get(..read).unwrap_or_default()),
        }
    }
}

async fn read_message<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Result<Vec<u8>, HandshakeError>> {
    let mut prefix = [0; 2];
    stream.read_exact(&mut prefix).await?;
    let len = match Hello::message2_len(prefix) {
        Ok(len) => len,
        Err(error) => return Ok(Err(error)),
    };
    let mut message = vec![0; len];
    stream.read_exact(&mut message).await?;
    Ok(Ok(message))
}

/// Closed without a byte, politely or not: what a server does to those who do not know its keys.
fn refused(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}
