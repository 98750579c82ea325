//! RSA keys and signatures that must be refused, and secrets that must not print.

use crate::common::{Device, session_pair};
use chat_protocol::crypto::kdf::sha256;
use chat_protocol::crypto::rsa::{Context, DecryptionKey, EncryptionKey, RsaError, SigningKey, VerifyingKey};
use chat_protocol::fixtures::device_keys;
use chat_protocol::session::content::Body;
use chat_protocol::session::init::{Init, open_share};
use rsa::pkcs8::{EncodePublicKey, spki};
use rsa::signature::{RandomizedSigner, SignatureEncoding, Signer};

/// SPKI of arbitrary numbers, as an attacker writes it.
fn spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = der(0x30, &[der_uint(modulus), der_uint(exponent)].concat());
    let algorithm = hex::decode("300d06092a864886f70d0101010500").unwrap();
    der(0x30, &[algorithm, der(0x03, &[vec![0], key].concat())].concat())
}

fn der_uint(bytes: &[u8]) -> Vec<u8> {
    let sign = if bytes[0] >= 0x80 { vec![0] } else { vec![] };
    der(0x02, &[sign, bytes.to_vec()].concat())
}

fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(value.len()).unwrap().to_be_bytes();
    let len = match value.len() {
        0..=0x7f => vec![len[1]],
        0x80..=0xff => vec![0x81, len[1]],
        _ => vec![0x82, len[0], len[1]],
    };
    [vec![tag], len, value.to_vec()].concat()
}

fn odd(bits: usize) -> Vec<u8> {
    vec![0xff; bits / 8]
}

const E: [u8; 3] = [1, 0, 1];

#[test]
fn the_attackers_encoder_is_right_about_good_keys() {
    let good = device_keys(0).signing.verifying_key();
    let modulus = &good.to_spki()[33..33 + 384];
    assert_eq!(spki(modulus, &E), good.to_spki());
}

/// The cause named is the first rule broken, and all these rules read the numbers without computing with them.
#[test]
fn atk_34_hostile_rsa_keys_are_refused_before_any_arithmetic() {
    let mut even = odd(3072);
    *even.last_mut().unwrap() = 0xfe;
    let huge_exponent = odd(3072);
    for (what, der, error) in [
        ("e = 1", spki(&odd(3072), &[1]), RsaError::Exponent),
        ("e = 3", spki(&odd(3072), &[3]), RsaError::Exponent),
        ("e as large as n", spki(&odd(3072), &huge_exponent), RsaError::Exponent),
        ("even modulus", spki(&even, &E), RsaError::Invalid),
        ("512 bits", spki(&odd(512), &E), RsaError::Size(512)),
        ("2040 bits", spki(&odd(2040), &E), RsaError::Size(2040)),
        ("4104 bits", spki(&odd(4104), &E), RsaError::Size(4104)),
        ("16384 bits", spki(&odd(16384), &E), RsaError::Size(16384)),
        ("empty", vec![], RsaError::Encoding),
    ] {
        assert_eq!(VerifyingKey::from_spki(&der), Err(error), "{what}");
        assert_eq!(EncryptionKey::from_spki(&der), Err(error), "{what}");
    }
}

#[test]
fn atk_34_keys_in_any_but_the_canonical_encoding_are_refused() {
    let good = device_keys(0).signing.verifying_key().to_spki();
    let modulus = good[33..33 + 384].to_vec();
    let trailing = [good.clone(), vec![0]].concat();
    let mut indefinite = good.clone();
    indefinite[1] = 0x80;
    let long_length = [vec![0x30, 0x83, 0], good[2..].to_vec()].concat();
    let padded = spki(&[vec![0, 0], modulus.clone()].concat(), &E);
    let numbers = der(0x30, &[der_uint(&modulus), der_uint(&E)].concat());
    let no_null = der(0x30, &hex::decode("06092a864886f70d010101").unwrap());
    let no_null = der(0x30, &[no_null, der(0x03, &[vec![0], numbers.clone()].concat())].concat());
    let pss = der(0x30, &hex::decode("06092a864886f70d01010a").unwrap());
    let pss = der(0x30, &[pss, der(0x03, &[vec![0], numbers].concat())].concat());
    for (what, der) in [
        ("trailing byte", trailing),
        ("indefinite length", indefinite),
        ("length in more bytes than needed", long_length),
        ("zeros before the modulus", padded),
        ("no NULL parameters", no_null),
        ("PSS identifier", pss),
    ] {
        assert!(VerifyingKey::from_spki(&der).is_err(), "{what}");
    }
}

