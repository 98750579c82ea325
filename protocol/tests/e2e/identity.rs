//! Accounts, devices, logins and RSA keys against forged, foreign and hostile input.

use chat_protocol::crypto::rsa::{Context, DecryptionKey, EncryptionKey, RsaError, SigningKey, VerifyingKey};
use chat_protocol::fixtures::{FirstDevice, device_keys, first_device};
use chat_protocol::identity::account_log::{AccountLog, Author, LogError, Relation};
use chat_protocol::identity::device::{DeviceCert, DeviceKeys};
use chat_protocol::identity::login::Binding;
use chat_protocol::identity::safety_number::SafetyNumber;
use chat_protocol::ids::Username;
use chat_protocol::time::Timestamp;

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn name(text: &str) -> Username {
    text.parse().unwrap()
}

fn author<'a>(keys: &'a DeviceKeys, cert: &'a DeviceCert) -> Author<'a> {
    Author { key: &keys.signing, cert, at: AT }
}

/// Adds test device `n` to the log of `first`: its keys and certificate.
fn add(log: &mut AccountLog, by: (&DeviceKeys, &DeviceCert), n: usize) -> (DeviceKeys, DeviceCert) {
    let keys = device_keys(n);
    let cert = keys.certify(log.user(), AT).unwrap();
    let acceptance = keys.accept(&log.fingerprint(), &cert, &mut rand::rng());
    let entry = log.add_device(author(by.0, by.1), &cert, acceptance, &mut rand::rng()).unwrap();
    log.extend(&[entry]).unwrap();
    (keys, cert)
}

fn entries(log: &AccountLog) -> Vec<Vec<u8>> {
    log.entries_from(0).map(<[u8]>::to_vec).collect()
}

#[test]
fn log_grows_by_additions_and_revocations() {
    let FirstDevice { keys, cert, mut log } = first_device(&name("alice"), 0, AT);
    let (phone_keys, phone) = add(&mut log, (&keys, &cert), 1);
    let (_, tablet) = add(&mut log, (&phone_keys, &phone), 2);
    assert_eq!(log.added_through(&phone.id()), [tablet.id()]);

    let revoke = log.revoke_devices(author(&keys, &cert), vec![phone.id()], &mut rand::rng()).unwrap();
    let extension = log.extend(&[revoke]).unwrap();
    assert_eq!(extension.revoked, [phone.id()]);
    assert!(log.active(&phone.id()).is_none());
    assert!(log.active(&tablet.id()).is_some());

    let read = AccountLog::verify(&name("alice"), &entries(&log)).unwrap();
    assert_eq!(read, log);
    let stored: AccountLog = minicbor::decode(&minicbor::to_vec(&log).unwrap()).unwrap();
    assert_eq!(stored, log);
}

#[test]
fn known_entries_change_nothing() {
    let FirstDevice { keys, cert, mut log } = first_device(&name("alice"), 0, AT);
    add(&mut log, (&keys, &cert), 1);
    let before = log.clone();
    assert!(log.extend(&entries(&before)).unwrap().is_empty());
    assert_eq!(log, before);
}

#[test]
fn atk_29_gap_foreign_entry_and_wrong_signer_are_rejected() {
    let FirstDevice { keys, cert, log: short } = first_device(&name("alice"), 0, AT);
    let mut log = short.clone();
    let (phone_keys, phone) = add(&mut log, (&keys, &cert), 1);
    let revoke = log.revoke_devices(author(&phone_keys, &phone), vec![cert.id()], &mut rand::rng()).unwrap();

    let mut gap = short.clone();
    assert_eq!(gap.extend(&[&revoke]), Err(LogError::Gap { wanted: 1, got: 2 }));
    assert_eq!(gap, short);

    let bob = first_device(&name("bob"), 2, AT);
    assert!(AccountLog::verify(&name("alice"), &entries(&bob.log)).is_err());
    let foreign = bob.log.revoke_devices(author(&bob.keys, &bob.cert), vec![bob.cert.id()], &mut rand::rng()).unwrap();
    assert!(matches!(short.clone().extend(&[foreign]), Err(LogError::Invalid { .. })));

    let stranger = device_keys(3);
    let by_stranger = Author { key: &stranger.signing, cert: &cert, at: AT };
    assert!(short.revoke_devices(by_stranger, vec![cert.id()], &mut rand::rng()).is_err());
}

