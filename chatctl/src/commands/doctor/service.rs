//! Whether chatd as a service does what it was installed for.

use super::finding::Finding;
use crate::commands::service::{Manager, Unit, lingers, unit_name};

/// Without systemd, or without a service, there is nothing to find.
pub(super) fn examine(profile: &str, answering: Option<u32>) -> Vec<Finding> {
    let name = unit_name(profile);
    let unit = Manager::find().and_then(|manager| manager.unit(&format!("{name}.service")));
    let Some(unit) = unit.ok().filter(Unit::is_wanted) else { return Vec::new() };
    let linger = (lingers() == Some(false))
        .then(|| Finding::bad(format!("the service {name} ends when you log out"), "loginctl enable-linger"));
    linger.into_iter().chain(state(&name, &unit, answering)).collect()
}

fn state(name: &str, unit: &Unit, answering: Option<u32>) -> Option<Finding> {
    let restart = format!("systemctl --user restart {name}");
    match (unit.main_pid, answering) {
        (Some(service), Some(pid)) if service == pid => Some(Finding::good(format!("the service {name} runs"))),
        (_, Some(pid)) => {
            let what = format!("the service {name} is {}, and process {pid}, another chatd, answers", unit.active);
            Some(Finding::bad(what, format!("kill {pid}; {restart}")))
        }
        (_, None) => {
            let what = format!("the service {name} is {}, and nobody answers", unit.active);
            Some(Finding::bad(what, format!("chatctl service logs; {restart}")))
        }
    }
}
