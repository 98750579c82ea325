//! The conversation as it is shown: messages, and what happens to them and around them.

use std::collections::BTreeSet;

use chat_protocol::ids::{MessageId, Username};
use chat_protocol::limits::MAX_TEXT_BYTES;
use chat_protocol::rpc::events::{PresenceChanged, Reacted, StatusChanged};
use chat_protocol::rpc::types::{Chat, ConnectionState, IdentityState, Message, MessageState, Reaction};
use chat_protocol::rpc::{EventBody, Target};

use super::screen::Screen;
use super::state::Shared;
use crate::commands::listen::notice;
use crate::output::page::{Page, date, size};
use crate::output::style::{Look, Paint};
use crate::output::text::word;

/// What an event asks for besides being shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// To ask who is online.
    Presence,
    /// To read what came behind the last message shown.
    CatchUp,
    /// To explain what to do about a peer's new identity.
    Identity,
}

/// Everything shown so far, and how.
pub(super) struct Talk {
    pub(super) to: Target,
    /// Messages on the screen or scrolled away, oldest first.
    pub(super) known: Vec<Message>,
    /// The newest message of others that was shown and is not marked as read.
    pub(super) unmarked: Option<MessageId>,
    pub(super) state: Shared,
    online: BTreeSet<Username>,
    connected: bool,
    identity: Option<IdentityState>,
    day: String,
    paint: Paint,
    screen: Screen,
}

impl Talk {
    /// Whether the peer's identity is in question: no text leaves then.
    pub(super) fn set_identity(&mut self, identity: Option<IdentityState>) {
        self.identity = identity;
        self.state.lock().held = identity == Some(IdentityState::Changed);
    }

    pub(super) fn new(to: Target, paint: Paint, state: Shared, screen: Screen) -> Self {
        Self {
            to,
            known: Vec::new(),
            unmarked: None,
            state,
            online: BTreeSet::new(),
            connected: true,
            identity: None,
            day: String::new(),
            paint,
            screen,
        }
    }

    pub(super) const fn peer(&self) -> Option<&Username> {
        match &self.to {
            Target::User(user) => Some(user),
            _ => None,
        }
    }

    fn page(&self) -> Page {
        Page::new(self.paint, size().0)
    }

    fn show(&mut self, id: Option<MessageId>, lines: Vec<String>) {
        self.screen.show(id, lines, size());
    }

    /// Says something that is no message.
    pub(super) fn say(&mut self, look: Look, text: &str) {
        let lines = text.lines().flat_map(|line| self.page().notice(look, line)).collect();
        self.show(None, lines);
    }

    /// Says why what was pasted is not on the line.
    pub(super) fn too_long(&mut self, bytes: usize) {
        let text = format!(
            "pasted {bytes} bytes, and a message has {MAX_TEXT_BYTES} at most: nothing of it was taken. Send it in pieces: \
             split -C {MAX_TEXT_BYTES} FILE, then chatctl send {} --file",
            self.to
        );
        self.say(Look::Warn, &text);
    }

    /// The screen was cleared.
    pub(super) fn cleared(&mut self) {
        self.screen.forget();
    }

    /// Who may read along, and what is thought of the peer's identity.
    pub(super) fn greet(&mut self, chat: Option<&Chat>) {
        self.set_identity(chat.and_then(|chat| chat.identity));
        let text = match (&self.to, self.identity) {
            (Target::Room, _) => {
                "The public room: everybody on this server reads it, and so can the server.".to_owned()
            }
            (Target::Myself, _) => "Notes to yourself: they stay in this account.".to_owned(),
            (to, Some(IdentityState::Verified)) => format!("Only you and {to} read this; you compared identities."),
            (to, _) => format!("Only you and {to} read this, if {to} is who you think: identities were not compared."),
        };
        self.say(Look::Faint, &format!("{text} /help says what there is besides writing."));
    }

    /// Shows the first page of messages, the unread ones below a line.
    pub(super) fn begin(&mut self, messages: Vec<Message>, unread: u64) {
        let unread = usize::try_from(unread).unwrap_or(usize::MAX);
        let of_others: Vec<_> = messages.iter().filter(|message| !message.outgoing).map(|message| message.id).collect();
        let first_new = of_others.len().checked_sub(unread).and_then(|place| of_others.get(place)).copied();
        for message in messages {
            if first_new == Some(message.id) {
                let line = self.page().rule("new");
                self.show(None, vec![line]);
            }
            self.message(message);
        }
    }

