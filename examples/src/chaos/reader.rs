//! A bot that handles messages by writing them down, and acknowledges afterwards.
//!
//! A line of its notes is `E SEQ CHAT FROM TEXT`, an event that was handled, or `A SEQ`, an acknowledgement that
//! was answered. The system keeps what was written when the process is killed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::sender::connect;

/// Between two tries to reach the daemon.
const PAUSE: Duration = Duration::from_millis(20);
/// Name of the consumer.
const CONSUMER: &str = "chaos";

/// Reads for ever.
///
/// # Errors
/// If the notes cannot be written.
pub fn read(socket: &Path, notes: &Path) -> io::Result<()> {
    let mut notes = OpenOptions::new().create(true).append(true).open(notes)?;
    loop {
        // whatever ended the connection, the next one goes on behind what was acknowledged
        if let Err(error) = follow(socket, &mut notes)
            && error.kind() == io::ErrorKind::StorageFull
        {
            return Err(error);
        }
        thread::sleep(PAUSE);
    }
}

fn follow(socket: &Path, notes: &mut File) -> io::Result<()> {
    let mut output = connect(socket)?;
    // silence is nothing to worry about: a dead daemon closes its connections
    output.set_read_timeout(None)?;
    let lines = BufReader::new(output.try_clone()?).lines();
    let wanted = json!({"consumer": CONSUMER, "types": ["message.new"], "include_self": false, "max_inflight": 50});
    call(&mut output, 0, "events.subscribe", &wanted)?;
    for line in lines {
        let line: Value = serde_json::from_str(&line?)?;
        if let Some(seq) = line["params"]["seq"].as_u64() {
            note(notes, seq, &line["params"]["data"])?;
            call(&mut output, seq, "events.ack", &json!({"consumer": CONSUMER, "seq": seq}))?;
        } else if let (Some(seq @ 1..), Some(_)) = (line["id"].as_u64(), line.get("result")) {
            notes.write_all(format!("A {seq}\n").as_bytes())?;
        }
    }
    Ok(())
}

fn note(notes: &mut File, seq: u64, message: &Value) -> io::Result<()> {
    let text = |key: &str| message[key].as_str().unwrap_or("?").to_owned();
    notes.write_all(format!("E {seq} {} {} {}\n", text("chat"), text("from"), text("text")).as_bytes())
}

fn call(output: &mut impl Write, id: u64, method: &str, params: &Value) -> io::Result<()> {
    writeln!(output, "{}", json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
}
