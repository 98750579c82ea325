//! Records: the ordered, encrypted stream of one connection, once the handshake is done.
//!
//! A record is a u32 length and a Fernet token over `sequence u64 ‖ type u8 ‖ body`. [`Sealer`] and
//! [`Opener`] are the two ends of one direction; they count sequences, change keys and know when a
//! change is overdue. They do no I/O and are told the time. Anything unexpected ends the direction
//! for good: an [`Opener`] that failed stays failed, and nothing of the bad record is processed.

use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto::fernet::{FernetKey, raw_token_len};
use crate::crypto::kdf;
use crate::crypto::labels::Label;
use crate::crypto::secret::SecretBytes;
use crate::limits;
use crate::time::Timestamp;

/// Sequence and type in front of a body.
const HEAD_BYTES: usize = 9;
/// Shortest token there is: one block.
const MIN_TOKEN_BYTES: usize = token_len(HEAD_BYTES);
/// The receiver tolerates a key change this many times later than the sender's duty.
const TOLERANCE: u32 = 2;
/// Buffers that grew beyond this shrink again when they are empty: idle connections stay small.
const KEEP_BUFFER_BYTES: usize = 32 * 1024;

const DATA: u8 = 0;
const REKEY: u8 = 1;
const CLOSE: u8 = 2;
const PING: u8 = 3;
const PONG: u8 = 4;
/// From this type on a record may be passed over: what a later version adds without need to be understood.
const OPTIONAL: u8 = 128;

/// Largest body of a data record whose token has at most `record_bytes` characters.
#[must_use]
pub const fn max_body(record_bytes: usize) -> usize {
    let blocks = (record_bytes / 4 * 3 - raw_token_len(0) + 16) / 16;
    // PKCS#7 pads by one byte at least
    blocks * 16 - 1 - HEAD_BYTES
}

/// Characters of a token over `plaintext` bytes.
const fn token_len(plaintext: usize) -> usize {
    raw_token_len(plaintext).div_ceil(3) * 4
}

/// What a record says. Key changes happen inside and are not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Frames.
    Data(Vec<u8>),
    /// The last record of a direction: what follows it is an error, what ends without it is truncated.
    Close,
    /// Asks for a pong.
    Ping,
    /// Answers a ping.
    Pong,
}

impl Record {
    fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::Data(body) => (DATA, body),
            Self::Close => (CLOSE, &[]),
            Self::Ping => (PING, &[]),
            Self::Pong => (PONG, &[]),
        }
    }
}

/// Why a direction ended. The peer is told nothing: the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Shorter than any token or longer than allowed at this point.
    #[error("record length {0} is out of bounds")]
    Length(u32),
    /// Another key's, changed, or no token at all.
    #[error("record does not open")]
    Token,
    /// It opened, but is not the next one.
    #[error("record out of sequence")]
    Sequence,
    /// It opened, but its type is unknown and has to be known, or its body is not the type's own.
    #[error("malformed record")]
    Malformed,
    /// The peer used one key for more than twice its time or count.
    #[error("key change is overdue")]
    Overdue,
    /// Something followed a close.
    #[error("bytes after close")]
    AfterClose,
    /// The stream ended without a close: the last records may be missing.
    #[error("truncated: the connection ended without a close")]
    Truncated,
}

/// A direction's key and how long it has served, by a clock that should be none that is set: a leap ages the key.
#[derive(Debug)]
struct Generation {
    key: FernetKey,
    since: Timestamp,
    records: u64,
}

impl Generation {
    fn new(bytes: &SecretBytes<32>, now: Timestamp) -> Self {
        Self { key: FernetKey::from_bytes(*bytes.expose()), since: now, records: 0 }
    }

    fn successor(&self, now: Timestamp) -> Self {
        let bytes = kdf::hkdf(&[], self.key.bytes().expose(), Label::TransportRekey);
        Self::new(&SecretBytes::new(bytes), now)
    }

    /// Whether the key served `times` its due. A clock that was set back starts the time again.
    fn is_due(&mut self, now: Timestamp, times: u32) -> bool {
        self.since = self.since.min(now);
        self.records >= limits::REKEY_RECORDS * u64::from(times) || now.since(self.since) >= limits::REKEY_AFTER * times
    }
}

/// The writing end of a direction.
#[derive(Debug)]
pub struct Sealer {
    generation: Generation,
    sequence: u64,
    plaintext: Zeroizing<Vec<u8>>,
}

impl Sealer {
    /// Begins a direction with its first key.
    #[must_use]
    pub fn new(key: &SecretBytes<32>, now: Timestamp) -> Self {
        Self { generation: Generation::new(key, now), sequence: 0, plaintext: Zeroizing::default() }
    }

    /// Appends `record` to `out`, ready for the socket; before it, when due, a key change.
    ///
    /// A body is at most [`max_body`] of what the peer reads: 8 KiB records before login, then 512 KiB.
    pub fn seal(&mut self, record: &Record, now: Timestamp, out: &mut Vec<u8>) {
        if self.generation.is_due(now, 1) {
            self.put(REKEY, &[], out);
            self.generation = self.generation.successor(now);
        }
        let (kind, body) = record.parts();
        self.put(kind, body, out);
    }

