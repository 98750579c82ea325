//! A log that cannot be written disturbs nobody: not the programs, and not those they serve.

use std::fs::OpenOptions;
use std::io::{PipeReader, Write, pipe};
use std::process::Stdio;

use chat_stories::Stage;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// Where a log goes, and what has to be kept for that.
type Log = (Stdio, Option<PipeReader>);

/// `| head`, or a logger that died.
fn nobody_reads() -> Log {
    (pipe().unwrap().1.into(), None)
}

fn the_disk_is_full() -> Log {
    (OpenOptions::new().write(true).open("/dev/full").unwrap().into(), None)
}

/// A pipe without room, and a reader that takes nothing out of it; a write waits, or is told to try again.
fn the_reader_is_stuck(waits: bool) -> Log {
    let (reader, mut writer) = pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'\n'; 512]).is_ok() {}
    if waits {
        fcntl_setfl(&writer, flags).unwrap();
    }
    (writer.into(), Some(reader))
}

#[test]
fn a_log_that_cannot_be_written_neither_ends_nor_cripples_a_program() {
    let logs: [fn() -> Log; 4] =
        [nobody_reads, the_disk_is_full, || the_reader_is_stuck(true), || the_reader_is_stuck(false)];
    for log in logs {
        let mut stage = Stage::dark();
        let ((of_server, _read), (of_chatd, _too)) = (log(), log());
        stage.server.start_logging(of_server);
        stage.server.reload();
        let mut alice = stage.stranger("alice");
        alice.start_logging(of_chatd);
        let _ = alice.enter("register", &stage.server.invite()).success();
        alice.turns("online");
        alice.stop();
        stage.server.stop();
    }
}