#[test]
fn atk_29_every_changed_bit_of_an_entry_is_rejected_and_never_a_fork() {
    let FirstDevice { keys, cert, log: short } = first_device(&name("alice"), 0, AT);
    let mut log = short.clone();
    add(&mut log, (&keys, &cert), 1);
    let entry = entries(&log).remove(1);
    for byte in (0..entry.len()).step_by(37) {
        let mut changed = entry.clone();
        changed[byte] ^= 1 << (byte % 8);
        assert!(short.clone().extend(&[&changed]).is_err(), "byte {byte} of a new entry");
        let mut pinned = log.clone();
        assert!(!matches!(pinned.extend(&[&changed]), Err(LogError::Fork(_))), "byte {byte} of a known entry");
        assert_eq!(pinned, log);
    }
}

#[test]
fn atk_29_fork_keeps_the_pinned_branch_and_hands_over_the_other() {
    let FirstDevice { keys, cert, log } = first_device(&name("alice"), 0, AT);
    let (mut pinned, mut other) = (log.clone(), log);
    add(&mut pinned, (&keys, &cert), 1);
    add(&mut other, (&keys, &cert), 2);
    let before = pinned.clone();
    let Err(LogError::Fork(fork)) = pinned.extend(&entries(&other)) else { panic!("no fork") };
    assert_eq!((fork.seq, fork.by, fork.by_revoked), (1, cert.id(), false));
    assert_eq!(fork.entry, entries(&other)[1]);
    assert_eq!(pinned, before);
    assert_eq!(pinned.relation(&other), Relation::Forked(fork));
}

#[test]
fn atk_72_fork_by_a_device_the_pinned_branch_revokes_is_evidence() {
    let FirstDevice { keys, cert, mut log } = first_device(&name("alice"), 0, AT);
    let (thief_keys, thief) = add(&mut log, (&keys, &cert), 1);
    let theirs = log.revoke_devices(author(&thief_keys, &thief), vec![cert.id()], &mut rand::rng()).unwrap();
    let ours = log.revoke_devices(author(&keys, &cert), vec![thief.id()], &mut rand::rng()).unwrap();
    log.extend(&[ours]).unwrap();
    let Err(LogError::Fork(fork)) = log.extend(&[theirs]) else { panic!("no fork") };
    assert!(fork.by_revoked);
}

#[test]
fn atk_30_revoked_device_signs_nothing_and_never_returns() {
    let FirstDevice { keys, cert, mut log } = first_device(&name("alice"), 0, AT);
    let (phone_keys, phone) = add(&mut log, (&keys, &cert), 1);
    let revoke = log.revoke_devices(author(&keys, &cert), vec![phone.id()], &mut rand::rng()).unwrap();
    log.extend(&[revoke]).unwrap();
    assert!(log.revoke_devices(author(&phone_keys, &phone), vec![cert.id()], &mut rand::rng()).is_err());
    let acceptance = phone_keys.accept(&log.fingerprint(), &phone, &mut rand::rng());
    assert!(log.add_device(author(&keys, &cert), &phone, acceptance, &mut rand::rng()).is_err());
}

#[test]
fn atk_28_device_that_did_not_accept_this_account_is_not_added() {
    let alice = first_device(&name("alice"), 0, AT);
    let bob = first_device(&name("bob"), 2, AT);
    let keys = device_keys(1);
    let cert = keys.certify(&name("alice"), AT).unwrap();
    let elsewhere = keys.accept(&bob.log.fingerprint(), &cert, &mut rand::rng());
    let writer = author(&alice.keys, &alice.cert);
    assert!(alice.log.add_device(writer, &cert, elsewhere, &mut rand::rng()).is_err());
    assert!(alice.log.add_device(writer, &cert, vec![0; 384], &mut rand::rng()).is_err());
}

#[test]
fn sixteen_devices_are_active_at_most() {
    let FirstDevice { keys, cert, mut log } = first_device(&name("alice"), 0, AT);
    (1..16).for_each(|n| drop(add(&mut log, (&keys, &cert), n)));
    let seventeenth = device_keys(16);
    let more = seventeenth.certify(log.user(), AT).unwrap();
    let acceptance = seventeenth.accept(&log.fingerprint(), &more, &mut rand::rng());
    assert_eq!(log.add_device(author(&keys, &cert), &more, acceptance, &mut rand::rng()), Err(LogError::Full));
}

#[test]
fn another_genesis_is_another_account() {
    let (one, two) = (first_device(&name("alice"), 0, AT), first_device(&name("alice"), 1, AT));
    assert_eq!(one.log.relation(&two.log), Relation::OtherAccount);
    assert!(matches!(one.log.clone().extend(&entries(&two.log)), Err(LogError::Fork(_))));
}

