//! Other daemons of this user: two for one profile, or one that listens where nobody looks for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::paths::Paths;
use chat_protocol::rpc::types::{DaemonInfo, DaemonInfoAnswer};

use super::finding::Finding;

/// A daemon that does not answer sooner is not counted.
const WITHIN: Duration = Duration::from_secs(2);

/// Daemons of the profile besides the one with this process id, or any if there is none. Where the data were named, one
/// with other data is another matter.
pub(super) async fn examine(paths: &Paths, answering: Option<u32>, data_named: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for socket in candidates(paths) {
        let Some(info) = ask(&socket).await else { continue };
        let apart = data_named && !is_same(Path::new(&info.data_dir), &paths.data_dir);
        if info.profile != paths.profile || answering == Some(info.pid) || apart {
            continue;
        }
        findings.push(if answering.is_some() {
            let what = format!(
                "another chatd of profile {} runs: process {}, data in {}",
                info.profile, info.pid, info.data_dir
            );
            Finding::bad(what, use_or_end(&socket, info.pid))
        } else {
            let what = format!(
                "chatd of profile {} listens on {}, not on {}",
                info.profile,
                socket.display(),
                paths.socket.display()
            );
            Finding::bad(what, use_or_end(&socket, info.pid))
        });
    }
    findings
}

/// Which of two is the wanted one, only their user knows.
fn use_or_end(socket: &Path, pid: u32) -> String {
    format!("chatctl --socket {} status, or, if that one is not wanted: kill {pid}", socket.display())
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other || one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

async fn ask(socket: &Path) -> Option<DaemonInfoAnswer> {
    let call = async { Client::connect(socket).await.ok()?.call(&DaemonInfo {}).await.ok() };
    tokio::time::timeout(WITHIN, call).await.ok()?
}

/// Where sockets of this user may be, but for the one that was asked.
fn candidates(paths: &Paths) -> Vec<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let usual = PathBuf::from(format!("/run/user/{user}"));
    let data = directories::BaseDirs::new().map(|homes| homes.data_dir().join("chatd"));
    let mut sockets: Vec<PathBuf> =
        runtime.into_iter().chain([usual]).flat_map(|home| entries(&home.join("chatd"))).collect();
    sockets.retain(|path| path.extension().is_some_and(|ending| ending == "sock"));
    sockets.extend(data.into_iter().flat_map(|home| entries(&home)).map(|profile| profile.join("chat.sock")));
    sockets.push(paths.data_dir.join("chat.sock"));
    let mut known: Vec<PathBuf> = sockets.iter().filter_map(|path| path.canonicalize().ok()).collect();
    known.sort();
    known.dedup();
    let own = paths.socket.canonicalize().ok();
    known.retain(|path| Some(path) != own.as_ref());
    known
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
