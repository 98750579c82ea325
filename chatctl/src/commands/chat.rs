//! `chat`: a conversation on one screen. Messages come in while a line is typed, and the line stays whole.
//!
//! Three things happen at once: `line` reads the keyboard in a thread and prints above the line in another, `link`
//! follows the daemon's events, and here is the one place where both are acted on, one thing after the other.

mod act;
mod complete;
mod edits;
mod line;
mod link;
mod paste;
mod screen;
mod state;
mod talk;
mod typed;
mod typed_line;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use chat_protocol::ids::Username;
use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::types::{
    AccountState, AccountStatus, AccountStatusAnswer, EventsSubscribe, Since, SinceWord, UserLookup,
};
use chat_protocol::rpc::{ChatId, Event, EventBody, Kind, RpcError, Target};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};
use tokio::time::MissedTickBehavior;

use super::devices;
use crate::cli::Chat;
use crate::error::Failure;
use crate::output::style::Look;
use crate::session::Session;
use act::Chatter;
use link::Heard;
use screen::Screen;
use state::Shared;
use talk::Talk;
use typed::Typed;

/// Between two attempts to send what the daemon did not answer in time.
const RETRY: Duration = Duration::from_secs(5);
/// Nothing came for so long: what was pasted is over.
const QUIET: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// Pieces of it that are thrown away at most.
const LONGEST_REST: usize = 10_000;
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
    let (paint, state) = (session.out.paint(), Shared::default());
    let (keys, out) = line::open(format!("{}> ", chat.to), paint, &state)?;
    let heard = link::follow(session.way()?, wanted(&chat.to));
    let talk = Talk::new(chat.to, paint, state, Screen::new(out));
    let mut chatter = Chatter::new(talk, me, chat.limit);
    let outcome = converse(&mut chatter, keys, heard, &mut before).await;
    leave(&chatter.unsent(), outcome, session)
}

/// What did not leave is not lost with the window.
fn leave(unsent: &[String], outcome: Result<(), Failure>, session: &mut Session) -> Result<(), Failure> {
    for text in unsent {
        session.out.talk("not sent:");
        text.lines().for_each(|line| session.out.talk(&format!("  {line}")));
    }
    match outcome {
        Ok(()) if !unsent.is_empty() => {
            let refusal = RpcError::new(Kind::Offline, "not everything that was written was sent");
            Err(Failure::Refused(refusal.with_hint("it stands above: send it again with `chatctl send`")))
        }
        outcome => outcome,
    }
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
    chatter: &mut Chatter,
    mut keys: UnboundedReceiver<Typed>,
    mut heard: Receiver<Heard>,
    before: &mut Terminal,
) -> Result<(), Failure> {
    let mut retry = tokio::time::interval(RETRY);
    retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Cancel-safe: all of them only wait, and lose nothing when another was first.
        tokio::select! {
            typed = keys.recv() => match typed {
                Some(Typed::Line(line)) => chatter.said(&line).await,
                Some(Typed::Choices(choices)) => chatter.talk.say(Look::Faint, &choices.join("  ")),
                Some(Typed::Older) => chatter.older().await,
                Some(Typed::Cleared) => chatter.talk.cleared(),
                Some(Typed::Held) => chatter.held().await,
                Some(Typed::TooLong(bytes)) => chatter.talk.too_long(bytes),
                Some(Typed::Full) => chatter.talk.say(Look::Warn, "the line is full: a message has no room for more"),
                Some(Typed::End(None)) => {
                    chatter.talk.state.lock().line.clear();
                    return Ok(());
                }
                Some(Typed::End(Some(why))) => return before.torn(why),
                None => return before.torn("the keyboard is not read any more".to_owned()),
            },
            news = heard.recv() => match news {
                Some(Heard::Event(event)) => hear(chatter, &event).await,
                Some(Heard::Here(client)) => chatter.here(client).await,
                Some(Heard::Gone) => chatter.gone(),
                Some(Heard::Refused(failure)) => return before.end(Err(failure)),
                None => return before.end(Err(Failure::Lost)),
            },
            () = before.asked_to_end() => return before.end(Ok(())),
            _ = retry.tick(), if chatter.is_owed() => chatter.flush().await,
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

    /// Ends in the middle of what is typed or pasted. The rest of it is for nobody: least of all for the shell, which
    /// would do what it says.
    fn torn(&self, why: String) -> Result<(), Failure> {
        for _ in 0..LONGEST_REST {
            let _ = tcflush(rustix::stdio::stdin(), QueueSelector::IFlush);
            let mut more = [PollFd::from_borrowed_fd(rustix::stdio::stdin(), PollFlags::IN)];
            if !poll(&mut more, Some(&QUIET)).is_ok_and(|ready| ready > 0) {
                break;
            }
        }
        self.end(Err(Failure::Io(std::io::Error::other(why))))
    }

    /// Gives the terminal back as it was.
    fn end(&self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        // A terminal that is gone needs nothing any more.
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &self.found);
        let _ = std::io::stdout().lock().write_all(LEAVE.as_bytes());
        outcome
    }
}
