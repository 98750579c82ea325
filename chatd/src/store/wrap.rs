//! Keeps the random store key in one small file, wrapped by a key file or a passphrase.
//!
//! Changing the passphrase rewrites that file alone. A key file protects as well as the file system does;
//! a passphrase also protects a stolen disk.

use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use chat_protocol::cbor;
use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::message::Blob;
use minicbor::{Decode, Encode};
use rand::Rng;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::dirs::{self, DirError, Quoted};

/// Memory one guess at a passphrase costs: 64 MiB, the second recommendation of RFC 9106.
const ARGON_KIB: u32 = 64 * 1024;
/// Passes over it: 3, from the same place.
const ARGON_PASSES: u32 = 3;
/// A file that asks for more memory than this was not written by us: 1 GiB.
const MAX_ARGON_KIB: u32 = 1024 * 1024;
/// A file that asks for more passes than this was not written by us.
const MAX_ARGON_PASSES: u32 = 64;
/// More than either file ever has.
const MAX_FILE_BYTES: u64 = 1024;
const FORMAT: u8 = 1;

/// What opens the store.
#[derive(Clone, Debug)]
pub enum Unlock {
    /// A file of mode 0600 with 32 random bytes, made when the store is.
    KeyFile(PathBuf),
    /// A passphrase.
    Passphrase(SecretString),
}

/// Why the store key could not be had.
#[derive(Debug, Error)]
pub enum UnlockError {
    /// The passphrase, or the key file, is another one.
    #[error("the {0} does not open this store")]
    Wrong(&'static str),
    /// The store is locked the other way.
    #[error("this store is opened by a {needs}, not by a {given}; use {option}")]
    OtherWay {
        /// How it is locked.
        needs: &'static str,
        /// What was tried.
        given: &'static str,
        /// What to start the daemon with.
        option: &'static str,
    },
    /// The key file is gone.
    #[error("the key file {0} is missing: without it, or a copy of it, the store cannot be opened")]
    KeyFileMissing(Quoted),
    /// Not a file we wrote.
    #[error("{0} is damaged")]
    Damaged(Quoted),
    /// A passphrase of no characters.
    #[error("the passphrase is empty")]
    Empty,
    /// The file could not be read or written.
    #[error(transparent)]
    Dir(#[from] DirError),
}

/// Contents of the file.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Wrapped {
    #[n(0)]
    header: Header,
    #[n(1)]
    nonce: Blob,
    #[n(2)]
    sealed: Blob,
}

/// The part that is in the clear, bound to the sealed one.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Header {
    #[n(0)]
    format: u8,
    /// Absent when a key file opens it.
    #[n(1)]
    argon: Option<Argon>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Argon {
    #[n(0)]
    salt: Blob,
    #[n(1)]
    kib: u32,
    #[n(2)]
    passes: u32,
}

impl Unlock {
    const fn name(&self) -> &'static str {
        match self {
            Self::KeyFile(_) => "key file",
            Self::Passphrase(_) => "passphrase",
        }
    }

    /// The key that opens what `header` heads, asking nobody but this.
    fn wrapping_key(&self, header: &Header, at: &Path) -> Result<SecretBytes<32>, UnlockError> {
        match (self, &header.argon) {
            (Self::KeyFile(path), None) => read_key_file(path),
            (Self::Passphrase(text), Some(argon)) => argon.stretch(text, at),
            (Self::KeyFile(_), Some(_)) => Err(UnlockError::OtherWay {
                needs: "passphrase",
                given: self.name(),
                option: "--passphrase or --passphrase-file",
            }),
            (Self::Passphrase(_), None) => {
                Err(UnlockError::OtherWay { needs: "key file", given: self.name(), option: "--key-file" })
            }
        }
    }

    /// A header and key to wrap with; makes the key file if there is none.
    fn fresh(&self, at: &Path) -> Result<(Header, SecretBytes<32>), UnlockError> {
        match self {
            Self::KeyFile(path) => {
                let key = match read_key_file(path) {
                    Err(UnlockError::KeyFileMissing(_)) => make_key_file(path)?,
                    found => found?,
                };
                Ok((Header { format: FORMAT, argon: None }, key))
            }
            Self::Passphrase(text) => {
                let argon = Argon { salt: random::<16>().to_vec().into(), kib: ARGON_KIB, passes: ARGON_PASSES };
                let key = argon.stretch(text, at)?;
                Ok((Header { format: FORMAT, argon: Some(argon) }, key))
            }
        }
    }
}

impl Argon {
    fn stretch(&self, passphrase: &SecretString, at: &Path) -> Result<SecretBytes<32>, UnlockError> {
        if passphrase.expose_secret().is_empty() {
            return Err(UnlockError::Empty);
        }
        let damaged = || UnlockError::Damaged(at.into());
        if self.kib > MAX_ARGON_KIB || self.passes > MAX_ARGON_PASSES {
            return Err(damaged());
        }
        let params = Params::new(self.kib, self.passes, 1, Some(32)).map_err(|_| damaged())?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.expose_secret().as_bytes(), &self.salt, &mut *key)
            .map_err(|_| damaged())?;
        Ok(SecretBytes::new(*key))
    }
}

