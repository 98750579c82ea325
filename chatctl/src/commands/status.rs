//! `status`: the account, and how the daemon is doing.

use chat_protocol::rpc::types::{
    AccountState, AccountStatus, AccountStatusAnswer, Connection, ConnectionState, DaemonHealth, Health,
};
use serde::Serialize;

use crate::Session;
use crate::error::Failure;
use crate::output::style::Look;
use crate::output::table::{Cell, Table};
use crate::output::{escape, time, word};

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
    if status.account.state == AccountState::None {
        session.out.talk("there is no account yet: make one with `chatctl register NAME`");
    }
    Ok(())
}

fn lines(status: &Status) -> Vec<String> {
    rows(status).iter().map(|(name, value)| format!("{name:<12} {value}")).collect()
}

/// The same on a terminal, where what matters has its colour.
fn table(status: &Status) -> Table {
    let look = |name: &str| match (name, status.health.connection.state, status.health.outbox.failed) {
        ("connection", ConnectionState::Online, _) => Some(Look::Good),
        ("connection", ConnectionState::AuthFailed, _) | ("reset", ..) => Some(Look::Bad),
        ("connection", ..) => Some(Look::Warn),
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
    rows.push(("outbox", format!("{} queued, {} failed", health.outbox.queued, health.outbox.failed)));
    rows.extend(account.reset_at_ms.map(|at| ("reset", format!("at {}; `chatctl reset --cancel` stops it", time(at)))));
    rows
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
