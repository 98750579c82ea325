//! How RSA keys come in and go out, and which are refused.
//!
//! The cheap rules come first: encoding, size, exponent and parity are judged on the raw integers,
//! so that a hostile key costs no arithmetic. What comes out is canonical: SPKI for public keys,
//! PKCS#8 encrypted under PBES2 for private ones.

use pkcs8::der::Decode;
use pkcs8::der::pem::PemLabel;
use pkcs8::pkcs5::{self, pbes2};
use pkcs8::{
    DecodePublicKey, EncodePrivateKey, EncodePublicKey, EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef,
    SecretDocument, SubjectPublicKeyInfoRef,
};
use rand::CryptoRng;
use rsa::pkcs1::{ALGORITHM_OID, RsaPrivateKeyRef, RsaPublicKeyRef};
use rsa::{RsaPrivateKey, RsaPublicKey};
use zeroize::Zeroizing;

use super::{DecryptionKey, EncryptionKey, MAX_BITS, MIN_BITS, RsaError, SigningKey, VerifyingKey};
use crate::limits::MAX_PEM_BYTES;

/// 65537, big-endian.
const EXPONENT: [u8; 3] = [1, 0, 1];
/// Passphrases of our own files carry 256 bits, so there is nothing to stretch, and a start reads two files: N = 16, r = 8,
/// p = 1.
const SCRYPT_COST: u64 = 16;
/// Cost `N · r · p` beyond which an encrypted PEM is refused: 2^17 · 8, eight times OpenSSL's default.
const MAX_SCRYPT_WORK: u64 = 1 << 20;
/// PBKDF2 rounds beyond which an encrypted PEM is refused.
const MAX_PBKDF2_ROUNDS: u32 = 2_000_000;

/// Judges the public numbers of a key before anything is computed with them.
fn check_numbers(modulus: &[u8], exponent: &[u8]) -> Result<(), RsaError> {
    let (Some(first), Some(last)) = (modulus.first(), modulus.last()) else { return Err(RsaError::Invalid) };
    let bits = (modulus.len() * 8).saturating_sub(first.leading_zeros() as usize);
    if !(MIN_BITS..=MAX_BITS).contains(&bits) {
        return Err(RsaError::Size(bits));
    }
    if exponent != EXPONENT {
        return Err(RsaError::Exponent);
    }
    if last & 1 == 0 { Err(RsaError::Invalid) } else { Ok(()) }
}

/// Reads a public key from canonical SPKI DER.
fn read_spki(der: &[u8]) -> Result<RsaPublicKey, RsaError> {
    let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| RsaError::Encoding)?;
    let numbers = spki.subject_public_key.as_bytes().ok_or(RsaError::Encoding)?;
    let numbers = RsaPublicKeyRef::from_der(numbers).map_err(|_| RsaError::Encoding)?;
    check_numbers(numbers.modulus.as_bytes(), numbers.public_exponent.as_bytes())?;
    let key = RsaPublicKey::from_public_key_der(der).map_err(|_| RsaError::Invalid)?;
    if write_spki(&key) == der { Ok(key) } else { Err(RsaError::Encoding) }
}

fn write_spki(key: &RsaPublicKey) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "a key that was read or made can be written")]
    key.to_public_key_der().expect("an encodable key").into_vec()
}

fn write_pem(key: &RsaPublicKey) -> String {
    #[expect(clippy::expect_used, reason = "a key that was read or made can be written")]
    key.to_public_key_pem(LineEnding::LF).expect("an encodable key")
}

/// Reads a private key from PKCS#1 DER.
fn read_pkcs1(der: &[u8]) -> Result<RsaPrivateKey, RsaError> {
    let parts = RsaPrivateKeyRef::from_der(der).map_err(|_| RsaError::Encoding)?;
    check_numbers(parts.modulus.as_bytes(), parts.public_exponent.as_bytes())?;
    RsaPrivateKey::try_from(parts).map_err(|_| RsaError::Invalid)
}

/// Reads a private key from PKCS#8 DER.
fn read_pkcs8(der: &[u8]) -> Result<RsaPrivateKey, RsaError> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(|_| RsaError::Encoding)?;
    if info.algorithm.oid != ALGORITHM_OID {
        return Err(RsaError::Encoding);
    }
    read_pkcs1(info.private_key.as_bytes())
}

