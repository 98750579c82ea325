//! The people of the worlds: the same keys, certificates and logs in every world and run, made once.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use chat_protocol::fixtures::device_keys;
use chat_protocol::identity::account_log::{AccountLog, Author};
use chat_protocol::ids::Username;
use chat_protocol::time::Timestamp;
use chatd::engine::Local;
use rand::SeedableRng;
use rand::rngs::StdRng;

static KNOWN: LazyLock<Mutex<BTreeMap<(Username, usize), Local>>> = LazyLock::new(Mutex::default);

/// Test device `keys` as the first device of `user`.
pub fn first_device(user: &Username, keys: usize, at: Timestamp) -> Local {
    let mut known = KNOWN.lock().unwrap();
    known.entry((user.clone(), keys)).or_insert_with(|| make(user, keys, at)).clone()
}

fn make(user: &Username, n: usize, at: Timestamp) -> Local {
    let keys = device_keys(n);
    let cert = keys.certify(user, at).unwrap();
    // the signature is chance's, and the fingerprint follows from it
    let mut rng = StdRng::seed_from_u64(n as u64);
    let log = AccountLog::genesis(Author { key: &keys.signing, cert: &cert, at }, None, &mut rng).unwrap();
    Local { user: user.clone(), device: cert.id(), cert, keys, log }
}
