//! Accounts as a daemon makes them: a device with its log, and a bundle with which others can begin sessions.

use chat_protocol::fixtures::{FirstDevice, first_device};
use chat_protocol::ids::Head;
use chat_protocol::message::Blob;
use chat_protocol::message::client::{BundlePublish, Enrol, Password, Register};
use chat_protocol::session::bundle::{Draft, KemPrekey, OneTimePrekey, SignedPrekey};
use chat_protocol::time::Timestamp;

use super::{Ours, name, now};
use crate::Fallible;
use crate::connection::Connection;

const PASSWORD: &str = "correct horse";
/// When certificates are made: so they are the same in every run.
const MADE: Timestamp = Timestamp::from_millis(1_700_000_000_000);

impl Ours {
    /// Registers a user, enrols the first device and publishes its bundle: the line that names the device.
    pub(crate) async fn register(&self, address: &str, number: usize) -> Fallible<String> {
        let (mut connection, binding) = self.open(address).await?;
        let user = name(number);
        let password = || Password::new(PASSWORD.into()).map_err(|_| "the password is one");
        self.call(&mut connection, &Register { user: user.clone(), password: password()?, invite: None }).await?;
        let device = first_device(&user, number, MADE);
        let genesis = device.log.entries_from(0).next().ok_or("a log has a first entry")?.to_vec();
        let signature = binding.sign_enrol(&device.keys.signing, &device.cert, &mut rand::rng());
        let enrol = Enrol {
            user,
            password: password()?,
            cert: Blob(device.cert.bytes().to_vec()),
            signature: Blob(signature),
            genesis: Some(Blob(genesis)),
        };
        self.call(&mut connection, &enrol).await?;
        self.publish(&mut connection, &device).await?;
        let Head { seq, hash } = device.log.head();
        Ok(format!("{number} {} {seq} {hash}", device.cert.id()))
    }

    /// One one-time key: whoever writes to this device first takes it.
    async fn publish(&self, connection: &mut Connection, device: &FirstDevice) -> Fallible<()> {
        let mut rng = rand::rng();
        let one_time = OneTimePrekey::generate(&mut rng);
        let draft = Draft {
            cert: &device.cert,
            seq: 1,
            created: now(),
            signed_prekey: &SignedPrekey::generate(1, &mut rng),
            kem_prekey: &KemPrekey::generate(1, &mut rng),
            one_time: &[one_time.hash()],
        };
        let (bundle, _) = draft.sign(&device.keys.signing, &mut rng);
        let one_time = vec![Blob(one_time.public_key().as_bytes().to_vec())];
        self.call(connection, &BundlePublish { bundle: Blob(bundle), one_time }).await?;
        Ok(())
    }
}
