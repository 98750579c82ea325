//! `doctor`: the usual mistakes, each with the command that mends it.

use std::path::Path;

use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::types::{
    AccountStatus, AccountStatusAnswer, ConnectionState, DaemonHealth, DaemonInfo, DaemonInfoAnswer, Health,
};
use serde::Serialize;

use crate::Session;
use crate::error::Failure;
use crate::output::style::Look;
use crate::output::{self, escape, word};

/// A consumer this far behind probably reads no more.
const LAGGING: u64 = 10_000;
/// Messages that wait this numerous are worth a look while there is a connection.
const STUCK: u64 = 1_000;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    ok: bool,
    what: String,
    /// The command that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn good(what: impl Into<String>) -> Self {
        Self { ok: true, what: what.into(), fix: None }
    }

    fn bad(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { ok: false, what: what.into(), fix: Some(fix.into()) }
    }
}

/// `chatctl doctor`
pub(super) async fn run(session: &mut Session) -> Result<(), Failure> {
    let findings = match session.client().await {
        Ok(client) => examine(&client).await?,
        Err(Failure::NotRunning { path, hint, .. }) => absent(&path, &hint),
        Err(failure) => return Err(failure),
    };
    let paint = session.out.paint();
    for finding in &findings {
        session.out.answer(finding, |finding| {
            let (look, mark) = if finding.ok { (Look::Good, "ok") } else { (Look::Bad, "WRONG") };
            let mark = format!("{}{}", paint.paint(look, mark), " ".repeat(7 - mark.len()));
            let fix = finding.fix.as_ref().map(|fix| format!("       mend it: {}", escape(fix)));
            [Some(format!("{mark}{}", escape(&finding.what))), fix].into_iter().flatten().collect()
        })?;
    }
    if findings.iter().all(|finding| finding.ok) { Ok(()) } else { Err(Failure::Unwell) }
}

/// Nobody answers: why that may be.
fn absent(socket: &Path, hint: &str) -> Vec<Finding> {
    let mut findings = vec![Finding::bad(format!("chatd does not answer on {}", socket.display()), hint)];
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        let what = "XDG_RUNTIME_DIR is not set: a daemon that was started with it has its socket elsewhere";
        findings.push(Finding::bad(what, "export XDG_RUNTIME_DIR=/run/user/$(id -u)"));
    }
    findings
}

async fn examine(client: &Client) -> Result<Vec<Finding>, Failure> {
    let info = client.call(&DaemonInfo {}).await?;
    let health = client.call(&DaemonHealth {}).await?;
    let account = client.call(&AccountStatus {}).await?;
    let mut findings = vec![running(&info), version(&info), directory(&info)];
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

fn directory(info: &DaemonInfoAnswer) -> Finding {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::metadata(&info.data_dir) {
        Ok(found) if found.permissions().mode() & 0o077 == 0 => {
            Finding::good(format!("{} is open to nobody else", info.data_dir))
        }
        Ok(_) => Finding::bad(format!("{} is open to others", info.data_dir), format!("chmod 0700 {}", info.data_dir)),
        Err(error) => Finding::bad(format!("{}: {error}", info.data_dir), format!("ls -ld {}", info.data_dir)),
    }
}

fn connection(health: &Health, account: &AccountStatusAnswer) -> Finding {
    let connection = &health.connection;
    let server = connection.server.as_deref().unwrap_or("the server");
    let reason = connection.reason.as_deref().unwrap_or("no reason is known");
    match (&account.user, connection.state) {
        (None, _) => Finding::bad("there is no account yet", "chatctl register NAME, or chatctl login NAME"),
        (Some(user), ConnectionState::Online) => Finding::good(format!("{user} is connected to {server}")),
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
