//! What is kept of the account: where it lives, which device this is, and what is under way.

use std::sync::Arc;

use chat_protocol::cbor;
use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::handshake::ServerPublicKey;
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::device::{DeviceCert, DeviceKeys};
use chat_protocol::identity::login::Binding;
use chat_protocol::identity::safety_number::approval_digits;
use chat_protocol::ids::{DeviceId, Fingerprint, Username};
use chat_protocol::message::Blob;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::link::{Heard, LinkSetup, Server, Timing};
use crate::store::{Place, Rows, RowsError, Store, Table};

const ACCOUNT: Place<'static> = Place::new(Table::Account, b"self", b"account");
const PENDING: Place<'static> = Place::new(Table::Account, b"self", b"pending");
const RESET: Place<'static> = Place::new(Table::Account, b"self", b"reset");

/// Whether the daemon shall be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Standing {
    /// The device is active in the account's log.
    #[n(0)]
    Active,
    /// Another device of the account has to approve it.
    #[n(1)]
    Waiting,
    /// Its user logged out; keys and history are still here.
    #[n(2)]
    LoggedOut,
    /// Its account ended it.
    #[n(3)]
    Revoked,
    /// Nobody let it in while it waited.
    #[n(4)]
    Lapsed,
}

/// What a device that waits goes by.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Wait {
    /// The account's identity as the server names it: worth nothing until the digits were compared.
    #[n(0)]
    pub fingerprint: Fingerprint,
    /// What this device signed once its user had compared them.
    #[n(1)]
    pub acceptance: Option<Blob>,
}

/// The one account of this daemon.
#[derive(Clone, Debug)]
pub struct Account {
    /// Whose.
    pub user: Username,
    /// Where.
    pub server: Server,
    /// This device.
    pub cert: DeviceCert,
    /// The own account log; absent while the device waits, since until the digits were compared nobody's word is
    /// good for it.
    pub log: Option<AccountLog>,
    /// Whether to be connected.
    pub standing: Standing,
    /// The key the server announced as its next one.
    pub next_key: Option<ServerPublicKey>,
    /// While it waits: for what.
    pub wait: Option<Wait>,
}

impl Account {
    /// This device.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.cert.id()
    }

    /// The digits that this screen and that of a device of the account have to show alike, while it waits.
    #[must_use]
    pub fn digits(&self) -> Option<String> {
        let wait = self.wait.as_ref().filter(|_| self.standing == Standing::Waiting)?;
        Some(approval_digits(&wait.fingerprint, &self.device()))
    }

    /// Reads the account, if there is one.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn load(rows: &dyn Rows) -> Result<Option<Self>, RowsError> {
        Ok(read::<Stored>(rows, ACCOUNT)?.map(Stored::open))
    }

    /// Writes the account.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn save(&self, rows: &mut dyn Rows) -> Result<(), RowsError> {
        rows.put(ACCOUNT, 0, &cbor::encode(&Stored::of(self)))
    }

    /// Removes the account and whatever was under way.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn delete(rows: &mut dyn Rows) -> Result<(), RowsError> {
        rows.delete(ACCOUNT)?;
        Pending::delete(rows)?;
        Reset::delete(rows)
    }

    /// What the link needs to log this device in. A change of the server's keys is kept by [`keep_server_keys`].
    #[must_use]
    pub fn link_setup(&self, keys: &DeviceKeys, timing: Timing) -> LinkSetup {
        let (key, cert) = (keys.signing.clone(), self.cert.clone());
        let sign = move |channel: &[u8; 32], server_key: &ServerPublicKey| {
            let binding = Binding { channel: *channel, server_key: *server_key.as_bytes() };
            binding.sign_login(&key, &cert, &mut rand::rng())
        };
        let (server, user) = (self.server.clone(), self.user.clone());
        let (next_key, pin) = (self.next_key, Arc::new(|_, _| ()));
        let (device, sign, heard) = (self.device(), Arc::new(sign), Heard::default());
        LinkSetup { server, next_key, pin, user, device, sign, timing, heard }
    }
}

/// Has a link write the server's change of keys into the account, so that it is known after a restart too.
#[must_use]
pub fn keep_server_keys(setup: LinkSetup, store: &Arc<Store>) -> LinkSetup {
    let store = Arc::clone(store);
    LinkSetup { pin: Arc::new(move |key, next| keep_keys(&store, key, next)), ..setup }
}

/// Keeps that the account ended this device.
///
/// # Errors
/// [`RowsError`].
pub fn note_revoked(store: &Store) -> Result<(), RowsError> {
    store.transaction(|rows| match Account::load(rows)? {
        Some(account) => Account { standing: Standing::Revoked, ..account }.save(rows),
        None => Ok(()),
    })
}

