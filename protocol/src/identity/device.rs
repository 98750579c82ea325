//! A device: three long-term keys, one purpose each, and the certificate that names their public halves.

use std::fmt;
use std::sync::Arc;

use minicbor::{CborLen, Decode, Encode};
use rand::CryptoRng;
use thiserror::Error;

use crate::cbor;
use crate::crypto::agreement::{PublicKey, SecretKey};
use crate::crypto::kdf;
use crate::crypto::labels::Label;
use crate::crypto::rsa::{Context, DecryptionKey, EncryptionKey, RsaError, SigningKey, VerifyingKey};
use crate::ids::{DeviceId, Fingerprint, Username};
use crate::message::Blob;
use crate::time::Timestamp;

/// The one certificate version there is.
const VERSION: u8 = 1;

/// The private halves of a device's long-term keys.
#[derive(Clone, Debug)]
pub struct DeviceKeys {
    /// `DSK`, signs: `rsa_sign_<user>.pem`.
    pub signing: SigningKey,
    /// `DEK`, opens RSA shares: `rsa_priv_<user>.pem`.
    pub decryption: DecryptionKey,
    /// `DXK`, X25519.
    pub agreement: SecretKey,
}

impl DeviceKeys {
    /// Generates all three; takes about a second.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self {
            signing: SigningKey::generate(rng),
            decryption: DecryptionKey::generate(rng),
            agreement: SecretKey::generate(rng),
        }
    }

    /// Writes the certificate that makes these keys a device of `user`.
    ///
    /// Keep its bytes: another time makes another certificate and so another device.
    ///
    /// # Errors
    /// [`CertError::SharedKey`] if one RSA key serves both purposes.
    pub fn certify(&self, user: &Username, created: Timestamp) -> Result<DeviceCert, CertError> {
        let body = CertBody {
            version: VERSION,
            user: user.clone(),
            signing: self.signing.verifying_key().to_spki().into(),
            encryption: self.decryption.encryption_key().to_spki().into(),
            agreement: self.agreement.public_key(),
            created,
        };
        DeviceCert::decode(&cbor::encode(&body))
    }

    /// Accepts membership in the account with this fingerprint: what its log's `add` carries for a
    /// device that is not the first. Only after the digits were compared.
    #[must_use]
    pub fn accept<R: CryptoRng + ?Sized>(&self, account: &Fingerprint, cert: &DeviceCert, rng: &mut R) -> Vec<u8> {
        self.signing.sign(Context::Join, &acceptance_object(account, cert.bytes()), rng)
    }
}

/// `fingerprint ‖ cert`.
fn acceptance_object(account: &Fingerprint, cert: &[u8]) -> Vec<u8> {
    [account.as_bytes(), cert].concat()
}

/// A certificate that cannot be one.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CertError {
    /// Not the strict CBOR of a certificate.
    #[error("malformed certificate")]
    Malformed,
    /// A version this program does not know.
    #[error("unknown certificate version {0}")]
    Version(u8),
    /// One of its RSA keys is refused.
    #[error("a certificate with an unacceptable key")]
    Key(#[source] RsaError),
    /// The signing key and the decryption key are the same.
    #[error("a certificate that uses one key for two purposes")]
    SharedKey,
}

#[derive(Encode, Decode, CborLen)]
#[cbor(map)]
struct CertBody {
    #[n(0)]
    version: u8,
    #[n(1)]
    user: Username,
    #[n(2)]
    signing: Blob,
    #[n(3)]
    encryption: Blob,
    #[n(4)]
    agreement: PublicKey,
    #[n(5)]
    created: Timestamp,
}

/// The public half of a device, with its keys checked and parsed. Cheap to clone.
///
/// Says nothing about whom to trust: that is what the account log is for.
#[derive(Clone)]
pub struct DeviceCert(Arc<Parsed>);

struct Parsed {
    bytes: Vec<u8>,
    id: DeviceId,
    body: CertBody,
    signing: VerifyingKey,
    encryption: EncryptionKey,
}

impl DeviceCert {
    /// Reads a certificate and checks its keys.
    ///
    /// # Errors
    /// [`CertError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CertError> {
        let body: CertBody = cbor::decode(bytes).map_err(|_| CertError::Malformed)?;
        if body.version != VERSION {
            return Err(CertError::Version(body.version));
        }
        if body.signing == body.encryption {
            return Err(CertError::SharedKey);
        }
        let signing = VerifyingKey::from_spki(&body.signing).map_err(CertError::Key)?;
        let encryption = EncryptionKey::from_spki(&body.encryption).map_err(CertError::Key)?;
        let id = device_id(bytes);
        Ok(Self(Arc::new(Parsed { bytes: bytes.to_vec(), id, body, signing, encryption })))
    }

    /// The received bytes: what is hashed, signed and stored.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// `H("chat/v1/device" ‖ 0 ‖ cert)[0..16]`.
    #[must_use]
    pub fn id(&self) -> DeviceId {
        self.0.id
    }

    /// Whose device it says it is.
    #[must_use]
    pub fn user(&self) -> &Username {
        &self.0.body.user
    }

    /// `DSK`.
    #[must_use]
    pub fn signing(&self) -> &VerifyingKey {
        &self.0.signing
    }

    /// `DEK`.
    #[must_use]
    pub fn encryption(&self) -> &EncryptionKey {
        &self.0.encryption
    }

    /// `DXK`.
    #[must_use]
    pub fn agreement(&self) -> &PublicKey {
        &self.0.body.agreement
    }

    /// When it was made, by its own clock.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.0.body.created
    }

    /// Checks [`DeviceKeys::accept`].
    ///
    /// # Errors
    /// [`RsaError::Signature`].
    pub fn verify_acceptance(&self, account: &Fingerprint, acceptance: &[u8]) -> Result<(), RsaError> {
        self.signing().verify(Context::Join, &acceptance_object(account, self.bytes()), acceptance)
    }
}

fn device_id(cert: &[u8]) -> DeviceId {
    let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = kdf::hash(Label::Device, &[cert]);
    DeviceId::new(id)
}

impl PartialEq for DeviceCert {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for DeviceCert {}

impl fmt::Debug for DeviceCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceCert({} of {})", self.id(), self.user())
    }
}

impl<C> Encode<C> for DeviceCert {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(self.bytes())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for DeviceCert {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::decode(d.bytes()?).map_err(|_| minicbor::decode::Error::message("not a certificate"))
    }
}