    /// Shows a message below all others, unless it is known.
    pub(super) fn message(&mut self, message: Message) {
        if self.known.iter().any(|known| known.id == message.id) {
            return;
        }
        if self.day != date(message.sent_ms) {
            self.day = date(message.sent_ms);
            let line = self.page().day(message.sent_ms);
            self.show(None, vec![line]);
        }
        if message.outgoing {
            self.state.lock().own = Some(message.text.clone());
        } else {
            self.unmarked = Some(message.id);
        }
        self.known.push(message);
        let id = self.known.last().map(|message| message.id);
        let lines = id.map(|id| self.lines(id)).unwrap_or_default();
        self.show(id, lines);
    }

    /// Shows messages that are older than all known.
    pub(super) fn older(&mut self, messages: Vec<Message>, more: bool) {
        if messages.is_empty() {
            return self.say(Look::Faint, "there are no older messages");
        }
        let page = self.page();
        let mut lines = vec![page.rule("older messages")];
        lines.extend(page.messages(&messages));
        lines.push(page.rule(if more { "/more shows those before them" } else { "the first message is above" }));
        self.show(None, lines);
        self.known.splice(0..0, messages);
    }

    /// A message as it looks now.
    fn lines(&self, id: MessageId) -> Vec<String> {
        let find = |id: MessageId| self.known.iter().find(|message| message.id == id);
        let Some(message) = find(id) else { return Vec::new() };
        self.page().message(message, message.reply_to.and_then(find))
    }

    /// Changes a message that is known; says `instead` if it cannot be shown anew where it stands.
    fn change(&mut self, id: MessageId, instead: Option<(Look, String)>, change: impl FnOnce(&mut Message)) {
        let Some(message) = self.known.iter_mut().find(|message| message.id == id) else { return };
        change(message);
        let (lines, below) = (self.lines(id), self.state.lock().rows());
        if !self.screen.renew(id, &lines, size(), below)
            && let Some((look, text)) = instead
        {
            self.say(look, &text);
        }
    }

    /// The Nth newest message, of others or the own ones, that is not deleted.
    pub(super) fn nth(&self, own: bool, number: usize) -> Option<&Message> {
        let fits = |message: &&Message| !message.deleted && (message.outgoing == own || self.to == Target::Myself);
        self.known.iter().rev().filter(fits).nth(number.checked_sub(1)?)
    }

    /// Shows what happened.
    pub(super) fn event(&mut self, body: EventBody) -> Need {
        match body {
            EventBody::MessageNew(message) => self.message(message),
            EventBody::MessageStatus(status) => self.status(&status),
            EventBody::MessageEdited(message) => self.edited(message),
            EventBody::MessageDeleted(gone) => {
                let about = self.about(gone.id).map(|text| (Look::Faint, format!("deleted: {text}")));
                self.change(gone.id, about, |message| {
                    message.deleted = true;
                    message.text.clear();
                    message.reactions.clear();
                });
            }
            EventBody::MessageReaction(reacted) => self.reacted(reacted),
            EventBody::Presence(change) => self.presence(change),
            EventBody::Connection(change) => return self.connection(change.state, change.reason.as_deref()),
            EventBody::IdentityChanged(change) if Some(&change.user) == self.peer() => {
                self.set_identity(Some(IdentityState::Changed));
                return Need::Identity;
            }
            EventBody::ChatUpdated(chat) => self.updated(&chat),
            EventBody::Gap(_) => return Need::CatchUp,
            // What became of the daemon is seen by its absence.
            EventBody::DaemonStopping(_) => {}
            other => {
                if let Some(text) = notice(&other) {
                    self.say(Look::Warn, &text);
                }
            }
        }
        Need::Nothing
    }

    /// The beginning of a message, to speak about it.
    fn about(&self, id: MessageId) -> Option<String> {
        let message = self.known.iter().find(|message| message.id == id)?;
        let short: String = message.text.chars().take(40).collect();
        Some(format!("{}: {short}", message.from))
    }

    fn status(&mut self, status: &StatusChanged) {
        let wrong = matches!(status.state, MessageState::Failed | MessageState::NotReceived);
        let why = status.error.map(|why| format!(" ({})", word(&why))).unwrap_or_default();
        let about = self.about(status.id).unwrap_or_default();
        if wrong || status.error.is_some() {
            let text = format!("not delivered{why}: {about}; the arrow key brings it back");
            self.say(Look::Bad, &text);
        }
        self.change(status.id, None, |message| message.state = Some(status.state));
    }

