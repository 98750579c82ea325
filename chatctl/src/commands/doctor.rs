//! `doctor`: the usual mistakes, each with the command that mends it.
//!
//! Looks and changes nothing. `daemon` asks the one that answers, `others` looks for further ones, `files` at what
//! is on the disk, `service` at systemd, `clock` compares two clocks.

mod clock;
mod daemon;
mod files;
mod finding;
mod others;
mod service;

use std::path::Path;

use chat_programs::private::is_own_directory;

use crate::error::Failure;
use crate::output::style::Look;
use crate::output::text::escape;
use crate::places;
use crate::secrets::is_standard;
use crate::session::Session;
use finding::Finding;

/// `chatctl doctor`
pub(super) async fn run(session: &mut Session) -> Result<(), Failure> {
    let findings = examine(session).await?;
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

async fn examine(session: &Session) -> Result<Vec<Finding>, Failure> {
    let paths = session.paths()?;
    // A token file that is open to others is a finding, and keeps nobody from looking further.
    let mut findings: Vec<Finding> =
        session.token_file().filter(|file| !is_standard(file)).into_iter().filter_map(files::token).collect();
    let way = if findings.is_empty() { session.way()? } else { session.way_of_owner()? };
    let answering = match way.connect().await {
        Ok(client) => {
            let info = daemon::info(&client).await?;
            findings.extend(daemon::examine(&client, &info, &paths, !session.names_a_place()).await?);
            Some(info)
        }
        Err(Failure::NotRunning { path, hint, .. }) => {
            findings.extend(absent(&path, &hint));
            None
        }
        Err(failure) => return Err(failure),
    };
    let pid = answering.as_ref().map(|info| info.pid);
    let data = answering.map_or_else(|| paths.data_dir.clone(), |info| info.data_dir.into());
    findings.extend(files::examine(&paths.socket, &data));
    findings.extend(others::examine(&paths, pid, session.names_data()).await);
    if !session.names_data() {
        findings.extend(service::examine(&paths.profile, pid));
    }
    Ok(findings)
}

/// Nobody answers: why that may be.
fn absent(socket: &Path, hint: &str) -> Vec<Finding> {
    let mut findings = vec![Finding::bad(format!("chatd does not answer on {}", socket.display()), hint)];
    if let Some(foreign) = places::runtime_home().filter(|home| !is_own_directory(home)) {
        let what = format!("XDG_RUNTIME_DIR is {}, which is not a directory of this user", foreign.display());
        findings.push(Finding::bad(what, "unset XDG_RUNTIME_DIR, or log in as this user: su -, sudo -i"));
    }
    findings
}
