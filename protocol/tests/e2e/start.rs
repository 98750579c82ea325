//! How sessions begin, and what a server or a stranger tries on bundles and INITs.

use crate::common::{AT, Device, End, refuses, session_pair};
use chat_protocol::cbor;
use chat_protocol::crypto::agreement::SecretKey;
use chat_protocol::crypto::rsa::Context;
use chat_protocol::crypto::signed::Signed;
use chat_protocol::fixtures::device_keys;
use chat_protocol::identity::account_log::{AccountLog, Author};
use chat_protocol::session::bundle::{BundleError, KemPrekey, OneTimePrekey, SignedPrekey, VerifiedBundle};
use chat_protocol::session::init::{Init, InitError, Initiated, Own, initiate, open_share, resolve};
use chat_protocol::session::ratchet::OpenError;
use chat_protocol::time::Timestamp;

#[test]
fn first_message_opens_with_and_without_a_one_time_key() {
    for with_one_time in [true, false] {
        let (mut alice, mut bob) = session_pair(with_one_time);
        let hello = alice.seal("hello");
        assert_eq!(bob.open(&hello).unwrap(), "hello");
        let answer = bob.seal("hi");
        assert_eq!(alice.open(&answer).unwrap(), "hi");
    }
}

#[test]
fn both_ends_know_the_session_by_the_same_id() {
    let (alice, bob) = (Device::new("alice", 0), Device::new("bob", 1));
    let Initiated { session, init } = alice.begin(&bob, true);
    let init = Init::read(&init).unwrap();
    let resolved = resolve(&init, bob.own(), bob.prekeys(&init), alice.log()).unwrap();
    assert_eq!(resolved.session_id(), session.id());
}

#[test]
fn atk_31_bundle_of_another_device_or_with_swapped_keys_is_rejected() {
    let (bob, carol) = (Device::new("bob", 1), Device::new("carol", 2));
    let bytes = bob.signed_bundle();
    assert_eq!(VerifiedBundle::verify(&bytes, &carol.first.cert), Err(BundleError::Signature));
    for byte in (0..bytes.len()).step_by(41) {
        let mut changed = bytes.clone();
        changed[byte] ^= 1;
        assert!(VerifiedBundle::verify(&changed, &bob.first.cert).is_err(), "byte {byte}");
    }
}

#[test]
fn atk_31_expired_older_and_future_bundles_are_rejected() {
    let bundle = Device::new("bob", 1).bundle(false);
    let days = |days: u64| AT + std::time::Duration::from_secs(days * 24 * 60 * 60);
    assert_eq!(bundle.check_fresh(1, days(29)), Ok(()));
    assert_eq!(bundle.check_fresh(1, days(30)), Err(BundleError::Expired));
    assert_eq!(bundle.check_fresh(1, Timestamp::ZERO), Err(BundleError::Expired));
    assert_eq!(bundle.check_fresh(2, days(1)), Err(BundleError::Older));
}

#[test]
fn atk_31_one_time_key_that_is_not_listed_is_rejected() {
    let bundle = Device::new("bob", 1).bundle(false);
    let other = OneTimePrekey::generate(&mut rand::rng()).public_key();
    assert_eq!(bundle.clone().with_one_time(Some(other.as_bytes())), Err(BundleError::OneTimeKey));
    assert_eq!(bundle.with_one_time(Some(&[1; 31])), Err(BundleError::OneTimeKey));
}

#[test]
fn atk_37_message_does_not_open_without_the_rsa_share() {
    let (alice, bob) = (Device::new("alice", 0), Device::new("bob", 1));
    let mut begun = alice.begin(&bob, true);
    let sealed = begun.session.seal(b"hello").unwrap();
    let init = Init::read(&begun.init).unwrap();
    let resolved = resolve(&init, bob.own(), bob.prekeys(&init), alice.log()).unwrap();

    let share = open_share(&init, &bob.first.keys.decryption, &bob.rejection, &mut rand::rng());
    let rightful = resolved.session(share).unwrap();
    assert!(rightful.open(&sealed.header, &sealed.token, None, &mut rand::rng()).is_ok());

    let withheld = open_share(&init, &alice.first.keys.decryption, &bob.rejection, &mut rand::rng());
    let thief = resolved.session(withheld).unwrap();
    let error = thief.open(&sealed.header, &sealed.token, None, &mut rand::rng()).unwrap_err();
    assert_eq!(error, OpenError::Token);
}

