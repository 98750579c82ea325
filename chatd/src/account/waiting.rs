//! A device that waits to be let into its account: what its user said, and whether it is in by now.
//!
//! ```text
//! Waiting ──the user compared the digits──▶ Waiting, accepted ──the account's log lists it──▶ Active
//!    ╰── nobody let it in for a day ──▶ Lapsed
//! ```
//! The server names the account's fingerprint; the digits made of it and of this device are all the user compares.
//! Only then is anything signed, and only a log with that fingerprint is taken: a server can fool neither side.

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::ids::Fingerprint;
use chat_protocol::limits::MAX_LOG_ENTRIES;
use chat_protocol::message::Blob;
use chat_protocol::message::client::LogFetch;
use chat_protocol::message::server::Code;

use super::{Account, AccountContext, AccountError, Standing, Wait, log_in_with};
use crate::link::{CallError, Connection};

/// What a look at the server showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// It still waits.
    Waits,
    /// It is in; the account is kept, and a link may be started.
    In,
    /// The wait is over: see the account's standing.
    Over,
}

/// The user says that the account's device shows these digits too; spaces do not count.
///
/// # Errors
/// [`AccountError::NotWaiting`]; [`AccountError::Digits`], and nothing happens.
pub async fn confirm(context: &AccountContext, digits: &str) -> Result<(), AccountError> {
    let account = context.account()?.ok_or(AccountError::NoAccount)?;
    let (Some(shown), Some(wait)) = (account.digits(), account.wait.clone()) else {
        return Err(AccountError::NotWaiting);
    };
    if digits.split_whitespace().collect::<String>() != shown {
        return Err(AccountError::Digits);
    }
    if wait.acceptance.is_some() {
        return Ok(());
    }
    let keys = context.keys_of(&account).await?;
    let acceptance = Blob(keys.accept(&wait.fingerprint, &account.cert, &mut rand::rng()));
    let wait = Some(Wait { acceptance: Some(acceptance), ..wait });
    context.commit(|rows| Account { wait, ..account }.save(rows))
}

/// Logs in once to see whether the device is in by now.
///
/// # Errors
/// [`AccountError`]; it waits on then.
pub async fn look(context: &AccountContext) -> Result<Looked, AccountError> {
    let account = context.account()?.filter(|account| account.standing == Standing::Waiting);
    let Some(account) = account else { return Ok(Looked::Over) };
    let keys = context.keys_of(&account).await?;
    let acceptance = account.wait.as_ref().and_then(|wait| wait.acceptance.clone());
    let mut connection = Connection::dial(&account.server, &context.timing).await?;
    let over = match log_in_with(&mut connection, &keys, &account.cert, acceptance).await {
        Ok(_) => return enter(context, account, connection).await,
        Err(CallError::Refused(refusal)) if refusal.code == Code::ApprovalRequired => return Ok(Looked::Waits),
        Err(CallError::Refused(refusal)) if refusal.code == Code::Denied => Standing::Lapsed,
        Err(CallError::Refused(refusal)) if refusal.code == Code::Revoked => Standing::Revoked,
        Err(error) => return Err(error.into()),
    };
    context.commit(|rows| Account { standing: over, ..account }.save(rows))?;
    Ok(Looked::Over)
}

/// The server calls the device active: that is true if the log says so which the user accepted.
async fn enter(context: &AccountContext, account: Account, mut connection: Connection) -> Result<Looked, AccountError> {
    let accepted = account.wait.as_ref().filter(|wait| wait.acceptance.is_some()).map(|wait| wait.fingerprint);
    let Some(accepted) = accepted else { return Ok(Looked::Waits) };
    let log = fetch(&mut connection, &account).await?;
    let log = log.filter(|log| is_ours(log, accepted, &account)).ok_or(AccountError::AnotherLog)?;
    connection.close().await;
    context.commit(|rows| Account { standing: Standing::Active, log: Some(log), wait: None, ..account }.save(rows))?;
    Ok(Looked::In)
}

fn is_ours(log: &AccountLog, accepted: Fingerprint, account: &Account) -> bool {
    log.fingerprint() == accepted && log.active(&account.device()) == Some(&account.cert)
}

/// The whole log, if it is valid.
async fn fetch(connection: &mut Connection, account: &Account) -> Result<Option<AccountLog>, AccountError> {
    let mut entries: Vec<Vec<u8>> = Vec::new();
    loop {
        let from = entries.len() as u64;
        let page = connection.call(&LogFetch { user: account.user.clone(), from }).await?;
        let last = page.entries.is_empty() || from + page.entries.len() as u64 > page.head.seq;
        entries.extend(page.entries.into_iter().map(|entry| entry.0));
        if last || entries.len() > MAX_LOG_ENTRIES {
            return Ok(AccountLog::verify(&account.user, &entries).ok());
        }
    }
}
