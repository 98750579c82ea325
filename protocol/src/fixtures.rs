//! Devices for tests whose keys are public knowledge. Never part of the default features.
//!
//! [`inputs`] is what a fuzzer does with each of its inputs, and the ordinary test that replays what was found; [`counts`]
//! tells how often values are read and written.

pub mod counts;
pub mod inputs;

use crate::crypto::agreement::SecretKey;
use crate::crypto::kdf::sha256;
use crate::crypto::rsa::{DecryptionKey, SigningKey};
use crate::identity::account_log::{AccountLog, Author};
use crate::identity::device::{DeviceCert, DeviceKeys};
use crate::ids::{SessionId, Username};
use crate::message::{Blob, Envelope};
use crate::time::Timestamp;

/// (signing key, decryption key) of the test devices.
const PEMS: [(&str, &str); 8] = [
    (include_str!("../tests/fixtures/sign_0.pem"), include_str!("../tests/fixtures/priv_0.pem")),
    (include_str!("../tests/fixtures/sign_1.pem"), include_str!("../tests/fixtures/priv_1.pem")),
    (include_str!("../tests/fixtures/sign_2.pem"), include_str!("../tests/fixtures/priv_2.pem")),
    (include_str!("../tests/fixtures/sign_3.pem"), include_str!("../tests/fixtures/priv_3.pem")),
    (include_str!("../tests/fixtures/sign_4.pem"), include_str!("../tests/fixtures/priv_4.pem")),
    (include_str!("../tests/fixtures/sign_5.pem"), include_str!("../tests/fixtures/priv_5.pem")),
    (include_str!("../tests/fixtures/sign_6.pem"), include_str!("../tests/fixtures/priv_6.pem")),
    (include_str!("../tests/fixtures/sign_7.pem"), include_str!("../tests/fixtures/priv_7.pem")),
];

/// How many devices have RSA keys of their own; further ones repeat them with another X25519 key.
pub const DISTINCT_DEVICES: usize = PEMS.len();

/// The keys of test device `n`, always the same and without the half second a generation takes.
#[must_use]
#[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "the fixtures are valid keys")]
pub fn device_keys(n: usize) -> DeviceKeys {
    let (signing, decryption) = PEMS.get(n % DISTINCT_DEVICES).expect("less than the number of them");
    DeviceKeys {
        signing: SigningKey::from_plain_pem(signing).expect("a valid key"),
        decryption: DecryptionKey::from_plain_pem(decryption).expect("a valid key"),
        agreement: SecretKey::from_bytes(sha256(&n.to_be_bytes())),
    }
}

/// An account's first device: its keys, its certificate and the account log it begins.
#[derive(Clone, Debug)]
pub struct FirstDevice {
    /// Private keys.
    pub keys: DeviceKeys,
    /// Certificate.
    pub cert: DeviceCert,
    /// A log of one entry.
    pub log: AccountLog,
}

/// An envelope of no session, with a token of so many bytes: it opens nowhere.
#[must_use]
pub fn worthless_envelope(bytes: usize) -> Envelope {
    let sid = SessionId::new(rand::random());
    Envelope { sid, header: Blob(vec![6; 40]), token: Blob(vec![7; bytes]), init: None }
}

/// Test device `n` as the first device of `user`, made at `at`.
#[must_use]
#[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "the fixtures are valid keys")]
pub fn first_device(user: &Username, n: usize, at: Timestamp) -> FirstDevice {
    let keys = device_keys(n);
    let cert = keys.certify(user, at).expect("a valid certificate");
    let author = Author { key: &keys.signing, cert: &cert, at };
    let log = AccountLog::genesis(author, None, &mut rand::rng()).expect("a valid genesis");
    FirstDevice { keys, cert, log }
}
