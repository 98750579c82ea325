//! Reading a chat, and who hears of it.

use std::collections::BTreeMap;

use chat_protocol::ids::{MessageId, Username};

use crate::exchange::read_elsewhere;
use crate::model::error::EngineError;
use crate::queue::receipts;
use crate::records::contacts;
use crate::records::history::{self, Message};
use crate::records::settings::Settings;
use crate::rows::outbox::Read;
use crate::txn::Txn;

/// Marks a chat read up to a message (its end when absent), and tells the author. Returns how many are unread by now.
///
/// # Errors
/// `not_found` if the message is not of this chat.
pub fn mark_read(txn: &mut Txn<'_>, chat: &str, up_to: Option<&MessageId>) -> Result<u64, EngineError> {
    let position = match up_to {
        None => None,
        Some(id) => {
            let found = history::get(txn.rows, id)?.filter(|(_, message)| message.chat == chat);
            Some(found.ok_or_else(EngineError::not_found)?.0)
        }
    };
    let (unread, newly) = history::mark_read(txn, chat, position)?;
    if let Some(user) = history::peer(chat) {
        tell_read(txn, &user, &newly)?;
    }
    Ok(unread)
}

/// The authors hear what was read, if that is to be told, and the own other devices always.
fn tell_read(txn: &mut Txn<'_>, user: &Username, newly: &[Message]) -> Result<(), EngineError> {
    let mut reads = BTreeMap::new();
    for message in newly {
        if let (Some(device), Some(number)) = (message.device, message.number) {
            let highest = reads.entry(device).or_insert(number);
            *highest = number.max(*highest);
        }
    }
    let reads: Vec<_> = reads.into_iter().map(|(device, number)| Read { device, number }).collect();
    if Settings::get(txn.rows)?.read_receipts && !contacts::is_blocked(txn.rows, user)? {
        for Read { device, number } in &reads {
            receipts::schedule_read(txn, user, device, *number)?;
        }
    }
    read_elsewhere::tell_read(txn, user, &reads)
}
