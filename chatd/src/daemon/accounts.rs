//! What the loop needs to work for an account.

use std::sync::Arc;

use chat_protocol::crypto::rsa::DecryptionKey;
use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::identity::device::DeviceKeys;
use chat_protocol::rpc::RpcError;
use chat_protocol::session::init::{Init, Share, open_share};
use tokio::sync::{mpsc, oneshot};

use super::{Daemon, LoopMessage, Setup, ended, errors};
use crate::account::{self, Account, AccountContext, AccountError, Standing};
use crate::api::Answer;
use crate::engine::{Local, peers};
use crate::keys::KeyRing;
use crate::link::LinkSetup;
use crate::store::Store;

/// INITs whose share is to be opened, by job.
pub(super) type Jobs = mpsc::Sender<(u64, Arc<Init>)>;
/// Opened shares, by job.
pub(super) type Shares = mpsc::Receiver<(u64, Share)>;

/// What the loop needs to work for an account.
pub(super) struct Entry {
    pub(super) local: Local,
    pub(super) link: LinkSetup,
    pub(super) server: String,
    decryption: DecryptionKey,
    rejection: SecretBytes<32>,
}

impl Entry {
    /// `None` while the account has no link: logged out, or waiting without a log that may be believed.
    fn of(setup: &Setup, store: &Arc<Store>, account: &Account, keys: DeviceKeys) -> Option<Self> {
        let log = account.log.clone().filter(|_| account.standing == Standing::Active)?;
        Some(Self {
            link: account::keep_server_keys(account.link_setup(&keys, setup.timing), store),
            server: format!("{}:{}", account.server.host, account.server.port),
            decryption: keys.decryption.clone(),
            rejection: store.rejection_key(),
            local: Local {
                user: account.user.clone(),
                device: account.device(),
                cert: account.cert.clone(),
                keys,
                log,
            },
        })
    }

    /// Starts the task that opens RSA shares, one at a time and off the runtime. It ends with its queue.
    pub(super) fn spawn_opener(&self, room: usize) -> (Jobs, Shares) {
        let (jobs, mut waiting) = mpsc::channel::<(u64, Arc<Init>)>(room);
        let (done, shares) = mpsc::channel(room);
        let (key, rejection) = (self.decryption.clone(), self.rejection.clone());
        tokio::spawn(async move {
            while let Some((job, init)) = waiting.recv().await {
                let (key, rejection) = (key.clone(), rejection.clone());
                let opened =
                    tokio::task::spawn_blocking(move || open_share(&init, &key, &rejection, &mut rand::rng())).await;
                let Ok(share) = opened else { break };
                if done.send((job, share)).await.is_err() {
                    break;
                }
            }
        });
        (jobs, shares)
    }
}

/// The account kept in the store, ready to be worked for.
pub(super) fn stored(setup: &Setup, store: &Arc<Store>) -> Result<Option<Entry>, RpcError> {
    let account = store.read(|rows| Account::load(rows)).map_err(|error| errors::rows(&error))?;
    let Some(account) = account.filter(|account| account.standing == Standing::Active) else { return Ok(None) };
    let keys = KeyRing::new(store, &setup.dir, &account.user)
        .of(&account.cert)
        .map_err(|error| RpcError::from(AccountError::from(error)))?;
    Ok(Entry::of(setup, store, &account, keys))
}

/// How the account kept in the store stands.
pub(super) fn standing(store: &Store) -> Result<Option<Standing>, RpcError> {
    let account = store.read(|rows| Account::load(rows)).map_err(|error| errors::rows(&error))?;
    Ok(account.map(|account| account.standing))
}

impl Daemon {
    /// Why there is no account to do anything for.
    pub(super) fn nobody(&self) -> RpcError {
        errors::idle(self.context().account().ok().flatten().as_ref())
    }

    pub(super) fn context(&self) -> AccountContext {
        AccountContext {
            store: Arc::clone(&self.store),
            dir: self.setup.dir.clone(),
            import_key: self.setup.import_key.clone(),
            timing: self.setup.timing,
        }
    }

    /// Has the loop work for the account that is now kept.
    pub(super) async fn work_for_account(&self) -> Answer<()> {
        let context = self.context();
        let account = context.account().map_err(AccountError::from)?.ok_or_else(|| errors::idle(None))?;
        let keys = context.keys_of(&account).await?;
        self.store
            .transaction(|rows| peers::entered(rows, &account.user, account.log.as_ref()))
            .map_err(|error| errors::rows(&error))?;
        let Some(entry) = Entry::of(&self.setup, &self.store, &account, keys) else { return Ok(()) };
        let (done, taken) = oneshot::channel();
        self.tell_loop(LoopMessage::Enter(Box::new(entry), done)).await?;
        taken.await.map_err(|_| ended())
    }
}
