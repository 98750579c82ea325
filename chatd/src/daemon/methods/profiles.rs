//! What accounts say of themselves.

use chat_protocol::rpc::Handle;
use chat_protocol::rpc::types::{Profile, ProfileGet, ProfileSet};

use crate::api::Answer;
use crate::daemon::{Daemon, reads};
use crate::engine::profile;

impl Handle<ProfileGet> for Daemon {
    async fn handle(&self, params: ProfileGet) -> Answer<Profile> {
        self.read(move |rows| reads::profile(rows, params.user.as_ref())).await
    }
}

impl Handle<ProfileSet> for Daemon {
    async fn handle(&self, params: ProfileSet) -> Answer<Profile> {
        self.command(move |txn| profile::set(txn, params)).await
    }
}
