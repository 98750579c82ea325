//! Brings the daemon into an account: register, log in, reset, change the password, leave.
//!
//! Each is a talk of questions and answers over a connection of its own. Whatever the server is about to know was
//! committed before it is asked: after a crash anywhere, doing the same again offers the same
//! bytes and finishes the job. Passwords are handed through and never kept.
//!
//! ```text
//!  nothing ──commit──▶ Pending ──the server takes it──▶ Account (Active, or Waiting for approval)
//!                         ╰──the server refuses it──▶ nothing
//! ```

mod access;
mod enrolment;
mod error;
mod record;
pub mod waiting;

use std::path::PathBuf;
use std::sync::Arc;

use chat_protocol::identity::device::{DeviceCert, DeviceKeys};
use chat_protocol::identity::login::Binding;
use chat_protocol::ids::{DeviceId, Fingerprint, Username};
use chat_protocol::message::Blob;
use chat_protocol::message::client::{ChangePassword, Login, Password};
use chat_protocol::message::server::LoggedIn;
use chat_protocol::time::Timestamp;

pub use self::access::{Access, AccessError};
use self::enrolment::Enrolment;
pub use self::error::AccountError;
pub use self::record::{Account, Reset, Standing, Wait, keep_server_keys, note_revoked};
use crate::dirs::DataDir;
use crate::keys::{KeyError, KeyRing};
use crate::link::{CallError, Connection, Timing};
use crate::store::{RowsError, SealedRows, Store};

/// What entering an account needs of the daemon.
#[derive(Clone, Debug)]
pub struct AccountContext {
    /// Where rows are kept.
    pub store: Arc<Store>,
    /// Where the PEM files are.
    pub dir: DataDir,
    /// A private key of the first application to take over, for an account that has none here yet.
    pub import_key: Option<PathBuf>,
    /// How patient to be.
    pub timing: Timing,
}

/// Where an enrolment led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entered {
    /// The device is active; the account is kept and a link may be started.
    Ready {
        /// This device.
        device: DeviceId,
        /// The account's identity.
        fingerprint: Fingerprint,
    },
    /// Another device of the account has to approve this one, see [`waiting`].
    ApprovalRequired {
        /// This device.
        device: DeviceId,
    },
}

/// What became of a reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResetOutcome {
    /// The new identity stands; everything about the old one's sessions is void.
    Done {
        /// This device.
        device: DeviceId,
        /// The new identity.
        fingerprint: Fingerprint,
    },
    /// The account's devices were told and may cancel it: ask again, the same way, after this time.
    Waiting(Timestamp),
}

/// Makes an account and this daemon its first device.
///
/// # Errors
/// [`AccountError`].
pub async fn register(
    context: &AccountContext,
    access: Access,
    user: Username,
    password: Password,
) -> Result<Entered, AccountError> {
    Enrolment::open(context, access, user, password).await?.register().await
}

/// Makes this daemon a device of an account that exists. Without `access`, the way it went before.
///
/// A device that the server knows already proves itself by its key, so that logging in again after a
/// logout asks for no approval; but for the password all the same.
///
/// # Errors
/// [`AccountError`].
pub async fn login(
    context: &AccountContext,
    access: Option<Access>,
    user: Username,
    password: Password,
) -> Result<Entered, AccountError> {
    let access = known_way(context, access)?;
    Enrolment::open(context, access, user, password).await?.login().await
}

/// Begins the account's identity anew. Until it is done, an account that is already here stays as it is.
///
/// # Errors
/// [`AccountError`].
pub async fn reset(
    context: &AccountContext,
    access: Option<Access>,
    user: Username,
    password: Password,
) -> Result<ResetOutcome, AccountError> {
    let access = known_way(context, access)?;
    enrolment::reset(context, access, user, password).await
}

