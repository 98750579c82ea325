//! A client of the daemon's socket, on the standard library alone.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use chat_protocol::rpc::contract::Contract;
use serde_json::{Value, json};

use crate::{DEADLINE, binaries};

/// What the daemon answered instead of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// JSON-RPC code.
    pub code: i64,
    /// Its words.
    pub message: String,
    /// `data.kind`.
    pub kind: String,
}

/// A connection. Dropping it closes it.
pub struct Socket {
    writer: UnixStream,
    lines: Receiver<Value>,
    events: VecDeque<Value>,
    calls: u64,
}

/// What the daemon under test says of its own API; every story holds it to that.
fn document() -> MutexGuard<'static, Contract> {
    static DOCUMENT: OnceLock<Mutex<Contract>> = OnceLock::new();
    let contract = DOCUMENT.get_or_init(|| {
        let mut chatd = binaries::program("chatd", &std::env::temp_dir());
        let printed = chatd.arg("openrpc").output().expect("chatd can be run").stdout;
        Mutex::new(Contract::of(&serde_json::from_slice(&printed).expect("a document")))
    });
    contract.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Socket {
    /// Connects.
    ///
    /// # Panics
    /// If nobody listens there.
    #[must_use]
    pub fn connect(path: &Path) -> Self {
        let writer = UnixStream::connect(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let reader = BufReader::new(writer.try_clone().expect("a socket can be cloned"));
        let (say, lines) = channel();
        thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line)
                    .unwrap_or_else(|error| json!({"broken": line, "why": error.to_string()}));
                if say.send(value).is_err() {
                    return;
                }
            }
        });
        Self { writer, lines, events: VecDeque::new(), calls: 0 }
    }

    /// Calls a method and waits for its answer; events that come meanwhile are kept.
    ///
    /// # Errors
    /// [`Refused`] when the daemon answers with an error.
    ///
    /// # Panics
    /// If the connection ends or the deadline passes.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, Refused> {
        self.calls += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.calls, "method": method, "params": params});
        writeln!(self.writer, "{request}").unwrap_or_else(|error| panic!("{method}: {error}"));
        let until = Instant::now() + DEADLINE;
        loop {
            let line = self.next(method, until);
            if line.get("id") == Some(&json!(self.calls)) {
                document().call(method, &request["params"], &line);
                return answer(line);
            }
            self.keep(line);
        }
    }

    /// Calls one method many times without waiting in between, and returns the answers in the order of the calls.
    ///
    /// # Panics
    /// If the connection ends or the deadline passes between two answers.
    pub fn pipeline(&mut self, method: &str, params: Vec<Value>) -> Vec<Result<Value, Refused>> {
        let first = self.calls + 1;
        self.calls += params.len() as u64;
        let mut writer = self.writer.try_clone().expect("a socket can be cloned");
        let (name, asked) = (method.to_owned(), params.clone());
        // written beside, since a daemon that cannot answer does not read on
        let mut waiting: Vec<_> = params.iter().map(|_| None).collect();
        let written = thread::spawn(move || {
            for (id, params) in (first..).zip(params) {
                let request = json!({"jsonrpc": "2.0", "id": id, "method": name, "params": params});
                writeln!(writer, "{request}").unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        });
        while waiting.iter().any(Option::is_none) {
            let line = self.next(method, Instant::now() + DEADLINE);
            match line["id"].as_u64().and_then(|id| id.checked_sub(first)) {
                Some(place) => {
                    let place = usize::try_from(place).expect("as many as fit");
                    document().call(method, &asked[place], &line);
                    waiting[place] = Some(answer(line));
                }
                None => self.keep(line),
            }
        }
        written.join().expect("the writer ends");
        waiting.into_iter().flatten().collect()
    }

    /// The next event, in the order of the daemon.
    ///
    /// # Panics
    /// If the connection ends or `until` passes: heartbeats are events too, and are no reason to wait on.
    pub fn event(&mut self, awaited: &str, until: Instant) -> Value {
        while self.events.is_empty() {
            let line = self.next(awaited, until);
            self.keep(line);
        }
        self.events.pop_front().expect("just filled")
    }

    fn keep(&mut self, line: Value) {
        assert_eq!(line["method"], "event", "neither an answer nor an event: {line}");
        document().event(&line["params"]);
        self.events.push_back(line["params"].clone());
    }

    fn next(&self, awaited: &str, until: Instant) -> Value {
        let left = until.saturating_duration_since(Instant::now());
        self.lines.recv_timeout(left).unwrap_or_else(|error| panic!("waiting for {awaited}: {error}"))
    }
}

fn answer(mut line: Value) -> Result<Value, Refused> {
    if let Some(error) = line.get("error") {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        return Err(Refused {
            code: error["code"].as_i64().unwrap_or_default(),
            message: text(&error["message"]),
            kind: text(&error["data"]["kind"]),
        });
    }
    Ok(line["result"].take())
}
