//! A conversation on a terminal of its own: nothing that was typed vanishes, and nothing that is pasted breaks it.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use chat_protocol::rpc::types::IdentityState;

use super::fake::user;
use super::*;

/// Far beyond what any of it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// `chatctl chat` behind script(1).
struct Window {
    child: Child,
    keys: ChildStdin,
    shown: Receiver<String>,
    seen: String,
    /// Bytes that were drawn so far.
    drawn: usize,
}

impl Window {
    fn open(served: &Served, to: &str) -> Self {
        let line = format!("stty cols 200 rows 20; '{}' chat {to}", env!("CARGO_BIN_EXE_chatctl"));
        let mut command = std::process::Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).env_clear();
        command.env("PATH", std::env::var("PATH").unwrap()).env("TERM", "xterm").env("NO_COLOR", "1");
        let mut child = command.env("CHATD_SOCKET", &served.path).spawn().unwrap();
        let (keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (out, shown) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                if out.send(String::from_utf8_lossy(&bytes[..count]).into_owned()).is_err() {
                    return;
                }
            }
        });
        let mut window = Self { child, keys, shown, seen: String::new(), drawn: 0 };
        window.until("/help says");
        window
    }

    fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for words, behind those that were waited for before.
    fn until(&mut self, words: &str) {
        loop {
            if let Some(place) = self.seen.find(words) {
                self.seen.drain(..place + words.len());
                return;
            }
            match self.shown.recv_timeout(PATIENCE) {
                Ok(more) => {
                    self.drawn += more.len();
                    self.seen.push_str(&more);
                }
                Err(_) => panic!("no {words:?} in {:?}", self.seen),
            }
        }
    }

    fn ends_with(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn texts(served: &Served) -> Vec<String> {
    served.fake.state().messages.iter().map(|message| message.text.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paste_longer_than_a_message_is_left_out_and_the_window_stays() {
    let served = serve();
    let mut window = Window::open(&served, "@bob");
    window.types("draft");
    // More rows than sixteen bits count.
    window.types(&format!("\u{1b}[200~{}\u{1b}[201~", "\r".repeat(100_000)));
    window.until("pasted 100000 bytes");
    window.types(" and more\r");
    window.until("alice: draft and more");
    window.types("\u{1b}[200~two\rlines\u{1b}[201~\r");
    window.until("lines");
    window.types("last\r");
    window.until("alice: last");
    assert_eq!(texts(&served), ["draft and more", "two\nlines", "last"]);
    window.types("\u{4}");
    assert_eq!(window.ends_with(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paste_that_the_terminal_does_not_mark_is_not_drawn_once_for_each_key() {
    let served = serve();
    let mut window = Window::open(&served, "@bob");
    // a line holds 60 KiB of it, in 300 rows
    window.types(&"x".repeat(1024 * 1024));
    window.until("the line is full");
    window.types("\u{3}after\r");
    window.until("alice: after");
    assert!(window.drawn < 6_000_000, "anew with every row, it is 9 MB: {}", window.drawn);
    assert_eq!(texts(&served), ["after"]);
    window.types("\u{4}");
    assert_eq!(window.ends_with(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_lost_among_those_that_come_faster_than_they_are_drawn() {
    let served = serve();
    let mut window = Window::open(&served, "@bob");
    let (head, tail) = ("a".repeat(700), "z".repeat(2000));
    // Backspace, Alt-Enter, the arrow, Ctrl-A and Ctrl-E, all within what is read at once
    window.types(&format!("{head}\u{7f}\u{1b}\rb\u{1b}[Dc\u{1}d\u{5}{tail}\r"));
    window.until("alice:");
    window.types(&format!("{head}\u{3}left word\u{17}{tail}\r"));
    window.until("alice:");
    // what goes up and down again is still there
    window.types(&format!("{head}\u{1b}[A\u{1b}[B{tail}\r"));
    window.until("alice:");
    let short = &head[1..];
    assert_eq!(texts(&served), [format!("{short}\ndcb{tail}"), format!("left {tail}"), format!("{head}{tail}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_stays_on_the_line_while_the_identity_is_in_question() {
    let served = serve();
    served.fake.state().trust.insert(user("bob"), IdentityState::Changed);
    let mut window = Window::open(&served, "@bob");
    window.until("chatctl verify @bob");
    window.types("what nobody else may read\r");
    window.until("what you wrote stays on the line");
    assert_eq!(texts(&served), [] as [String; 0]);
    served.fake.state().trust.insert(user("bob"), IdentityState::Verified);
    window.types("\r");
    window.until("messages leave again");
    window.types("\r");
    window.until("alice: what nobody else may read");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_named_and_a_key_brings_it_back() {
    let served = serve();
    let mut window = Window::open(&served, "@changed");
    window.types("a secret\r");
    window.until("not sent: a secret");
    window.until("the arrow key brings your line back");
    window.types("\u{1b}[A");
    window.until("a secret");
    window.types("\u{3}/react ^9 x\r");
    window.until("the arrow key brings your line back");
    window.types("/etc/hosts\r");
    window.until("there is no /etc/hosts");
    window.until("@changed> /etc/hosts");
    assert_eq!(texts(&served), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_waits_when_the_window_is_left_is_written_out() {
    let served = serve();
    let mut window = Window::open(&served, "@bob");
    served.fake.stop.cancel();
    window.until("chatd is gone");
    window.types("one\r");
    window.until("waits for chatd: one");
    window.types("two\r");
    window.until("waits for chatd: two");
    window.types("\u{4}");
    window.until("not sent:\r\n  one\r\nnot sent:\r\n  two");
    assert_eq!(window.ends_with(), Some(69));
}
