//! What commands print: data on standard output, talk on standard error.

use std::io::{self, Write};

use chat_programs::patient::Patient;
use chat_protocol::text::escape;

use crate::failure::{Exit, Failure};

/// Result of a command.
pub(super) type Done = Result<(), Failure>;

/// Prints a line of data; what could fool a terminal is escaped.
pub(super) fn say(line: &str) -> Done {
    columns(&[line])
}

/// Prints a line of data whose parts are set apart by tabs.
pub(super) fn columns(parts: &[&str]) -> Done {
    let parts: Vec<_> = parts.iter().map(|part| escape(part)).collect();
    print(format!("{}\n", parts.join("\t")).as_bytes())
}

/// Prints data for programs.
pub(super) fn object(value: &serde_json::Value) -> Done {
    print(format!("{value}\n").as_bytes())
}

/// Prints data as it is. Who no longer listens needs no error.
pub(super) fn print(data: &[u8]) -> Done {
    let mut stdout = Patient(io::stdout().lock());
    match stdout.write_all(data).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Io, "cannot write to standard output").because(error))
        }
        _ => Ok(()),
    }
}

/// Prints a line of talk.
pub(super) fn talk(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", escape(line));
}
