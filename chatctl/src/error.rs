//! Failures in words: what went wrong, why, what to do about it, and the exit code.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;

use chat_protocol::rpc::client::CallError;
use chat_protocol::rpc::errors::ErrorData;
use chat_protocol::rpc::{Kind, RpcError};
use serde_json::json;

use crate::hints::{self, Doing};
use crate::output::text::{escape, time};

/// `doctor` found something.
const UNWELL: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 64;
/// A file that was named cannot be read.
const NO_INPUT: u8 = 66;
/// The daemon is not there.
const UNAVAILABLE: u8 = 69;
/// Something is broken.
const SOFTWARE: u8 = 70;
/// A file cannot be made.
const CANNOT_CREATE: u8 = 73;
/// Reading or writing failed.
const IO: u8 = 74;
/// A file that decides, or holds a secret, is open to others.
const NO_PERMISSION: u8 = 77;
/// A reset waits for its time: nothing failed, and nothing is done yet. The last of sysexits.h is 78.
const WAITS: u8 = 79;

/// Why a command did not do what it should.
#[derive(Debug)]
pub enum Failure {
    /// Nobody listens on the socket.
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// The command that starts it, or leads to it.
        hint: String,
        /// Whether it does not run at all, as far as is known.
        gone: bool,
    },
    /// The daemon said no.
    Refused(RpcError),
    /// What was asked for was done, and did not come so far in time: the same said again would do it twice.
    NotYet(RpcError),
    /// The daemon went away in the middle.
    Lost,
    /// The daemon's answer makes no sense to this version.
    Malformed(String),
    /// The command line is wrong in a way clap cannot see.
    Usage(String),
    /// A file cannot be read.
    Input(OfFile),
    /// A file that others can read or change is not used.
    Open(OfFile),
    /// A file cannot be made: most often there is one of that name.
    NotMade(OfFile),
    /// A command given to `--exec` failed every time.
    Command {
        /// The command.
        command: String,
        /// How it ended.
        status: String,
    },
    /// There is no systemd for this user.
    NoManager(String),
    /// A program of the system failed.
    Tool {
        /// What was run.
        command: String,
        /// What it said.
        why: String,
    },
    /// Something is not as it should be, and was told.
    Unwell,
    /// A reset waits until then, in milliseconds.
    Waits(Option<u64>),
    /// Reading or writing failed.
    Io(io::Error),
    /// Whoever read our output has heard enough; no failure at all.
    ClosedPipe,
}

/// What is the matter with a file.
#[derive(Debug)]
pub struct OfFile {
    /// Which file, or what else was wanted.
    pub what: String,
    /// Why it is not used.
    pub why: String,
    /// What to do.
    pub hint: String,
}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Self {
        Self::Refused(error)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(refusal) => Self::Refused(refusal),
            CallError::Disconnected => Self::Lost,
            CallError::TimedOut => {
                let hint = "whether it was done is not known; `chatctl doctor` names the usual causes";
                Self::Refused(RpcError::new(Kind::Timeout, "chatd did not answer in time").with_hint(hint))
            }
            CallError::Malformed(why) => Self::Malformed(why),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::ClosedPipe } else { Self::Io(error) }
    }
}

/// A failure as prose.
struct Prose {
    error: String,
    cause: Option<String>,
    hint: Option<String>,
}

