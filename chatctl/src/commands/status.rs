//! `status`: the account, and how the daemon is doing.

use chat_protocol::rpc::types::{
    AccountState, AccountStatus, AccountStatusAnswer, Connection, ConnectionState, DaemonHealth, Health, OutboxHealth,
};
use serde::Serialize;

use super::outbox::{self, Unasked};
use crate::error::Failure;
use crate::output::style::Look;
use crate::output::table::{Cell, Table};
use crate::output::text::{escape, time, word};
use crate::session::Session;

/// Both answers in one object.
#[derive(Serialize)]
struct Status {
    account: AccountStatusAnswer,
    health: Health,
}

/// `chatctl status`
pub(super) async fn run(session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let status =
        Status { account: client.call(&AccountStatus {}).await?, health: client.call(&DaemonHealth {}).await? };
    session.out.table(&status, lines, table)?;
    if status.health.outbox.queued > 0 && status.account.user.is_some() {
        match outbox::held_now(&client).await {
            Ok(held) => {
                held.iter().for_each(|held| session.out.talk(&format!("{}; see `{}`", held.what(), held.fix())))
            }
            Err(unasked) => session.out.talk(&format!("{}; see `{}`", unasked.what, Unasked::FIX)),
        }
    }
    next(&status.account).into_iter().for_each(|line| session.out.talk(&line));
    Ok(())
}

/// What brings an account that is not ready further.
fn next(account: &AccountStatusAnswer) -> Option<String> {
    let user = account.user.as_ref().map_or("NAME", |user| user.as_str());
    let said = match account.state {
        AccountState::Ready => return None,
        AccountState::None => {
            "there is no account yet: make one with `chatctl register NAME`, or log in with `chatctl login NAME`"
                .to_owned()
        }
        AccountState::Unfinished => format!("the reset is finished by `chatctl reset {user}` once its time has come"),
        AccountState::ApprovalRequired => format!(
            "another device of the account has to let this one in: `chatctl device approve` on both; if none is left, \
             `chatctl reset {user}` begins the account anew"
        ),
        AccountState::LoggedOut => format!("log in again with `chatctl login {user}`"),
        AccountState::Refused => format!(
            "the server does not let this device in: try `chatctl login {user}`; if no other device of the account is \
             left, `chatctl reset {user}` begins it anew"
        ),
        AccountState::Revoked => {
            format!("to be a new device: `chatctl logout --forget-keys --yes`, then `chatctl login {user}`")
        }
    };
    Some(said)
}

fn lines(status: &Status) -> Vec<String> {
    rows(status).iter().map(|(name, value)| format!("{name:<12} {value}")).collect()
}

/// The same on a terminal, where what matters has its colour.
fn table(status: &Status) -> Table {
    let look = |name: &str| match (name, status.health.connection.state, status.health.outbox.failed) {
        ("connection", ConnectionState::Online, _) => Some(Look::Good),
        ("connection", ConnectionState::AuthFailed, _) | ("reset", ..) => Some(Look::Bad),
        ("connection" | "requests", ..) => Some(Look::Warn),
        ("outbox", _, failed) if failed > 0 => Some(Look::Warn),
        _ => None,
    };
    Table::new(&[]).rows(rows(status), |(name, value)| {
        vec![
            Cell::new(Look::Faint, name),
            look(name).map_or_else(|| value.as_str().into(), |look| Cell::new(look, &value)),
        ]
    })
}

fn rows(status: &Status) -> Vec<(&'static str, String)> {
    let Status { account, health } = status;
    let mut rows = vec![("account", who(account))];
    rows.extend(account.fingerprint.map(|fingerprint| ("fingerprint", fingerprint.to_string())));
    rows.push(("connection", connection(&health.connection)));
    rows.push(("outbox", queue(&health.outbox)));
    rows.extend(waiting(account.requests).map(|said| ("requests", said)));
    rows.extend(account.reset_at_ms.map(|at| ("reset", format!("at {}; `chatctl reset --cancel` stops it", time(at)))));
    rows.extend(account.own_reset_at_ms.map(|at| ("own reset", format!("asked for here, waits until {}", time(at)))));
    rows
}

/// What waits and what failed, and where to see it.
fn queue(outbox: &OutboxHealth) -> String {
    match outbox {
        OutboxHealth { queued: 0, failed: 0 } => "nothing waits".to_owned(),
        OutboxHealth { queued, failed: 0 } => format!("{queued} waiting: see `chatctl outbox`"),
        OutboxHealth { queued, failed } => format!("{queued} waiting, {failed} failed: see `chatctl outbox`"),
    }
}

/// Who waits to be heard, and where to see it.
fn waiting(requests: u64) -> Option<String> {
    let said = match requests {
        0 => return None,
        1 => "1 user waits".to_owned(),
        more => format!("{more} users wait"),
    };
    Some(format!("{said} to be heard: see `chatctl requests`"))
}

fn who(account: &AccountStatusAnswer) -> String {
    match &account.user {
        Some(user) => format!("{user} ({})", word(&account.state)),
        None => word(&account.state),
    }
}

fn connection(connection: &Connection) -> String {
    let mut text = word(&connection.state);
    for (before, value) in [(" to ", &connection.server), (": ", &connection.reason)] {
        if let Some(value) = value {
            text.push_str(before);
            text.push_str(&escape(value));
        }
    }
    format!("{text} since {}", time(connection.since_ms))
}