/// Takes the PEM armour off.
fn unarmour(pem: &str) -> Result<(&str, SecretDocument), RsaError> {
    if pem.len() > MAX_PEM_BYTES {
        return Err(RsaError::Encoding);
    }
    SecretDocument::from_pem(pem).map_err(|_| RsaError::Encoding)
}

/// Reads a private key from unencrypted PEM, PKCS#8 or PKCS#1.
fn read_plain_pem(pem: &str) -> Result<RsaPrivateKey, RsaError> {
    let (label, der) = unarmour(pem)?;
    match label {
        PrivateKeyInfoRef::PEM_LABEL => read_pkcs8(der.as_bytes()),
        RsaPrivateKeyRef::PEM_LABEL => read_pkcs1(der.as_bytes()),
        _ => Err(RsaError::Encoding),
    }
}

/// Reads a private key from encrypted PKCS#8 PEM, ours or another program's.
fn read_encrypted_pem(pem: &str, passphrase: &[u8]) -> Result<RsaPrivateKey, RsaError> {
    let (label, der) = unarmour(pem)?;
    if label != EncryptedPrivateKeyInfoRef::PEM_LABEL {
        return Err(RsaError::Encoding);
    }
    let sealed = EncryptedPrivateKeyInfoRef::try_from(der.as_bytes()).map_err(|_| RsaError::Encoding)?;
    check_cost(&sealed.encryption_algorithm)?;
    let plain = sealed.decrypt(passphrase).map_err(|_| RsaError::Passphrase)?;
    read_pkcs8(plain.as_bytes())
}

/// Refuses derivations that would take minutes or gigabytes, and a cost of 0, on which the crate counts below it.
fn check_cost(scheme: &pkcs5::EncryptionScheme) -> Result<(), RsaError> {
    let kdf = &scheme.pbes2().ok_or(RsaError::Passphrase)?.kdf;
    let scrypt_work = kdf.scrypt().map_or(0, |params| {
        params.cost_parameter.saturating_mul(params.block_size.into()).saturating_mul(params.parallelization.into())
    });
    let rounds = kdf.pbkdf2().map_or(0, |params| params.iteration_count);
    let is_none = kdf.scrypt().is_some_and(|params| params.cost_parameter == 0);
    if is_none || scrypt_work > MAX_SCRYPT_WORK || rounds > MAX_PBKDF2_ROUNDS {
        Err(RsaError::Passphrase)
    } else {
        Ok(())
    }
}

/// Writes a private key as PKCS#8 PEM under PBES2: scrypt, AES-256-CBC.
fn write_encrypted_pem<R: CryptoRng + ?Sized>(
    key: &RsaPrivateKey,
    passphrase: &[u8],
    rng: &mut R,
) -> Result<Zeroizing<String>, pkcs8::Error> {
    let der = key.to_pkcs8_der()?;
    let scheme = scheme(SCRYPT_COST, rng)?;
    let sealed = PrivateKeyInfoRef::from_der(der.as_bytes())?.encrypt_with_params(scheme, passphrase)?;
    Ok(sealed.to_pem(EncryptedPrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)?)
}

fn scheme<R: CryptoRng + ?Sized>(cost: u64, rng: &mut R) -> Result<pbes2::Parameters, pkcs8::Error> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    rng.fill_bytes(&mut salt);
    rng.fill_bytes(&mut iv);
    let kdf = pbes2::ScryptParams {
        salt: pbes2::Salt::new(salt)?,
        cost_parameter: cost,
        block_size: 8,
        parallelization: 1,
        key_length: None,
    };
    Ok(pbes2::Parameters { kdf: kdf.into(), encryption: pbes2::EncryptionScheme::Aes256Cbc { iv } })
}

/// Writes PKCS#8 PEM that no passphrase protects: for a key that is kept where nobody else comes.
fn plain_pem(key: &RsaPrivateKey) -> Zeroizing<String> {
    #[expect(clippy::expect_used, reason = "a key that was read or made can be written")]
    key.to_pkcs8_pem(LineEnding::LF).expect("an encodable key")
}

