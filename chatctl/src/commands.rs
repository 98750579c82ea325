//! One file for each verb, and the way to them.

mod account;
mod documents;
mod history;
mod listen;
mod rpc;
mod send;
mod status;
mod who;

use crate::Session;
use crate::cli::Verb;
use crate::error::Failure;

/// Does what was said.
pub(crate) async fn run(verb: Verb, session: &mut Session) -> Result<(), Failure> {
    match verb {
        Verb::Register(entrance) => account::register(entrance, session).await,
        Verb::Login(entrance) => account::login(entrance, session).await,
        Verb::Logout(logout) => account::logout(&logout, session).await,
        Verb::Passwd(passwd) => account::passwd(&passwd, session).await,
        Verb::Reset(reset) => account::reset(reset, session).await,
        Verb::Status => status::run(session).await,
        Verb::Who => who::run(session).await,
        Verb::Send(send) => send::run(send, session).await,
        Verb::Listen(listen) => listen::run(listen, session).await,
        Verb::History(history) => history::run(history, session).await,
        Verb::Rpc(rpc) => rpc::run(&rpc, session).await,
        Verb::Completions { shell } => documents::completions(shell, session),
        Verb::Man => documents::man(session),
    }
}