#[test]
fn atk_37_message_does_not_open_with_another_device_key_or_prekey() {
    let (alice, mut bob) = (Device::new("alice", 0), Device::new("bob", 1));
    let mut begun = alice.begin(&bob, true);
    let sealed = begun.session.seal(b"hello").unwrap();
    let opens = |bob: &Device| {
        let mut end = End::new(bob.answer(&begun.init, alice.log()).unwrap());
        end.open(&sealed)
    };
    assert_eq!(opens(&bob), Ok("hello".into()));

    let right = bob.first.keys.agreement.clone();
    bob.first.keys.agreement = SecretKey::generate(&mut rand::rng());
    assert_eq!(opens(&bob), Err(OpenError::Token));
    bob.first.keys.agreement = right;

    let right = std::mem::replace(&mut bob.signed, SignedPrekey::generate(1, &mut rand::rng()));
    assert_eq!(opens(&bob), Err(OpenError::Token));
    bob.signed = right;

    bob.kem = KemPrekey::generate(2, &mut rand::rng());
    assert_eq!(opens(&bob), Err(OpenError::Token));
}

#[test]
fn rejected_shares_are_the_same_each_time_and_bound_to_the_ciphertext() {
    let (alice, bob) = (Device::new("alice", 0), Device::new("bob", 1));
    let [one, two] = [(); 2].map(|()| Init::read(&alice.begin(&bob, false).init).unwrap());
    let share = |init| open_share(init, &alice.first.keys.decryption, &bob.rejection, &mut rand::rng());
    assert_eq!(share(&one), share(&one));
    assert_ne!(share(&one), share(&two));
}

#[test]
fn atk_38_init_with_any_byte_changed_opens_nothing() {
    let (alice, bob) = (Device::new("alice", 0), Device::new("bob", 1));
    let mut begun = alice.begin(&bob, true);
    let sealed = begun.session.seal(b"hello").unwrap();
    let share = |init: &Init| open_share(init, &bob.first.keys.decryption, &bob.rejection, &mut rand::rng());
    let right = share(&Init::read(&begun.init).unwrap());
    let rsa = begun.init.windows(3).position(|head| head == [0x59, 0x01, 0x80]).unwrap();
    let (rsa, kem) = (rsa + 3..rsa + 387, rsa + 387..begun.init.len() - 14);
    // every byte of the short fields, samples of the two ciphertexts
    for byte in (0..begun.init.len()).filter(|byte| !(rsa.contains(byte) || kem.contains(byte)) || byte % 101 == 0) {
        let mut changed = begun.init.clone();
        changed[byte] ^= 1 << (byte % 8);
        let Ok(init) = Init::read(&changed) else { continue };
        let Ok(resolved) = resolve(&init, bob.own(), bob.prekeys(&init), alice.log()) else { continue };
        let share = if rsa.contains(&byte) { share(&init) } else { right.clone() };
        let opened = resolved.session(share).map(|session| End::new(session).open(&sealed));
        assert!(!matches!(opened, Ok(Ok(_))), "byte {byte} does not count");
    }
}

#[test]
fn atk_38_certificate_of_another_account_is_another_identity() {
    let (alice, bob) = (Device::new("alice", 0), Device::new("bob", 1));
    let init = alice.begin(&bob, true).init;
    let renewed = Device::new("alice", 3);
    assert_eq!(bob.answer(&init, renewed.log()).unwrap_err(), InitError::OtherIdentity);
    let carol = Device::new("carol", 2);
    assert_eq!(bob.answer(&init, carol.log()).unwrap_err(), InitError::OtherIdentity);
}

#[test]
fn atk_38_keys_registered_again_by_a_stranger_show_nobody_a_wrong_name() {
    let (alice, bob) = (Device::new("alice", 0), Device::new("bob", 1));
    // Mallory signs for herself, but claims Bob's decryption, agreement and prekeys as her own.
    let mut mallory = Device::new("mallory", 2);
    mallory.first.keys.decryption = bob.first.keys.decryption.clone();
    mallory.first.keys.agreement = bob.first.keys.agreement.clone();
    mallory.first.cert = mallory.first.keys.certify(&"mallory".parse().unwrap(), AT).unwrap();
    let author = Author { key: &mallory.first.keys.signing, cert: &mallory.first.cert, at: AT };
    mallory.first.log = AccountLog::genesis(author, None, &mut rand::rng()).unwrap();
    (mallory.signed, mallory.kem, mallory.one_time) = (bob.signed.clone(), bob.kem.clone(), bob.one_time.clone());

    let to_mallory = alice.begin(&mallory, true).init;
    assert_eq!(bob.answer(&to_mallory, alice.log()).unwrap_err(), InitError::Misaddressed);
}

