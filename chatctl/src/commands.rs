//! A file for each noun or verb, and the way to them.

mod account;
mod chat;
mod chats;
mod completion;
mod consumers;
mod contacts;
mod devices;
mod doctor;
mod documents;
mod history;
mod known;
mod kv;
mod listen;
mod messages;
mod outbox;
mod pages;
mod profile;
mod requests;
mod rpc;
mod send;
mod service;
mod settings;
mod shells;
mod status;
mod tokens;
mod trust;
mod verify;
mod who;

use crate::cli::Verb;
use crate::error::Failure;
use crate::session::Session;

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
        Verb::Chat(chat) => chat::run(chat, session).await,
        Verb::History(history) => history::run(history, session).await,
        Verb::Search(search) => messages::search(search, session).await,
        Verb::Export(export) => messages::export(export, session).await,
        Verb::Edit(edit) => messages::edit(edit, session).await,
        Verb::Delete(delete) => messages::delete(&delete, session).await,
        Verb::React(react) => messages::react(react, session).await,
        Verb::Outbox => outbox::run(session).await,
        Verb::Cancel(message) => messages::cancel(&message, session).await,
        Verb::Resend(message) => messages::resend(&message, session).await,
        Verb::Unread(unread) => chats::unread(&unread, session).await,
        Verb::Contact(contact) => contacts::contact(contact, session).await,
        Verb::Requests(requests) => requests::requests(requests, session).await,
        Verb::Verify(verify) => verify::run(verify, session).await,
        Verb::Trust(trust) => trust::run(trust, session).await,
        Verb::Device(device) => devices::run(device, session).await,
        Verb::Profile(profile) => profile::run(profile, session).await,
        Verb::Mute(mute) => chats::mute(mute, session).await,
        Verb::Archive(archive) => chats::archive(archive, session).await,
        Verb::Settings(settings) => settings::settings(settings, session).await,
        Verb::Consumers(consumers) => consumers::consumers(consumers, session).await,
        Verb::Kv(kv) => kv::kv(kv, session).await,
        Verb::Token(token) => tokens::token(token, session).await,
        Verb::Audit(audit) => tokens::audit(audit, session).await,
        Verb::Service(service) => service::run(service, session).await,
        Verb::Doctor => doctor::run(session).await,
        Verb::Rpc(rpc) => rpc::run(&rpc, session).await,
        Verb::Complete { words } => completion::run(&words, session).await,
        Verb::Completions { shell } => documents::completions(shell, session),
        Verb::Man(wanted) => documents::man(&wanted, session),
    }
}
