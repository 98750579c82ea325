//! What a device signs to log in or to make itself known.
//!
//! Both signatures are bound to the connection and to the server's key, so that neither can be
//! replayed on another connection nor relayed to another server.

use rand::CryptoRng;

use super::device::DeviceCert;
use crate::crypto::kdf::put_prefixed;
use crate::crypto::rsa::{Context, RsaError, SigningKey};
use crate::ids::{DeviceId, Username};

/// The connection a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// `cb`, the channel binding of the connection.
    pub channel: [u8; 32],
    /// The server's X25519 public key as pinned by the client, as owned by the server.
    pub server_key: [u8; 32],
}

impl Binding {
    /// `cb ‖ server key ‖ lp(user) ‖ device_id`.
    #[must_use]
    pub fn login_object(&self, user: &Username, device: &DeviceId) -> Vec<u8> {
        let mut object = self.prefix();
        put_prefixed(&mut object, user.as_str().as_bytes());
        object.extend_from_slice(device.as_bytes());
        object
    }

    /// `cb ‖ server key ‖ lp(cert)`.
    #[must_use]
    pub fn enrol_object(&self, cert: &[u8]) -> Vec<u8> {
        let mut object = self.prefix();
        put_prefixed(&mut object, cert);
        object
    }

    /// Signs a login.
    #[must_use]
    pub fn sign_login<R: CryptoRng + ?Sized>(&self, key: &SigningKey, cert: &DeviceCert, rng: &mut R) -> Vec<u8> {
        key.sign(Context::Login, &self.login_object(cert.user(), &cert.id()), rng)
    }

    /// Verifies a login of the device that `cert` describes, as its own user.
    ///
    /// # Errors
    /// [`RsaError::Signature`].
    pub fn verify_login(&self, cert: &DeviceCert, signature: &[u8]) -> Result<(), RsaError> {
        cert.signing().verify(Context::Login, &self.login_object(cert.user(), &cert.id()), signature)
    }

    /// Signs an enrolment.
    #[must_use]
    pub fn sign_enrol<R: CryptoRng + ?Sized>(&self, key: &SigningKey, cert: &DeviceCert, rng: &mut R) -> Vec<u8> {
        key.sign(Context::Enrol, &self.enrol_object(cert.bytes()), rng)
    }

    /// Verifies an enrolment: the sender holds the signing key of `cert`.
    ///
    /// # Errors
    /// [`RsaError::Signature`].
    pub fn verify_enrol(&self, cert: &DeviceCert, signature: &[u8]) -> Result<(), RsaError> {
        cert.signing().verify(Context::Enrol, &self.enrol_object(cert.bytes()), signature)
    }

    fn prefix(&self) -> Vec<u8> {
        [self.channel, self.server_key].concat()
    }
}
