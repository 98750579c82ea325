//! A program that runs: what it says is kept, and it ends with its owner.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::DEADLINE;

/// What a finished program left.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Standard output of a program that succeeded.
    ///
    /// # Panics
    /// If it did not.
    #[must_use]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// What was said on standard error by a reset that waits for its time.
    ///
    /// # Panics
    /// If it ended in another way.
    #[must_use]
    pub fn waits(self) -> String {
        assert_eq!(self.code, Some(79), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stderr
    }
}

/// Lines read so far from both outputs, and how many of them are still open.
#[derive(Default)]
struct Heard {
    out: Vec<String>,
    err: Vec<String>,
    open: usize,
}

#[derive(Default)]
struct Ears {
    heard: Mutex<Heard>,
    more: Condvar,
}

impl Ears {
    /// A story that panics while it listens still has to tell what it heard.
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `done` makes something of what was heard; `None` when both outputs ended or time is up.
    fn wait<T>(&self, done: impl Fn(&Heard) -> Option<T>) -> Option<T> {
        self.wait_until(Instant::now() + DEADLINE, done)
    }

    fn wait_until<T>(&self, until: Instant, done: impl Fn(&Heard) -> Option<T>) -> Option<T> {
        let mut heard = self.lock();
        loop {
            if let Some(found) = done(&heard) {
                return Some(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if heard.open == 0 || left.is_zero() {
                return None;
            }
            heard = self.more.wait_timeout(heard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A running program. Killed when dropped.
pub struct Process {
    name: String,
    child: Child,
    ears: Arc<Ears>,
}

impl Process {
    /// Starts a program with its outputs captured.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {command:?}: {error}"));
        let ears = Arc::new(Ears { heard: Mutex::new(Heard { open: 2, ..Heard::default() }), ..Ears::default() });
        listen(&ears, child.stdout.take().expect("piped"), |heard| &mut heard.out);
        listen(&ears, child.stderr.take().expect("piped"), |heard| &mut heard.err);
        Self { name: name.to_owned(), child, ears }
    }

    /// Starts a program whose log, on its standard error, goes there and is not heard.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start_logging(name: &str, mut command: Command, log: Stdio) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().expect(name);
        let ears = Arc::new(Ears { heard: Mutex::new(Heard { open: 1, ..Heard::default() }), ..Ears::default() });
        listen(&ears, child.stdout.take().expect("piped"), |heard| &mut heard.out);
        Self { name: name.to_owned(), child, ears }
    }

    /// Runs a program to its end, with this as its standard input.
    #[must_use]
    pub fn run(name: &str, command: Command, input: &str) -> Outcome {
        Self::run_within(name, command, input, 1)
    }

    /// The same, for one that may take several times as long as others.
    #[must_use]
    pub fn run_within(name: &str, command: Command, input: &str, times: u32) -> Outcome {
        let mut process = Self::start(name, command);
        if let Some(mut stdin) = process.child.stdin.take() {
            // A program that fails early does not read what it was told.
            let _ = stdin.write_all(input.as_bytes());
        }
        process.finish_within(times)
    }

    /// Says a line to the program.
    ///
    /// # Panics
    /// If it does not listen.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{line}").unwrap_or_else(|error| panic!("{} hears nothing: {error}", self.name));
    }

    /// Waits for the first line that `find` makes something of.
    ///
    /// # Panics
    /// If the program ends or the deadline passes without one.
    pub fn line<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let found = self.ears.wait(|heard| heard.out.iter().chain(&heard.err).find_map(|line| find(line)));
        found.unwrap_or_else(|| panic!("{} never said {what}:\n{}", self.name, self.said()))
    }

    /// Everything it said so far, on both outputs.
    #[must_use]
    pub fn said(&self) -> String {
        tell(&self.ears.lock())
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it without warning, as a crash or a power cut would.
    pub fn kill(mut self) {
        self.end();
    }

    /// Asks it to end, and waits until it did.
    pub fn stop(self) -> Outcome {
        self.signal(Signal::TERM);
        self.finish()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child that was not waited for can be signalled");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end before the deadline.
    pub fn finish(self) -> Outcome {
        self.finish_within(1)
    }

    fn finish_within(mut self, times: u32) -> Outcome {
        drop(self.child.stdin.take());
        let all = |heard: &Heard| (heard.open == 0).then(|| (text(&heard.out), text(&heard.err)));
        let ended = self.ears.wait_until(Instant::now() + DEADLINE * times, all);
        let (stdout, stderr) = ended.unwrap_or_else(|| panic!("{} does not end:\n{}", self.name, self.said()));
        let status: ExitStatus = self.child.wait().expect("a child can be waited for");
        Outcome { code: status.code(), stdout, stderr }
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        if thread::panicking() {
            eprintln_lines(&self.name, &self.said());
        }
    }
}

/// What the program said belongs to the failed test's report.
#[expect(clippy::print_stderr, reason = "the test runner shows this beside the failure")]
fn eprintln_lines(name: &str, said: &str) {
    eprintln!("---- {name} ----\n{said}");
}

fn listen(ears: &Arc<Ears>, from: impl Read + Send + 'static, which: fn(&mut Heard) -> &mut Vec<String>) {
    let ears = Arc::clone(ears);
    thread::spawn(move || {
        let mut lines = BufReader::new(from);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            let said = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            which(&mut ears.lock()).push(said);
            ears.more.notify_all();
            line.clear();
        }
        ears.lock().open -= 1;
        ears.more.notify_all();
    });
}

fn text(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

fn tell(heard: &Heard) -> String {
    format!("{}{}", text(&heard.out), text(&heard.err))
}
