//! What is kept of the account: where it lives, which device this is, and what is under way.

use std::sync::Arc;

use chat_engine::rows::account::AccountRow;
pub use chat_engine::rows::account::{Standing, Wait};
use chat_engine::rows::{ACCOUNT, ACCOUNT_RESET, PENDING_ACCOUNT};
use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::handshake::ServerPublicKey;
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::device::{DeviceCert, DeviceKeys};
use chat_protocol::identity::login::Binding;
use chat_protocol::identity::safety_number::approval_digits;
use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::offline_key::OfflineKey;
use chat_protocol::time::Timestamp;

use crate::link::{Heard, LinkSetup, Server, Timing};
use crate::store::{Rows, RowsError, Store};

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
        Ok(ACCOUNT.get(rows)?.map(open))
    }

    /// Writes the account.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn save(&self, rows: &mut dyn Rows) -> Result<(), RowsError> {
        ACCOUNT.put(rows, &row(self))
    }

    /// Removes the account and whatever was under way.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn delete(rows: &mut dyn Rows) -> Result<(), RowsError> {
        ACCOUNT.delete(rows)?;
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
        let (next_key, pin) = (self.next_key, Arc::new(|_, _| true));
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

fn keep_keys(store: &Store, key: ServerPublicKey, next_key: Option<ServerPublicKey>) -> bool {
    let kept = store.transaction(|rows| match Account::load(rows)? {
        Some(mut account) => {
            account.server.key = key;
            account.next_key = next_key;
            account.save(rows)
        }
        None => Ok::<_, RowsError>(()),
    });
    if let Err(error) = &kept {
        tracing::warn!(%error, "the server's change of keys was not kept");
    }
    kept.is_ok()
}

/// An enrolment the server may already know of: the same bytes are offered again until it is settled.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// The account as it will be; its log is the genesis on offer.
    pub(super) account: Account,
}

impl Pending {
    pub(super) fn load(rows: &dyn Rows) -> Result<Option<Self>, RowsError> {
        Ok(PENDING_ACCOUNT.get(rows)?.map(|row| Self { account: open(row) }))
    }

    pub(super) fn save(&self, rows: &mut dyn Rows) -> Result<(), RowsError> {
        PENDING_ACCOUNT.put(rows, &row(&self.account))
    }

    pub(super) fn delete(rows: &mut dyn Rows) -> Result<(), RowsError> {
        PENDING_ACCOUNT.delete(rows).map(drop)
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
        Ok(ACCOUNT_RESET.get(rows)?.map(|row| Self { due: row.due, account: open(row) }))
    }

    pub(super) fn save(&self, rows: &mut dyn Rows) -> Result<(), RowsError> {
        ACCOUNT_RESET.put(rows, &AccountRow { due: self.due, ..row(&self.account) })
    }

    /// It was done, or the account has gone.
    pub(super) fn delete(rows: &mut dyn Rows) -> Result<(), RowsError> {
        ACCOUNT_RESET.delete(rows).map(drop)
    }
}

fn row(account: &Account) -> AccountRow {
    AccountRow {
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
        offline_key: account.server.offline_key.map(|key| SecretBytes::new(*key.as_bytes())),
    }
}

fn open(row: AccountRow) -> Account {
    let server = Server {
        host: row.host,
        port: row.port,
        key: ServerPublicKey::new(*row.server_key.expose()),
        secret: FernetKey::from_bytes(*row.secret.expose()),
        offline_key: row.offline_key.map(|key| OfflineKey::new(*key.expose())),
    };
    let next_key = row.next_key.map(|key| ServerPublicKey::new(*key.expose()));
    let AccountRow { user, cert, log, standing, wait, .. } = row;
    Account { user, server, cert, log, standing, next_key, wait }
}
