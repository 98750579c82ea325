//! What is done for the person who types: calls on the daemon, in the order they were typed.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use chat_protocol::ids::{MessageId, Username};
use chat_protocol::limits::MAX_PAGE;
use chat_protocol::rpc::client::{CallError, Client};
use chat_protocol::rpc::types::{
    ChatGet, ChatMarkRead, DaemonHealth, DeleteScope, IdentityState, MsgDelete, MsgEdit, MsgList, MsgReact, MsgSend,
    PresenceList,
};
use chat_protocol::rpc::{Kind, Method};

use super::talk::{Need, Talk};
use super::typed_line::{COMMANDS, TypedLine};
use crate::error::Failure;
use crate::hints::{Case, Doing};
use crate::output::page::size;
use crate::output::style::Look;

/// Rows of the screen that messages leave free at first: for what is said above and below them.
const RESERVED_ROWS: usize = 6;
/// Messages shown at first, and at once by `/more`, on any screen.
const PAGE: std::ops::RangeInclusive<usize> = 10..=200;

/// Characters shown of a text that did not leave.
const SHOWN: usize = 200;
/// Where a line is that was taken and came to nothing.
const BACK: &str = "the arrow key brings your line back";

/// The conversation, and the daemon if it is there.
pub(super) struct Chatter {
    pub(super) talk: Talk,
    me: Username,
    limit: u32,
    client: Option<Client>,
    begun: bool,
    /// Texts that wait for the daemon.
    waiting: VecDeque<MsgSend>,
    sent: u64,
}

impl Chatter {
    pub(super) fn new(talk: Talk, me: Username, limit: Option<u32>) -> Self {
        let limit = limit.unwrap_or_else(fitting);
        Self { talk, me, limit, client: None, begun: false, waiting: VecDeque::new(), sent: 0 }
    }

    /// The daemon is there: shows what there is, or what was missed, and sends what waits.
    pub(super) async fn here(&mut self, client: Client) {
        self.client = Some(client);
        if self.begun {
            self.talk.say(Look::Good, "chatd is back");
        } else {
            self.begin().await;
        }
        self.flush().await;
    }

    /// The daemon went away.
    pub(super) fn gone(&mut self) {
        if self.client.take().is_some() {
            self.talk.say(Look::Warn, "chatd is gone; what you write waits here until it is back");
        }
    }

    async fn begin(&mut self) {
        let to = self.talk.to.clone();
        // A chat nobody wrote in yet is not known to the daemon.
        let chat = self.quietly(&ChatGet { to: to.clone() }).await;
        self.talk.greet(chat.as_ref());
        let page = self.ask(&MsgList { to, before: None, after: None, limit: Some(self.limit) }).await;
        let Some(page) = page else { return };
        self.begun = true;
        if page.more {
            self.talk.say(Look::Faint, "/more shows older messages");
        }
        self.talk.begin(page.messages, chat.as_ref().map_or(0, |chat| chat.unread));
        if let Some(health) = self.ask(&DaemonHealth {}).await {
            self.talk.connection_is(health.connection.state, health.connection.reason.as_deref());
        }
        self.presence(true).await;
        if chat.and_then(|chat| chat.identity) == Some(IdentityState::Changed) {
            self.explain_identity();
        }
    }

    /// Does what an event asks for.
    pub(super) async fn need(&mut self, need: Need) {
        match need {
            Need::Nothing => {}
            Need::Presence => self.presence(false).await,
            Need::CatchUp => self.catch_up().await,
            Need::Identity => self.explain_identity(),
        }
    }

    /// Does what a typed line says.
    pub(super) async fn said(&mut self, line: &str) {
        match TypedLine::parse(line) {
            // The keyboard ends by itself.
            TypedLine::Nothing | TypedLine::Quit => {}
            TypedLine::Help => self.help(),
            TypedLine::Who => self.presence(true).await,
            TypedLine::More => self.older().await,
            TypedLine::Wrong(why) => self.talk.say(Look::Warn, &why),
            TypedLine::Text(text) => self.write(text, None).await,
            TypedLine::Reply(number, text) => {
                if let Some(id) = self.which(false, number) {
                    self.write(text, Some(id)).await;
                }
            }
            TypedLine::Edit(number, text) => {
                if let Some(id) = self.which(true, number) {
                    self.order(&MsgEdit { id, text }, line).await;
                }
            }
            TypedLine::Delete(number) => {
                if let Some(id) = self.which(true, number) {
                    self.order(&MsgDelete { id, scope: DeleteScope::All }, line).await;
                }
            }
            TypedLine::React(number, sign) => self.react(number, sign, line).await,
        }
    }