    fn edited(&mut self, now: Message) {
        let told = Some((Look::Faint, format!("{} says now: {}", now.from, now.text)));
        if now.outgoing && self.nth(true, 1).is_some_and(|newest| newest.id == now.id) {
            self.state.lock().own = Some(now.text.clone());
        }
        self.change(now.id, told, |message| *message = now);
    }

    fn reacted(&mut self, Reacted { id, user, emoji }: Reacted) {
        let told =
            self.about(id).zip(emoji.clone()).map(|(about, emoji)| (Look::Faint, format!("{user} {emoji} to {about}")));
        self.change(id, told, |message| {
            for reaction in &mut message.reactions {
                reaction.users.retain(|other| *other != user);
            }
            message.reactions.retain(|reaction| !reaction.users.is_empty());
            let Some(emoji) = emoji else { return };
            match message.reactions.iter_mut().find(|reaction| reaction.emoji == emoji) {
                Some(same) => same.users.push(user),
                None => message.reactions.push(Reaction { emoji, users: vec![user] }),
            }
        });
    }

    pub(super) fn updated(&mut self, chat: &Chat) {
        let accepted = self.identity == Some(IdentityState::Changed) && chat.identity != self.identity;
        // before it is said: who reads that messages leave again may send one at once
        self.set_identity(chat.identity);
        if accepted {
            let to = self.to.clone();
            self.say(Look::Good, &format!("the identity of {to} was accepted: messages leave again"));
        }
    }

    fn connection(&mut self, state: ConnectionState, reason: Option<&str>) -> Need {
        let online = state == ConnectionState::Online;
        if online == self.connected || state == ConnectionState::Connecting {
            return Need::Nothing;
        }
        self.connected = online;
        if online {
            self.say(Look::Good, "connected to the server");
            return Need::Presence;
        }
        let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        self.say(Look::Warn, &format!("no connection to the server: {}{why}; what you write waits", word(&state)));
        Need::Nothing
    }

    /// Knows at first what the connection is like, and says so if it is not well.
    pub(super) fn connection_is(&mut self, state: ConnectionState, reason: Option<&str>) {
        self.connected = true;
        if state == ConnectionState::Connecting {
            self.connected = false;
            return self.say(Look::Faint, "connecting to the server; what you write waits");
        }
        self.connection(state, reason);
    }

    /// Who is online, as far as it matters here.
    pub(super) fn presence_is(&mut self, online: BTreeSet<Username>) {
        self.online = online;
        self.complete_names();
        self.who();
    }

    /// Says who is online.
    pub(super) fn who(&mut self) {
        let names: Vec<_> = self.online.iter().map(|user| user.as_str()).collect();
        let text = match self.peer() {
            Some(peer) if self.online.contains(peer) => format!("{peer} is online"),
            Some(peer) => format!("{peer} is not online"),
            None if names.is_empty() => "nobody else is online".to_owned(),
            None => format!("online: {}", names.join(", ")),
        };
        if self.to != Target::Myself {
            self.say(Look::Faint, &text);
        }
    }

    fn presence(&mut self, change: PresenceChanged) {
        let peer = self.peer().cloned();
        let matters = |user: &&Username| peer.as_ref().map_or(self.to == Target::Room, |peer| peer == *user);
        let came: Vec<_> = change.online.iter().filter(|user| !self.online.contains(*user)).collect();
        let words = |users: Vec<&Username>, what: &str| {
            let names: Vec<_> = users.into_iter().filter(matters).map(Username::as_str).collect();
            (!names.is_empty()).then(|| format!("{} {what}", names.join(", ")))
        };
        let told = [words(came, "came online"), words(change.offline.iter().collect(), "went offline")];
        self.online.extend(change.online);
        self.online.retain(|user| !change.offline.contains(user));
        for text in told.into_iter().flatten() {
            self.say(Look::Faint, &text);
        }
        self.complete_names();
    }

    fn complete_names(&self) {
        let mut names: BTreeSet<&Username> = self.online.iter().collect();
        names.extend(self.known.iter().filter(|message| !message.outgoing).map(|message| &message.from));
        names.extend(self.peer());
        self.state.lock().names = names.into_iter().map(ToString::to_string).collect();
    }
}
