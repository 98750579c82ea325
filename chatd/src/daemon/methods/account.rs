//! The account: entering and leaving it.

use std::path::Path;
use std::time::Duration;

use chat_protocol::message::client::{ChangePassword, Password, ResetCancel};
use chat_protocol::rpc::types::{
    AccountLogin, AccountLogout, AccountPassword, AccountRegister, AccountReset, AccountResetCancel, AccountState,
    AccountStatus, AccountStatusAnswer, ConnectionState, Done, Entered, EnteredState, PasswordFrom, ResetAnswer,
    ResetProgress, ServerAccess,
};
use chat_protocol::rpc::{Handle, Kind, RpcError};
use tokio::sync::oneshot;

use crate::account::{self, Access, Account, AccountError, Entered as Came, Reset, ResetOutcome, Standing};
use crate::api::Answer;
use crate::daemon::{Daemon, LoopMessage, ended, errors};
use crate::dirs;
use crate::engine::{link, requests};

/// A connection that is not there by then is not waited for.
const ONLINE_WITHIN: Duration = Duration::from_secs(5);
/// A password file has one line of at most 71 bytes.
const MAX_PASSWORD_FILE_BYTES: u64 = 1024;

impl Handle<AccountRegister> for Daemon {
    async fn handle(&self, params: AccountRegister) -> Answer<Entered> {
        let _entering = self.entering.lock().await;
        let access = access(params.server_access()?)?
            .ok_or_else(|| RpcError::invalid("invite", "name the server: an invite, or address, key and secret"))?;
        let password = password(&params.password()?)?;
        fit_to_be_set(&password, "password")?;
        let came = account::register(&self.context(), access, params.user, password).await?;
        self.entered(came).await
    }
}

impl Handle<AccountLogin> for Daemon {
    async fn handle(&self, params: AccountLogin) -> Answer<Entered> {
        let _entering = self.entering.lock().await;
        let (access, password) = (access(params.server_access()?)?, password(&params.password()?)?);
        let user = params.user.clone();
        let came = account::login(&self.context(), access, params.user, password).await;
        let came = came.map_err(|error| errors::entering(error, &user))?;
        self.entered(came).await
    }
}

impl Handle<AccountReset> for Daemon {
    async fn handle(&self, params: AccountReset) -> Answer<ResetAnswer> {
        let _entering = self.entering.lock().await;
        if params.confirm != params.user.as_str() {
            return Err(RpcError::invalid("confirm", "repeat the account's name"));
        }
        let (access, password) = (access(params.server_access()?)?, password(&params.password()?)?);
        let outcome = account::reset(&self.context(), access, params.user, password).await?;
        match outcome {
            ResetOutcome::Done { .. } => {
                self.work_for_account().await?;
                Ok(ResetAnswer { state: ResetProgress::Done, at_ms: None })
            }
            ResetOutcome::Waiting(at) => Ok(ResetAnswer { state: ResetProgress::Waiting, at_ms: Some(at.as_millis()) }),
        }
    }
}

/// Takes a device that is in the account.
impl Handle<AccountResetCancel> for Daemon {
    async fn handle(&self, AccountResetCancel {}: AccountResetCancel) -> Answer<Done> {
        let (account, asked) = self
            .rows(|rows| Ok((Account::load(rows)?, Reset::load(rows)?.map(|reset| reset.account().user.clone()))))
            .await?;
        match (account, asked) {
            (Some(account), _) if account.standing == Standing::Active => {
                self.ask(&ResetCancel {}).await.map(|_| Done {})
            }
            (Some(Account { user, standing: Standing::Waiting | Standing::Lapsed, .. }), _) | (_, Some(user)) => {
                Err(errors::cannot_cancel(&user))
            }
            (account, None) => Err(errors::idle(account.as_ref())),
        }
    }
}

impl Handle<AccountPassword> for Daemon {
    async fn handle(&self, params: AccountPassword) -> Answer<Done> {
        let (old, new) = (checked(params.old.expose(), "old")?, checked(params.new.expose(), "new")?);
        fit_to_be_set(&new, "new")?;
        // over the connection there is, or will be at once: the server ends one when the device logs in on another
        if !self.is_online_soon().await? {
            account::change_password(&self.context(), old, new).await?;
            return Ok(Done {});
        }
        match self.ask(&ChangePassword { old, new }).await {
            Err(error) if error.kind == Kind::BadCredentials => Err(AccountError::BadCredentials.into()),
            answer => answer.map(|_| Done {}),
        }
    }
}

impl Daemon {
    /// Whether there is a connection, after waiting for one that is being made.
    async fn is_online_soon(&self) -> Answer<bool> {
        let account = self.context().account().map_err(AccountError::from)?;
        // one that was only just entered has no connection under way yet, and is about to
        let active = account.is_some_and(|account| account.standing == Standing::Active);
        let mut newest = self.newest.clone();
        let settled = async {
            loop {
                // before the state is read, so that no change of it is missed
                newest.borrow_and_update();
                match self.connection().state {
                    ConnectionState::Online => return true,
                    ConnectionState::Connecting | ConnectionState::Offline => {}
                    ConnectionState::Idle if active => {}
                    _ => return false,
                }
                if newest.changed().await.is_err() {
                    return false;
                }
            }
        };
        if self.connection().state == ConnectionState::Offline {
            self.tell_loop(LoopMessage::Kick).await?;
        }
        Ok(tokio::time::timeout(ONLINE_WITHIN, settled).await.unwrap_or(false))
    }
}

