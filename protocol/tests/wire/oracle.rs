//! Our transport against independent implementations: Python's noiseprotocol, cryptography and cbor2.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests ask other programs")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::frame::{Frame, decode_frames};
use chat_protocol::handshake::{HandshakeError, Secured, ServerKey, client::Hello, server::Listening};
use chat_protocol::limits::{MAX_RECORD_BYTES, REKEY_AFTER};
use chat_protocol::message::client::RoomPost;
use chat_protocol::message::server::{Code, Refusal, ServerLimits, Welcome};
use chat_protocol::record::{Opener, Record, Sealer};
use chat_protocol::time::Timestamp;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn python() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
    std::env::var_os("CHAT_PYTHON").map_or(built, PathBuf::from)
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/wire.py")
}

/// The Python process: a JSON command a line, a JSON answer a line.
struct Oracle {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    fn start() -> Self {
        let mut child = Command::new(python())
            .arg(script())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python with the packages of .ci/requirements.txt: run `make test-setup`");
        let (commands, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, commands, answers: BufReader::new(answers) }
    }

    fn ask(&mut self, command: &Value) -> Value {
        writeln!(self.commands, "{command}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no answer to {command}: run `make test-setup`?"))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn key(value: &Value) -> SecretBytes<32> {
    SecretBytes::new(bytes(value).try_into().unwrap())
}

fn welcome() -> Welcome {
    Welcome {
        version: Some(1),
        lowest: 1,
        highest: 1,
        server_time: NOW,
        limits: ServerLimits { delivery_window: 64, mailbox_days: 30, room_days: 30, invite_only: true },
        features: vec![],
        next_key: None,
        next_key_proof: None,
    }
}

/// Python's client against our server, under a secret.key that Python made.
fn python_client(oracle: &mut Oracle) -> (Secured, Value) {
    let secret = oracle.ask(&json!({"do": "secret_key"}))["key"].as_str().unwrap().to_owned();
    let server_key = ServerKey::from_bytes([0x44; 32]);
    let listening = Listening::new(&server_key, &FernetKey::from_base64(secret.as_bytes()).unwrap());
    let public = hex::encode(server_key.public().as_bytes());
    let hello = oracle.ask(&json!({"do": "client_hello", "server_public": public, "secret": secret}));
    let (second, secured) = listening.read(&bytes(&hello["first"])).unwrap().reply(&welcome(), NOW).unwrap();
    (secured, oracle.ask(&json!({"do": "client_finish", "second": hex::encode(second)})))
}

#[test]
fn a_python_client_shakes_hands_with_our_server() {
    let mut oracle = Oracle::start();
    let (mut ours, theirs) = python_client(&mut oracle);
    assert_eq!(hex::encode(ours.channel_binding), theirs["channel_binding"]);
    let limits = json!({"0": 64, "1": 30, "2": 30, "3": true});
    let expected = json!({"0": 1, "1": 1, "2": 1, "3": NOW.as_millis(), "4": limits, "5": []});
    assert_eq!(theirs["welcome"], expected);

    let said = json!([[0, 3, ""], [1, 0, "68656c6c6f"]]);
    let sealed = oracle.ask(&json!({"do": "seal", "key": theirs["client_to_server"], "records": said}));
    ours.opener.feed(&bytes(&sealed["stream"]));
    assert_eq!(ours.opener.next(NOW), Ok(Some(Record::Ping)));
    assert_eq!(ours.opener.next(NOW), Ok(Some(Record::Data(b"hello".to_vec()))));

    let mut stream = Vec::new();
    ours.sealer.seal(&Record::Pong, NOW, &mut stream);
    ours.sealer.seal(&Record::Data(b"welcome".to_vec()), NOW, &mut stream);
    ours.sealer.seal(&Record::Close, NOW, &mut stream);
    let opened = oracle.ask(&json!({"do": "open", "key": theirs["server_to_client"], "stream": hex::encode(stream)}));
    assert_eq!(opened["records"], json!([[0, 4, ""], [1, 0, hex::encode("welcome")], [2, 2, ""]]));
}

#[test]
fn our_client_shakes_hands_with_a_python_server() {
    let mut oracle = Oracle::start();
    let (server_key, secret) = (ServerKey::from_bytes([0x45; 32]), FernetKey::from_bytes([0x46; 32]));
    let (hello, first) = Hello::start(&server_key.public(), &secret);
    let answer = oracle.ask(&json!({
        "do": "server_answer",
        "server_private": hex::encode(server_key.bytes().expose()),
        "secret": *secret.to_base64(),
        "first": hex::encode(first),
        "welcome": hex::encode(chat_protocol::cbor::encode(&welcome())),
    }));
    let (mut ours, read) = hello.finish(&bytes(&answer["second"])[2..], NOW).unwrap();
    assert_eq!(read, welcome());
    assert_eq!(hex::encode(ours.channel_binding), answer["channel_binding"]);
    let sealed = oracle.ask(&json!({"do": "seal", "key": answer["server_to_client"], "records": [[0, 0, "00ff"]]}));
    ours.opener.feed(&bytes(&sealed["stream"]));
    assert_eq!(ours.opener.next(NOW), Ok(Some(Record::Data(vec![0, 255]))));
}

#[test]
fn atk_32_clients_with_low_order_ephemerals_are_refused() {
    let mut oracle = Oracle::start();
    let (server_key, secret) = (ServerKey::from_bytes([0x47; 32]), FernetKey::from_bytes([0x48; 32]));
    let listening = Listening::new(&server_key, &secret);
    let public = hex::encode(server_key.public().as_bytes());
    for point in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        let command =
            json!({"do": "low_order_hello", "point": point, "server_public": public, "secret": *secret.to_base64()});
        // the message authenticates: both sides compute an agreement of zeros
        let refused = listening.read(&bytes(&oracle.ask(&command)["first"])).unwrap_err();
        assert_eq!(refused, HandshakeError::Failed);
    }
}

