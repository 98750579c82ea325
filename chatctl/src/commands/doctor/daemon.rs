//! What the daemon says about itself.

use std::path::Path;

use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::paths::Paths;
use chat_protocol::rpc::types::{
    AccountStatus, AccountStatusAnswer, ConnectionState, DaemonHealth, DaemonInfo, DaemonInfoAnswer, Health,
};

use super::Finding;
use crate::error::Failure;
use crate::output::{self, word};

/// A consumer this far behind probably reads no more.
const LAGGING: u64 = 10_000;
/// Messages that wait this numerous are worth a look while there is a connection.
const STUCK: u64 = 1_000;
/// How the system writes the name of a program that was replaced on disk.
const REPLACED: &str = " (deleted)";

pub(super) async fn info(client: &Client) -> Result<DaemonInfoAnswer, Failure> {
    Ok(client.call(&DaemonInfo {}).await?)
}

/// `by_profile`: the daemon was looked for by its profile, and not by a place that was named.
pub(super) async fn examine(
    client: &Client,
    info: &DaemonInfoAnswer,
    paths: &Paths,
    by_profile: bool,
) -> Result<Vec<Finding>, Failure> {
    let health = client.call(&DaemonHealth {}).await?;
    let account = client.call(&AccountStatus {}).await?;
    let mut findings = vec![running(info), version(info)];
    findings.extend(replaced(info));
    findings.extend(profile(info, paths).filter(|_| by_profile));
    findings.push(connection(&health, &account));
    findings.extend(account.reset_at_ms.map(|at| {
        let what = format!("somebody asked to reset this account, which happens at {}", output::time(at));
        Finding::bad(what, "chatctl reset --cancel")
    }));
    findings.push(outbox(&health));
    findings.extend(health.consumers.iter().filter(|consumer| consumer.lag > LAGGING).map(|consumer| {
        let what = format!("the consumer {} is {} events behind, which are kept for it", consumer.name, consumer.lag);
        Finding::bad(what, format!("start its bot again, or: chatctl consumers forget {}", consumer.name))
    }));
    Ok(findings)
}

fn running(info: &DaemonInfoAnswer) -> Finding {
    Finding::good(format!("chatd {} runs as process {}, profile {}", info.version, info.pid, info.profile))
}

fn version(info: &DaemonInfoAnswer) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    if info.version == own {
        return Finding::good("chatd and chatctl have the same version");
    }
    let what = format!("chatctl is {own}, chatd is {}", info.version);
    Finding::bad(what, "install the same version of both, then: systemctl --user restart chatd")
}

/// After an upgrade the old program runs on until it is started again.
fn replaced(info: &DaemonInfoAnswer) -> Option<Finding> {
    let program = std::fs::read_link(Path::new("/proc").join(info.pid.to_string()).join("exe")).ok()?;
    let name = program.to_str()?.strip_suffix(REPLACED)?;
    let what = format!("{name} was replaced, and the former one still runs as process {}", info.pid);
    Some(Finding::bad(what, "systemctl --user restart chatd, or: chatctl rpc daemon.shutdown, then start it again"))
}

fn profile(info: &DaemonInfoAnswer, paths: &Paths) -> Option<Finding> {
    if info.profile == paths.profile {
        return None;
    }
    let what = format!("the chatd on {} is of profile {}, not {}", paths.socket.display(), info.profile, paths.profile);
    Some(Finding::bad(what, format!("kill {}, then: chatd --profile {}", info.pid, paths.profile)))
}

fn connection(health: &Health, account: &AccountStatusAnswer) -> Finding {
    let connection = &health.connection;
    let server = connection.server.as_deref().unwrap_or("the server");
    let reason = connection.reason.as_deref().unwrap_or("no reason is known");
    match (&account.user, connection.state) {
        _ if health.store.locked => Finding::bad("the store waits for its passphrase", "chatd --passphrase"),
        (None, _) => Finding::bad("there is no account yet", "chatctl register NAME, or chatctl login NAME"),
        (Some(user), ConnectionState::Online) if health.ready => {
            Finding::good(format!("{user} is connected to {server}"))
        }
        (Some(user), ConnectionState::Online) => {
            let reason = health.reason.as_deref().unwrap_or(reason);
            let what = format!("{user} is connected to {server}, but chatd is not ready: {reason}");
            Finding::bad(what, "chatctl service logs, or what chatd wrote to its standard error")
        }
        (Some(user), ConnectionState::AuthFailed) => {
            Finding::bad(format!("the server refuses {user}: {reason}"), format!("chatctl login {user}"))
        }
        (Some(_), state) => {
            let what = format!("{} to {server}: {reason}", word(&state));
            Finding::bad(what, "see that the server runs and can be reached; chatd keeps trying by itself")
        }
    }
}

fn outbox(health: &Health) -> Finding {
    let queued = health.outbox.queued;
    if queued > STUCK && health.connection.state == ConnectionState::Online {
        return Finding::bad(format!("{queued} messages wait to be sent"), "chatctl rpc chat.list");
    }
    Finding::good(format!("{queued} messages wait to be sent"))
}
