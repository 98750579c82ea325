//! The notary: which op stands where in a group. It sees hashes alone, and asks nobody who is a member: who may append is
//! who has the token.

use chat_protocol::ids::GroupAt;
use chat_protocol::message::Done;
use chat_protocol::message::client::{GroupAppend, GroupHeadQuery};
use chat_protocol::message::server::{Code, GroupStands, Refusal};

use super::asked::bad_request;
use super::ready::Ready;
use crate::mailbox::{check_disk, store_failed};
use crate::rules::notary::Appending;
use crate::store::{NewOp, StoreError};

fn failed(error: StoreError) -> Refusal {
    store_failed("groups", &error)
}

impl Ready {
    /// Has an op called for its place. Every try counts, since each that is right leaves a row for ever.
    pub(super) async fn group_append(&self, ask: GroupAppend) -> Result<Done, Refusal> {
        let shared = self.shared();
        // what the server cannot store is not counted: it is to be asked again
        check_disk(&*shared.store, &shared.config()).await?;
        shared.limits().group_appends.check(self.user())?;
        let at = GroupAt { group: ask.group, head: ask.head };
        let new = NewOp { by: self.device(), at, next_token: ask.next_token, token: ask.token };
        let judged = shared.store.append_op(new, shared.config().accounts.groups).await.map_err(failed)?;
        answer(judged.ok_or(Code::ApprovalRequired)?)
    }

    pub(super) async fn group_head(&self, ask: &GroupHeadQuery) -> Result<GroupStands, Refusal> {
        let at = GroupAt { group: ask.group, head: ask.head };
        self.shared().store.group_stands(at).await.map_err(failed)?.ok_or(Code::NotFound.into())
    }
}

fn answer(judged: Appending) -> Result<Done, Refusal> {
    match judged {
        Appending::Takes | Appending::Stands => Ok(Done {}),
        Appending::Stale => Err(Code::Stale.into()),
        Appending::Denied => Err(Code::Denied.into()),
        Appending::NotFound => Err(Code::NotFound.into()),
        Appending::TooMany => Err(Code::TooLarge.into()),
        Appending::Malformed => Err(bad_request()),
    }
}
