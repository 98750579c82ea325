//! A terminal with a program in it, as somebody who sits there sees it: tmux(1) is the screen and the keyboard.
//!
//! Waiting is for the screen: tmux tells whenever something was written, and then it is looked at again; now and then it is
//! looked at anyway.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::DEADLINE;

/// Runs a program and then says on the screen how it ended. tmux would say it too, but now and then does not notice.
const SAYS_ITS_END: &str = r#""$@"; printf '[ended %d]\n' "$?""#;
/// When the screen is looked at again although nothing was told.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A terminal. It ends, with its program, when dropped.
pub struct Terminal {
    socket: PathBuf,
    /// Hears what is written.
    listener: Child,
    news: Receiver<()>,
}

impl Terminal {
    /// Runs a command on a terminal of so many columns and rows.
    ///
    /// # Panics
    /// If tmux is not there.
    #[must_use]
    pub fn open(room: &Path, size: (u16, u16), command: &Command) -> Self {
        let socket = room.join("tmux");
        let (columns, rows) = (size.0.to_string(), size.1.to_string());
        let mut words: Vec<String> = vec!["env".into(), "-i".into(), "TERM=screen".into(), "LANG=C.UTF-8".into()];
        let text = |os: &std::ffi::OsStr| os.to_str().expect("UTF-8").to_owned();
        words.extend(command.get_envs().filter_map(|(key, value)| Some(format!("{}={}", text(key), text(value?)))));
        words.extend(["sh", "-c", SAYS_ITS_END, "sh"].map(str::to_owned));
        words.extend([command.get_program()].into_iter().chain(command.get_args()).map(text));
        let configuration = room.join("tmux.conf");
        std::fs::write(&configuration, "set -g remain-on-exit on\nset -g status off\n")
            .expect("the stage can be written");
        let configuration = configuration.to_str().expect("UTF-8").to_owned();
        let start = ["-u", "-f", &configuration, "new-session", "-d", "-x", &columns, "-y", &rows, "--"];
        tmux(&socket, &start.iter().copied().chain(words.iter().map(String::as_str)).collect::<Vec<_>>(), "");
        let mut listener = Command::new("tmux")
            .arg("-S")
            .arg(&socket)
            .args(["-C", "attach-session", "-f", "ignore-size"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("tmux: run `make test-setup`");
        let lines = BufReader::new(listener.stdout.take().expect("piped")).lines();
        let (tell, news) = channel();
        // Ends with the listener.
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|_| tell.send(())));
        Self { socket, listener, news }
    }

    /// Types text, as it is.
    pub fn types(&self, text: &str) {
        tmux(&self.socket, &["send-keys", "-l", "--", text], "");
    }

    /// Presses keys, by their names in tmux: `Enter`, `C-c`, `PPage`.
    pub fn presses(&self, keys: &[&str]) {
        tmux(&self.socket, &[&["send-keys"], keys].concat(), "");
    }

    /// Pastes text, as a terminal does that marks what is pasted.
    pub fn pastes(&self, text: &str) {
        tmux(&self.socket, &["load-buffer", "-"], text);
        tmux(&self.socket, &["paste-buffer", "-p", "-r"], "");
    }

    /// Makes the terminal larger or smaller.
    pub fn resizes(&self, columns: u16, rows: u16) {
        tmux(&self.socket, &["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()], "");
    }

    /// The lines on the screen, without empty ones at the end.
    #[must_use]
    pub fn screen(&self) -> Vec<String> {
        let shown = tmux(&self.socket, &["capture-pane", "-p"], "");
        let text = String::from_utf8_lossy(&shown.stdout).trim_end().to_owned();
        text.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Waits until the screen is as wanted, and returns it.
    ///
    /// # Panics
    /// If it never is.
    pub fn shows(&self, what: &str, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let until = Instant::now() + DEADLINE;
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(Instant::now() < until, "the screen never showed {what}:\n{}", screen.join("\n"));
            // news or not: what tmux does not tell of is on the screen all the same
            if self.news.recv_timeout(LOOK_AGAIN) == Err(RecvTimeoutError::Disconnected) {
                thread::park_timeout(LOOK_AGAIN);
            }
            while self.news.try_recv().is_ok() {}
        }
    }

    /// Waits until this line is on the screen.
    pub fn shows_line(&self, line: &str) -> Vec<String> {
        self.shows(line, |screen| screen.iter().any(|shown| shown == line))
    }

    /// Waits until the program has ended, and returns its exit code; 128 and more when a signal ended it.
    ///
    /// # Panics
    /// If it does not end.
    #[must_use]
    pub fn ends(&self) -> i32 {
        let code = |line: &String| line.strip_prefix("[ended ")?.strip_suffix(']')?.parse().ok();
        let screen = self.shows("the end", |screen| screen.iter().any(|line| code(line).is_some()));
        screen.iter().find_map(code).expect("just seen")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // What has ended already needs no end.
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
        let _ = self.listener.kill();
        let _ = self.listener.wait();
    }
}

fn tmux(socket: &Path, words: &[&str], input: &str) -> Output {
    let mut command = Command::new("tmux");
    command.env_remove("TMUX").arg("-S").arg(socket).args(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("tmux: run `make test-setup`");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("tmux reads");
    let output = child.wait_with_output().expect("tmux ends");
    assert!(output.status.success(), "tmux {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
