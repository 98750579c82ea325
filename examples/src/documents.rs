//! Follows a document as its reader would: every block in order, in one shell, in a home of its own.
//!
//! The document is turned into a script of as many lines, so that the shell names the document's own lines when one
//! fails. What a reader does beside typing is done by `tests/documents.sh`: seeing that a daemon is ready before going
//! on, opening another terminal, choosing a password. Nothing of the tester's own is touched, and nothing outlives the
//! [`Reader`].

use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, process};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Outcome, Process};
use crate::window::Screen;
use crate::{binaries, stage};

/// What opens a window, which stays.
const WINDOW: &str = "python3 examples/desktop";

/// A fenced block.
pub struct Block {
    /// Line of its opening fence, from 1.
    pub line: usize,
    /// The word behind the fence.
    pub language: String,
    /// What is between the fences, without the fence's indentation.
    pub lines: Vec<String>,
    /// The words of the `<!-- not run: … -->` on the line before it.
    pub excuse: Option<String>,
}

/// The fenced blocks of a document.
///
/// # Panics
/// If the last one is not closed.
#[must_use]
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = None;
    let mut before = "";
    for (number, line) in (1..).zip(text.lines()) {
        let bare = line.trim_start();
        match (open, bare.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(line.len() - bare.len());
                let (language, excuse) = (language.trim().to_owned(), excuse(before));
                blocks.push(Block { line: number, language, lines: Vec::new(), excuse });
            }
            (Some(_), Some("")) => open = None,
            (Some(indentation), _) => {
                let inside = line.get(indentation..).unwrap_or(bare).to_owned();
                blocks.last_mut().expect("a block is open").lines.push(inside);
            }
            (None, None) => before = line,
        }
    }
    assert!(open.is_none(), "the last block is not closed");
    blocks
}

fn excuse(line: &str) -> Option<String> {
    Some(line.trim().strip_prefix("<!-- not run: ")?.strip_suffix(" -->")?.to_owned())
}

