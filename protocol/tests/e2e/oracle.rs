//! Our identities and sessions against independent ones: Python's `cryptography`, `cbor2` and `DoubleRatchet`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests ask other programs")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::checks::{bytes, check_identity, check_session};
use super::common::{Device, End, rng};
use chat_protocol::cbor;
use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::crypto::rsa::{Context, DecryptionKey};
use chat_protocol::fixtures::device_keys;
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::party::Party;
use chat_protocol::session::init::{Init, Initiated};
use chat_protocol::session::ratchet::Sealed;
use rand::{Rng, RngExt};
use serde_json::{Value, json};

/// The Python process: a JSON command a line, a JSON answer a line.
pub struct Oracle {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    fn start() -> Self {
        Self::run("e2e.py")
    }

    pub fn run(script: &str) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let built = here.join("../target/python/bin/python");
        let mut child = Command::new(std::env::var_os("CHAT_PYTHON").map_or(built, PathBuf::from))
            .arg(here.join("tests/oracle").join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python with the packages of .ci/requirements.txt: run `make test-setup`");
        let (commands, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, commands, answers: BufReader::new(answers) }
    }

    pub fn ask(&mut self, command: &Value) -> Value {
        writeln!(self.commands, "{command}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no answer to {command}: run `make test-setup`?"))
    }

    fn open(&mut self, name: &str, sealed: &Sealed) -> String {
        let (header, token) = (hex::encode(&sealed.header), hex::encode(&sealed.token));
        let answer = self.ask(&json!({"do": "open", "name": name, "header": header, "token": token}));
        answer["text"].as_str().unwrap().to_owned()
    }

    fn seal(&mut self, name: &str, text: &str) -> Sealed {
        sealed(&self.ask(&json!({"do": "seal", "name": name, "text": text})))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sealed(answer: &Value) -> Sealed {
    Sealed { header: bytes(&answer["header"]), token: bytes(&answer["token"]) }
}

const SEED_PEM: &str = include_str!("../fixtures/seed_2048.pem");

#[test]
fn what_python_writes_now_is_read_like_what_is_frozen() {
    let fresh = Oracle::start().ask(&json!({"do": "vectors"}));
    check_identity(&fresh["identity"]);
    check_session(&fresh["session"]);
}

#[test]
fn s2_python_opens_our_encrypted_pems_and_we_open_its() {
    let mut python = Oracle::start();
    for key in [device_keys(0).decryption, DecryptionKey::from_plain_pem(SEED_PEM).unwrap()] {
        let pem = key.to_encrypted_pem(b"a passphrase", &mut rand::rng());
        let answer = python.ask(&json!({"do": "open_pem", "pem": pem.as_str(), "passphrase": "a passphrase"}));
        assert_eq!(bytes(&answer["spki"]), key.encryption_key().to_spki());
    }
    let theirs = python.ask(&json!({"do": "seal_pem", "pem": SEED_PEM, "passphrase": "seed"}));
    let imported = DecryptionKey::from_encrypted_pem(theirs["pem"].as_str().unwrap(), b"seed").unwrap();
    let plain = DecryptionKey::from_plain_pem(SEED_PEM).unwrap();
    assert_eq!(imported.encryption_key(), plain.encryption_key());
}

#[test]
fn s3_s4_a_fernet_key_travels_under_oaep_and_opens_tokens_both_ways() {
    let mut python = Oracle::start();
    let key = DecryptionKey::from_plain_pem(SEED_PEM).unwrap();
    let spki = hex::encode(key.encryption_key().to_spki());
    let sent = python.ask(&json!({"do": "seed_send", "spki": spki, "text": "from Python"}));
    let fernet = FernetKey::from_base64(&key.decrypt(&bytes(&sent["key"]), &mut rand::rng()).unwrap()).unwrap();
    assert_eq!(fernet.open(sent["token"].as_str().unwrap()).unwrap(), b"from Python");

    let fernet = FernetKey::generate(&mut rand::rng());
    let wrapped = key.encryption_key().encrypt(fernet.to_base64().as_bytes(), &mut rand::rng()).unwrap();
    let command = json!({
        "do": "seed_receive", "pem": SEED_PEM, "key": hex::encode(wrapped), "token": fernet.seal(b"from Rust"),
    });
    assert_eq!(python.ask(&command)["text"], "from Rust");
}

#[test]
fn python_verifies_our_signatures_for_their_context_only() {
    let mut python = Oracle::start();
    let key = device_keys(0).signing;
    let signature = hex::encode(key.sign(Context::Login, b"object", &mut rand::rng()));
    for (context, valid) in [("login", true), ("enrol", false)] {
        let spki = hex::encode(key.verifying_key().to_spki());
        let command = json!({
            "do": "verify", "spki": spki, "context": context, "object": hex::encode(b"object"), "signature": signature,
        });
        assert_eq!(python.ask(&command)["valid"], valid, "{context}");
    }
}

/// Our initiator and Python's responder, after the first message.
fn begin_with_python(python: &mut Oracle, name: &str, with_one_time: bool) -> End {
    let (alice, bob) = (Device::new("alice", 0), Device::new("bob", 1));
    let Initiated { mut session, init } = alice.begin(&bob, with_one_time);
    let first = session.seal(b"hello").unwrap();
    let kem: Vec<u8> =
        minicbor::decode::<minicbor::bytes::ByteVec>(&minicbor::to_vec(&bob.kem.secret).unwrap()).unwrap().into();
    let answer = python.ask(&json!({
        "do": "respond",
        "name": name,
        "init": hex::encode(&init),
        "certs": [hex::encode(alice.first.cert.bytes()), hex::encode(bob.first.cert.bytes())],
        "dek": include_str!("../fixtures/priv_1.pem"),
        "dxk": hex::encode(bob.first.keys.agreement.bytes().expose()),
        "spk": hex::encode(bob.signed.secret.bytes().expose()),
        "kem_seed": hex::encode(kem),
        "one_time": with_one_time.then(|| hex::encode(bob.one_time.secret.bytes().expose())),
        "header": hex::encode(&first.header),
        "token": hex::encode(&first.token),
    }));
    assert_eq!(bytes(&answer["sid"]), session.id().as_bytes());
    assert_eq!(answer["text"], "hello");
    End::new(session)
}

/// Python's initiator and our responder, after the first message.
fn answer_python(python: &mut Oracle, name: &str, with_one_time: bool) -> End {
    let bob = Device::new("bob", 1);
    let party = Party {
        user: "bob".parse().unwrap(),
        device: bob.first.cert.id(),
        fingerprint: bob.log().fingerprint(),
        head: bob.log().head(),
    };
    let answer = python.ask(&json!({
        "do": "initiate",
        "name": name,
        "cert": hex::encode(bob.first.cert.bytes()),
        "party": hex::encode(cbor::encode(&party)),
        "bundle": hex::encode(bob.signed_bundle()),
        "one_time": with_one_time.then(|| hex::encode(bob.one_time.public_key().as_bytes())),
        "text": "hello",
    }));
    let alice = AccountLog::verify(&"alice".parse().unwrap(), &[bytes(&answer["log"])]).unwrap();
    let init = bytes(&answer["init"]);
    assert_eq!(Init::read(&init).unwrap().one_time().is_some(), with_one_time);
    let mut end = End::new(bob.answer(&init, &alice).unwrap());
    assert_eq!(end.session.id().as_bytes().as_slice(), bytes(&answer["sid"]));
    assert_eq!(end.open(&sealed(&answer)).unwrap(), "hello");
    end
}

#[test]
fn python_agrees_on_every_secret_of_an_init_of_ours() {
    let mut python = Oracle::start();
    begin_with_python(&mut python, "with", true);
    begin_with_python(&mut python, "without", false);
}

#[test]
fn we_agree_on_every_secret_of_an_init_of_pythons() {
    let mut python = Oracle::start();
    answer_python(&mut python, "with", true);
    answer_python(&mut python, "without", false);
}

#[test]
fn double_ratchet_talks_with_ours_over_random_schedules_with_loss_and_disorder() {
    let mut python = Oracle::start();
    let first_seed = rand::rng().next_u64() >> 16;
    for seed in first_seed..first_seed + 8 {
        println!("seed {seed}");
        let name = seed.to_string();
        let mut ours = if seed % 2 == 0 {
            begin_with_python(&mut python, &name, seed % 4 == 0)
        } else {
            answer_python(&mut python, &name, seed % 4 == 1)
        };
        talk(&mut python, &name, &mut ours, seed);
    }
}

/// 150 random steps: either side seals, loses, or gets any of the messages under way.
fn talk(python: &mut Oracle, name: &str, ours: &mut End, seed: u64) {
    let mut dice = rng(seed);
    let mut flight: HashMap<bool, Vec<(String, Sealed)>> = HashMap::from([(true, vec![]), (false, vec![])]);
    for step in 0..150 {
        let from_us = dice.random_bool(0.5);
        let under_way = flight.get_mut(&from_us).unwrap();
        if dice.random_bool(0.6) {
            let text = format!("{step}, from us: {from_us}");
            let sealed = if from_us { ours.seal(&text) } else { python.seal(name, &text) };
            if dice.random_bool(0.9) {
                under_way.push((text, sealed));
            }
        } else if !under_way.is_empty() {
            let pick = dice.random_range(0..under_way.len());
            let (text, sealed) = under_way.swap_remove(pick);
            let opened = if from_us { python.open(name, &sealed) } else { ours.open(&sealed).unwrap() };
            assert_eq!(opened, text, "seed {seed}, step {step}");
        }
    }
}
