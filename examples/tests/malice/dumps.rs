//! What the files of a daemon and of its server are worth to a thief who recorded what went over the wire.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::thread;

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::crypto::kdf;
use chat_protocol::handshake::server::wanted;
use chat_protocol::message::Envelope;
use chat_protocol::session::content::Body;

use crate::operator::Operator;
use crate::puppet::{Puppet, Talk};
use crate::recordings::Wiretap;

/// Bytes of a key.
const KEY: usize = 32;
/// A key as text: base64 without its last character, which says nothing.
const TEXT: usize = 43;
/// Different bytes in what may be a key. 32 random ones have fewer than this once in a million million.
const LEAST_DIFFERENT: u32 = 20;

/// Every 32 bytes in a row that may be a key, as they are or in base64.
fn candidates(bytes: &[u8]) -> impl Iterator<Item = [u8; KEY]> + '_ {
    let raw = bytes.windows(KEY).filter_map(|window| window.try_into().ok());
    let text = bytes.windows(TEXT).filter(|window| window.iter().all(|byte| is_base64(*byte)));
    let decoded = text.filter_map(|window| FernetKey::from_base64(&[window, b"="].concat()).ok());
    raw.chain(decoded.map(|key| *key.bytes().expose())).filter(looks_random)
}

const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn looks_random(key: &[u8; KEY]) -> bool {
    let mut seen = [0u128; 2];
    key.iter().for_each(|byte| seen[usize::from(byte >> 7)] |= 1 << (byte & 127));
    seen[0].count_ones() + seen[1].count_ones() >= LEAST_DIFFERENT
}

/// Every file below a directory, as it is while the programs run: databases, their logs, keys.
pub fn dump(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(dump(&path));
        } else if kind.is_file() {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

/// The shortest record of one direction of a connection: each is sealed under its key, as long as there are few.
fn shortest(mut records: &[u8]) -> String {
    let mut tokens = Vec::new();
    while let Some((length, rest)) = records.split_first_chunk() {
        let Some((token, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize) else { break };
        tokens.push(token);
        records = rest;
    }
    let shortest = tokens.into_iter().min_by_key(|token| token.len()).expect("a record");
    let shortest = String::from_utf8(shortest.to_vec()).unwrap();
    assert!(shortest.starts_with("gAAAAA"), "a Fernet token");
    shortest
}

/// What was recorded.
struct Recorded {
    /// A record of each direction of each connection.
    records: Vec<String>,
    /// Who a session is between, which its messages are bound to, is no secret.
    talk: Talk,
    /// A message that was overtaken: its receiver keeps the key of it.
    overtaken: Envelope,
    /// One that is to come: its receiver keeps the chain that its key will come of.
    next: Envelope,
}

impl Recorded {
    /// By this key as that of a connection or of a token, of a message, or of a chain of messages.
    fn opens(&self, key: &[u8; KEY]) -> bool {
        let token = FernetKey::from_bytes(*key);
        self.records.iter().any(|record| token.open(record).is_ok())
            || [&self.overtaken, &self.next].iter().any(|envelope| token.open_raw(&envelope.token).is_ok())
            || self.talk.fits(key, &self.overtaken)
            || self.talk.fits(&kdf::hmac(key, &[1]), &self.next)
    }

    /// The first of these keys that opens something, on all processors.
    fn opened_by(&self, keys: &[[u8; KEY]]) -> Option<[u8; KEY]> {
        let share = keys.len().div_ceil(thread::available_parallelism().map_or(1, usize::from)).max(1);
        thread::scope(|scope| {
            let parts: Vec<_> = keys
                .chunks(share)
                .map(|part| scope.spawn(|| part.iter().copied().find(|key| self.opens(key))))
                .collect();
            parts.into_iter().find_map(|part| part.join().unwrap())
        })
    }
}

#[test]
fn atk_57_no_32_bytes_of_any_file_of_a_daemon_and_its_server_open_what_was_recorded() {
    let operator = Operator::open();
    let tap = Wiretap::on(operator.at);
    let mut bob = operator.newcomer("bob", "bob");
    let _ = bob.enter("register", &operator.invite_to(tap.at)).success();
    bob.turns("online");
    let mallory = Puppet::new("mallory", 0);
    operator.enrol(&mallory);
    let (log, device) = (operator.log("bob"), operator.device("bob"));
    let deliver = |envelope| operator.deliver((&mallory.user, mallory.device()), device, &envelope);
    let mut talk = mallory.begin(&log, device, &operator.bundle(device));
    deliver(talk.say("hello"));
    bob.hears("@mallory", "mallory", "hello");
    bob.send("@mallory", "hello too");
    let answer = operator.until("an answer", |seen| seen.envelopes(mallory.device()).pop());
    talk.open(&answer).expect("an answer opens");
    deliver(talk.say("on a chain of its own"));
    bob.hears("@mallory", "mallory", "on a chain of its own");

    let before = talk.state();
    let overtaken = talk.control(Body::Heartbeat);
    deliver(talk.say("overtakes"));
    bob.hears("@mallory", "mallory", "overtakes");
    let between = talk.state();
    let next = talk.say("is to come");
    let connections = tap.recordings.lock().unwrap().clone();
    let records = connections.iter().flat_map(|(up, down)| {
        let (up, down) = (up.lock().unwrap(), down.lock().unwrap());
        let answered = 2 + usize::from(u16::from_be_bytes([down[0], down[1]]));
        [shortest(&up[wanted(&up).unwrap()..]), shortest(&down[answered..])]
    });
    let recorded = Recorded { records: records.collect(), talk, overtaken, next };
    // its author's chain yields the key that is kept of the one, and its receiver has the chain of the other
    let kept: Vec<_> = candidates(&before).map(|chain| kdf::hmac(&chain, &[1])).collect();
    let chains: Vec<_> = candidates(&between).collect();
    assert!([kept, chains].iter().all(|keys| recorded.opened_by(keys).is_some()), "who has a session finds its keys");

    let files = operator.dump();
    for name in ["bob/data/store.db", "bob/data/store.db-wal", "bob/data/key", "chat.db", "chat.db-wal"] {
        assert!(files.iter().any(|(path, _)| path.ends_with(name)), "{name} is searched");
    }
    let keys: HashSet<_> = files.iter().flat_map(|(_, bytes)| candidates(bytes)).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let opened = recorded.opened_by(&keys);
    let of = |key: [u8; KEY]| {
        let files = files.iter().filter(|(_, bytes)| candidates(bytes).any(|candidate| candidate == key));
        files.map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(opened.map(of), None, "a key of {}", keys.len());
}