/// Changes the password at the server, over a connection of its own.
///
/// # Errors
/// [`AccountError::BadCredentials`] for a wrong old password, and the rest.
pub async fn change_password(context: &AccountContext, old: Password, new: Password) -> Result<(), AccountError> {
    let account = context.account()?.ok_or(AccountError::NoAccount)?;
    let keys = context.keys_of(&account).await?;
    let mut connection = Connection::dial(&account.server, &context.timing).await?;
    log_in(&mut connection, &keys, &account.cert).await?;
    connection.call(&ChangePassword { old, new }).await?;
    connection.close().await;
    Ok(())
}

/// Leaves the account: stays away from the server, or with `forget_keys` gives up being its device for good.
///
/// Stop the link first. History stays until the data directory is deleted.
///
/// # Errors
/// [`AccountError`].
pub fn leave(context: &AccountContext, forget_keys: bool) -> Result<(), AccountError> {
    let account = context.account()?.ok_or(AccountError::NoAccount)?;
    if !forget_keys {
        let account = Account { standing: Standing::LoggedOut, ..account };
        return context.commit(|rows| account.save(rows));
    }
    context.commit(|rows| Account::delete(rows))?;
    Ok(KeyRing::new(&context.store, &context.dir, &account.user).forget()?)
}

impl AccountContext {
    /// The account that is kept, if any.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn account(&self) -> Result<Option<Account>, RowsError> {
        self.store.read(|rows| Account::load(rows))
    }

    /// The keys of the kept account. Parsing takes milliseconds and is done off the runtime.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn keys_of(&self, account: &Account) -> Result<DeviceKeys, AccountError> {
        let (user, cert) = (account.user.clone(), account.cert.clone());
        self.with_ring(user, move |ring| ring.of(&cert)).await
    }

    async fn make_keys(&self, user: &Username) -> Result<DeviceKeys, AccountError> {
        let import = self.import_key.clone();
        self.with_ring(user.clone(), move |ring| ring.ready(import.as_deref())).await
    }

    async fn with_ring<T: Send + 'static>(
        &self,
        user: Username,
        work: impl FnOnce(&KeyRing<'_>) -> Result<T, KeyError> + Send + 'static,
    ) -> Result<T, AccountError> {
        let (store, dir) = (Arc::clone(&self.store), self.dir.clone());
        let done = tokio::task::spawn_blocking(move || work(&KeyRing::new(&store, &dir, &user))).await;
        Ok(done.map_err(|_| AccountError::Stopped)??)
    }

    fn commit<T>(&self, work: impl FnOnce(&mut SealedRows<'_>) -> Result<T, RowsError>) -> Result<T, AccountError> {
        Ok(self.store.transaction(work)?)
    }
}

/// Where an enrolment without directions goes: where the account lives that is here, or that is waited for.
fn known_way(context: &AccountContext, access: Option<Access>) -> Result<Access, AccountError> {
    match access {
        Some(access) => Ok(access),
        None => {
            let reset =
                || context.commit(|rows| Reset::load(rows)).map(|reset| reset.map(|reset| reset.account().clone()));
            let account = context.account()?.map_or_else(reset, |account| Ok(Some(account)))?;
            Ok(Access { server: account.ok_or(AccountError::NoAccount)?.server, token: None })
        }
    }
}

/// Logs a device in.
async fn log_in(connection: &mut Connection, keys: &DeviceKeys, cert: &DeviceCert) -> Result<LoggedIn, CallError> {
    log_in_with(connection, keys, cert, None).await
}

/// The same, with what a device that waits has signed.
async fn log_in_with(
    connection: &mut Connection,
    keys: &DeviceKeys,
    cert: &DeviceCert,
    acceptance: Option<Blob>,
) -> Result<LoggedIn, CallError> {
    let signature = binding(connection).sign_login(&keys.signing, cert, &mut rand::rng()).into();
    connection.call(&Login { user: cert.user().clone(), device: cert.id(), signature, acceptance }).await
}

const fn binding(connection: &Connection) -> Binding {
    Binding { channel: connection.channel_binding, server_key: *connection.server_key.as_bytes() }
}
