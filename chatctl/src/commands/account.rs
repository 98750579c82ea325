//! `register`, `login`, `logout`, `passwd`, `reset`: everything that handles secrets.

use chat_protocol::ids::Username;
use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::types::{
    AccountLogin, AccountLogout, AccountPassword, AccountRegister, AccountReset, AccountResetCancel, AccountStatus,
    Entered, EnteredState, ResetAnswer, ResetProgress,
};
use chat_protocol::rpc::{Kind, RpcError, Secret};

use super::devices;
use super::verify::asked;
use crate::cli::account::{AccountFlags, Logout, Passwd, PasswordFlags, Reset, ServerFlags};
use crate::error::Failure;
use crate::input;
use crate::output::progress::during;
use crate::secrets;
use crate::session::Session;

const INVITE_FLAGS: &str = "--invite-file or --invite-stdin";
const PASSWORD_FLAGS: &str = "--password-file or --password-stdin";

const NO_TERMINAL_FOR_BOTH: &str = "there is no terminal to ask for the passwords: use --password-file with \
                                    --new-password-file, or --password-stdin for two lines of stdin";

/// Whether a password is being chosen: then it is asked for twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Password {
    New,
    Known,
}

/// `chatctl register NAME`
pub(super) async fn register(account: AccountFlags, session: &mut Session) -> Result<(), Failure> {
    // Whether chatd runs is found out before anything is asked.
    let client = session.client().await?;
    let invite = invite(&account.server_flags, true, session)?;
    let password = password(&account.password, Password::New, session)?;
    let ServerFlags { server, server_key, secret_key_file, .. } = account.server_flags;
    let params = AccountRegister {
        invite,
        server,
        server_key,
        secret_key_file: secret_key_file.map(absolute).transpose()?,
        user: account.user,
        password: Some(password),
        password_file: None,
    };
    let answer = during("Making keys and an account", session.out.is_json(), client.call(&params)).await?;
    session.out.answer(&answer, |answer| entered("registered", answer))
}

/// `chatctl login NAME`
pub(super) async fn login(account: AccountFlags, session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let invite = invite(&account.server_flags, !knows_server(&client).await?, session)?;
    let password = password(&account.password, Password::Known, session)?;
    let ServerFlags { server, server_key, secret_key_file, .. } = account.server_flags;
    let params = AccountLogin {
        invite,
        server,
        server_key,
        secret_key_file: secret_key_file.map(absolute).transpose()?,
        user: account.user,
        password: Some(password),
        password_file: None,
    };
    let answer = during("Logging in", session.out.is_json(), client.call(&params)).await?;
    let waits = answer.state == EnteredState::ApprovalRequired;
    if waits && input::has_terminal() && !session.out.is_json() {
        return devices::wait(session).await;
    }
    session.out.answer(&answer, |answer| entered("logged in", answer))?;
    if waits { Err(devices::nobody_to_compare()) } else { Ok(()) }
}

fn entered(done: &str, answer: &Entered) -> Vec<String> {
    match answer.state {
        EnteredState::Ready => {
            let mut lines = vec![format!("{done} as {}", answer.user)];
            lines.extend(answer.fingerprint.map(|fingerprint| format!("fingerprint {fingerprint}")));
            lines
        }
        EnteredState::ApprovalRequired => {
            let mut lines = vec![format!("a device of {} has to let this one in; both must show:", answer.user)];
            lines.extend(answer.digits.iter().flat_map(|digits| devices::grouped(digits)));
            lines
        }
    }
}

/// `chatctl logout`
pub(super) async fn logout(logout: &Logout, session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    if logout.forget_keys && !logout.yes && !agreed_to_forget()? {
        return Err(Failure::Usage("nothing was deleted, and this device is still logged in".to_owned()));
    }
    let answer = client.call(&AccountLogout { forget_keys: logout.forget_keys.then_some(true) }).await?;
    session.out.answer(&answer, |_| vec!["logged out".to_owned()])
}

/// Whether a person says that the keys are to be gone.
fn agreed_to_forget() -> Result<bool, Failure> {
    if !input::has_terminal() {
        let why = "messages that the keys protect are lost with them: say that you mean it with \
                   `chatctl logout --forget-keys --yes`";
        return Err(Failure::Usage(why.to_owned()));
    }
    let question = "The keys of this device will be gone, and with them the messages that they protect.\n\
                    Type yes to delete them: ";
    Ok(asked(question)? == "yes")
}

