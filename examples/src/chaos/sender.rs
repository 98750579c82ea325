//! One sender in one chat: says 0, 1, 2 …, each until a daemon has taken it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use super::Progress;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);
/// An answer that takes longer is asked for again, under the same `client_id`.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Who says how much to whom.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// The sender's name.
    pub(crate) name: String,
    /// The sender's daemon.
    pub(crate) socket: PathBuf,
    /// The chat, as the sender names it.
    pub(crate) to: String,
    /// Indexes of those who hear it, and the chat as they name it.
    pub(crate) heard_by: Vec<(usize, String)>,
    /// How many.
    pub(crate) messages: u64,
}

/// Sends everything, whatever happens to the daemon meanwhile.
pub(crate) fn spawn(route: Route, progress: Arc<Progress>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut next = 0;
        while next < route.messages {
            let _ = push(&route, &mut next, &progress);
            thread::sleep(PAUSE);
        }
    })
}

/// Sends over one connection for as long as it lasts. One call at a time: the next waits for the one before.
fn push(route: &Route, next: &mut u64, progress: &Progress) -> std::io::Result<()> {
    let mut output = connect(&route.socket)?;
    let mut answers = BufReader::new(output.try_clone()?);
    while *next < route.messages {
        if progress.is_ahead() {
            thread::sleep(PAUSE);
            continue;
        }
        let key = format!("{}-{}-{next}", route.name, route.to);
        let params = json!({"to": route.to, "text": next.to_string(), "client_id": key});
        writeln!(output, "{}", json!({"jsonrpc": "2.0", "id": 1, "method": "msg.send", "params": params}))?;
        let mut line = String::new();
        if answers.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let answer: Value = serde_json::from_str(&line)?;
        // a full disk, for one, is told and tried again
        if answer.get("result").is_none() {
            return Ok(());
        }
        *next += 1;
        progress.sent();
    }
    Ok(())
}

pub(crate) fn connect(socket: &Path) -> std::io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    Ok(stream)
}
