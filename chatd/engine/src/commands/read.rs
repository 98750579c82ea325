//! Reading a chat, and who hears of it.

use std::collections::BTreeMap;

use chat_protocol::ids::{MessageId, Username};

use crate::exchange::read_elsewhere;
use crate::model::error::EngineError;
use crate::queue::own_receipts::Read;
use crate::queue::receipts;
use crate::records::contacts;
use crate::records::history::{self, Message};
use crate::records::settings::Settings;
use crate::turn::Turn;

/// Marks a chat read up to a message (its end when absent), and tells the author.
///
/// # Errors
/// [`EngineError::NotFound`] if the message is not of this chat.
pub fn mark_read(turn: &mut Turn<'_>, chat: &str, up_to: Option<&MessageId>) -> Result<u64, EngineError> {
    let position = match up_to {
        None => None,
        Some(id) => {
            let found = history::get(turn.rows, id)?.filter(|(_, message)| message.chat == chat);
            Some(found.ok_or(EngineError::NotFound)?.0)
        }
    };
    let newly = history::mark_read(turn, chat, position)?;
    if let Some(user) = history::peer(chat) {
        tell_read(turn, &user, &newly)?;
    }
    Ok(history::chat(turn.rows, chat)?.map_or(0, |chat| chat.unread))
}

/// The authors hear what was read, if that is to be told, and the own other devices always.
fn tell_read(turn: &mut Turn<'_>, user: &Username, newly: &[Message]) -> Result<(), EngineError> {
    let mut reads = BTreeMap::new();
    for message in newly {
        if let (Some(device), Some(number)) = (message.device, message.number) {
            let highest = reads.entry(device).or_insert(number);
            *highest = number.max(*highest);
        }
    }
    let reads: Vec<_> = reads.into_iter().map(|(device, number)| Read { device, number }).collect();
    if Settings::get(turn.rows)?.read_receipts && !contacts::is_blocked(turn.rows, user)? {
        for Read { device, number } in &reads {
            receipts::schedule_read(turn, user, device, *number)?;
        }
    }
    read_elsewhere::tell_read(turn, user, &reads)
}
