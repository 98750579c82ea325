//! A device whose keys the test has. Nothing binds it to the rules its daemon would keep.

use std::collections::HashMap;

use chat_protocol::cbor;
use chat_protocol::crypto::rsa::Context;
use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::crypto::signed::Signed;
use chat_protocol::fixtures::{FirstDevice, device_keys, first_device};
use chat_protocol::identity::account_log::{AccountLog, Author};
use chat_protocol::identity::device::{DeviceCert, DeviceKeys};
use chat_protocol::ids::{DeviceId, KeyHash, MessageId, Username};
use chat_protocol::message::{Blob, Envelope};
use chat_protocol::session::bundle::{Draft, KemPrekey, OneTimePrekey, SignedPrekey, VerifiedBundle};
use chat_protocol::session::content::{Body, Content, Conversation, Heads, SenderSeq, Text};
use chat_protocol::session::init::{Init, Own, Prekeys, initiate, open_share, resolve};
use chat_protocol::session::ratchet::{MessageKey, Session};
use chat_protocol::time::Timestamp;
use chat_server::store::{
    AppendEntry, DeviceState, NewAccount, NewBundle, NewLog, PasswordHash, Store, StoredDevice, TakenBundle,
};

use crate::operator::now;

/// The device.
pub struct Puppet {
    pub user: Username,
    pub keys: DeviceKeys,
    pub cert: DeviceCert,
    /// Its account's log, as it wants it.
    pub log: AccountLog,
    signed: SignedPrekey,
    kem: KemPrekey,
    one_time: Vec<OneTimePrekey>,
}

impl Puppet {
    /// The first device of an account, with the test keys `n`.
    pub fn new(name: &str, n: usize) -> Self {
        let FirstDevice { keys, cert, log } = first_device(&name.parse().unwrap(), n, now());
        Self::of(keys, cert, log)
    }

    /// A further device of this account, with the test keys `n`: it has accepted, and is in the log.
    pub fn second(&mut self, n: usize) -> Self {
        let keys = device_keys(n);
        let cert = keys.certify(&self.user, now()).unwrap();
        let entry = self.entry_adding(&keys, &cert);
        self.log.extend(&[entry]).unwrap();
        Self::of(keys, cert, self.log.clone())
    }

    fn of(keys: DeviceKeys, cert: DeviceCert, log: AccountLog) -> Self {
        let mut rng = rand::rng();
        Self {
            user: cert.user().clone(),
            signed: SignedPrekey::generate(1, &mut rng),
            kem: KemPrekey::generate(1, &mut rng),
            one_time: (0..2).map(|_| OneTimePrekey::generate(&mut rng)).collect(),
            keys,
            cert,
            log,
        }
    }

    /// The same device with other prekeys, and with its log as given.
    pub fn twin(&self, log: AccountLog) -> Self {
        Self::of(self.keys.clone(), self.cert.clone(), log)
    }

    pub fn device(&self) -> DeviceId {
        self.cert.id()
    }