/// `chatctl passwd`
pub(super) async fn passwd(passwd: &Passwd, session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let pick = |file: Option<&std::path::PathBuf>, what| match file {
        Some(file) => session.secret(file, what).map(Some),
        None if passwd.password_stdin => session.line(what).map(Some),
        None => Ok(None),
    };
    // both are named at once, before anything is asked
    let lacks = |file: &Option<std::path::PathBuf>| file.is_none() && !passwd.password_stdin;
    if (lacks(&passwd.password_file) || lacks(&passwd.new_password_file)) && !input::has_terminal() {
        return Err(Failure::Usage(NO_TERMINAL_FOR_BOTH.to_owned()));
    }
    let old = match pick(passwd.password_file.as_ref(), "old password")? {
        Some(old) => old,
        None => secrets::ask("old password", "--password-file or --password-stdin")?,
    };
    let new = match pick(passwd.new_password_file.as_ref(), "new password")? {
        Some(new) => new,
        None => secrets::ask_password("new password", "--new-password-file or --password-stdin")?,
    };
    let answer = client.call(&AccountPassword { old, new }).await?;
    session.out.answer(&answer, |_| vec!["password changed".to_owned()])
}

/// `chatctl reset NAME`, `chatctl reset --cancel`
pub(super) async fn reset(reset: Reset, session: &mut Session) -> Result<(), Failure> {
    let Some(user) = reset.user else {
        return session.simple(&AccountResetCancel {}, |_| vec!["reset cancelled".to_owned()]).await;
    };
    let client = session.client().await?;
    let confirm = confirmed(&user, reset.confirm)?;
    let invite = invite(&reset.server_flags, !knows_server(&client).await?, session)?;
    let password = password(&reset.password, Password::Known, session)?;
    let ServerFlags { server, server_key, secret_key_file, .. } = reset.server_flags;
    let params = AccountReset {
        invite,
        server,
        server_key,
        secret_key_file: secret_key_file.map(absolute).transpose()?,
        user,
        password: Some(password),
        password_file: None,
        confirm,
    };
    let answer = during("Starting anew", session.out.is_json(), client.call(&params)).await?;
    session.out.answer(&answer, was_reset)?;
    if answer.state == ResetProgress::Waiting { Err(Failure::Waits(answer.at_ms)) } else { Ok(()) }
}

/// What waits is no result yet: it is told as the failure it is to a script.
fn was_reset(answer: &ResetAnswer) -> Vec<String> {
    match answer.state {
        ResetProgress::Done => vec!["the account has a new identity; its peers will be told".to_owned()],
        ResetProgress::Waiting => Vec::new(),
    }
}

/// The name once more, given or typed.
fn confirmed(user: &Username, given: Option<String>) -> Result<String, Failure> {
    let typed = match given {
        Some(name) => name,
        None if input::has_terminal() => {
            rpassword::prompt_password(format!("Devices and unread messages of {user} will be gone. Type the name: "))?
        }
        None => return Err(Failure::Usage(format!("say that you mean it: --confirm {user}"))),
    };
    if typed == user.as_str() {
        Ok(typed)
    } else {
        Err(Failure::Refused(RpcError::invalid("confirm", "that is not the name of the account")))
    }
}

async fn knows_server(client: &Client) -> Result<bool, Failure> {
    match client.call(&AccountStatus {}).await {
        Ok(status) => Ok(status.server.is_some()),
        Err(chat_protocol::rpc::client::CallError::Refused(refusal)) if refusal.kind == Kind::Unauthenticated => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// The invite, from wherever it was said to be; asked for only if `needed`.
fn invite(server_flags: &ServerFlags, needed: bool, session: &Session) -> Result<Option<Secret>, Failure> {
    match &server_flags.invite_file {
        Some(file) => session.secret(file, "invite").map(Some),
        None if server_flags.invite_stdin => session.line("invite").map(Some),
        None if server_flags.server.is_none() && needed => secrets::ask("invite", INVITE_FLAGS).map(Some),
        None => Ok(None),
    }
}

fn password(flags: &PasswordFlags, kind: Password, session: &Session) -> Result<Secret, Failure> {
    match &flags.password_file {
        Some(file) => session.secret(file, "password"),
        None if flags.password_stdin => session.line("password"),
        None if kind == Password::New => secrets::ask_password("password", PASSWORD_FLAGS),
        None => secrets::ask("password", PASSWORD_FLAGS),
    }
}

/// The daemon has another working directory, and another standard input.
fn absolute(path: std::path::PathBuf) -> Result<String, Failure> {
    if secrets::is_standard(&path) {
        let why = "chatd reads the file of --secret-key-file itself: name one, or use an invite";
        return Err(Failure::Usage(why.to_owned()));
    }
    let path = std::path::absolute(path)?;
    path.into_os_string().into_string().map_err(|_| Failure::Usage("the file's name is not UTF-8".to_owned()))
}
