//! Reads what an independent implementation wrote: the same checks for frozen and for fresh vectors.

use chat_protocol::crypto::agreement::SecretKey;
use chat_protocol::crypto::kem::DecapsulationKey;
use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::fixtures::device_keys;
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::login::Binding;
use chat_protocol::identity::safety_number::{SafetyNumber, approval_digits};
use chat_protocol::session::bundle::{KemPrekey, OneTimePrekey, SignedPrekey, VerifiedBundle};
use chat_protocol::session::init::{Init, Own, Prekeys, open_share, resolve};
use chat_protocol::session::ratchet::Sealed;
use serde_json::Value;

use crate::common::End;

pub fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

pub fn list(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().unwrap().iter().map(bytes).collect()
}

/// An account log, its digits and a login.
pub fn check_identity(vector: &Value) {
    let log = AccountLog::verify(&"alice".parse().unwrap(), &list(&vector["entries"])).unwrap();
    let peer = AccountLog::verify(&"bob".parse().unwrap(), &list(&vector["peer"])).unwrap();
    assert_eq!(log.fingerprint().as_bytes().as_slice(), bytes(&vector["fingerprint"]));
    assert_eq!(log.head().hash.as_bytes().as_slice(), bytes(&vector["head"]));
    assert_eq!(log.head().seq, 2);

    let ids: Vec<_> = log.devices().iter().map(|device| device.cert.id().as_bytes().to_vec()).collect();
    assert_eq!(ids, list(&vector["devices"]));
    let active: Vec<_> = log.active_devices().map(|cert| cert.id()).collect();
    assert_eq!(active, [log.devices()[0].cert.id()]);

    assert_eq!(SafetyNumber::of(&log, &peer).to_string(), vector["safety_number"].as_str().unwrap());
    let digits = approval_digits(&log.fingerprint(), &log.devices()[1].cert.id());
    assert_eq!(digits, vector["approval_digits"].as_str().unwrap());

    let binding = Binding { channel: array(&vector["channel"]), server_key: array(&vector["server_key"]) };
    let laptop = &log.devices()[0].cert;
    assert_eq!(binding.verify_login(laptop, &bytes(&vector["login"])), Ok(()));
    assert_eq!(binding.verify_enrol(laptop, &bytes(&vector["enrol"])), Ok(()));
}

/// Bob (test device 2) answers two INITs of Alice and opens what she says.
pub fn check_session(vector: &Value) {
    let alice = AccountLog::verify(&"alice".parse().unwrap(), &[bytes(&vector["alice"])]).unwrap();
    let bob = AccountLog::verify(&"bob".parse().unwrap(), &[bytes(&vector["bob"])]).unwrap();
    let keys = device_keys(2);
    let cert = &bob.devices()[0].cert;
    let bundle = VerifiedBundle::verify(&bytes(&vector["bundle"]), cert).unwrap();
    let own = Own { keys: &keys, cert, log: &bob };
    let signed = SignedPrekey { id: 1, secret: SecretKey::from_bytes(array(&vector["spk"])) };
    let kem = KemPrekey { id: 2, secret: DecapsulationKey::from_seed(array(&vector["kem_seed"])) };
    let one_time = OneTimePrekey { secret: SecretKey::from_bytes(array(&vector["one_time"])) };

    for case in vector["cases"].as_array().unwrap() {
        let init = Init::read(&bytes(&case["init"])).unwrap();
        assert_eq!(init.bundle(), bundle.hash());
        let one_time = case["one_time"].as_bool().unwrap().then_some(&one_time);
        let prekeys = Prekeys { signed: &signed, kem: &kem, one_time };
        let resolved = resolve(&init, own, prekeys, &alice).unwrap();
        assert_eq!(resolved.session_id().as_bytes().as_slice(), bytes(&case["sid"]));
        let share = open_share(&init, &keys.decryption, &SecretBytes::new([0; 32]), &mut rand::rng());
        let mut end = End::new(resolved.session(share).unwrap());
        // the last one first: skipped keys count as well
        for (n, message) in case["messages"].as_array().unwrap().iter().enumerate().rev() {
            let sealed = Sealed { header: bytes(&message["header"]), token: bytes(&message["token"]) };
            assert_eq!(end.open(&sealed).unwrap(), format!("message {n}"));
        }
    }
}