    fn author(&self) -> Author<'_> {
        Author { key: &self.keys.signing, cert: &self.cert, at: now() }
    }

    /// The entry, signed by this device, that adds another after the end of its log.
    pub fn entry_adding(&self, keys: &DeviceKeys, cert: &DeviceCert) -> Vec<u8> {
        let acceptance = keys.accept(&self.log.fingerprint(), cert, &mut rand::rng());
        self.log.add_device(self.author(), cert, acceptance, &mut rand::rng()).unwrap()
    }

    /// The same that revokes one.
    pub fn entry_revoking(&self, device: DeviceId) -> Vec<u8> {
        self.log.revoke_devices(self.author(), vec![device], &mut rand::rng()).unwrap()
    }

    /// What the server would put at the end of a log: an entry as of one of its devices, whose key it lacks, that adds this
    /// one. Everything but the signature is right.
    pub fn forge(&self, log: &AccountLog) -> Vec<u8> {
        let (keys, by) = (device_keys(6), log.active_devices().next().unwrap().id());
        let cert = keys.certify(&self.user, now()).unwrap();
        let [mine, theirs] = [&self.log, log].map(|log| keys.accept(&log.fingerprint(), &cert, &mut rand::rng()));
        let honest = self.log.add_device(self.author(), &cert, mine.clone(), &mut rand::rng()).unwrap();
        let Signed { object, .. } = cbor::decode(&honest).unwrap();
        let mut forged = object.0;
        for (mine, theirs) in [
            (mine.as_slice(), theirs.as_slice()),
            (self.log.head().hash.as_bytes(), log.head().hash.as_bytes()),
            (self.device().as_bytes(), by.as_bytes()),
        ] {
            let at = forged.windows(mine.len()).position(|window| window == mine).unwrap();
            forged[at..at + mine.len()].copy_from_slice(theirs);
        }
        cbor::encode(&Signed::new(forged, &self.keys.signing, Context::Log, &mut rand::rng()))
    }

    pub fn hashes(&self) -> Vec<KeyHash> {
        self.one_time.iter().map(OneTimePrekey::hash).collect()
    }

    /// A one-time key of its own.
    pub fn one_time(&self, n: usize) -> [u8; 32] {
        *self.one_time[n].public_key().as_bytes()
    }

    /// Its bundle, signed with these keys as of then.
    pub fn bundle(&self, seq: u64, created: Timestamp, signer: &DeviceKeys) -> TakenBundle {
        let (cert, hashes) = (&self.cert, self.hashes());
        let (signed_prekey, kem_prekey) = (&self.signed, &self.kem);
        let draft = Draft { cert, seq, created, signed_prekey, kem_prekey, one_time: &hashes };
        let (bundle, _) = draft.sign(&signer.signing, &mut rand::rng());
        TakenBundle { bundle, one_time: Some(self.one_time(0)) }
    }

    /// What a server says of a device it made up, or let in.
    pub fn stored(&self) -> StoredDevice {
        StoredDevice {
            device: self.device(),
            user: self.user.clone(),
            cert: self.cert.bytes().to_vec(),
            state: DeviceState::Active,
            since: now(),
            last_login: None,
        }
    }

    /// Enters account, log and bundle into a store, as if all had been asked for.
    pub async fn enrol(&self, store: &dyn Store) {
        let at = now();
        let hash = PasswordHash::new(String::new());
        store.create_account(NewAccount { user: self.user.clone(), hash, invite: None, at }).await.unwrap();
        let mut entries = self.log.entries_from(0).map(<[u8]>::to_vec);
        let genesis = entries.next().unwrap();
        let first = &self.log.devices()[0].cert;
        let (user, device, cert) = (self.user.clone(), first.id(), first.bytes().to_vec());
        let hash = self.log.head_at(0).unwrap().hash;
        store.begin_log(NewLog { user, device, cert, genesis, hash, at }).await.unwrap();
        for (seq, entry) in (1..).zip(entries) {
            self.append(store, seq, entry).await;
        }
        let listed = self.hashes();
        let one_time = listed.iter().copied().zip((0..listed.len()).map(|n| self.one_time(n))).collect();
        let TakenBundle { bundle, .. } = self.bundle(1, at, &self.keys);
        store.publish_bundle(NewBundle { device: self.device(), seq: 1, bundle, one_time, listed }).await.unwrap();
    }

    /// Appends one entry of its log to the stored one.
    pub async fn append(&self, store: &dyn Store, seq: u64, entry: Vec<u8>) {
        let added = self.log.devices().iter().find(|device| device.added == seq);
        let revoked = self.log.devices().iter().filter(|device| device.revoked == Some(seq));
        let append = AppendEntry {
            user: self.user.clone(),
            expected: self.log.head_at(seq - 1).unwrap(),
            entry,
            head: self.log.head_at(seq).unwrap(),
            activates: added.map(|device| (device.cert.id(), device.cert.bytes().to_vec())),
            revokes: revoked.map(|device| device.cert.id()).collect(),
            at: now(),
        };
        store.append_log(append).await.unwrap();
    }

    fn own(&self) -> Own<'_> {
        Own { keys: &self.keys, cert: &self.cert, log: &self.log }
    }

    /// Begins a session with the device of a bundle.
    pub fn begin(&self, peer: &AccountLog, device: DeviceId, taken: &TakenBundle) -> Talk {
        let bundle = VerifiedBundle::verify(&taken.bundle, peer.active(&device).unwrap()).unwrap();
        let bundle = bundle.with_one_time(taken.one_time.as_ref().map(<[u8; 32]>::as_slice)).unwrap();
        let begun = initiate(self.own(), peer, &bundle, now(), &mut rand::rng()).unwrap();
        let heads = Heads { own: self.log.head(), peer: peer.head() };
        Talk { session: begun.session, init: Some(begun.init), user: self.user.clone(), heads, said: HashMap::new() }
    }

    /// Reads what came under an INIT for this device.
    ///
    /// `None` if it does not open.
    pub fn read(&self, envelope: &Envelope, author: &AccountLog) -> Option<(Talk, Content)> {
        let init = Init::read(envelope.init.as_ref()?).ok()?;
        let one_time = init.one_time().and_then(|hash| self.one_time.iter().find(|key| key.hash() == hash));
        let prekeys = Prekeys { signed: &self.signed, kem: &self.kem, one_time };
        let share = open_share(&init, &self.keys.decryption, &SecretBytes::new([9; 32]), &mut rand::rng());
        let session = resolve(&init, self.own(), prekeys, author).ok()?.session(share).ok()?;
        let heads = Heads { own: self.log.head(), peer: author.head() };
        let mut talk = Talk { session, init: None, user: self.user.clone(), heads, said: HashMap::new() };
        let content = talk.open(envelope)?;
        Some((talk, content))
    }
}