fn seal_pem<R: CryptoRng + ?Sized>(key: &RsaPrivateKey, passphrase: &[u8], rng: &mut R) -> Zeroizing<String> {
    #[expect(clippy::expect_used, reason = "a key that was read or made can be written")]
    write_encrypted_pem(key, passphrase, rng).expect("an encodable key")
}

/// The ways in and out both private keys share.
macro_rules! private_pem {
    ($name:ident, $wrap:expr) => {
        impl $name {
            /// Reads unencrypted PEM: PKCS#8 as Python's `cryptography` writes it, or PKCS#1.
            ///
            /// # Errors
            /// [`RsaError`], the cheap causes first.
            pub fn from_plain_pem(pem: &str) -> Result<Self, RsaError> {
                #[cfg(feature = "fixtures")]
                crate::fixtures::counts::read::<Self>();
                read_plain_pem(pem).map($wrap)
            }

            /// Reads encrypted PKCS#8 PEM.
            ///
            /// # Errors
            /// [`RsaError::Passphrase`] and what [`Self::from_plain_pem`] says.
            pub fn from_encrypted_pem(pem: &str, passphrase: &[u8]) -> Result<Self, RsaError> {
                #[cfg(feature = "fixtures")]
                crate::fixtures::counts::read::<Self>();
                read_encrypted_pem(pem, passphrase).map($wrap)
            }

            /// Writes unencrypted PKCS#8 PEM.
            #[must_use]
            pub fn to_plain_pem(&self) -> Zeroizing<String> {
                plain_pem(self.private())
            }

            /// Writes encrypted PKCS#8 PEM (PBES2: scrypt N = 16, AES-256-CBC).
            ///
            /// The derivation is cheap: the passphrase must carry 256 bits, as the one derived from the
            /// store key does.
            #[must_use]
            pub fn to_encrypted_pem<R: CryptoRng + ?Sized>(&self, passphrase: &[u8], rng: &mut R) -> Zeroizing<String> {
                seal_pem(self.private(), passphrase, rng)
            }
        }
    };
}

private_pem!(SigningKey, SigningKey::new);
private_pem!(DecryptionKey, DecryptionKey);

/// The ways in and out both public keys share.
macro_rules! public_spki {
    ($name:ident, $wrap:expr) => {
        impl $name {
            /// Reads canonical SPKI DER.
            ///
            /// # Errors
            /// [`RsaError`] for everything but a key of 2048 to 4096 bits with e = 65537 in its one encoding.
            pub fn from_spki(der: &[u8]) -> Result<Self, RsaError> {
                #[cfg(feature = "fixtures")]
                crate::fixtures::counts::read::<Self>();
                read_spki(der).map($wrap)
            }

            /// Writes SPKI DER.
            #[must_use]
            pub fn to_spki(&self) -> Vec<u8> {
                write_spki(self.public())
            }

            /// Writes SPKI as PEM, the format of `rsa_pub_<user>.pem`.
            #[must_use]
            pub fn to_pem(&self) -> String {
                write_pem(self.public())
            }
        }
    };
}

public_spki!(VerifyingKey, VerifyingKey::new);
public_spki!(EncryptionKey, EncryptionKey);

#[cfg(test)]
mod tests {
    use pkcs8::pkcs5::EncryptionScheme;

    use super::*;
    use crate::fixtures::device_keys;

    #[test]
    fn a_derivation_is_refused_for_its_cost_alone() {
        let judged = |cost| check_cost(&EncryptionScheme::from(scheme(cost, &mut rand::rng()).unwrap()));
        assert_eq!([2, SCRYPT_COST, 1 << 17].map(judged), [Ok(()), Ok(()), Ok(())]);
        assert_eq!([0, 1 << 18, u64::MAX].map(judged), [Err(RsaError::Passphrase); 3]);
    }

    #[test]
    fn files_written_at_an_earlier_cost_open() {
        let der = device_keys(0).signing.private().to_pkcs8_der().unwrap();
        let scheme = scheme(1024, &mut rand::rng()).unwrap();
        let sealed =
            PrivateKeyInfoRef::from_der(der.as_bytes()).unwrap().encrypt_with_params(scheme, b"secret").unwrap();
        let pem = sealed.to_pem(EncryptedPrivateKeyInfoRef::PEM_LABEL, LineEnding::LF).unwrap();
        SigningKey::from_encrypted_pem(&pem, b"secret").unwrap();
    }
}