/// Reads the store key.
pub(super) fn open(at: &Path, unlock: &Unlock) -> Result<SecretBytes<32>, UnlockError> {
    let damaged = || UnlockError::Damaged(at.into());
    let bytes = dirs::read_private(at, MAX_FILE_BYTES)?;
    let wrapped: Wrapped = cbor::decode(&bytes).map_err(|_| damaged())?;
    if wrapped.header.format != FORMAT || wrapped.nonce.len() != 24 {
        return Err(damaged());
    }
    let key = unlock.wrapping_key(&wrapped.header, at)?;
    let payload = Payload { msg: &wrapped.sealed, aad: &cbor::encode(&wrapped.header) };
    let opened = cipher(&key).decrypt(XNonce::from_slice(&wrapped.nonce), payload);
    let opened = Zeroizing::new(opened.map_err(|_| UnlockError::Wrong(unlock.name()))?);
    let store_key: [u8; 32] = opened.as_slice().try_into().map_err(|_| damaged())?;
    Ok(SecretBytes::new(store_key))
}

/// Wraps the store key anew and replaces the file.
pub(super) fn write(at: &Path, unlock: &Unlock, store_key: &SecretBytes<32>) -> Result<(), UnlockError> {
    let (header, key) = unlock.fresh(at)?;
    let nonce = random::<24>();
    let payload = Payload { msg: store_key.expose(), aad: &cbor::encode(&header) };
    let sealed = cipher(&key).encrypt(XNonce::from_slice(&nonce), payload);
    let sealed = sealed.map_err(|_| UnlockError::Damaged(at.into()))?;
    let wrapped = Wrapped { header, nonce: nonce.to_vec().into(), sealed: sealed.into() };
    Ok(dirs::write_private(at, &cbor::encode(&wrapped))?)
}

fn cipher(key: &SecretBytes<32>) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose().into())
}

/// 32 bytes in base64url and a newline.
fn make_key_file(path: &Path) -> Result<SecretBytes<32>, UnlockError> {
    let key = SecretBytes::new(random());
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(key.expose()) + "\n");
    dirs::write_private(path, text.as_bytes())?;
    Ok(key)
}

fn read_key_file(path: &Path) -> Result<SecretBytes<32>, UnlockError> {
    let text = dirs::read_named(path, MAX_FILE_BYTES)
        .map_err(|error| if error.is_missing() { UnlockError::KeyFileMissing(path.into()) } else { error.into() })?;
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim_ascii()).unwrap_or_default());
    let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| UnlockError::Damaged(path.into()))?;
    Ok(SecretBytes::new(key))
}

pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dirs::DataDir;

    struct Fixture {
        _outer: tempfile::TempDir,
        dir: DataDir,
        at: PathBuf,
        key: SecretBytes<32>,
    }

    fn fixture() -> Fixture {
        let outer = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&outer.path().join("data")).unwrap();
        let at = dir.file("store.key");
        Fixture { _outer: outer, dir, at, key: SecretBytes::new(random()) }
    }

    fn passphrase(text: &str) -> Unlock {
        Unlock::Passphrase(text.to_owned().into())
    }

    #[test]
    fn a_key_file_opens_what_it_wrapped() {
        let f = fixture();
        let unlock = Unlock::KeyFile(f.dir.file("key"));
        write(&f.at, &unlock, &f.key).unwrap();
        assert_eq!(open(&f.at, &unlock).unwrap(), f.key);

        let other = Unlock::KeyFile(f.dir.file("other"));
        assert!(matches!(open(&f.at, &other), Err(UnlockError::KeyFileMissing(_))));
        make_key_file(&f.dir.file("other")).unwrap();
        assert!(matches!(open(&f.at, &other), Err(UnlockError::Wrong("key file"))));
    }

    #[test]
    fn a_passphrase_opens_and_can_be_changed() {
        let f = fixture();
        write(&f.at, &passphrase("first"), &f.key).unwrap();
        assert_eq!(open(&f.at, &passphrase("first")).unwrap(), f.key);
        assert!(matches!(open(&f.at, &passphrase("First")), Err(UnlockError::Wrong("passphrase"))));

        write(&f.at, &passphrase("second"), &f.key).unwrap();
        assert_eq!(open(&f.at, &passphrase("second")).unwrap(), f.key);
        assert!(open(&f.at, &passphrase("first")).is_err());
    }

    #[test]
    fn the_wrong_way_to_unlock_names_the_right_one() {
        let f = fixture();
        write(&f.at, &Unlock::KeyFile(f.dir.file("key")), &f.key).unwrap();
        let message = open(&f.at, &passphrase("x")).unwrap_err().to_string();
        assert_eq!(message, "this store is opened by a key file, not by a passphrase; use --key-file");
        assert!(matches!(write(&f.at, &passphrase(""), &f.key), Err(UnlockError::Empty)));
    }

    #[test]
    fn atk_58_every_flipped_bit_of_the_wrapped_key_is_noticed() {
        let f = fixture();
        let unlock = Unlock::KeyFile(f.dir.file("key"));
        write(&f.at, &unlock, &f.key).unwrap();
        let good = std::fs::read(&f.at).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            dirs::write_private(&f.at, &bad).unwrap();
            assert!(open(&f.at, &unlock).is_err(), "bit {bit}");
            assert_eq!(std::fs::read(&f.at).unwrap(), bad, "the file was written to");
        }
    }

    #[test]
    fn atk_62_passphrases_do_not_print() {
        let shown = format!("{:?}", passphrase("canary"));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
