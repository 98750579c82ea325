//! The log on standard error, which nobody has to read and which may be on a full disk.
//!
//! A line is put into a queue and never waited for: one thread writes them, and whoever logs goes on. What finds no room
//! in the queue, or cannot be written, is lost and counted; the next line that can be written is told the number first.
//! The process's last words go the same way, and are waited for [`LAST_WORDS_WITHIN`] and no longer.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer as Formatted;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::reload;

use super::patient::Patient;
use chat_protocol::text::escape;

/// Most bytes that wait to be written: some thousand lines.
const QUEUE_BYTES: usize = 1024 * 1024;
/// What a waiting line costs besides its text.
const LINE_BYTES: usize = 64;
/// How long the end of the process waits for its last lines.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);

/// Puts another filter before the log.
pub type SetFilter = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// Begins the log of this process, with colours if so wished.
///
/// A second log in one process only happens in tests; the first one stays.
#[must_use]
pub fn begin(filter: EnvFilter, ansi: bool) -> SetFilter {
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).log_internal_errors(false);
    let log = log.with_writer(standard_error as fn() -> &'static Queue).with_filter_reloading();
    let handle = log.reload_handle();
    let _ = log.try_init();
    Box::new(move |filter| handle.reload(filter))
}

/// Says the last words of the process on standard error, behind what waits there.
pub fn last_words(words: &str) {
    standard_error().put(words.as_bytes());
    flush();
}

/// Waits until what was logged is written, but not for a reader that stalls.
pub fn flush() {
    standard_error().flush(LAST_WORDS_WITHIN);
}

/// From now on a panic, on whichever thread, ends the process with this code: nothing goes on by half.
pub fn end_on_panic(exit: u8) {
    std::panic::set_hook(Box::new(move |panic| {
        last_words(&epitaph(panic));
        std::process::exit(i32::from(exit));
    }));
}

/// A panic on one line, and where it came from if `RUST_BACKTRACE` asks for it.
fn epitaph(panic: &dyn fmt::Display) -> String {
    let mut words = format!("Error: a bug ends this program: {}\n", escape(&panic.to_string().replace('\n', " ")));
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        // writing to a string cannot fail
        let _ = writeln!(words, "{trace}");
    }
    words
}

fn standard_error() -> &'static Queue {
    static QUEUE: OnceLock<Queue> = OnceLock::new();
    QUEUE.get_or_init(|| Queue::before(io::stderr()))
}

/// Lines on their way to a writer.
struct Queue {
    commands: Sender<Command>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Bytes that wait.
    waiting: AtomicUsize,
    /// Lines that were lost and not told of yet.
    lost: AtomicU64,
}

enum Command {
    Write(Vec<u8>),
    /// Say when everything before this is done.
    Flush(SyncSender<()>),
}

impl Queue {
    /// Starts the thread that writes; it ends with the queue.
    fn before(out: impl Write + Send + 'static) -> Self {
        let (commands, inbox) = channel();
        let state = Arc::new(State::default());
        let pen = Pen { out: Patient(out), torn: false, state: Arc::clone(&state) };
        // a system without a thread to spare loses the log, not the program
        let _ = thread::Builder::new().name("log".to_owned()).spawn(move || pen.write(&inbox));
        Self { commands, state }
    }

