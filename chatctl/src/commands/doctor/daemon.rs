//! What the daemon says about itself.

use std::path::Path;

use chat_protocol::ids::Username;
use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::paths::Paths;
use chat_protocol::rpc::types::{
    AccountState, AccountStatus, AccountStatusAnswer, ConnectionState, ConnectionTrouble, DaemonHealth, DaemonInfo,
    DaemonInfoAnswer, Health, OutboxHealth,
};

use super::clock;
use super::finding::Finding;
use crate::commands::outbox::{Unasked, held_now};
use crate::error::Failure;
use crate::output::text::{time, word};

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
    // what cannot store stays away from the server: that is all there is to mend then
    let stored = stored(&health, info);
    findings.extend(match (&account.user, account.state) {
        _ if stored.is_some() => stored,
        (_, AccountState::Unfinished) => None,
        (Some(user), _) => Some(standing(user, &account).unwrap_or_else(|| connection(user, &health))),
        (None, _) => Some(Finding::bad("there is no account yet", "chatctl register NAME, or chatctl login NAME")),
    });
    findings.extend(own_reset(&account));
    findings.extend(clock::examine(&health.connection));
    findings.extend(account.reset_at_ms.map(|at| {
        let what = format!("somebody asked to reset this account, which happens at {}", time(at));
        Finding::bad(what, "chatctl reset --cancel")
    }));
    findings.extend(outbox(&health));
    findings.extend(held(client, &account, &health).await);
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

/// What keeps the daemon from writing: then it takes nothing from the server, and stays away from it.
fn stored(health: &Health, info: &DaemonInfoAnswer) -> Option<Finding> {
    if health.store.locked {
        return Some(Finding::bad("the store waits for its passphrase", "chatd --passphrase"));
    }
    let why = health.store.failure.as_ref()?;
    let what = format!("nothing can be stored in {}, so nothing is received: {why}", info.data_dir);
    let fix = format!("make room there (df -h {}), then: chatctl rpc net.kick", info.data_dir);
    Some(Finding::bad(what, fix))
}

/// Why the account is not to be connected at all, and what brings it further.
fn standing(user: &Username, account: &AccountStatusAnswer) -> Option<Finding> {
    let anew = format!("if no other device of the account is left: chatctl reset {user}, which begins it anew");
    let (what, fix) = match account.state {
        AccountState::Ready | AccountState::None | AccountState::Unfinished => return None,
        AccountState::ApprovalRequired => (
            format!("this device waits to be let in by another one of {user}"),
            format!("chatctl device approve on both; {anew}"),
        ),
        AccountState::LoggedOut => (format!("{user} is logged out on this device"), format!("chatctl login {user}")),
        AccountState::Refused => {
            (format!("the server does not let this device of {user} in"), format!("chatctl login {user}; {anew}"))
        }
        AccountState::Revoked => (
            format!("the server says that this device of {user} was revoked"),
            format!("chatctl logout --forget-keys --yes, then: chatctl login {user}; {anew}"),
        ),
    };
    Some(Finding::bad(what, fix))
}

/// A reset that was asked for here and is not done.
fn own_reset(account: &AccountStatusAnswer) -> Option<Finding> {
    let user = account.user.as_ref()?;
    let again = format!("the same again: chatctl reset {user}");
    match (account.own_reset_at_ms, account.state) {
        (Some(at), _) => {
            let what = format!("the reset of {user} that was asked for here waits until {}", time(at));
            Some(Finding::bad(what, format!("after that, {again}")))
        }
        (None, AccountState::Unfinished) => {
            Some(Finding::bad(format!("what became of the reset of {user} was not heard"), again))
        }
        (None, _) => None,
    }
}

fn connection(user: &Username, health: &Health) -> Finding {
    let connection = &health.connection;
    let server = connection.server.as_deref().unwrap_or("the server");
    let reason = connection.reason.as_deref().unwrap_or("no reason is known");
    if connection.state != ConnectionState::Online {
        let what = format!("{} to {server}: {reason}", word(&connection.state));
        return Finding::bad(what, mend(connection.trouble, server, user));
    }
    if health.ready {
        return Finding::good(format!("{user} is connected to {server}"));
    }
    let reason = health.reason.as_deref().unwrap_or(reason);
    let what = format!("{user} is connected to {server}, but chatd is not ready: {reason}");
    Finding::bad(what, "chatctl service logs, or what chatd wrote to its standard error")
}

/// What helps against each kind of trouble on the way to the server; the daemon tries again by itself meanwhile.
fn mend(trouble: Option<ConnectionTrouble>, server: &str, user: &Username) -> String {
    match trouble {
        Some(ConnectionTrouble::Unreachable) => {
            format!("see that the server runs and that {server} can be reached from here; then: chatctl rpc net.kick")
        }
        Some(ConnectionTrouble::Keys) => format!(
            "get a fresh invite (chat-server invite, on the server), then: chatctl login {user} --invite-file FILE"
        ),
        Some(ConnectionTrouble::Incompatible) => "install the version of chatd that the server speaks".to_owned(),
        Some(ConnectionTrouble::Busy) => "look into the server's log; chatd tries again by itself".to_owned(),
        Some(ConnectionTrouble::Lost) | None => "chatctl rpc net.kick, which tries again at once".to_owned(),
    }
}

/// Messages that leave only once somebody decided about an identity.
async fn held(client: &Client, account: &AccountStatusAnswer, health: &Health) -> Vec<Finding> {
    if health.outbox.queued == 0 || account.user.is_none() {
        return Vec::new();
    }
    match held_now(client).await {
        Ok(held) => held.iter().map(|held| Finding::bad(held.what(), held.fix())).collect(),
        Err(unasked) if unasked.forbidden => vec![Finding::good(unasked.what)],
        Err(unasked) => vec![Finding::bad(unasked.what, Unasked::FIX)],
    }
}

fn outbox(health: &Health) -> Vec<Finding> {
    let OutboxHealth { queued, failed } = health.outbox;
    let what = format!("{queued} messages wait to be sent");
    let stuck = queued > STUCK && health.connection.state == ConnectionState::Online;
    let waiting = if stuck { Finding::bad(what, "chatctl outbox") } else { Finding::good(what) };
    let lost = (failed > 0).then(|| {
        let what = format!("{failed} messages did not arrive");
        Finding::bad(what, "chatctl outbox, which says why; then: chatctl resend ID, or chatctl delete ID")
    });
    [Some(waiting), lost].into_iter().flatten().collect()
}
