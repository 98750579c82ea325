//! The long-term keys of a device: made once, kept in files of their own, used again ever after.
//!
//! `rsa_priv_<user>.pem` decrypts and `rsa_sign_<user>.pem` signs, both encrypted under a passphrase that
//! only the store key gives; `rsa_pub_<user>.pem` is the public half of the first, for whoever asks. The
//! X25519 key is a sealed row. A file is never replaced by another key: what is there and does not fit is an error.

use std::path::{Path, PathBuf};

use chat_engine::rows::DEVICE_KEYS;
use chat_protocol::crypto::agreement::SecretKey;
use chat_protocol::crypto::rsa::{DecryptionKey, RsaError, SigningKey};
use chat_protocol::identity::device::{DeviceCert, DeviceKeys};
use chat_protocol::ids::Username;
use chat_protocol::limits::MAX_PEM_BYTES;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::dirs::{self, DataDir, DirError, Quoted};
use crate::store::{RowsError, Store};

/// Why there are no keys.
#[derive(Debug, Error)]
pub enum KeyError {
    /// A file is not private, or could not be read or written.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// The sealed row could not be read or written.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// Not a key we can use.
    #[error("{path} cannot be used")]
    Unusable {
        /// The file.
        path: Quoted,
        /// Why not.
        source: RsaError,
    },
    /// The device's certificate names another key than the file has.
    #[error("{path} is not the key this device was made with; put the right file back")]
    Another {
        /// The file.
        path: Quoted,
    },
    /// A key of the device is gone.
    #[error("{path} is missing; put it back from a copy, or begin anew with `chatctl rpc account.reset`")]
    Missing {
        /// The file.
        path: Quoted,
    },
    /// There is a key already.
    #[error("{path} exists already and is another key than the one to import")]
    Taken {
        /// The file.
        path: Quoted,
    },
}

/// Where the keys of one user are, and what opens them.
#[derive(Debug)]
pub struct KeyRing<'a> {
    store: &'a Store,
    dir: &'a DataDir,
    user: &'a Username,
}

impl<'a> KeyRing<'a> {
    /// Of a checked name, so that it is safe within a file's.
    #[must_use]
    pub const fn new(store: &'a Store, dir: &'a DataDir, user: &'a Username) -> Self {
        Self { store, dir, user }
    }

    /// The keys, made or imported where there are none. Takes a second or two the first time.
    ///
    /// # Errors
    /// [`KeyError`]; what is there is never replaced.
    pub fn ready(&self, import: Option<&Path>) -> Result<DeviceKeys, KeyError> {
        if let Some(file) = import {
            self.import(file)?;
        }
        let decryption = self.read_or_make(&self.private_path())?;
        let signing = self.read_or_make(&self.signing_path())?;
        let keys = DeviceKeys { signing, decryption, agreement: self.agreement()? };
        self.publish(&keys.decryption)?;
        Ok(keys)
    }

    /// The keys a certificate was made for; nothing is made anew.
    ///
    /// # Errors
    /// [`KeyError::Missing`], [`KeyError::Another`] and the rest.
    pub fn of(&self, cert: &DeviceCert) -> Result<DeviceKeys, KeyError> {
        let (private, signing) = (self.private_path(), self.signing_path());
        let missing = |path: &Path| KeyError::Missing { path: path.into() };
        let keys = DeviceKeys {
            decryption: self.read(&private)?.ok_or_else(|| missing(&private))?,
            signing: self.read(&signing)?.ok_or_else(|| missing(&signing))?,
            agreement: self.agreement()?,
        };
        if keys.decryption.encryption_key() != *cert.encryption() {
            return Err(KeyError::Another { path: private.as_path().into() });
        }
        if keys.signing.verifying_key() != *cert.signing() || keys.agreement.public_key() != *cert.agreement() {
            return Err(KeyError::Another { path: signing.as_path().into() });
        }
        Ok(keys)
    }

    /// Deletes every key. Whoever has no other device must reset the account afterwards.
    ///
    /// # Errors
    /// [`KeyError`]; what could not be deleted is still there.
    pub fn forget(&self) -> Result<(), KeyError> {
        self.store.transaction(|rows| DEVICE_KEYS.delete(rows, self.user))?;
        for path in [self.private_path(), self.signing_path(), self.public_path()] {
            dirs::remove(&path)?;
        }
        Ok(())
    }

