//! What a recording is worth to whoever steals the keys later.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::handshake::server::{Listening, wanted};
use chat_protocol::limits::MAX_RECORD_BYTES;
use chat_protocol::message::server::{ServerLimits, Welcome};
use chat_protocol::record::Opener;

use crate::operator::{Operator, now};

/// One direction of one connection, byte for byte.
pub type Heard = Arc<Mutex<Vec<u8>>>;

/// Passes connections on, and keeps a copy of each: (from the client, from the server).
pub struct Wiretap {
    pub at: SocketAddr,
    pub recordings: Arc<Mutex<Vec<(Heard, Heard)>>>,
}

impl Wiretap {
    pub fn on(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let recordings = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&recordings);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(upstream) = TcpStream::connect(server) else { return };
                let (up, down) = (Heard::default(), Heard::default());
                kept.lock().unwrap().push((Arc::clone(&up), Arc::clone(&down)));
                pass(client.try_clone().unwrap(), upstream.try_clone().unwrap(), up);
                pass(upstream, client, down);
            }
        });
        Self { at, recordings }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, copy: Heard) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(bytes @ 1..) = from.read(&mut buffer) {
            copy.lock().unwrap().extend_from_slice(&buffer[..bytes]);
            if to.write_all(&buffer[..bytes]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

fn opens(key: &SecretBytes<32>, records: &[u8]) -> bool {
    let mut opener = Opener::new(key, MAX_RECORD_BYTES, now());
    opener.feed(records);
    matches!(opener.next(now()), Ok(Some(_)))
}

fn welcome() -> Welcome {
    let limits = ServerLimits { delivery_window: 1, mailbox_days: 1, room_days: 1, invite_only: false };
    let (lowest, highest) = (1, 1);
    Welcome {
        version: Some(1),
        lowest,
        highest,
        server_time: now(),
        limits,
        features: Vec::new(),
        next_key: None,
        next_key_proof: None,
    }
}

#[test]
fn atk_03_a_recorded_session_does_not_open_with_the_servers_keys() {
    let operator = Operator::open();
    let tap = Wiretap::on(operator.at);
    let mut alice = operator.newcomer("alice", "alice");
    let _ = alice.enter("register", &operator.invite_to(tap.at)).success();
    alice.turns("online");
    let said = alice.send("room:public", "a secret of the time");
    alice.sees(&said, "accepted");
    alice.stop();

    let stolen = Listening::new(&operator.server_key, &operator.secret);
    let recordings = tap.recordings.lock().unwrap().clone();
    assert!(recordings.len() > 1, "the talk of registration and the connection after it");
    for (up, down) in &recordings {
        let (up, down) = (up.lock().unwrap().clone(), down.lock().unwrap().clone());
        let begins = wanted(&up).unwrap();
        let greeting = stolen.read(&up[..begins]).expect("who has the keys reads the first words");
        let (_, mut thief) = greeting.reply(&welcome(), now()).expect("and can answer them");
        let answer = 2 + usize::from(u16::from_be_bytes([down[0], down[1]]));
        let (from_client, from_server) = (&up[begins..], &down[answer..]);
        assert!(!from_client.is_empty() && !from_server.is_empty());

        thief.opener.feed(from_client);
        assert!(thief.opener.next(now()).is_err(), "an answer made anew is another session");
        for key in [operator.secret.bytes(), operator.server_key.bytes()] {
            assert!(!opens(key, from_client) && !opens(key, from_server));
        }
    }
}