    fn put(&mut self, kind: u8, body: &[u8], out: &mut Vec<u8>) {
        debug_assert!(body.len() <= max_body(limits::MAX_RECORD_BYTES), "no peer reads such a record");
        self.plaintext.clear();
        self.plaintext.extend_from_slice(&self.sequence.to_be_bytes());
        self.plaintext.push(kind);
        self.plaintext.extend_from_slice(body);
        kdf::put_prefixed(out, self.generation.key.seal(&self.plaintext).as_bytes());
        self.plaintext.shrink_to(KEEP_BUFFER_BYTES);
        self.sequence += 1;
        self.generation.records += 1;
    }
}

/// Where a reading end stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Open,
    Closed,
    Failed(RecordError),
}

/// The reading end of a direction.
///
/// Feed it what a read returned, then take records until there is none: so it never holds more than
/// one record of the present limit and one read.
#[derive(Debug)]
pub struct Opener {
    generation: Generation,
    sequence: u64,
    limit: usize,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were processed.
    taken: usize,
    flow: Flow,
}

impl Opener {
    /// Begins a direction with its first key, reading records of at most `limit` characters.
    #[must_use]
    pub fn new(key: &SecretBytes<32>, limit: usize, now: Timestamp) -> Self {
        let generation = Generation::new(key, now);
        Self { generation, sequence: 0, limit, buffer: Vec::new(), taken: 0, flow: Flow::Open }
    }

    /// Sets the longest record that is read from now on.
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Takes bytes from the socket. After a failure they are dropped.
    pub fn feed(&mut self, bytes: &[u8]) {
        if matches!(self.flow, Flow::Failed(_)) {
            return;
        }
        self.buffer.drain(..self.taken);
        self.taken = 0;
        if self.buffer.is_empty() {
            self.buffer.shrink_to(KEEP_BUFFER_BYTES);
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next record, or `None` until more bytes are fed.
    ///
    /// # Errors
    /// [`RecordError`]: the connection is to be closed without an answer. Every later call says the same.
    pub fn next(&mut self, now: Timestamp) -> Result<Option<Record>, RecordError> {
        if let Flow::Failed(error) = self.flow {
            return Err(error);
        }
        self.step(now).inspect_err(|error| {
            self.flow = Flow::Failed(*error);
            self.buffer = Vec::new();
            self.taken = 0;
        })
    }

    /// To be asked when the socket ended.
    ///
    /// # Errors
    /// [`RecordError::Truncated`] unless the peer closed; the failure, if there was one before.
    pub fn end(&self) -> Result<(), RecordError> {
        match self.flow {
            Flow::Open => Err(RecordError::Truncated),
            Flow::Closed => Ok(()),
            Flow::Failed(error) => Err(error),
        }
    }

    /// Key changes are followed and optional records passed over until something for the caller comes.
    fn step(&mut self, now: Timestamp) -> Result<Option<Record>, RecordError> {
        loop {
            if self.flow == Flow::Closed && self.taken < self.buffer.len() {
                return Err(RecordError::AfterClose);
            }
            let Some(plaintext) = self.open_next(now)? else { return Ok(None) };
            match self.accept(plaintext)? {
                (DATA, body) => return Ok(Some(Record::Data(body))),
                (OPTIONAL.., _) => {}
                (kind, body) if body.is_empty() => match kind {
                    REKEY => self.generation = self.generation.successor(now),
                    CLOSE => {
                        self.flow = Flow::Closed;
                        return Ok(Some(Record::Close));
                    }
                    PING => return Ok(Some(Record::Ping)),
                    PONG => return Ok(Some(Record::Pong)),
                    _ => return Err(RecordError::Malformed),
                },
                _ => return Err(RecordError::Malformed),
            }
        }
    }

    /// Opens the next whole token of the buffer.
    fn open_next(&mut self, now: Timestamp) -> Result<Option<Vec<u8>>, RecordError> {
        let Some((len, rest)) = self.buffer.get(self.taken..).and_then(<[u8]>::split_first_chunk) else {
            return Ok(None);
        };
        let announced = u32::from_be_bytes(*len);
        let len = usize::try_from(announced).map_err(|_| RecordError::Length(announced))?;
        if !(MIN_TOKEN_BYTES..=self.limit).contains(&len) {
            return Err(RecordError::Length(announced));
        }
        let Some(token) = rest.get(..len) else { return Ok(None) };
        if self.generation.is_due(now, TOLERANCE) {
            return Err(RecordError::Overdue);
        }
        let token = std::str::from_utf8(token).map_err(|_| RecordError::Token)?;
        let plaintext = self.generation.key.open(token).map_err(|_| RecordError::Token)?;
        self.taken += 4 + len;
        Ok(Some(plaintext))
    }

    /// Checks the sequence and splits type and body off.
    fn accept(&mut self, mut plaintext: Vec<u8>) -> Result<(u8, Vec<u8>), RecordError> {
        let (sequence, rest) = plaintext.split_first_chunk().ok_or(RecordError::Malformed)?;
        let kind = *rest.first().ok_or(RecordError::Malformed)?;
        if u64::from_be_bytes(*sequence) != self.sequence {
            return Err(RecordError::Sequence);
        }
        self.sequence += 1;
        self.generation.records += 1;
        plaintext.drain(..HEAD_BYTES);
        Ok((kind, plaintext))
    }
}
