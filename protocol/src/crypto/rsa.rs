//! The only door to the `rsa` crate: signatures (PSS) and key transport (OAEP), both over SHA-256.
//!
//! A key has one purpose, so signing and decrypting keys are different types. Nothing is signed or
//! verified without a [`Context`], and nothing enters but keys that passed the rules of `import`.

mod import;

use std::fmt;

use rand::CryptoRng;
use rsa::Oaep;
use rsa::signature::{RandomizedSigner, SignatureEncoding, Verifier};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use super::kdf::sha256;
use super::labels::Label;

/// Size of the keys we make. The ones we accept have [`MIN_BITS`] to [`MAX_BITS`].
pub const GENERATED_BITS: usize = 3072;
/// Smallest modulus accepted: the first Python application's.
pub const MIN_BITS: usize = 2048;
/// Largest modulus accepted.
pub const MAX_BITS: usize = 4096;

/// What went wrong with an RSA key, ciphertext or signature.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RsaError {
    /// Not a key in the one canonical encoding.
    #[error("not an RSA key in canonical DER or PEM")]
    Encoding,
    /// The modulus has a size we do not accept.
    #[error("an RSA key of {0} bits, accepted are {MIN_BITS} to {MAX_BITS}")]
    Size(usize),
    /// The public exponent is not 65537.
    #[error("the RSA public exponent is not 65537")]
    Exponent,
    /// The modulus is even, or the parts of a private key do not belong together.
    #[error("the RSA key is not valid")]
    Invalid,
    /// The PEM is encrypted under another passphrase, in an unknown way, or with absurd cost.
    #[error("the passphrase does not open the key")]
    Passphrase,
    /// The message is longer than OAEP carries under this key.
    #[error("the message is too long for the key")]
    TooLong,
    /// The ciphertext does not open.
    #[error("the RSA ciphertext does not open")]
    Decrypt,
    /// The signature is not the key's over this context and object.
    #[error("the signature does not verify")]
    Signature,
}

/// What a signature is for. A signature made for one is never valid for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// A connection's login.
    Login,
    /// A device making itself known.
    Enrol,
    /// A new device accepting the account it joins.
    Join,
    /// A prekey bundle.
    Bundle,
    /// An account-log entry.
    Log,
    /// Another key of a server.
    ServerKey,
    /// An op of a group's log.
    Group,
    /// What somebody asks of a group's admins.
    Wish,
    /// Device linking; reserved.
    Link,
}

impl Context {
    /// Every context, for the tests that swap them.
    pub const ALL: [Self; 9] = [
        Self::Login,
        Self::Enrol,
        Self::Join,
        Self::Bundle,
        Self::Log,
        Self::ServerKey,
        Self::Group,
        Self::Wish,
        Self::Link,
    ];

    /// The ASCII bytes that are signed.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Login => b"login",
            Self::Enrol => b"enrol",
            Self::Join => b"join",
            Self::Bundle => b"bundle",
            Self::Log => b"log",
            Self::ServerKey => b"server-key",
            Self::Group => b"group",
            Self::Wish => b"wish",
            Self::Link => b"link",
        }
    }

    /// `"chat/v1/sig" ‖ 0 ‖ context ‖ 0 ‖ H(object)`.
    fn message(self, object: &[u8]) -> Vec<u8> {
        [Label::Signature.as_bytes(), &[0], self.as_bytes(), &[0], &sha256(object)].concat()
    }
}

/// Signs: a device's `DSK`.
#[derive(Clone)]
pub struct SigningKey(rsa::pss::SigningKey<Sha256>);

impl SigningKey {
    /// Generates a key of [`GENERATED_BITS`]; takes about half a second.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self::new(generate(rng))
    }

    fn new(key: rsa::RsaPrivateKey) -> Self {
        Self(rsa::pss::SigningKey::new(key))
    }

    /// Signs `object` for `context`: RSA-PSS-SHA256, 32 bytes of salt, blinded.
    #[must_use]
    pub fn sign<R: CryptoRng + ?Sized>(&self, context: Context, object: &[u8], rng: &mut R) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "the key was validated and the digest fits every accepted size")]
        let signature = self.0.try_sign_with_rng(rng, &context.message(object)).expect("a valid key signs");
        signature.to_vec()
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::new(self.private().to_public_key())
    }

    fn private(&self) -> &rsa::RsaPrivateKey {
        self.0.as_ref()
    }
}

/// Verifies what a [`SigningKey`] signed.
#[derive(Clone, PartialEq)]
pub struct VerifyingKey(rsa::pss::VerifyingKey<Sha256>);

impl VerifyingKey {
    fn new(key: rsa::RsaPublicKey) -> Self {
        Self(rsa::pss::VerifyingKey::new(key))
    }

    fn public(&self) -> &rsa::RsaPublicKey {
        self.0.as_ref()
    }

    /// Verifies a signature over `object` for `context`; only salts of 32 bytes.
    ///
    /// # Errors
    /// [`RsaError::Signature`], whatever is wrong.
    pub fn verify(&self, context: Context, object: &[u8], signature: &[u8]) -> Result<(), RsaError> {
        let signature = rsa::pss::Signature::try_from(signature).map_err(|_| RsaError::Signature)?;
        self.0.verify(&context.message(object), &signature).map_err(|_| RsaError::Signature)
    }
}

/// Opens what others encrypted: a device's `DEK`.
#[derive(Clone)]
pub struct DecryptionKey(rsa::RsaPrivateKey);

impl DecryptionKey {
    /// Generates a key of [`GENERATED_BITS`]; takes about half a second.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(generate(rng))
    }

    /// Decrypts RSA-OAEP-SHA256, blinded. Milliseconds: call it off the loop.
    ///
    /// # Errors
    /// [`RsaError::Decrypt`], whatever is wrong.
    pub fn decrypt<R: CryptoRng + ?Sized>(
        &self,
        ciphertext: &[u8],
        rng: &mut R,
    ) -> Result<Zeroizing<Vec<u8>>, RsaError> {
        let plaintext = self.0.decrypt_blinded(rng, Oaep::<Sha256>::new(), ciphertext);
        plaintext.map(Zeroizing::new).map_err(|_| RsaError::Decrypt)
    }

    /// The public half.
    #[must_use]
    pub fn encryption_key(&self) -> EncryptionKey {
        EncryptionKey(self.0.to_public_key())
    }

    const fn private(&self) -> &rsa::RsaPrivateKey {
        &self.0
    }
}

/// Encrypts to a [`DecryptionKey`].
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptionKey(rsa::RsaPublicKey);

impl EncryptionKey {
    /// Encrypts with RSA-OAEP-SHA256, MGF1-SHA256, no label.
    ///
    /// # Errors
    /// [`RsaError::TooLong`]: 190 bytes fit the smallest accepted key.
    pub fn encrypt<R: CryptoRng + ?Sized>(&self, message: &[u8], rng: &mut R) -> Result<Vec<u8>, RsaError> {
        self.0.encrypt(rng, Oaep::<Sha256>::new(), message).map_err(|_| RsaError::TooLong)
    }

    const fn public(&self) -> &rsa::RsaPublicKey {
        &self.0
    }
}

fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> rsa::RsaPrivateKey {
    #[expect(clippy::expect_used, reason = "a fixed size the crate supports")]
    rsa::RsaPrivateKey::new(rng, GENERATED_BITS).expect("3072 bits are possible")
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecryptionKey(..)")
    }
}

impl Eq for VerifyingKey {}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(..)")
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(..)")
    }
}