/// One end of a session, in the hands of a puppet.
pub struct Talk {
    session: Session,
    init: Option<Vec<u8>>,
    user: Username,
    pub heads: Heads,
    /// How much was said in each chat: every one is numbered for itself.
    said: HashMap<Conversation, u64>,
}

impl Talk {
    /// A text under the chat it belongs to.
    pub fn say(&mut self, text: &str) -> Envelope {
        self.say_in(Conversation::Direct(self.user.clone()), text)
    }

    /// A text under any chat.
    pub fn say_in(&mut self, conversation: Conversation, text: &str) -> Envelope {
        let n = self.said.entry(conversation.clone()).or_default();
        *n += 1;
        let sender_seq = Some(SenderSeq { epoch: 1, n: *n, first: None });
        let body = Body::Text(Text { text: text.to_owned(), ..Text::default() });
        self.seal(conversation, sender_seq, body)
    }

    /// Something that is not a message.
    pub fn control(&mut self, body: Body) -> Envelope {
        self.seal(Conversation::Direct(self.user.clone()), None, body)
    }

    fn seal(&mut self, conversation: Conversation, sender_seq: Option<SenderSeq>, body: Body) -> Envelope {
        let id = MessageId::from_parts(now(), rand::random());
        let content = Content { conversation, id, sender_seq, sent: now(), heads: self.heads, acks: Vec::new(), body };
        let sealed = self.session.seal(&content.encode().unwrap()).unwrap();
        let init = self.init.clone().map(Blob);
        Envelope { sid: self.session.id(), header: Blob(sealed.header), token: Blob(sealed.token), init }
    }

    /// The session as its owner would store it.
    pub fn state(&self) -> Vec<u8> {
        minicbor::to_vec(&self.session).unwrap()
    }

    /// Whether a message of this session opens by this key, taken for the message's own.
    pub fn fits(&self, key: &[u8; 32], envelope: &Envelope) -> bool {
        let key: MessageKey = minicbor::decode(&[&[0x58, 0x20], &key[..]].concat()).unwrap();
        self.session.open(&envelope.header, &envelope.token, Some(&key), &mut rand::rng()).is_ok()
    }

    /// Opens what the other end sealed, if it is the next message.
    pub fn open(&mut self, envelope: &Envelope) -> Option<Content> {
        let opened = self.session.open(&envelope.header, &envelope.token, None, &mut rand::rng()).ok()?;
        self.session = opened.session;
        self.init = None;
        Content::decode(&opened.plaintext).ok()
    }
}

/// What a bundle's transcript needs: its signed prekey and its ML-KEM key.
pub fn prekeys_of(taken: &TakenBundle) -> ([u8; 32], Vec<u8>) {
    #[derive(minicbor::Decode)]
    #[cbor(map)]
    struct Body {
        #[n(8)]
        signed: Blob,
        #[n(10)]
        kem: Blob,
    }
    let signed: Signed = cbor::decode(&taken.bundle).unwrap();
    let body: Body = cbor::decode(&signed.object).unwrap();
    (body.signed.0.try_into().unwrap(), body.kem.0)
}