impl Failure {
    /// What the process exits with.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::NotRunning { .. } | Self::Lost | Self::NoManager(_) => UNAVAILABLE,
            Self::Refused(refusal) | Self::NotYet(refusal) => refusal.kind.exit_code(),
            Self::Malformed(_) => SOFTWARE,
            Self::Usage(_) => USAGE,
            Self::Input(_) => NO_INPUT,
            Self::Open(_) => NO_PERMISSION,
            Self::NotMade(_) => CANNOT_CREATE,
            Self::Io(_) => IO,
            Self::Command { .. } | Self::Tool { .. } => SOFTWARE,
            Self::Unwell => UNWELL,
            Self::Waits(_) => WAITS,
            Self::ClosedPipe => 0,
        }
    }

    /// Tells it, as prose or as one JSON object, with what helps in this case.
    pub(crate) fn report(&self, to: &mut impl Write, json: bool, doing: &Doing) {
        let text = if json { self.to_json(doing) } else { self.prose(doing).to_string() };
        // There is nowhere left to say that this failed.
        let _ = writeln!(to, "{text}");
    }

    fn to_json(&self, doing: &Doing) -> String {
        let Prose { error, cause, hint } = self.prose(doing);
        let data = match self {
            Self::Refused(refusal) => json!(ErrorData { hint, ..refusal.data() }),
            Self::NotYet(refusal) => json!(ErrorData { hint, retryable: false, ..refusal.data() }),
            _ => json!({ "kind": self.local_kind(), "retryable": false, "cause": cause, "hint": hint }),
        };
        json!({ "error": { "message": error, "exit_code": self.exit_code(), "data": data } }).to_string()
    }

    /// Kinds that are chatctl's own.
    const fn local_kind(&self) -> &'static str {
        match self {
            Self::NotRunning { .. } => "not_running",
            Self::Lost => "disconnected",
            Self::Malformed(_) => "malformed_answer",
            Self::Usage(_) => "usage",
            Self::Input(_) => "input",
            Self::Open(_) => "not_private",
            Self::NotMade(_) => "output",
            Self::Io(_) | Self::ClosedPipe => "io",
            Self::Command { .. } => "command_failed",
            Self::NoManager(_) => "no_service_manager",
            Self::Tool { .. } => "tool_failed",
            Self::Unwell => "unwell",
            Self::Waits(_) => "reset_waits",
            Self::Refused(refusal) | Self::NotYet(refusal) => refusal.kind.as_str(),
        }
    }

    fn prose(&self, doing: &Doing) -> Prose {
        let prose = |error: &str, cause: Option<String>, hint: Option<&str>| Prose {
            error: error.to_owned(),
            cause,
            hint: hint.map(str::to_owned),
        };
        match self {
            Self::NotRunning { path, source, hint, gone } => {
                let what = if *gone { "chatd is not running" } else { "chatd does not answer there" };
                prose(what, Some(format!("{}: {}", path.display(), words(source))), Some(hint))
            }
            Self::Refused(refusal) | Self::NotYet(refusal) => refused(refusal, doing),
            Self::Lost => {
                prose("chatd closed the connection", None, Some("see whether it still runs: `chatctl status`"))
            }
            Self::Malformed(why) => prose(
                "chatd and chatctl do not understand each other",
                Some(why.clone()),
                Some("install the same version of both, and restart chatd"),
            ),
            // what is to be said instead stands in the words themselves
            Self::Usage(why) => prose(why, None, None),
            Self::Input(OfFile { what, why, hint }) | Self::Open(OfFile { what, why, hint }) => {
                prose(&format!("cannot use {what}"), Some(why.clone()), Some(hint))
            }
            Self::NotMade(OfFile { what, why, hint }) => {
                prose(&format!("cannot make {what}"), Some(why.clone()), Some(hint))
            }
            Self::Io(error) => prose("input or output failed", Some(words(error)), None),
            Self::Command { command, status } => prose(
                &format!("`{command}` failed 5 times"),
                Some(status.clone()),
                Some("the event was not acknowledged; mend the command and listen again"),
            ),
            Self::NoManager(why) => prose(
                "there is no systemd for this user",
                Some(why.clone()),
                Some(
                    "let what there is keep `chatd` running: launchd, runit, a container's entry point, or `nohup chatd &`",
                ),
            ),
            Self::Tool { command, why } => prose(&format!("`{command}` failed"), Some(why.clone()), None),
            Self::Unwell => prose("something is wrong with this chatd", None, Some("see the lines marked WRONG")),
            Self::Waits(at) => prose(
                &format!("the reset waits until {}", at.map_or_else(|| "its time".to_owned(), time)),
                Some("a device of the account was seen lately, and can cancel it until then".to_owned()),
                Some("say the same again after that; `chatctl status` shows when"),
            ),
            Self::ClosedPipe => prose("the output was closed", None, None),
        }
    }
}

fn refused(refusal: &RpcError, doing: &Doing) -> Prose {
    let place = refusal.path.as_ref().map(|path| format!("parameter `{path}`"));
    let candidates = (!refusal.candidates.is_empty()).then(|| format!("it could be {}", refusal.candidates.join(", ")));
    let hint = refusal.hint.clone().or_else(|| hint(refusal, doing));
    Prose { error: refusal.message.clone(), cause: place.or(candidates), hint }
}

/// What helps in this case when the daemon gave no advice of its own.
fn hint(refusal: &RpcError, doing: &Doing) -> Option<String> {
    match refusal.retry_after_ms {
        Some(millis) => Some(format!("try again in {} s", millis.div_ceil(1000))),
        None => hints::of(refusal, doing),
    }
}

impl std::fmt::Display for Prose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Error: {}", escape(&self.error))?;
        if let Some(cause) = &self.cause {
            write!(f, "\nCaused by: {}", escape(cause))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nHint: {}", escape(hint))?;
        }
        Ok(())
    }
}

/// What the system said, in lower case and without its number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    let mut words = String::new();
    if let Some(first) = letters.next() {
        // Writing into a string cannot fail.
        let _ = write!(words, "{}{}", first.to_lowercase(), letters.as_str());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hints::Case;

    fn told(failure: &Failure) -> String {
        let mut text = Vec::new();
        failure.report(&mut text, false, &Doing::new(Case::Send, "send"));
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_failure_has_its_cause_and_its_hint() {
        let refusal = RpcError::new(Kind::RateLimited, "too many tries").with_retry_after_ms(1_500);
        assert_eq!(told(&Failure::Refused(refusal)), "Error: too many tries\nHint: try again in 2 s\n");
        let refusal = RpcError::invalid("to", "not a target");
        assert_eq!(
            told(&Failure::Refused(refusal)),
            "Error: not a target\nCaused by: parameter `to`\nHint: `chatctl help send` shows what can be said\n"
        );
    }

    #[test]
    fn atk_61_words_of_others_are_escaped_in_errors() {
        let refusal = RpcError::new(Kind::NotFound, "no user \u{1b}[2Jbob\u{202e}");
        assert_eq!(
            told(&Failure::Refused(refusal)),
            "Error: no user \\u{1b}[2Jbob\\u{202e}\nHint: check the name; `chatctl who` shows who is online\n"
        );
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(closed.exit_code(), 0);
    }
}
