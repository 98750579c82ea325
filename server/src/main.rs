//! `chat-server`: see `chat-server help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_server::admin::main(std::env::args_os())
}
