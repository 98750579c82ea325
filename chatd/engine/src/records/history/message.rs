//! How a message begins, and what a chat counts.

use chat_protocol::ids::{MessageId, Username};
use chat_protocol::time::Timestamp;

use crate::rows::messages::{Chat, Message, MessageKind};
use crate::txn::Txn;

impl Message {
    /// About how many bytes it takes in the history.
    pub(crate) const fn bytes(&self) -> u64 {
        /// Its other fields, its places in the indices, and what the store adds to a row.
        const BESIDE: usize = 512;
        (self.text.len() + BESIDE) as u64
    }

    /// A text somebody else sent, stored in this transaction.
    pub(crate) fn text(id: MessageId, chat: String, from: Username, text: String, txn: &Txn<'_>) -> Self {
        Self {
            id,
            chat,
            from,
            device: None,
            mine: false,
            kind: MessageKind::Text,
            text,
            sent: txn.clock,
            stored: txn.clock,
            kept: txn.now,
            silent: None,
            state: None,
            late: false,
            error: None,
            delivered: None,
            read: None,
            client_id: None,
            room_seq: None,
            reply_to: None,
            number: None,
            mentions: Vec::new(),
            ttl_s: None,
            expires: None,
            at: None,
            edited: None,
            deleted: false,
            reactions: Vec::new(),
            author: None,
            queued_at: None,
            told_in: Vec::new(),
            accepted: None,
            from_bot: false,
            unverified_log: false,
            unverified_device: false,
            resent: false,
        }
    }
}

impl Chat {
    /// A chat nothing was said in yet.
    pub(crate) const fn new(id: String) -> Self {
        Self {
            id,
            unread: 0,
            wrote: false,
            read_to: 0,
            last: 0,
            muted_until: Timestamp::ZERO,
            archived: false,
            activity: 0,
            ttl_s: None,
            mentions: 0,
            bytes: 0,
        }
    }

    /// Counts a message that was added, or was unread and is so no more.
    pub(crate) fn count(&mut self, message: &Message, me: &Username, by: i64) {
        if message.mine || message.deleted || message.kind == MessageKind::Notice {
            return;
        }
        self.unread = self.unread.saturating_add_signed(by);
        if message.mentions.contains(me) {
            self.mentions = self.mentions.saturating_add_signed(by);
        }
    }
}
