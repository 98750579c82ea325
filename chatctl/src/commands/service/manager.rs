//! systemd, as `systemctl --user` and `journalctl --user` show it. Both are found in PATH.

use std::io;
use std::process::{Command, Output, Stdio};

use serde::Serialize;

use crate::cli::service::Logs;
use crate::error::Failure;
use crate::output::text::escape;

/// What is asked of a unit.
const PROPERTIES: &str = "LoadState,ActiveState,SubState,UnitFileState,FragmentPath,MainPID,NRestarts";

/// The service manager of this user.
pub(crate) struct Manager(());

/// What the manager knows of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Unit {
    pub(super) name: String,
    #[serde(skip)]
    load: String,
    /// `active`, `failed`, `inactive` and so on.
    pub(crate) active: String,
    pub(super) sub: String,
    /// `enabled`, `disabled` and so on.
    pub(super) enabled: String,
    pub(super) file: Option<String>,
    pub(crate) main_pid: Option<u32>,
    pub(super) restarts: u64,
}

impl Unit {
    fn parse(name: &str, text: &str) -> Self {
        let value = |key: &str| {
            let of_key = |line: &str| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
            text.lines().find_map(of_key).filter(|value| !value.is_empty())
        };
        let word = |key| value(key).unwrap_or_else(|| "unknown".to_owned());
        Self {
            name: name.to_owned(),
            load: word("LoadState"),
            active: word("ActiveState"),
            sub: word("SubState"),
            enabled: word("UnitFileState"),
            file: value("FragmentPath"),
            main_pid: value("MainPID").and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 0),
            restarts: value("NRestarts").and_then(|number| number.parse().ok()).unwrap_or(0),
        }
    }

    /// Whether there is such a unit.
    pub(crate) fn is_loaded(&self) -> bool {
        self.load == "loaded"
    }

    /// Whether it is there and meant to run.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_loaded() && matches!(self.enabled.as_str(), "enabled" | "enabled-runtime" | "linked")
    }

    /// Whether its file is not the user's own.
    pub(super) fn came_with_an_installation(&self) -> bool {
        let own = super::units::directory().ok();
        let elsewhere = |file: &String| own.is_none_or(|own| !std::path::Path::new(file).starts_with(own));
        self.is_loaded() && self.file.as_ref().is_some_and(elsewhere)
    }
}

impl Manager {
    /// Finds systemd, or says what to do without it.
    pub(crate) fn find() -> Result<Self, Failure> {
        let output = systemctl(&["show", "--property=Version"]).map_err(|error| absent(&error))?;
        if output.status.success() { Ok(Self(())) } else { Err(Failure::NoManager(said(&output))) }
    }

    /// What is known of a unit.
    pub(crate) fn unit(&self, name: &str) -> Result<Unit, Failure> {
        let output = self.output(&["show", &format!("--property={PROPERTIES}"), "--", name])?;
        Ok(Unit::parse(name, &String::from_utf8_lossy(&output.stdout)))
    }

    /// Has something done.
    pub(super) fn call(&self, words: &[&str]) -> Result<(), Failure> {
        self.output(words).map(drop)
    }

    #[expect(clippy::unused_self, reason = "a manager was found, so that it can be asked")]
    fn output(&self, words: &[&str]) -> Result<Output, Failure> {
        let output = systemctl(words).map_err(|error| absent(&error))?;
        if output.status.success() {
            return Ok(output);
        }
        let command = format!("systemctl --user {}", words.join(" "));
        Err(Failure::Tool { command, why: said(&output) })
    }
}

fn systemctl(words: &[&str]) -> io::Result<Output> {
    Command::new("systemctl").arg("--user").args(words).stdin(Stdio::null()).output()
}

fn absent(error: &io::Error) -> Failure {
    Failure::NoManager(format!("systemctl: {error}"))
}

/// What a program complained about, or how it ended.
fn said(output: &Output) -> String {
    let words = String::from_utf8_lossy(&output.stderr).trim().lines().next().map(escape).unwrap_or_default();
    if words.is_empty() { output.status.to_string() } else { words }
}

/// Whether the user's services run without a login; `None` if nobody knows.
pub(crate) fn lingers() -> Option<bool> {
    let user = rustix::process::getuid().as_raw().to_string();
    let output = Command::new("loginctl").args(["show-user", &user, "--property=Linger"]).output().ok()?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "Linger=yes" => Some(true),
        "Linger=no" => Some(false),
        _ => None,
    }
}

/// Shows the log of a unit until journalctl ends.
pub(super) fn logs(unit: &str, logs: &Logs, json: bool) -> Result<(), Failure> {
    let mut command = Command::new("journalctl");
    command.args(["--user", "--no-pager", "-u", unit, "-n", &logs.lines.to_string()]);
    if logs.follow {
        command.arg("-f");
    }
    if json {
        command.args(["-o", "json"]);
    }
    let status = command.status().map_err(|error| Failure::NoManager(format!("journalctl: {error}")))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::Tool { command: format!("journalctl --user -u {unit}"), why: status.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_what_its_properties_say() {
        let text = "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=17\n\
                    NRestarts=2\nFragmentPath=/usr/lib/systemd/user/chatd.service\n";
        let unit = Unit::parse("chatd.service", text);
        assert!(unit.is_loaded() && unit.came_with_an_installation());
        assert_eq!((unit.main_pid, unit.restarts, unit.active.as_str()), (Some(17), 2, "active"));
        let unit = Unit::parse("x.service", "LoadState=not-found\nMainPID=0\nFragmentPath=\n");
        assert!(!unit.is_loaded() && !unit.came_with_an_installation());
        assert_eq!((unit.main_pid, unit.file), (None, None));
    }
}
