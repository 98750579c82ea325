//! Devices with prekeys, and a store for skipped keys, as a daemon has them.

use std::collections::BTreeMap;

use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::fixtures::{FirstDevice, first_device};
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::session::bundle::{Draft, KemPrekey, OneTimePrekey, SignedPrekey, VerifiedBundle};
use chat_protocol::session::init::{Init, InitError, Initiated, Own, Prekeys, initiate, open_share, resolve};
use chat_protocol::session::ratchet::{Header, MessageKey, OpenError, Sealed, Session};
use chat_protocol::time::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;

pub const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Draws schedules, not keys; the seed is printed by a failing test.
pub fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// A device with everything it needs to be written to.
pub struct Device {
    pub first: FirstDevice,
    pub signed: SignedPrekey,
    pub kem: KemPrekey,
    pub one_time: OneTimePrekey,
    pub rejection: SecretBytes<32>,
}

impl Device {
    pub fn new(user: &str, n: usize) -> Self {
        let mut rng = rand::rng();
        Self {
            first: first_device(&user.parse().unwrap(), n, AT),
            signed: SignedPrekey::generate(1, &mut rng),
            kem: KemPrekey::generate(2, &mut rng),
            one_time: OneTimePrekey::generate(&mut rng),
            rejection: SecretBytes::new([9; 32]),
        }
    }

    pub fn own(&self) -> Own<'_> {
        Own { keys: &self.first.keys, cert: &self.first.cert, log: &self.first.log }
    }

    pub fn log(&self) -> &AccountLog {
        &self.first.log
    }

    pub fn prekeys(&self, init: &Init) -> Prekeys<'_> {
        let one_time = init.one_time().map(|_| &self.one_time);
        Prekeys { signed: &self.signed, kem: &self.kem, one_time }
    }

    pub fn signed_bundle(&self) -> Vec<u8> {
        let draft = Draft {
            cert: &self.first.cert,
            seq: 1,
            created: AT,
            signed_prekey: &self.signed,
            kem_prekey: &self.kem,
            one_time: &[self.one_time.hash()],
        };
        draft.sign(&self.first.keys.signing, &mut rand::rng()).0
    }

    pub fn bundle(&self, with_one_time: bool) -> VerifiedBundle {
        let bundle = VerifiedBundle::verify(&self.signed_bundle(), &self.first.cert).unwrap();
        let key = self.one_time.public_key();
        bundle.with_one_time(with_one_time.then_some(key.as_bytes())).unwrap()
    }

    pub fn begin(&self, peer: &Self, with_one_time: bool) -> Initiated {
        self.begin_with(peer, &peer.bundle(with_one_time))
    }

    pub fn begin_with(&self, peer: &Self, bundle: &VerifiedBundle) -> Initiated {
        initiate(self.own(), peer.log(), bundle, AT, &mut rand::rng()).unwrap()
    }

    /// The responder's end of an INIT.
    pub fn answer(&self, init: &[u8], peer: &AccountLog) -> Result<Session, InitError> {
        let init = Init::read(init)?;
        let share = open_share(&init, &self.first.keys.decryption, &self.rejection, &mut rand::rng());
        resolve(&init, self.own(), self.prekeys(&init), peer)?.session(share)
    }
}

/// Two ends that have not yet exchanged a message.
pub fn session_pair(with_one_time: bool) -> (End, End) {
    let (alice, bob) = (Device::new("alice", 0), Device::new("bob", 1));
    let Initiated { session, init } = alice.begin(&bob, with_one_time);
    let answer = bob.answer(&init, alice.log()).unwrap();
    (End::new(session), End::new(answer))
}

/// A session and its skipped keys, kept as the ratchet's documentation says.
#[derive(Clone, Debug)]
pub struct End {
    pub session: Session,
    pub skipped: BTreeMap<Vec<u8>, (u64, MessageKey)>,
}

impl End {
    pub fn new(session: Session) -> Self {
        Self { session, skipped: BTreeMap::new() }
    }

    pub fn seal(&mut self, text: &str) -> Sealed {
        self.session.seal(text.as_bytes()).unwrap()
    }

    pub fn open(&mut self, sealed: &Sealed) -> Result<String, OpenError> {
        let id = Header::read(&sealed.header)?.skipped_id();
        let key = self.skipped.get(&id).map(|(_, key)| key.clone());
        let opened = self.session.open(&sealed.header, &sealed.token, key.as_ref(), &mut rand::rng())?;
        if opened.used_skipped {
            self.skipped.remove(&id);
        }
        self.skipped.extend(opened.new_skipped.into_iter().map(|new| (new.id, (new.order, new.key))));
        self.skipped.retain(|_, (order, _)| *order >= opened.forget_below);
        self.session = opened.session;
        Ok(String::from_utf8(opened.plaintext.to_vec()).unwrap())
    }

    /// What a daemon would have written down.
    pub fn stored(&self) -> (Vec<u8>, usize) {
        (minicbor::to_vec(&self.session).unwrap(), self.skipped.len())
    }
}

/// Asserts that opening fails and leaves everything stored as it was.
pub fn refuses(end: &mut End, sealed: &Sealed) -> OpenError {
    let before = end.stored();
    let error = end.open(sealed).unwrap_err();
    assert_eq!(end.stored(), before, "state changed");
    error
}
