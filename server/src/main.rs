//! `chat-server`: see `chat-server help`.

use std::process::ExitCode;

use chat_programs::log;
use chat_server::failure::Exit;

fn main() -> ExitCode {
    // what is made without a word about its mode is for its owner alone
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    log::end_on_panic(Exit::Internal as u8);
    chat_server::admin::main(std::env::args_os())
}