    fn put(&self, line: &[u8]) {
        let bytes = line.len().saturating_add(LINE_BYTES);
        let waiting = self.state.waiting.fetch_add(bytes, Ordering::Relaxed);
        let full = waiting.saturating_add(bytes) > QUEUE_BYTES;
        if full || self.commands.send(Command::Write(line.to_vec())).is_err() {
            self.state.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.state.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything before is written or lost.
    fn flush(&self, within: Duration) {
        let (done, flushed) = sync_channel(1);
        if self.commands.send(Command::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(within);
        }
    }
}

/// Who writes the lines.
struct Pen<W> {
    out: W,
    /// The last line broke off in the middle.
    torn: bool,
    state: Arc<State>,
}

impl<W: Write> Pen<W> {
    fn write(mut self, inbox: &Receiver<Command>) {
        while let Ok(order) = inbox.recv() {
            match order {
                Command::Write(line) => {
                    self.line(&line);
                    self.state.waiting.fetch_sub(line.len().saturating_add(LINE_BYTES), Ordering::Relaxed);
                }
                Command::Flush(done) => drop(done.try_send(())),
            }
        }
    }

    /// Writes a line or counts it as lost, the losses before it first.
    fn line(&mut self, line: &[u8]) {
        let lost = self.state.lost.load(Ordering::Relaxed);
        let is_told = lost == 0 || self.put(told(lost).as_bytes());
        if is_told {
            self.state.lost.fetch_sub(lost, Ordering::Relaxed);
        }
        if !is_told || !self.put(line) {
            self.state.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn put(&mut self, line: &[u8]) -> bool {
        if self.torn && self.out.write_all(b"\n").is_err() {
            return false;
        }
        self.torn = false;
        let mut rest = line;
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => break,
                Ok(bytes) => rest = rest.get(bytes..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.torn = !rest.is_empty() && rest.len() < line.len();
        rest.is_empty()
    }
}

/// What is said of lost lines, as the log says everything.
fn told(lost: u64) -> String {
    let mut line = String::new();
    // a clock that cannot be written costs the time of this line
    let _ = SystemTime.format_time(&mut Formatted::new(&mut line));
    let _ = writeln!(line, "  WARN log: {lost} lines before this one could not be written");
    line
}

/// Never fails: what cannot be written is counted.
impl Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::ErrorKind;
    use std::sync::{Mutex, mpsc};

    use super::*;

    /// What becomes of the first writes.
    type Script = VecDeque<Result<usize, ErrorKind>>;

    /// Writes as it is told to, then everything.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Script, Vec<u8>)>>);

    impl Disk {
        fn that(script: impl IntoIterator<Item = Result<usize, ErrorKind>>) -> Self {
            Self(Arc::new(Mutex::new((script.into_iter().collect(), Vec::new()))))
        }

        /// What is on it; the time of the log's own lines is not shown.
        fn text(&self) -> String {
            let text = String::from_utf8(self.0.lock().unwrap().1.clone()).unwrap();
            let timeless =
                |line: &str| line.split_once("Z  WARN ").map_or(line.to_owned(), |(_, words)| words.to_owned());
            text.lines().map(|line| timeless(line) + "\n").collect()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (script, text) = &mut *self.0.lock().unwrap();
            let taken = script.pop_front().unwrap_or(Ok(bytes.len()))?.min(bytes.len());
            text.extend(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(disk: Disk, lines: &[&str]) -> String {
        let queue = Queue::before(disk.clone());
        lines.iter().for_each(|line| queue.put(format!("{line}\n").as_bytes()));
        queue.flush(Duration::from_secs(20));
        disk.text()
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_told_as_soon_as_one_can() {
        let full = || Err(ErrorKind::StorageFull);
        let disk = Disk::that([full(), Err(ErrorKind::BrokenPipe), full()]);
        let told = "log: 3 lines before this one could not be written\nfour\nfive\n";
        assert_eq!(written(disk, &["one", "two", "three", "four", "five"]), told);
    }

    #[test]
    fn a_line_that_broke_off_does_not_run_into_the_next() {
        let disk = Disk::that([Ok(2), Err(ErrorKind::StorageFull), Err(ErrorKind::StorageFull)]);
        let told = "on\nlog: 2 lines before this one could not be written\nthree\n";
        assert_eq!(written(disk, &["one", "two", "three"]), told);
    }

    #[test]
    fn a_pipe_that_says_not_now_gets_the_whole_line_later() {
        let disk =
            Disk::that([Err(ErrorKind::WouldBlock), Ok(1), Err(ErrorKind::WouldBlock), Err(ErrorKind::Interrupted)]);
        assert_eq!(written(disk, &["one", "two"]), "one\ntwo\n");
    }

    /// Takes nothing until it is let go.
    struct Stalled(mpsc::Receiver<()>, Disk);

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stalls_is_waited_for_by_nobody_and_costs_a_bounded_queue() {
        let (go, gate) = mpsc::channel();
        let disk = Disk::default();
        let queue = Queue::before(Stalled(gate, disk.clone()));
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        (0..2000).for_each(|_| queue.put(&line));
        queue.flush(Duration::from_millis(1));
        assert!(queue.state.waiting.load(Ordering::Relaxed) <= QUEUE_BYTES);
        drop(go);
        queue.flush(Duration::from_secs(20));
        queue.put(b"last\n");
        queue.flush(Duration::from_secs(20));
        let text = disk.text();
        let told = |line: &str| line.strip_prefix("log: ")?.split(' ').next()?.parse::<usize>().ok();
        let lost: usize = text.lines().filter_map(told).sum();
        let kept = text.lines().filter(|line| line.starts_with('x')).count();
        assert_eq!((kept + lost, text.lines().last()), (2000, Some("last")), "each is written or told as lost");
        assert!(kept >= QUEUE_BYTES / (line.len() + LINE_BYTES), "what has room is kept: {kept}");
    }

    #[test]
    fn a_panic_is_told_on_one_harmless_line() {
        let told = epitaph(&"panicked at a.rs:1:\nbad \u{1b}[2J");
        assert_eq!(told.lines().next(), Some("Error: a bug ends this program: panicked at a.rs:1: bad \\u{1b}[2J"));
    }
}