#[test]
fn both_sides_see_the_same_safety_number() {
    let (alice, bob) = (first_device(&name("alice"), 0, AT), first_device(&name("bob"), 1, AT));
    let number = SafetyNumber::of(&alice.log, &bob.log);
    assert_eq!(number, SafetyNumber::of(&bob.log, &alice.log));
    assert_eq!(number.to_string().parse(), Ok(number));
}

#[test]
fn certificate_uses_each_key_for_one_purpose() {
    let mut keys = device_keys(0);
    let one = include_str!("../fixtures/sign_0.pem");
    keys.decryption = DecryptionKey::from_plain_pem(one).unwrap();
    assert!(keys.certify(&name("alice"), AT).is_err());
}

#[test]
fn login_and_enrolment_verify_on_their_connection_only() {
    let FirstDevice { keys, cert, .. } = first_device(&name("alice"), 0, AT);
    let here = Binding { channel: [1; 32], server_key: [2; 32] };
    let login = here.sign_login(&keys.signing, &cert, &mut rand::rng());
    let enrol = here.sign_enrol(&keys.signing, &cert, &mut rand::rng());
    assert_eq!(here.verify_login(&cert, &login), Ok(()));
    assert_eq!(here.verify_enrol(&cert, &enrol), Ok(()));
    assert_eq!(here.verify_login(&cert, &enrol), Err(RsaError::Signature));
}

#[test]
fn atk_14_relayed_login_is_rejected() {
    let FirstDevice { keys, cert, .. } = first_device(&name("alice"), 0, AT);
    let malicious = Binding { channel: [1; 32], server_key: [6; 32] };
    let honest = Binding { server_key: [2; 32], ..malicious };
    let login = malicious.sign_login(&keys.signing, &cert, &mut rand::rng());
    assert_eq!(honest.verify_login(&cert, &login), Err(RsaError::Signature));
}

#[test]
fn atk_15_old_login_is_rejected_on_a_new_connection() {
    let FirstDevice { keys, cert, .. } = first_device(&name("alice"), 0, AT);
    let old = Binding { channel: [1; 32], server_key: [2; 32] };
    let new = Binding { channel: [3; 32], ..old };
    let login = old.sign_login(&keys.signing, &cert, &mut rand::rng());
    assert_eq!(new.verify_login(&cert, &login), Err(RsaError::Signature));
}

#[test]
fn atk_16_every_pair_of_signature_contexts_is_kept_apart() {
    let key = device_keys(0).signing;
    let public = key.verifying_key();
    for made in Context::ALL {
        let signature = key.sign(made, b"object", &mut rand::rng());
        for read in Context::ALL {
            assert_eq!(public.verify(read, b"object", &signature).is_ok(), made == read, "{made:?} as {read:?}");
        }
    }
}

#[test]
fn keys_survive_their_encrypted_pem() {
    let keys = device_keys(0);
    let pem = keys.signing.to_encrypted_pem(b"a passphrase", &mut rand::rng());
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let back = SigningKey::from_encrypted_pem(&pem, b"a passphrase").unwrap();
    assert_eq!(back.verifying_key(), keys.signing.verifying_key());
    assert_eq!(SigningKey::from_encrypted_pem(&pem, b"another").unwrap_err(), RsaError::Passphrase);
    assert_eq!(SigningKey::from_plain_pem(&pem).unwrap_err(), RsaError::Encoding);
    let public = keys.decryption.encryption_key();
    assert_eq!(EncryptionKey::from_spki(&public.to_spki()), Ok(public));
}

#[test]
fn seed_keys_of_2048_bits_are_imported_from_both_pem_formats() {
    for pem in [include_str!("../fixtures/seed_2048.pem"), include_str!("../fixtures/seed_2048_pkcs1.pem")] {
        let key = DecryptionKey::from_plain_pem(pem).unwrap();
        let ciphertext = key.encryption_key().encrypt(b"a Fernet key", &mut rand::rng()).unwrap();
        assert_eq!(key.decrypt(&ciphertext, &mut rand::rng()).unwrap().as_slice(), b"a Fernet key");
    }
}

#[test]
fn verifying_keys_read_back_as_written() {
    let public = device_keys(0).signing.verifying_key();
    assert_eq!(VerifyingKey::from_spki(&public.to_spki()), Ok(public));
}
