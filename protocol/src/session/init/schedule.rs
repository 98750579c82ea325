//! From the secrets of an INIT and everything public about it to the root of a session.

use zeroize::Zeroizing;

use super::{Body, Init, InitError};
use crate::crypto::agreement::{LowOrder, PublicKey};
use crate::crypto::kdf::{self, put_prefixed};
use crate::crypto::labels::Label;
use crate::crypto::secret::SecretBytes;
use crate::identity::device::DeviceCert;
use crate::ids::SessionId;
use crate::session::ratchet::Parties;

/// Everything public in a key exchange.
pub(super) struct Publics<'a> {
    pub(super) init: &'a Init,
    /// Initiator, responder.
    pub(super) certs: [&'a DeviceCert; 2],
    pub(super) signed_prekey: PublicKey,
    pub(super) kem_key: &'a [u8],
    pub(super) one_time: Option<&'a PublicKey>,
}

impl Publics<'_> {
    /// `th = H("chat/v1/init" ‖ 0 ‖ lp(INIT) ‖ lp(cert_A) ‖ lp(cert_B) ‖ lp(SPK) ‖ lp(KEM key) ‖ lp(one-time or empty))`.
    pub(super) fn transcript(&self) -> [u8; 32] {
        let [initiator, responder] = self.certs;
        let one_time = self.one_time.map_or(&[][..], |key| key.as_bytes().as_slice());
        let mut parts = Vec::new();
        for part in [
            &self.init.bytes,
            initiator.bytes(),
            responder.bytes(),
            self.signed_prekey.as_bytes().as_slice(),
            self.kem_key,
            one_time,
        ] {
            put_prefixed(&mut parts, part);
        }
        kdf::hash(Label::Init, &[&parts])
    }

    pub(super) fn parties(&self) -> Parties {
        parties(self.init)
    }
}

pub(super) fn parties(init: &Init) -> Parties {
    let Body { initiator, responder, .. } = &init.body;
    Parties {
        initiator: initiator.fingerprint,
        initiator_device: initiator.device,
        responder: responder.fingerprint,
        responder_device: responder.device,
    }
}

/// `sid = H("chat/v1/sid" ‖ 0 ‖ th)[0..16]`.
pub(super) fn session_id(transcript: &[u8; 32]) -> SessionId {
    let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = kdf::hash(Label::Sid, &[transcript]);
    SessionId::new(id)
}

/// `0xFF×32 ‖ s ‖ DH1 ‖ DH2 ‖ DH3 ‖ [DH4] ‖ ss`.
pub(super) struct Secrets(Zeroizing<Vec<u8>>);

/// DH1 to DH4, the last only with a one-time key.
pub(super) type Agreed = Option<Result<SecretBytes<32>, LowOrder>>;

impl Secrets {
    pub(super) fn gather(share: SecretBytes<32>, agreed: [Agreed; 4], kem: SecretBytes<32>) -> Result<Self, InitError> {
        // reserved at once, so that growing leaves no copy behind
        let mut ikm = Zeroizing::new(Vec::with_capacity(7 * 32));
        ikm.extend_from_slice(&[0xff; 32]);
        ikm.extend_from_slice(share.expose());
        for secret in agreed.into_iter().flatten() {
            ikm.extend_from_slice(secret.map_err(|_| InitError::Key)?.expose());
        }
        ikm.extend_from_slice(kem.expose());
        Ok(Self(ikm))
    }

    pub(super) fn root(&self, transcript: &[u8; 32]) -> SecretBytes<32> {
        SecretBytes::new(kdf::hkdf(transcript, &self.0, Label::Session))
    }
}

#[cfg(test)]
mod tests {
    use rand::rng;

    use super::*;
    use crate::crypto::agreement::SecretKey;
    use crate::ids::{DeviceId, Fingerprint};
    use crate::session::ratchet::{OpenError, Session};

    const TRANSCRIPT: [u8; 32] = [5; 32];

    fn root(values: [u8; 6]) -> SecretBytes<32> {
        let [share, dh1, dh2, dh3, dh4, kem] = values.map(|value| SecretBytes::new([value; 32]));
        Secrets::gather(share, [Some(Ok(dh1)), Some(Ok(dh2)), Some(Ok(dh3)), Some(Ok(dh4))], kem)
            .unwrap()
            .root(&TRANSCRIPT)
    }

    #[test]
    fn atk_37_message_does_not_open_when_any_one_secret_is_replaced() {
        let prekey = SecretKey::generate(&mut rng());
        let id = session_id(&TRANSCRIPT);
        let parties = Parties {
            initiator: Fingerprint::new([1; 32]),
            initiator_device: DeviceId::new([1; 16]),
            responder: Fingerprint::new([2; 32]),
            responder_device: DeviceId::new([2; 16]),
        };
        let right = [10, 11, 12, 13, 14, 15];
        let mut alice = Session::initiator(id, parties, root(right), prekey.public_key(), &mut rng()).unwrap();
        let sealed = alice.seal(b"hello").unwrap();
        let opens = |values| {
            let bob = Session::responder(id, parties, root(values), prekey.clone());
            bob.open(&sealed.header, &sealed.token, None, &mut rng()).map(|opened| opened.plaintext.to_vec())
        };
        assert_eq!(opens(right), Ok(b"hello".to_vec()));
        for place in 0..right.len() {
            let mut wrong = right;
            wrong[place] = 99;
            assert_eq!(opens(wrong), Err(OpenError::Token), "secret {place} does not count");
        }
    }

    #[test]
    fn atk_32_point_of_low_order_starts_nothing() {
        let share = SecretBytes::new([0; 32]);
        let agreed = [Some(Err(LowOrder)), None, None, None];
        assert_eq!(Secrets::gather(share.clone(), agreed, share).err(), Some(InitError::Key));
    }
}