    /// Takes the first application's plain PEM; it is encrypted from here on. The original is left to its owner.
    fn import(&self, file: &Path) -> Result<(), KeyError> {
        let pem = dirs::read_named(file, MAX_PEM_BYTES as u64)?;
        let text = std::str::from_utf8(&pem).map_err(|_| unusable(file, RsaError::Encoding))?;
        let key = DecryptionKey::from_plain_pem(text).map_err(|source| unusable(file, source))?;
        let path = self.private_path();
        match self.read::<DecryptionKey>(&path)? {
            None => self.write(&path, &key),
            Some(found) if found.encryption_key() == key.encryption_key() => Ok(()),
            Some(_) => Err(KeyError::Taken { path: path.as_path().into() }),
        }
    }

    fn read_or_make<K: PemKey>(&self, path: &Path) -> Result<K, KeyError> {
        if let Some(key) = self.read(path)? {
            return Ok(key);
        }
        let key = K::make();
        self.write(path, &key)?;
        Ok(key)
    }

    fn read<K: PemKey>(&self, path: &Path) -> Result<Option<K>, KeyError> {
        let pem = match dirs::read_private(path, MAX_PEM_BYTES as u64) {
            Err(error) if error.is_missing() => return Ok(None),
            read => read?,
        };
        let text = std::str::from_utf8(&pem).map_err(|_| unusable(path, RsaError::Encoding))?;
        let key = K::open(text, self.store.pem_passphrase().as_bytes());
        key.map(Some).map_err(|source| unusable(path, source))
    }

    fn write<K: PemKey>(&self, path: &Path, key: &K) -> Result<(), KeyError> {
        Ok(dirs::write_private(path, key.seal(self.store.pem_passphrase().as_bytes()).as_bytes())?)
    }

    /// Written whenever it is not what it should be: it follows from the private key.
    fn publish(&self, key: &DecryptionKey) -> Result<(), KeyError> {
        let (path, pem) = (self.public_path(), key.encryption_key().to_pem());
        match dirs::read_private(&path, MAX_PEM_BYTES as u64) {
            Ok(found) if *found == pem.as_bytes() => Ok(()),
            Err(error) if !error.is_missing() => Err(error.into()),
            _ => Ok(dirs::write_private(&path, pem.as_bytes())?),
        }
    }

    fn agreement(&self) -> Result<SecretKey, KeyError> {
        if let Some(key) = self.store.read(|rows| DEVICE_KEYS.get(rows, self.user))? {
            return Ok(SecretKey::from_bytes(*key.expose()));
        }
        let found = self.store.transaction(|rows| match DEVICE_KEYS.get(rows, self.user)? {
            Some(key) => Ok(key),
            None => {
                let fresh = SecretKey::generate(&mut rand::rng()).bytes().clone();
                DEVICE_KEYS.put(rows, self.user, 0, &fresh)?;
                Ok::<_, RowsError>(fresh)
            }
        })?;
        Ok(SecretKey::from_bytes(*found.expose()))
    }

    fn private_path(&self) -> PathBuf {
        self.dir.file(&format!("rsa_priv_{}.pem", self.user))
    }

    fn signing_path(&self) -> PathBuf {
        self.dir.file(&format!("rsa_sign_{}.pem", self.user))
    }

    fn public_path(&self) -> PathBuf {
        self.dir.file(&format!("rsa_pub_{}.pem", self.user))
    }
}

fn unusable(path: &Path, source: RsaError) -> KeyError {
    KeyError::Unusable { path: path.into(), source }
}

/// What both kinds of RSA key can do.
trait PemKey: Sized {
    fn make() -> Self;
    fn open(pem: &str, passphrase: &[u8]) -> Result<Self, RsaError>;
    fn seal(&self, passphrase: &[u8]) -> Zeroizing<String>;
}

macro_rules! pem_key {
    ($name:ident) => {
        impl PemKey for $name {
            fn make() -> Self {
                Self::generate(&mut rand::rng())
            }

            fn open(pem: &str, passphrase: &[u8]) -> Result<Self, RsaError> {
                Self::from_encrypted_pem(pem, passphrase)
            }

            fn seal(&self, passphrase: &[u8]) -> Zeroizing<String> {
                self.to_encrypted_pem(passphrase, &mut rand::rng())
            }
        }
    };
}

pem_key!(SigningKey);
pem_key!(DecryptionKey);
