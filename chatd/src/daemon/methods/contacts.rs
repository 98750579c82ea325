//! What is noted about others, and who is blocked.

use chat_protocol::rpc::Handle;
use chat_protocol::rpc::types::{Contact, ContactBlock, ContactGet, ContactList, ContactSet, ContactUnblock, Contacts};

use crate::api::Answer;
use crate::daemon::{Daemon, reads};
use crate::engine::contacts;

impl Handle<ContactList> for Daemon {
    async fn handle(&self, params: ContactList) -> Answer<Contacts> {
        self.read(move |rows| reads::contacts(rows, &params)).await
    }
}

impl Handle<ContactGet> for Daemon {
    async fn handle(&self, params: ContactGet) -> Answer<Contact> {
        self.rows(move |rows| contacts::get(rows, &params.user)).await
    }
}

impl Handle<ContactSet> for Daemon {
    async fn handle(&self, params: ContactSet) -> Answer<Contact> {
        self.command(move |txn| contacts::set(txn, params)).await
    }
}

impl Handle<ContactBlock> for Daemon {
    async fn handle(&self, params: ContactBlock) -> Answer<Contact> {
        self.command(move |txn| contacts::block(txn, &params.user, true)).await
    }
}

impl Handle<ContactUnblock> for Daemon {
    async fn handle(&self, params: ContactUnblock) -> Answer<Contact> {
        self.command(move |txn| contacts::block(txn, &params.user, false)).await
    }
}
