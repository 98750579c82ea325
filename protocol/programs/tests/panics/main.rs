//! A bug on whichever thread ends the whole program, with a code and, if anybody listens, with words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::fs::OpenOptions;
use std::io::{Read, pipe};
use std::process::{Command, Stdio};

use chat_programs::log;

/// Names the test below to itself, which then is the program.
const ROLE: &str = "CHAT_TEST_IS_THE_PROGRAM";
const EXIT: u8 = 70;

/// This program, told to panic on a thread that nobody waits for.
fn program(log: impl Into<Stdio>) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_panic_on_any_thread_ends_the_program_whoever_reads_its_log"]).env(ROLE, "1");
    command.env_remove("RUST_BACKTRACE").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

fn live() -> ! {
    log::end_on_panic(EXIT);
    std::thread::spawn(|| panic!("the cable\n\u{1b}[31m is cut"));
    loop {
        std::thread::park();
    }
}

#[test]
fn a_panic_on_any_thread_ends_the_program_whoever_reads_its_log() {
    if std::env::var_os(ROLE).is_some() {
        live();
    }
    let (mut read, write) = pipe().unwrap();
    let mut heard = program(write);
    let mut told = String::new();
    read.read_to_string(&mut told).unwrap();
    assert_eq!(heard.wait().unwrap().code(), Some(i32::from(EXIT)), "{told}");
    assert!(told.starts_with("Error: a bug ends this program: panicked at "), "{told}");
    assert!(told.ends_with(": the cable \\u{1b}[31m is cut\n"), "{told}");

    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_eq!(program(full).wait().unwrap().code(), Some(i32::from(EXIT)));
    let (_, nobody_reads) = pipe().unwrap();
    assert_eq!(program(nobody_reads).wait().unwrap().code(), Some(i32::from(EXIT)));
}