#[test]
fn atk_39_unknown_version_or_suite_is_rejected() {
    let (alice, bob) = (Device::new("alice", 0), Device::new("bob", 1));
    let init = alice.begin(&bob, true).init;
    assert_eq!((init[1], init[2], init[3], init[4]), (0, 1, 1, 1), "keys 0 and 1 hold version and suite");
    for place in [2, 4] {
        let mut other = init.clone();
        other[place] = 2;
        assert_eq!(Init::read(&other), Err(InitError::Unsupported));
    }
}

/// Bob's bundle with other content versions in the place of his own.
fn bundle_that_reads(bob: &Device, contents: &[u8]) -> Result<VerifiedBundle, BundleError> {
    let signed: Signed = cbor::decode(&bob.signed_bundle()).unwrap();
    let own = signed.object.strip_suffix(&[12, 0x81, 1]).expect("key 12 holds the content versions");
    let count = 0x80 + u8::try_from(contents.len()).unwrap();
    signed_again(bob, [own, &[12, count], contents].concat())
}

fn signed_again(bob: &Device, object: Vec<u8>) -> Result<VerifiedBundle, BundleError> {
    let signed = Signed::new(object, &bob.first.keys.signing, Context::Bundle, &mut rand::rng());
    VerifiedBundle::verify(&cbor::encode(&signed), &bob.first.cert)
}

#[test]
fn a_session_speaks_a_content_version_both_devices_read_and_without_one_there_is_none() {
    let (alice, bob) = (Device::new("alice", 0), Device::new("bob", 1));
    let newer = bundle_that_reads(&bob, &[1, 7]).unwrap();
    let init = initiate(alice.own(), bob.log(), &newer, AT, &mut rand::rng()).unwrap().init;
    assert!(init.ends_with(&[12, 1]), "key 12 holds the session's content version");
    assert!(Init::read(&init).is_ok());
    for contents in [&[2, 7][..], &[]] {
        assert_eq!(bundle_that_reads(&bob, contents).err(), Some(BundleError::Unsupported), "{contents:?}");
    }
    let without = |map: &[u8], key: &[u8]| [&[map[0] - 1], &map.strip_suffix(key).unwrap()[1..]].concat();
    let signed: Signed = cbor::decode(&bob.signed_bundle()).unwrap();
    let silent = signed_again(&bob, without(&signed.object, &[12, 0x81, 1])).unwrap();
    assert_eq!(silent.content_version(), 1, "who names none reads the first");
    assert!(Init::read(&without(&init, &[12, 1])).is_ok());
    let other = [init.strip_suffix(&[1]).unwrap(), &[2]].concat();
    assert_eq!(Init::read(&other), Err(InitError::Unsupported), "the reader named what it reads");
}

#[test]
fn atk_40_message_delivered_to_its_author_or_another_device_does_not_open() {
    let (alice, bob) = (Device::new("alice", 0), Device::new("bob", 1));
    let carol = Device::new("carol", 2);
    let begun = alice.begin(&bob, true);
    assert_eq!(alice.answer(&begun.init, alice.log()).unwrap_err(), InitError::Misaddressed);
    assert_eq!(carol.answer(&begun.init, alice.log()).unwrap_err(), InitError::Misaddressed);
    let init = Init::read(&begun.init).unwrap();
    let from_carol = init.check_addressed(&carol.first.cert.id(), &bob.first.cert);
    assert_eq!(from_carol, Err(InitError::Misaddressed));

    let (mut alice, _) = session_pair(true);
    let own = alice.seal("to bob");
    assert_eq!(refuses(&mut alice, &own), OpenError::Token);
}

#[test]
fn atk_48_the_readers_long_term_keys_make_no_message_of_somebody_else() {
    let (alice, bob) = (Device::new("alice", 0), Device::new("bob", 1));
    for with_one_time in [true, false] {
        // the thief has every key of bob's but the prekeys, keys of its own, and all that is public of alice
        for keys in [&bob.first.keys, &device_keys(5)] {
            let forger = Own { keys, ..alice.own() };
            let bundle = bob.bundle(with_one_time);
            let Initiated { session, init } = initiate(forger, bob.log(), &bundle, AT, &mut rand::rng()).unwrap();
            let forged = End::new(session).seal("it is me, alice");
            refuses(&mut End::new(bob.answer(&init, alice.log()).unwrap()), &forged);
        }
    }
}