impl Handle<AccountLogout> for Daemon {
    async fn handle(&self, params: AccountLogout) -> Answer<Done> {
        let _entering = self.entering.lock().await;
        let (done, left) = oneshot::channel();
        self.waiting.stop();
        self.tell_loop(LoopMessage::Leave(done)).await?;
        left.await.map_err(|_| ended())?;
        account::leave(&self.context(), params.forget_keys.unwrap_or(false))?;
        Ok(Done {})
    }
}

impl Handle<AccountStatus> for Daemon {
    async fn handle(&self, AccountStatus {}: AccountStatus) -> Answer<AccountStatusAnswer> {
        let connection = self.connection().state;
        self.read(move |rows| {
            let account = Account::load(rows).map_err(|error| errors::rows(&error))?;
            let reset = Reset::load(rows).map_err(|error| errors::rows(&error))?;
            let own_reset_at_ms = reset.as_ref().and_then(Reset::due_ms);
            let Some(account) = account else { return Ok(reset.map_or_else(nobody, |reset| resets(&reset))) };
            let state = match (account.standing, connection) {
                (Standing::Active, ConnectionState::AuthFailed) => AccountState::Refused,
                (Standing::Active, _) => AccountState::Ready,
                (Standing::Waiting, _) => AccountState::ApprovalRequired,
                (Standing::LoggedOut, _) => AccountState::LoggedOut,
                (Standing::Lapsed, _) => AccountState::Refused,
                (Standing::Revoked, _) => AccountState::Revoked,
            };
            Ok(AccountStatusAnswer {
                state,
                server: Some(format!("{}:{}", account.server.host, account.server.port)),
                device_id: Some(account.device()),
                fingerprint: account.log.as_ref().map(|log| log.fingerprint()),
                digits: account.digits(),
                confirmed: account.wait.as_ref().map(|wait| wait.acceptance.is_some()),
                user: Some(account.user),
                reset_at_ms: link::reset_at(rows).map_err(|error| errors::rows(&error))?,
                own_reset_at_ms,
                requests: requests::list(rows).map_err(|error| errors::rows(&error))?.len() as u64,
            })
        })
        .await
    }
}

impl Daemon {
    async fn entered(&self, came: Came) -> Answer<Entered> {
        self.work_for_account().await?;
        let context = self.context();
        let account = context.account().map_err(AccountError::from)?.ok_or_else(|| errors::idle(None))?;
        let (state, device_id, fingerprint) = match came {
            Came::Ready { device, fingerprint } => (EnteredState::Ready, device, Some(fingerprint)),
            Came::ApprovalRequired { device } => {
                self.wait_to_be_let_in();
                (EnteredState::ApprovalRequired, device, None)
            }
        };
        Ok(Entered { state, digits: account.digits(), user: account.user, device_id, fingerprint })
    }
}

const fn nobody() -> AccountStatusAnswer {
    AccountStatusAnswer {
        state: AccountState::None,
        user: None,
        server: None,
        device_id: None,
        fingerprint: None,
        reset_at_ms: None,
        own_reset_at_ms: None,
        digits: None,
        confirmed: None,
        requests: 0,
    }
}

/// There is no account here, and will be one once its reset was waited for.
fn resets(reset: &Reset) -> AccountStatusAnswer {
    let Account { user, server, .. } = reset.account();
    AccountStatusAnswer {
        state: AccountState::Unfinished,
        user: Some(user.clone()),
        server: Some(server.to_string()),
        own_reset_at_ms: reset.due_ms(),
        ..nobody()
    }
}

fn access(server: Option<ServerAccess>) -> Answer<Option<Access>> {
    let read = match server {
        None => return Ok(None),
        Some(ServerAccess::Invite(invite)) => Access::from_invite(invite.expose()),
        Some(ServerAccess::Parts { server, server_key, secret_key_file }) => {
            Access::from_parts(&server, &server_key, Path::new(&secret_key_file))
        }
    };
    Ok(Some(read.map_err(AccountError::from)?))
}

fn password(from: &PasswordFrom) -> Answer<Password> {
    match from {
        PasswordFrom::Given(secret) => checked(secret.expose(), "password"),
        PasswordFrom::File(path) => {
            let bytes = dirs::read_named(Path::new(path), MAX_PASSWORD_FILE_BYTES)
                .map_err(|error| RpcError::invalid("password_file", error.to_string()))?;
            let text = std::str::from_utf8(&bytes).map_err(|_| RpcError::invalid("password_file", "not UTF-8"))?;
            checked(text.lines().next().unwrap_or_default(), "password_file")
        }
    }
}

/// The server would refuse it without saying why.
fn fit_to_be_set(password: &Password, path: &str) -> Answer<()> {
    password.check_new().map_err(|error| RpcError::invalid(path, error.to_string()))
}

fn checked(text: &str, path: &str) -> Answer<Password> {
    Password::new(text.to_owned()).map_err(|error| RpcError::invalid(path, error.to_string()))
}
