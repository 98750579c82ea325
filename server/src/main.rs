//! `chat-server`: see `chat-server help`.

use std::process::ExitCode;

use chat_programs::{log, process};
use chat_server::failure::Exit;

fn main() -> ExitCode {
    log::end_on_panic(Exit::Internal as u8);
    if let Err(error) = process::protect() {
        log::last_words(&format!("cannot protect the process: {error}"));
        return ExitCode::from(Exit::Internal as u8);
    }
    chat_server::admin::main(std::env::args_os())
}
