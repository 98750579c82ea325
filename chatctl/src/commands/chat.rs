//! `chat`: a conversation on one screen. Messages come in while a line is typed, and the line stays whole.
//!
//! Three things happen at once: `line` reads the keyboard in a thread and prints above the line in another, `link`
//! follows the daemon's events, and here is the one place where both are acted on, one thing after the other.

mod act;
mod complete;
mod line;
mod link;
mod said;
mod screen;
mod talk;

use std::io::{IsTerminal, Write};

use chat_protocol::ids::Username;
use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::types::{
    AccountState, AccountStatus, AccountStatusAnswer, EventsSubscribe, Since, SinceWord, UserLookup,
};
use chat_protocol::rpc::{ChatId, Event, EventBody, Kind, RpcError, Target};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};

use super::devices;
use crate::Session;
use crate::cli::Chat;
use crate::error::Failure;
use crate::output::style::Look;
use act::Chatter;
use line::{Shared, Typed};
use link::Heard;
use screen::Screen;
use talk::Talk;

/// Ends the mode in which a terminal marks what is pasted, and begins a line.
const LEAVE: &str = "\u{1b}[?2004l\r\n";

/// `chatctl chat TARGET`
pub(super) async fn run(chat: Chat, session: &mut Session) -> Result<(), Failure> {
    needs_a_person(session)?;
    let client = session.client().await?;
    let me = account(&client).await?;
    exists(&client, &chat.to).await?;
    drop(client);

    let mut before = Terminal::remember()?;
    let (paint, desk) = (session.out.paint(), Shared::default());
    let (keys, out) = line::open(format!("{}> ", chat.to), paint, &desk)?;
    let heard = link::follow(session.way()?, wanted(&chat.to));
    let talk = Talk::new(chat.to, paint, desk, Screen::new(out));
    converse(Chatter::new(talk, me, chat.limit), keys, heard, &mut before).await
}

/// A conversation is for people: scripts have `send` and `listen`.
fn needs_a_person(session: &Session) -> Result<(), Failure> {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    let refuse = |why: &str| {
        let why = format!("{why}: scripts use `chatctl send TARGET -` and `chatctl listen --chat TARGET`");
        Err(Failure::Usage(why))
    };
    match () {
        () if session.out.is_json() => refuse("a conversation has no JSON"),
        () if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() => refuse("chat needs a terminal"),
        () if dumb => refuse("this terminal cannot edit lines (TERM)"),
        () => Ok(()),
    }
}

async fn account(client: &Client) -> Result<Username, Failure> {
    let none = || Failure::Refused(RpcError::new(Kind::Unauthenticated, "this daemon has no account yet"));
    let AccountStatusAnswer { user, state, .. } = client.call(&AccountStatus {}).await?;
    let user = user.ok_or_else(none)?;
    match state {
        AccountState::LoggedOut => {
            let refusal = RpcError::new(Kind::Unauthenticated, format!("{user} is logged out on this device"));
            Err(refusal.with_hint(format!("log in again with `chatctl login {user}`")).into())
        }
        AccountState::ApprovalRequired => Err(devices::nobody_to_compare()),
        _ => Ok(user),
    }
}

/// A name that was mistyped is found out before anything is written to it; without a connection it is not known.
async fn exists(client: &Client, to: &Target) -> Result<(), Failure> {
    let Target::User(user) = to else { return Ok(()) };
    let Ok(answer) = client.call(&UserLookup { users: vec![user.clone()] }).await else { return Ok(()) };
    if answer.users.iter().all(|found| found.exists) {
        return Ok(());
    }
    Err(Failure::Refused(RpcError::new(Kind::NotFound, format!("there is no user {user}"))))
}

fn wanted(to: &Target) -> EventsSubscribe {
    let chats = Some(vec![ChatId::from(to)]);
    EventsSubscribe { chats, ..EventsSubscribe::everything(Since::Word(SinceWord::Now)) }
}

async fn converse(
    mut chatter: Chatter,
    mut keys: UnboundedReceiver<Typed>,
    mut heard: Receiver<Heard>,
    before: &mut Terminal,
) -> Result<(), Failure> {
    loop {
        // Cancel-safe: all three only wait, and lose nothing when another was first.
        tokio::select! {
            typed = keys.recv() => match typed {
                Some(Typed::Line(line)) => chatter.said(&line).await,
                Some(Typed::Choices(choices)) => chatter.talk.say(Look::Faint, &choices.join("  ")),
                Some(Typed::Older) => chatter.older().await,
                Some(Typed::Cleared) => chatter.talk.cleared(),
                None | Some(Typed::End(None)) => return Ok(()),
                Some(Typed::End(Some(why))) => return Err(Failure::Io(std::io::Error::other(why))),
            },
            news = heard.recv() => match news {
                Some(Heard::Event(event)) => hear(&mut chatter, &event).await,
                Some(Heard::Here(client)) => chatter.here(client).await,
                Some(Heard::Gone) => chatter.gone(),
                Some(Heard::Refused(failure)) => return before.end(Err(failure)),
                None => return before.end(Err(Failure::Lost)),
            },
            () = before.asked_to_end() => return before.end(Ok(())),
        }
        if heard.is_empty() {
            chatter.mark().await;
        }
    }
}

async fn hear(chatter: &mut Chatter, event: &Event) {
    let Some(body) = event.body() else { return };
    if !matches!(body, EventBody::Heartbeat(_)) {
        let need = chatter.talk.event(body);
        chatter.need(need).await;
    }
}

/// The terminal as it was found, for ends that the keyboard's thread does not see.
struct Terminal {
    found: Termios,
    terminate: Signal,
}

impl Terminal {
    fn remember() -> Result<Self, Failure> {
        let found = tcgetattr(rustix::stdio::stdin()).map_err(std::io::Error::from)?;
        Ok(Self { found, terminate: signal(SignalKind::terminate())? })
    }

    async fn asked_to_end(&mut self) {
        self.terminate.recv().await;
    }

    /// Gives the terminal back as it was.
    fn end(&self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        // A terminal that is gone needs nothing any more.
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &self.found);
        let _ = std::io::stdout().lock().write_all(LEAVE.as_bytes());
        outcome
    }
}
