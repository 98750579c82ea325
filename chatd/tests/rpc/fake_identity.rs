//! Identities of the fake daemon: everybody is known, and `changed` is claimed by somebody else.

use chat_protocol::identity::code::IdentityCode;
use chat_protocol::identity::safety_number::SafetyNumber;
use chat_protocol::ids::{DeviceId, Fingerprint, Head, HeadHash, Username};
use chat_protocol::rpc::types::*;
use chatd::api::Answer;

use super::NOW;

/// The safety number with everybody.
pub const NUMBER: &str = "123456789012345678901234567890123456789012345678901234567890";
/// The one with whoever claims to be somebody else.
pub const OTHER_NUMBER: &str = "098765432109876543210987654321098765432109876543210987654321";

fn head(byte: u8) -> Head {
    Head { seq: 0, hash: HeadHash::new([byte; 32]) }
}

fn code(user: Username, byte: u8) -> IdentityCode {
    IdentityCode { user, fingerprint: Fingerprint::new([byte; 32]), head: head(byte) }
}

/// The identity of the account.
pub fn own(user: Username) -> OwnIdentity {
    let qr = code(user.clone(), 3);
    OwnIdentity { user, fingerprint: qr.fingerprint, head: qr.head.into(), device_id: DeviceId::new([2; 16]), qr }
}

fn number(text: &str) -> Option<SafetyNumber> {
    Some(text.parse().unwrap())
}

fn seen(byte: u8, state: IdentityState, safety_number: Option<SafetyNumber>) -> SeenIdentity {
    let (fingerprint, head) = (Fingerprint::new([byte; 32]), head(byte).into());
    SeenIdentity { fingerprint, head, first_seen_ms: NOW, state, safety_number, fork: None }
}

/// The identity of somebody, as it was decided about.
pub fn peer(user: Username, decided: Option<IdentityState>) -> PeerIdentity {
    let changed = user.as_str() == "changed" && decided.is_none();
    let known = decided.unwrap_or(IdentityState::Tofu);
    let rival = changed.then(|| seen(5, IdentityState::Changed, number(OTHER_NUMBER)));
    let device_id = DeviceId::new([6; 16]);
    PeerIdentity {
        user,
        state: if changed { IdentityState::Changed } else { known },
        safety_number: number(NUMBER),
        seen: [seen(4, known, number(NUMBER))].into_iter().chain(rival).collect(),
        devices: vec![PeerDevice { device_id, added_ms: NOW, unverified: false, left_out: false }],
        policy: TrustPolicy::Tofu,
        refreshed: true,
        log_withheld: false,
    }
}

/// Whether it is the right thing that was compared.
pub fn fits(params: &IdentityVerify) -> Answer<bool> {
    Ok(match params.compared()? {
        Compared::Fingerprint(fingerprint) => fingerprint == Fingerprint::new([4; 32]),
        Compared::SafetyNumber(number) => [NUMBER, OTHER_NUMBER].contains(&number.to_string().as_str()),
        Compared::Code(found) => found == code(params.user.clone(), 4),
    })
}