    fn help(&mut self) {
        for (name, usage, what) in COMMANDS {
            let form = format!("{name} {usage}");
            self.talk.say(Look::Faint, &format!("{form:<20} {what}"));
        }
        let keys = "Enter sends, Alt-Enter breaks the line, Tab completes, arrows bring lines back";
        self.talk.say(Look::Faint, keys);
    }

    /// The id of the Nth newest message.
    fn which(&mut self, own: bool, number: usize) -> Option<MessageId> {
        let found = self.talk.nth(own, number).map(|message| message.id);
        if found.is_none() {
            let whose = if own { "yours" } else { "somebody else's" };
            self.talk
                .say(Look::Warn, &format!("there is no such message of {whose} here; /more shows older ones, {BACK}"));
        }
        found
    }

    async fn write(&mut self, text: String, reply_to: Option<MessageId>) {
        self.sent += 1;
        // A key of its own: sent again after the daemon went away it is not sent twice.
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let client_id = Some(format!("chatctl-chat-{}-{started}-{}", std::process::id(), self.sent));
        self.waiting.push_back(MsgSend { client_id, reply_to, ..MsgSend::text(self.talk.to.clone(), text) });
        self.flush().await;
        if let Some(last) = self.waiting.back() {
            self.talk.say(Look::Faint, &format!("waits for chatd: {}", beginning(&last.text)));
        }
    }

    /// Whether something waits for a daemon that is there: it did not answer in time.
    pub(super) fn is_owed(&self) -> bool {
        self.client.is_some() && !self.waiting.is_empty()
    }

    /// Sends what waits, in the order in which it was written, until something has to wait on.
    pub(super) async fn flush(&mut self) {
        while let (Some(next), Some(client)) = (self.waiting.front(), &self.client) {
            match client.call(next).await {
                Ok(_) => drop(self.waiting.pop_front()),
                Err(CallError::Disconnected | CallError::TimedOut) => return,
                Err(error) => {
                    if let Some(refused) = self.waiting.pop_front() {
                        self.refused(error, &refused.text);
                    }
                }
            }
        }
    }

    /// A text did not leave. It is never lost without a word: it can be typed again with a key.
    fn refused(&mut self, error: CallError, text: &str) {
        if matches!(&error, CallError::Refused(refusal) if refusal.kind == Kind::IdentityChanged) {
            self.talk.set_identity(Some(IdentityState::Changed));
            self.explain_identity();
            return self.talk.say(Look::Bad, &format!("not sent: {}\n{BACK}", beginning(text)));
        }
        self.fail(error.into(), &format!("not sent: {}\n{BACK}", beginning(text)));
    }

    /// A text was to be sent while the identity is in question, and is still on the line: is it in question?
    pub(super) async fn held(&mut self) {
        let chat = self.quietly(&ChatGet { to: self.talk.to.clone() }).await;
        match chat {
            Some(chat) if chat.identity != Some(IdentityState::Changed) => self.talk.updated(&chat),
            _ => {
                self.explain_identity();
                self.talk.say(Look::Warn, "what you wrote stays on the line");
            }
        }
    }

    /// What was written and did not leave, the last of it on the line still.
    pub(super) fn unsent(&self) -> Vec<String> {
        let line = self.talk.state.lock().typed();
        let waiting = self.waiting.iter().map(|message| message.text.clone());
        waiting.chain((!line.trim().is_empty()).then_some(line)).collect()
    }

    async fn react(&mut self, number: usize, sign: Option<String>, line: &str) {
        let Some(id) = self.which(false, number) else { return };
        let me = &self.me;
        let given = || {
            let message = self.talk.nth(false, number)?;
            let mine = message.reactions.iter().find(|reaction| reaction.users.contains(me))?;
            Some(mine.emoji.clone())
        };
        let remove = sign.is_none().then_some(true);
        match sign.or_else(given) {
            Some(emoji) => {
                self.order(&MsgReact { id, emoji, remove }, line).await;
            }
            None => self.talk.say(Look::Warn, "you did not react to that message"),
        }
    }