#[test]
fn atk_17_signatures_with_other_salts_hashes_or_paddings_are_rejected() {
    let key = device_keys(0).signing;
    let pem = include_str!("../fixtures/sign_0.pem");
    let raw = <rsa::RsaPrivateKey as rsa::pkcs8::DecodePrivateKey>::from_pkcs8_pem(pem).unwrap();
    let message = [b"chat/v1/sig\0login\0".as_slice(), &sha256(b"object")].concat();
    let mut rng = rand::rng();
    let mut pss = |salt| {
        let signer = rsa::pss::SigningKey::<sha2::Sha256>::new_with_salt_len(raw.clone(), salt);
        signer.sign_with_rng(&mut rng, &message).to_vec()
    };
    let verify = |signature: &[u8]| key.verifying_key().verify(Context::Login, b"object", signature);
    assert_eq!(verify(&pss(32)), Ok(()), "the message is the protocol's");
    for salt in [0, 20, 31, 33, 64] {
        assert_eq!(verify(&pss(salt)), Err(RsaError::Signature), "salt {salt}");
    }
    let sha512 = rsa::pss::SigningKey::<sha2::Sha512>::new_with_salt_len(raw.clone(), 32);
    assert_eq!(verify(&sha512.sign_with_rng(&mut rand::rng(), &message).to_vec()), Err(RsaError::Signature));
    let pkcs1 = rsa::pkcs1v15::SigningKey::<sha2::Sha256>::new(raw);
    assert_eq!(verify(&pkcs1.sign(&message).to_vec()), Err(RsaError::Signature));
    for len in [0, 383, 385, 5000] {
        assert_eq!(verify(&vec![1; len]), Err(RsaError::Signature));
    }
}

#[test]
fn encrypted_pem_without_any_cost_is_refused() {
    let pem = device_keys(0).signing.to_encrypted_pem(b"secret", &mut rand::rng());
    let (_, document) = spki::der::SecretDocument::from_pem(&pem).unwrap();
    let cost = hex::decode("020110020108020101").unwrap();
    let place = document.as_bytes().windows(cost.len()).position(|window| window == cost).unwrap();
    let mut der = document.as_bytes().to_vec();
    der[place + 2] = 0;
    let absurd = spki::der::SecretDocument::try_from(der)
        .unwrap()
        .to_pem("ENCRYPTED PRIVATE KEY", rsa::pkcs8::LineEnding::LF)
        .unwrap();
    assert_eq!(SigningKey::from_encrypted_pem(&absurd, b"secret").unwrap_err(), RsaError::Passphrase);
}

#[test]
fn pem_that_is_no_key_is_refused() {
    let public = device_keys(0).decryption.encryption_key().to_pem();
    for pem in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &public, &"x".repeat(20_000)] {
        assert_eq!(DecryptionKey::from_plain_pem(pem).unwrap_err(), RsaError::Encoding);
        assert_eq!(DecryptionKey::from_encrypted_pem(pem, b"x").unwrap_err(), RsaError::Encoding);
    }
}

#[test]
fn private_key_of_1024_bits_is_refused() {
    let small = rsa::RsaPrivateKey::new(&mut rand::rng(), 1024).unwrap();
    let pem = rsa::pkcs8::EncodePrivateKey::to_pkcs8_pem(&small, rsa::pkcs8::LineEnding::LF).unwrap();
    assert_eq!(DecryptionKey::from_plain_pem(&pem).unwrap_err(), RsaError::Size(1024));
    let public = small.to_public_key().to_public_key_der().unwrap();
    assert_eq!(EncryptionKey::from_spki(public.as_bytes()), Err(RsaError::Size(1024)));
}

#[test]
fn atk_62_no_secret_of_a_device_or_session_prints() {
    let device = Device::new("alice", 0);
    let keys = format!("{:?}", device.first.keys);
    assert_eq!(keys, "DeviceKeys { signing: SigningKey(..), decryption: DecryptionKey(..), agreement: SecretKey(..) }");
    assert_eq!(format!("{:?}", device.signed), "SignedPrekey { id: 1, secret: SecretKey(..) }");
    assert_eq!(format!("{:?}", device.kem), "KemPrekey { id: 2, secret: DecapsulationKey(..) }");
    assert_eq!(format!("{:?}", device.one_time), "OneTimePrekey { secret: SecretKey(..) }");

    let begun = device.begin(&Device::new("bob", 1), false);
    let init = Init::read(&begun.init).unwrap();
    let share = open_share(&init, &device.first.keys.decryption, &device.rejection, &mut rand::rng());
    assert_eq!(format!("{share:?}"), "Share(SecretBytes<32>(..))");

    let (mut alice, bob) = session_pair(false);
    assert_eq!(format!("{:?}", alice.session), format!("Session({}, ..)", alice.session.id()));
    let (_, late) = (alice.seal("lost"), alice.seal("late"));
    let opened = bob.session.open(&late.header, &late.token, None, &mut rand::rng()).unwrap();
    assert_eq!(format!("{:?}", opened.new_skipped[0].key), "MessageKey(SecretBytes<32>(..))");
    assert_eq!(format!("{opened:?}"), format!("Opened({:?}, ..)", opened.session));
    assert_eq!(format!("{:?}", Body::text("canary".into())), "Body(type 1)");
}