/// The document as a script, line by line; what is neither shell nor, if it is wanted, Python, or has an excuse, is
/// left empty.
#[must_use]
pub fn script(text: &str, with_python: bool) -> String {
    let mut script = vec![String::new(); text.lines().count()];
    for block in blocks(text).iter().filter(|block| block.excuse.is_none()) {
        match block.language.as_str() {
            "sh" => shell(block, &mut script),
            "python" if with_python => python(block, &mut script),
            _ => {}
        }
    }
    script.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

fn shell(block: &Block, script: &mut [String]) {
    let mut continued = false;
    for (number, line) in (block.line + 1..).zip(&block.lines) {
        script[number - 1] = if continued { line.clone() } else { typed(number, line) };
        continued = line.ends_with('\\') || line.ends_with('|');
    }
}

fn python(block: &Block, script: &mut [String]) {
    script[block.line - 1] = format!("snippet {} <<'END OF BLOCK'", block.line);
    script[block.line..block.line + block.lines.len()].clone_from_slice(&block.lines);
    script[block.line + block.lines.len()] = "END OF BLOCK".to_owned();
}

/// A line, with what its reader does beside typing it: see `tests/documents.sh`.
fn typed(number: usize, line: &str) -> String {
    let (command, comment) = line.split_once("  # ").unwrap_or((line, ""));
    let command = command.trim();
    if let Some(program) = command.strip_suffix('&').filter(|_| !command.ends_with("&&")) {
        let seen = promises(comment).first().map_or_else(String::new, |words| quoted(words));
        return format!("start {number} {} {seen}", quoted(program.trim()));
    }
    let listens = command.starts_with("chatctl ") && command.contains(" listen") && !command.contains("--count");
    if listens || command.starts_with(WINDOW) || comment.contains("in another terminal") {
        return format!("elsewhere {number} {}", quoted(command));
    }
    if comment.contains("as often as you like") {
        return format!("again {number} {}", quoted(command));
    }
    match promises(comment) {
        words if words.is_empty() => line.to_owned(),
        words => {
            let words: Vec<_> = words.into_iter().map(quoted).collect();
            format!("promised {number} {} {}", quoted(command), words.join(" "))
        }
    }
}

/// What a comment says will be seen: `66: there is no such user`, or whatever stands in backticks behind `says`.
fn promises(comment: &str) -> Vec<&str> {
    if let Some((code, words)) = comment.split_once(": ")
        && code.parse::<u8>().is_ok()
    {
        return vec![code, words];
    }
    let said = comment.split_once("says `").and_then(|(_, rest)| rest.split_once('`'));
    said.map(|(words, _)| words).into_iter().collect()
}

fn quoted(words: &str) -> String {
    format!("'{}'", words.replace('\'', r"'\''"))
}

/// Somebody with an empty home and a clone, who reads one document.
pub struct Reader {
    place: TempDir,
}

impl Reader {
    /// Somebody who has nothing but what was built.
    ///
    /// # Panics
    /// If the temporary directory cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let reader = Self { place: stage::directory() };
        for directory in ["home", "run", "tmp", "clone"] {
            let path = reader.room(directory);
            fs::create_dir(&path).expect("the place can be written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("it is ours");
        }
        reader.clone_repository();
        reader
    }

    /// Follows a document to its end. `settled`: the reader has been through the top README before. The Python of a
    /// document with a `tests/test_readme.py` beside it is left to that.
    ///
    /// # Panics
    /// If the shell cannot be started, or does not end.
    #[must_use]
    pub fn follow(&self, document: &str, settled: bool) -> Outcome {
        let path = binaries::repository().join(document);
        let text = fs::read_to_string(&path).expect("the document can be read");
        let script = script(&text, !path.with_file_name("tests/test_readme.py").is_file());
        let address = own_address().to_string();
        let file = self.room(&document.replace('/', "-"));
        fs::write(&file, script).expect("the place can be written");
        let mut shell = binaries::tool("bash", &self.room("home"));
        shell.env("XDG_RUNTIME_DIR", self.room("run")).env("TMPDIR", self.room("tmp"));
        let _screen = text.contains(WINDOW).then(|| self.sits_at_a_screen(&mut shell));
        shell.env("PYTHONPATH", self.room("clone/examples/python")).env("PYTHONDONTWRITEBYTECODE", "1");
        shell.current_dir(self.room("clone")).process_group(0);
        shell.arg(binaries::repository().join("examples/tests/documents.sh"));
        shell.arg(file).arg(&address).arg(if settled { "settled" } else { "new" });
        let shell = Process::start(document, shell);
        let _group = Group(Pid::from_raw(shell.id().cast_signed()).expect("no process is number 0"));
        shell.line("that it was followed", |line| line.ends_with(" was followed").then_some(()));
        shell.finish()
    }

    /// A screen, and a `python3` that can draw on it.
    fn sits_at_a_screen(&self, shell: &mut Command) -> Screen {
        let screen = Screen::open();
        let python = binaries::python_with_tk(&self.room("home"));
        let directory = Path::new(python.get_program()).parent().expect("a program is in a directory");
        let paths = shell.get_envs().find_map(|(name, paths)| paths.filter(|_| name == "PATH"));
        let mut paths: Vec<_> = std::env::split_paths(paths.expect("there is one")).collect();
        paths.insert(1, directory.to_owned());
        shell.env("PATH", std::env::join_paths(paths).expect("it was one")).env("DISPLAY", screen.display());
        screen
    }

    /// A clone that can be written to, without what was built there.
    fn clone_repository(&self) {
        let clone = self.room("clone");
        for entry in fs::read_dir(binaries::repository()).expect("the repository can be read").flatten() {
            if entry.file_name() != "target" {
                symlink(entry.path(), clone.join(entry.file_name())).expect("the place can be written");
            }
        }
    }

    fn room(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

/// Everything a shell started. Killed when dropped.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        // Usually they have all ended, and there is nobody to be killed.
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

/// An address of this machine that no other reader has, so that each has every port of the documents for itself: of the
/// millions that are the loopback's, one by the number of this process and of the reader in it.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = process::id().wrapping_mul(16).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
    // 127.1.0.0 to 127.254.255.255
    Ipv4Addr::from_bits(0x7f01_0000 + number % 0x00fe_0000)
}

/// What a document says and the daemon refused: answers over the socket do not end a shell.
#[must_use]
pub fn refusals(outcome: &Outcome) -> Vec<&str> {
    let refused = |line: &&str| serde_json::from_str::<Value>(line).is_ok_and(|value| value.get("error").is_some());
    outcome.stdout.lines().filter(refused).collect()
}

/// Every document of the repository, by its path there, sorted. What was built or installed is left out.
///
/// # Panics
/// If a directory cannot be read.
#[must_use]
pub fn all() -> Vec<String> {
    let top = binaries::repository();
    let mut found = Vec::new();
    let mut left = vec![top.clone()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).expect("the repository can be read").flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() && !path.is_symlink() && name != "target" && !name.starts_with('.') {
                left.push(path);
            } else if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
                let inside = path.strip_prefix(&top).expect("found below it");
                found.push(inside.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}
