//! Project Wycheproof's cases for every primitive of a session, through our own doors.
//!
//! RSA-PSS cases sign the bare message and our keys sign only under a context, so they judge the
//! verifier we configure rather than our door.

use chat_protocol::crypto::agreement::{PublicKey, SecretKey};
use chat_protocol::crypto::kem::{DecapsulationKey, EncapsulationKey};
use chat_protocol::crypto::rsa::DecryptionKey;
use rsa::signature::Verifier;
use wycheproof::{TestResult, mlkem, rsa_oaep, rsa_pss_verify, xdh};

#[test]
fn atk_32_x25519() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let (mut zero, mut ran) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let Ok(public) = PublicKey::try_from(test.public_key.as_slice()) else { continue };
        let secret = SecretKey::from_bytes(test.private_key.as_slice().try_into().unwrap());
        let expected = test.shared_secret.as_slice();
        let agreed = secret.agree(&public);
        if expected.iter().all(|byte| *byte == 0) {
            assert!(agreed.is_err(), "case {}: low order was accepted", test.tc_id);
            zero += 1;
        } else {
            assert_eq!(agreed.unwrap().expose().as_slice(), expected, "case {}", test.tc_id);
        }
        ran += 1;
    }
    assert!(ran > 400 && zero > 10, "{ran} cases, {zero} of low order");
}

#[test]
fn rsa_oaep_of_the_three_sizes() {
    use rsa_oaep::TestName::{Rsa2048Sha256Mgf1Sha256, Rsa3072Sha256Mgf1Sha256, Rsa4096Sha256Mgf1Sha256};
    for name in [Rsa2048Sha256Mgf1Sha256, Rsa3072Sha256Mgf1Sha256, Rsa4096Sha256Mgf1Sha256] {
        let (mut valid, mut invalid) = (0, 0);
        for group in rsa_oaep::TestSet::load(name).unwrap().test_groups {
            let key = DecryptionKey::from_plain_pem(&group.pem).unwrap();
            for test in group.tests.iter().filter(|test| test.label.as_slice().is_empty()) {
                let opened = key.decrypt(test.ct.as_slice(), &mut rand::rng());
                if test.result == TestResult::Invalid {
                    assert!(opened.is_err(), "{name:?} case {}", test.tc_id);
                    invalid += 1;
                } else {
                    assert_eq!(opened.unwrap().as_slice(), test.pt.as_slice(), "{name:?} case {}", test.tc_id);
                    valid += 1;
                }
            }
        }
        assert!(valid > 5 && invalid > 5, "{name:?}: {valid} valid, {invalid} invalid");
    }
}

#[test]
fn rsa_pss_of_the_three_sizes() {
    use rsa_pss_verify::TestName::{
        RsaPss2048Sha256Mgf1SaltLen32, RsaPss3072Sha256Mgf1SaltLen32, RsaPss4096Sha256Mgf1SaltLen32,
    };
    for name in [RsaPss2048Sha256Mgf1SaltLen32, RsaPss3072Sha256Mgf1SaltLen32, RsaPss4096Sha256Mgf1SaltLen32] {
        let mut ran = 0;
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let key = <rsa::RsaPublicKey as rsa::pkcs8::DecodePublicKey>::from_public_key_der(group.der.as_slice());
            let key = rsa::pss::VerifyingKey::<sha2::Sha256>::new(key.unwrap());
            for test in &group.tests {
                let signature = rsa::pss::Signature::try_from(test.sig.as_slice());
                let valid = signature.is_ok_and(|signature| key.verify(test.msg.as_slice(), &signature).is_ok());
                assert_eq!(valid, test.result == TestResult::Valid, "{name:?} case {}", test.tc_id);
                ran += 1;
            }
        }
        assert!(ran > 50, "{name:?}: {ran} cases");
    }
}

#[test]
fn atk_33_ml_kem_768_key_generation_and_decapsulation() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let Some(seed) = test.seed.as_ref().and_then(|seed| <[u8; 64]>::try_from(seed.as_slice()).ok()) else {
            continue;
        };
        let key = DecapsulationKey::from_seed(seed);
        let opened = key.decapsulate(test.ct.as_ref().unwrap().as_slice());
        if test.result == TestResult::Invalid {
            assert!(opened.is_err(), "case {}", test.tc_id);
            invalid += 1;
        } else {
            assert_eq!(opened.unwrap().expose().as_slice(), test.shared_secret.as_ref().unwrap().as_slice());
            if let Some(public) = &test.encaps_key {
                assert_eq!(key.encapsulation_key().to_bytes(), public.as_slice(), "case {}", test.tc_id);
            }
            valid += 1;
        }
    }
    assert!(valid > 10 && invalid > 0, "{valid} valid, {invalid} invalid");
}

#[test]
fn atk_33_ml_kem_768_encapsulation_keys() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768Encaps).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let read = EncapsulationKey::from_bytes(test.encaps_key.as_ref().unwrap().as_slice());
        assert_eq!(read.is_err(), test.result == TestResult::Invalid, "case {}", test.tc_id);
        if read.is_ok() { valid += 1 } else { invalid += 1 }
    }
    assert!(valid > 10 && invalid > 10, "{valid} valid, {invalid} invalid");
}
