//! `service`: chatd under systemd, as a service of this user.
//!
//! Writes units only where none are or where it wrote them itself, and takes away nothing else. Units that came with
//! an installation are used as they are.

mod manager;
mod units;

use chat_protocol::rpc::paths::DEFAULT_PROFILE;
use chat_protocol::rpc::types::{DaemonHealth, DaemonInfo, Health};
use chat_protocol::rpc::{Kind, RpcError};
use serde::Serialize;

use crate::cli::service::{Install, Logs, Service};
use crate::error::Failure;
use crate::output::style::Look;
use crate::output::table::{Cell, Table};
use crate::output::text::{escape, word};
use crate::session::Session;
pub(super) use manager::{Manager, Unit, lingers};
use units::Units;

/// `chatctl service …`
pub(super) async fn run(service: Service, session: &mut Session) -> Result<(), Failure> {
    let profile = session.paths()?.profile;
    match service {
        Service::Install(install) => self::install(install, &profile, session).await,
        Service::Status => status(&profile, session).await,
        Service::Logs(logs) => self::logs(&logs, &profile, session),
        Service::Uninstall => uninstall(&profile, session),
    }
}

/// Name of a profile's unit, without its ending.
pub(super) fn unit_name(profile: &str) -> String {
    if profile == DEFAULT_PROFILE { "chatd".to_owned() } else { format!("chatd@{profile}") }
}

/// What install did.
#[derive(Serialize)]
struct Installed {
    unit: String,
    /// Files that were written; none when there were units already.
    written: Vec<String>,
    /// Whether it also runs while the user is not logged in, if that is known.
    lingers: Option<bool>,
}

async fn install(install: Install, profile: &str, session: &mut Session) -> Result<(), Failure> {
    if session.names_a_place() {
        let why = "a service is of a profile: write `data_dir` and `socket` into the profile's configuration file";
        return Err(Failure::Usage(why.to_owned()));
    }
    if install.on_demand && profile != DEFAULT_PROFILE {
        return Err(Failure::Usage("only the default profile is started by its socket".to_owned()));
    }
    let manager = Manager::find()?;
    let service = format!("{}.service", unit_name(profile));
    free(&manager, &service, session).await?;
    let started = if install.on_demand { "chatd.socket".to_owned() } else { service.clone() };
    let written = if manager.unit(&started)?.came_with_an_installation() {
        Vec::new()
    } else {
        Units::of_user()?.write(profile, install.on_demand, install.chatd.as_deref())?
    };
    manager.call(&["daemon-reload"])?;
    manager.call(&["enable", "--now", &started])?;
    let done = Installed { unit: started, written, lingers: lingers() };
    session.out.answer(&done, was_installed)?;
    if done.lingers != Some(true) {
        session.out.talk("to keep it running while you are not logged in: loginctl enable-linger");
    }
    session.out.talk("next: `chatctl service status`; then `chatctl register NAME`, if there is no account yet");
    Ok(())
}

fn was_installed(done: &Installed) -> Vec<String> {
    let written = done.written.iter().map(|file| format!("wrote {}", escape(file)));
    written.chain([format!("enabled and started {}", done.unit)]).collect()
}

/// A chatd that somebody started by hand would keep the service from its data.
async fn free(manager: &Manager, service: &str, session: &Session) -> Result<(), Failure> {
    let Ok(client) = session.client().await else { return Ok(()) };
    let info = client.call(&DaemonInfo {}).await?;
    if manager.unit(service)?.main_pid == Some(info.pid) {
        return Ok(());
    }
    let refusal = RpcError::new(Kind::Conflict, format!("chatd runs already, as process {}, by hand", info.pid));
    Err(Failure::Refused(refusal.with_hint("end it with `chatctl rpc daemon.shutdown`, then install the service")))
}

/// What both say.
#[derive(Serialize)]
struct Status {
    unit: Unit,
    /// Absent when chatd does not answer.
    health: Option<Health>,
}

async fn status(profile: &str, session: &mut Session) -> Result<(), Failure> {
    let name = format!("{}.service", unit_name(profile));
    let unit = Manager::find()?.unit(&name)?;
    if !unit.is_loaded() {
        let refusal = RpcError::new(Kind::NotFound, format!("there is no service {name}"));
        return Err(Failure::Refused(refusal.with_hint("make one with `chatctl service install`")));
    }
    let health = match session.client().await {
        Ok(client) => client.call(&DaemonHealth {}).await.ok(),
        Err(_) => None,
    };
    let plain = |status: &Status| rows(status).iter().map(|(name, value)| format!("{name:<12} {value}")).collect();
    session.out.table(&Status { unit, health }, plain, |status| {
        let good = status.unit.active == "active" && status.health.as_ref().is_some_and(|health| health.ready);
        let look = |name: &str| match name {
            "state" | "chatd" => Some(if good { Look::Good } else { Look::Warn }),
            _ => None,
        };
        Table::new(&[]).rows(rows(status), |(name, value)| {
            vec![
                Cell::new(Look::Faint, name),
                look(name).map_or_else(|| (&value).into(), |look| Cell::new(look, &value)),
            ]
        })
    })
}

fn rows(Status { unit, health }: &Status) -> Vec<(&'static str, String)> {
    let process = unit.main_pid.map_or_else(|| "none".to_owned(), |pid| pid.to_string());
    let chatd = match health {
        Some(health) if health.ready => format!("ready, {}", word(&health.connection.state)),
        Some(health) => format!("not ready: {}", word(&health.connection.state)),
        None => "does not answer".to_owned(),
    };
    let mut rows = vec![
        ("unit", unit.name.clone()),
        ("file", unit.file.clone().unwrap_or_else(|| "none".to_owned())),
        ("at login", unit.enabled.clone()),
        ("state", format!("{} ({})", unit.active, unit.sub)),
        ("process", process),
        ("restarts", unit.restarts.to_string()),
    ];
    rows.push(("chatd", chatd));
    rows
}

fn logs(logs: &Logs, profile: &str, session: &Session) -> Result<(), Failure> {
    manager::logs(&unit_name(profile), logs, session.out.is_json())
}

fn uninstall(profile: &str, session: &mut Session) -> Result<(), Failure> {
    let manager = Manager::find()?;
    let name = unit_name(profile);
    let units = Units::of_user()?;
    let mut stopped = vec![format!("{name}.service")];
    if profile == DEFAULT_PROFILE && manager.unit("chatd.socket")?.is_loaded() {
        stopped.insert(0, "chatd.socket".to_owned());
    }
    for unit in &stopped {
        if manager.unit(unit)?.is_loaded() {
            manager.call(&["disable", "--now", unit])?;
        }
    }
    let removed = units.remove(profile)?;
    manager.call(&["daemon-reload"])?;
    let done = serde_json::json!({ "stopped": stopped, "removed": removed });
    session.out.answer(&done, |_| {
        let gone = removed.iter().map(|file| format!("removed {}", escape(file)));
        gone.chain([format!("stopped and disabled {name}")]).collect()
    })?;
    session.out.talk("keys and messages stay where they are");
    Ok(())
}