fn keep_keys(store: &Store, key: ServerPublicKey, next_key: Option<ServerPublicKey>) {
    let kept = store.transaction(|rows| match Account::load(rows)? {
        Some(mut account) => {
            account.server.key = key;
            account.next_key = next_key;
            account.save(rows)
        }
        None => Ok::<_, RowsError>(()),
    });
    if let Err(error) = kept {
        tracing::warn!(%error, "the server's change of keys was not kept");
    }
}

/// An enrolment the server may already know of: the same bytes are offered again until it is settled.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// The account as it will be; its log is the genesis on offer.
    pub(super) account: Account,
}

impl Pending {
    pub(super) fn load(rows: &dyn Rows) -> Result<Option<Self>, RowsError> {
        Ok(read::<Stored>(rows, PENDING)?.map(|stored| Self { account: stored.open() }))
    }

    pub(super) fn save(&self, rows: &mut dyn Rows) -> Result<(), RowsError> {
        rows.put(PENDING, 0, &cbor::encode(&Stored::of(&self.account)))
    }

    pub(super) fn delete(rows: &mut dyn Rows) -> Result<(), RowsError> {
        rows.delete(PENDING).map(drop)
    }

    /// The server took it: it becomes the account, in one transaction.
    pub(super) fn settle(account: &Account, rows: &mut dyn Rows) -> Result<(), RowsError> {
        account.save(rows)?;
        Self::delete(rows)
    }
}

/// A reset that was asked for here: the same bytes are offered again until it is done. An enrolment that is tried
/// meanwhile has a row of its own, so that the waiting does not begin anew.
#[derive(Clone, Debug)]
pub struct Reset {
    account: Account,
    due: Option<Timestamp>,
}

impl Reset {
    pub(super) const fn new(account: Account, due: Option<Timestamp>) -> Self {
        Self { account, due }
    }

    /// The account as it will be.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// When the server will carry it out, in milliseconds; absent until it has said so.
    #[must_use]
    pub fn due_ms(&self) -> Option<u64> {
        self.due.map(Timestamp::as_millis)
    }

    /// Reads the reset that was asked for, if there is one.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn load(rows: &dyn Rows) -> Result<Option<Self>, RowsError> {
        Ok(read::<Stored>(rows, RESET)?.map(|stored| Self { due: stored.due, account: stored.open() }))
    }

    pub(super) fn save(&self, rows: &mut dyn Rows) -> Result<(), RowsError> {
        rows.put(RESET, 0, &cbor::encode(&Stored { due: self.due, ..Stored::of(&self.account) }))
    }

    /// It was done, or the account has gone.
    pub(super) fn delete(rows: &mut dyn Rows) -> Result<(), RowsError> {
        rows.delete(RESET).map(drop)
    }
}

/// The row.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Stored {
    #[n(0)]
    user: Username,
    #[n(1)]
    host: String,
    #[n(2)]
    port: u16,
    #[n(3)]
    server_key: SecretBytes<32>,
    #[n(4)]
    secret: SecretBytes<32>,
    #[n(5)]
    cert: DeviceCert,
    #[n(6)]
    log: Option<AccountLog>,
    #[n(7)]
    standing: Standing,
    #[n(8)]
    due: Option<Timestamp>,
    #[n(9)]
    next_key: Option<SecretBytes<32>>,
    #[n(10)]
    wait: Option<Wait>,
}

impl Stored {
    fn of(account: &Account) -> Self {
        Self {
            user: account.user.clone(),
            host: account.server.host.clone(),
            port: account.server.port,
            server_key: SecretBytes::new(*account.server.key.as_bytes()),
            secret: account.server.secret.bytes().clone(),
            cert: account.cert.clone(),
            log: account.log.clone(),
            standing: account.standing,
            due: None,
            next_key: account.next_key.map(|key| SecretBytes::new(*key.as_bytes())),
            wait: account.wait.clone(),
        }
    }

    fn open(self) -> Account {
        let server = Server {
            host: self.host,
            port: self.port,
            key: ServerPublicKey::new(*self.server_key.expose()),
            secret: FernetKey::from_bytes(*self.secret.expose()),
        };
        let next_key = self.next_key.map(|key| ServerPublicKey::new(*key.expose()));
        let Self { user, cert, log, standing, wait, .. } = self;
        Account { user, server, cert, log, standing, next_key, wait }
    }
}

fn read<T: for<'b> Decode<'b, ()>>(rows: &dyn Rows, place: Place<'_>) -> Result<Option<T>, RowsError> {
    let Some(bytes) = rows.get(place)? else { return Ok(None) };
    let bytes = zeroize::Zeroizing::new(bytes);
    cbor::decode(&bytes).map(Some).map_err(|_| RowsError::Corrupt("the account's row cannot be read".into()))
}