    /// Shows what is older than all shown so far.
    pub(super) async fn older(&mut self) {
        let (to, before) = (self.talk.to.clone(), self.talk.known.first().map(|message| message.id));
        if let Some(page) = self.ask(&MsgList { to, before, after: None, limit: Some(fitting()) }).await {
            self.talk.older(page.messages, page.more);
        }
    }

    /// Shows what is newer than all shown so far.
    async fn catch_up(&mut self) {
        let (to, after) = (self.talk.to.clone(), self.talk.known.last().map(|message| message.id));
        let mut next = MsgList { to, before: None, after, limit: Some(MAX_PAGE) };
        while let Some(page) = self.ask(&next).await {
            next.after = page.messages.last().map(|message| message.id);
            page.messages.into_iter().for_each(|message| self.talk.message(message));
            if !page.more || next.after.is_none() {
                return;
            }
        }
    }

    /// Asks who is online; without a connection that is not known, and said only if somebody asked.
    async fn presence(&mut self, asked: bool) {
        let Some(client) = &self.client else { return self.absent() };
        match client.call(&PresenceList {}).await {
            Ok(list) => {
                let others = list.users.into_iter().filter(|present| !present.me).map(|present| present.user).collect();
                self.talk.presence_is(others);
            }
            Err(_) if asked => self.talk.say(Look::Faint, "who is online is not known without a connection"),
            Err(_) => {}
        }
    }

    /// Marks what was shown as read.
    pub(super) async fn mark(&mut self) {
        if let Some(up_to) = self.talk.unmarked.take() {
            let to = self.talk.to.clone();
            self.ask(&ChatMarkRead { to, up_to: Some(up_to) }).await;
        }
    }

    /// What to do about a peer whose identity is not the one known.
    fn explain_identity(&mut self) {
        if let Some(user) = self.talk.peer().cloned() {
            self.talk.say(Look::Bad, &identity_words(&user));
        }
    }

    /// Makes a call, and says what went wrong with it.
    async fn ask<M: Method>(&mut self, params: &M) -> Option<M::Answer> {
        let Some(client) = &self.client else {
            self.absent();
            return None;
        };
        match client.call(params).await {
            Ok(answer) => Some(answer),
            // That it is gone is said once, when the events end.
            Err(CallError::Disconnected) => None,
            Err(error) => {
                self.fail(error.into(), "");
                None
            }
        }
    }

    /// Does what a line said, or says why that was not done.
    async fn order<M: Method>(&mut self, params: &M, line: &str) {
        let outcome = match &self.client {
            Some(client) => client.call(params).await.map(drop),
            None => Err(CallError::Disconnected),
        };
        if let Err(error) = outcome {
            self.fail(error.into(), &format!("not done: {}\n{BACK}", beginning(line)));
        }
    }

    async fn quietly<M: Method>(&self, params: &M) -> Option<M::Answer> {
        self.client.as_ref()?.call(params).await.ok()
    }

    fn absent(&mut self) {
        self.talk.say(Look::Warn, "chatd is not there; try again when it is back");
    }

    fn fail(&mut self, failure: Failure, more: &str) {
        let mut told = Vec::new();
        failure.report(&mut told, false, &Doing::new(Case::Send, "chat"));
        told.extend_from_slice(more.as_bytes());
        self.talk.say(Look::Bad, &String::from_utf8_lossy(&told));
    }
}

/// Messages that fit on the screen.
fn fitting() -> u32 {
    let rows = size().1.saturating_sub(RESERVED_ROWS).clamp(*PAGE.start(), *PAGE.end());
    u32::try_from(rows).unwrap_or(u32::MAX)
}

/// Enough of a text to know it by.
fn beginning(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push_str("..");
    }
    short
}

fn identity_words(user: &Username) -> String {
    format!(
        "The identity of @{user} is not the one known here. Nothing you write leaves until you decide.\n\
         Either {user} began anew, on another machine perhaps, or somebody pretends to be {user}.\n\
         Ask in another way, by telephone say, then compare numbers in another terminal: chatctl verify @{user}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_identity_is_explained_with_the_command_that_compares() {
        let text = identity_words(&"bob".parse().unwrap());
        assert!(text.ends_with("chatctl verify @bob"), "{text}");
    }
}
