//! What the user noted about others, and whom the user wants to hear nothing of.
//!
//! A block is this side's alone: what the blocked user sends is opened, counted and acknowledged as always, so
//! that sessions stay in step and nothing counts as missing later, but it is neither kept nor shown. Its author
//! sees it delivered and never read.

use chat_protocol::ids::Username;
use chat_protocol::rpc::types::{self, ContactSet, MessagesFrom};

use crate::model::error::EngineError;
use crate::records::settings::Settings;
use crate::records::{events, history, profile};
use crate::rows::peers::{Contact, Trust};
use crate::rows::{CHATS, CONTACTS, DEVICE_TABLES, NUMBERS};
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// Longest alias and note, in bytes.
const MAX_ALIAS_BYTES: usize = 150;
const MAX_NOTE_BYTES: usize = 4 * 1024;
/// Most users something is noted about.
const MOST: u64 = 10_000;

impl Contact {
    fn of(rows: &dyn Rows, user: &Username) -> Result<Self, RowsError> {
        let known = CONTACTS.get(rows, user)?;
        Ok(known.unwrap_or_else(|| Self {
            user: user.clone(),
            alias: None,
            note: None,
            blocked: false,
            accepted: false,
        }))
    }

    fn is_empty(&self) -> bool {
        self.alias.is_none() && self.note.is_none() && !self.blocked && !self.accepted
    }

    fn shown(self, rows: &dyn Rows) -> Result<types::Contact, RowsError> {
        let Self { user, alias, note, blocked, accepted } = self;
        Ok(types::Contact { profile: profile::of(rows, &user)?, user, alias, note, blocked, accepted })
    }
}

/// Whether the user wants to hear nothing of `user`.
///
/// # Errors
/// [`RowsError`].
pub fn is_blocked(rows: &dyn Rows, user: &Username) -> Result<bool, RowsError> {
    Ok(CONTACTS.get(rows, user)?.is_some_and(|contact| contact.blocked))
}

/// What is noted about one user; nothing, if nothing is.
///
/// # Errors
/// [`RowsError`].
pub fn get(rows: &dyn Rows, user: &Username) -> Result<types::Contact, RowsError> {
    Contact::of(rows, user)?.shown(rows)
}

/// Everybody something is noted about, in order of the names.
///
/// # Errors
/// [`RowsError`].
pub fn list(rows: &dyn Rows) -> Result<Vec<types::Contact>, RowsError> {
    let shown = CONTACTS.all(rows)?.into_iter().map(|contact| contact.shown(rows));
    let mut contacts = shown.collect::<Result<Vec<_>, _>>()?;
    contacts.sort_by(|a, b| a.user.cmp(&b.user));
    Ok(contacts)
}

/// Notes something; what is absent stays, an empty text goes.
///
/// # Errors
/// `invalid_params`; `quota_exceeded`.
pub fn set(txn: &mut Txn<'_>, wanted: ContactSet) -> Result<types::Contact, EngineError> {
    let ContactSet { user, alias, note } = wanted;
    if alias.as_ref().is_some_and(|alias| alias.len() > MAX_ALIAS_BYTES || alias.chars().any(char::is_control)) {
        return Err(EngineError::invalid(
            "alias",
            format!("must be at most {MAX_ALIAS_BYTES} bytes without control characters"),
        ));
    }
    if note.as_ref().is_some_and(|note| note.len() > MAX_NOTE_BYTES) {
        return Err(EngineError::invalid("note", format!("must be at most {MAX_NOTE_BYTES} bytes")));
    }
    let changed = |new: Option<String>, old| new.map_or(old, |text| Some(text).filter(|text| !text.is_empty()));
    let known = Contact::of(txn.rows, &user)?;
    write(txn, Contact { alias: changed(alias, known.alias), note: changed(note, known.note), ..known })
}

/// Begins or ends a block.
pub(crate) fn set_blocked(txn: &mut Txn<'_>, user: &Username, blocked: bool) -> Result<types::Contact, EngineError> {
    let known = Contact::of(txn.rows, user)?;
    write(txn, Contact { blocked, ..known })
}

/// Notes whether the user wants to hear somebody who asked; whether that is new.
pub(crate) fn set_accepted(txn: &mut Txn<'_>, user: &Username, accepted: bool) -> Result<bool, EngineError> {
    let known = Contact::of(txn.rows, user)?;
    let is_new = known.accepted != accepted;
    write(txn, Contact { accepted, ..known }).map(|_| is_new)
}

/// Whether the user knows somebody: wrote to them, on whichever device, noted something, accepted their request, or
/// compared their identity. That there is a log of theirs makes nobody known: it is pinned when they write.
pub(crate) fn is_known(txn: &Txn<'_>, user: &Username) -> Result<bool, RowsError> {
    let noted = |contact: &Contact| contact.alias.is_some() || contact.note.is_some() || contact.accepted;
    let known = *user == txn.me.user || CONTACTS.get(txn.rows, user)?.is_some_and(|contact| noted(&contact));
    Ok(known || has_dealt_with(txn.rows, user)?)
}

/// Whether what somebody writes waits as a request, and nothing is told of them, nor to them.
pub(crate) fn keeps_back(txn: &Txn<'_>, user: &Username) -> Result<bool, RowsError> {
    let contacts_only = Settings::get(txn.rows)?.messages_from == MessagesFrom::ContactsOnly;
    Ok(contacts_only && !is_known(txn, user)?)
}

/// Whether what somebody sends is shown and answered: they are not blocked, and do not wait as a request.
pub(crate) fn is_heard(txn: &Txn<'_>, user: &Username) -> Result<bool, RowsError> {
    Ok(!is_blocked(txn.rows, user)? && !keeps_back(txn, user)?)
}

fn has_dealt_with(rows: &dyn Rows, user: &Username) -> Result<bool, RowsError> {
    // stores of earlier versions say nothing in the chat
    Ok(NUMBERS.has(rows, user)?
        || CHATS.get(rows, history::private(user).as_str())?.is_some_and(|chat| chat.wrote)
        || DEVICE_TABLES.get(rows, user)?.is_some_and(|table| table.trust == Trust::Verified))
}

fn write(txn: &mut Txn<'_>, contact: Contact) -> Result<types::Contact, EngineError> {
    let before = CONTACTS.get(txn.rows, &contact.user)?;
    if before.is_none() && CONTACTS.count(txn.rows)? >= MOST {
        return Err(EngineError::full("too many contacts"));
    }
    if contact.is_empty() {
        CONTACTS.delete(txn.rows, &contact.user)?;
    } else {
        CONTACTS.put(txn.rows, &contact.user, 0, &contact)?;
    }
    let changed = before.map_or(!contact.is_empty(), |before| before != contact);
    let shown = contact.shown(txn.rows)?;
    if changed {
        txn.live.requests_looked = None;
        events::contact(txn, &shown)?;
    }
    Ok(shown)
}