#[test]
fn python_follows_our_key_change() {
    let mut oracle = Oracle::start();
    let first = json!(hex::encode([9; 32]));
    let mut sealer = Sealer::new(&key(&first), NOW);
    let (mut before, mut both) = (Vec::new(), Vec::new());
    sealer.seal(&Record::Ping, NOW, &mut before);
    sealer.seal(&Record::Pong, NOW + REKEY_AFTER, &mut both);
    // the change is a record without a body: one block, 100 characters and the length
    let (change, after) = both.split_at(104);
    let second = oracle.ask(&json!({"do": "next_key", "key": first}))["key"].clone();
    let opened =
        oracle.ask(&json!({"do": "open", "key": first, "stream": hex::encode([&before[..], change].concat())}));
    assert_eq!(opened["records"], json!([[0, 3, ""], [1, 1, ""]]));
    let opened = oracle.ask(&json!({"do": "open", "key": second, "stream": hex::encode(after)}));
    assert_eq!(opened["records"], json!([[2, 4, ""]]));

    let mut opener = Opener::new(&key(&first), MAX_RECORD_BYTES, NOW);
    let change = oracle.ask(&json!({"do": "seal", "key": first, "records": [[0, 1, ""]]}));
    let after = oracle.ask(&json!({"do": "seal", "key": second, "records": [[1, 0, "61"]]}));
    opener.feed(&[bytes(&change["stream"]), bytes(&after["stream"])].concat());
    assert_eq!(opener.next(NOW), Ok(Some(Record::Data(b"a".to_vec()))));
}

#[test]
fn cbor2_reads_our_frames() {
    let mut oracle = Oracle::start();
    let submit_id = chat_protocol::ids::SubmitId::new(5, [1; 8]);
    let post = Frame::request(70_000, &RoomPost { submit_id, text: "grüß dich".into() });
    let refusal = Refusal { retry_after_ms: Some(1500), ..Refusal::new(Code::RateLimited) };
    let mut body = Vec::new();
    for frame in [&post, &Frame::error(70_000, 64, &refusal)] {
        frame.encode_into(&mut body);
    }
    assert_eq!(decode_frames(&body).unwrap().len(), 2);
    let read = oracle.ask(&json!({"do": "frames", "body": hex::encode(body)}));
    let id = hex::encode(submit_id.as_bytes());
    let expected = json!([[0, 70_000, 64, {"0": id, "1": "grüß dich"}], [2, 70_000, 64, {"0": 5, "1": 1500}]]);
    assert_eq!(read["frames"], expected);
}

#[test]
fn a_secret_key_made_by_python_works_here_and_ours_there() {
    let mut oracle = Oracle::start();
    let text = oracle.ask(&json!({"do": "secret_key"}))["key"].as_str().unwrap().to_owned();
    assert_eq!(text.len(), 44);
    let key = FernetKey::from_base64(text.as_bytes()).unwrap();
    assert_eq!(*key.to_base64(), text);
    let opened = oracle.ask(&json!({"do": "fernet_opens", "key": text, "token": key.seal(b"from Rust")}));
    assert_eq!(opened["plaintext"], "from Rust");
}

#[test]
fn the_frozen_vectors_are_what_python_computes() {
    let fresh = std::env::temp_dir().join(format!("chat-wire-vectors-{}", std::process::id()));
    std::fs::create_dir_all(&fresh).unwrap();
    let made = Command::new(python()).arg(script()).arg("vectors").arg(&fresh).status();
    assert!(made.expect("run `make test-setup`").success());
    for name in ["handshake", "records", "frames", "fernet", "messages"] {
        let file = format!("{name}.json");
        let frozen = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(&file);
        assert_eq!(std::fs::read(fresh.join(&file)).unwrap(), std::fs::read(frozen).unwrap(), "{file}");
    }
    std::fs::remove_dir_all(&fresh).unwrap();
}
