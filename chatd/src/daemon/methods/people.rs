//! Others: who is there.

use chat_protocol::ids::Username;
use chat_protocol::message::client::{Lookup, PresenceWatch};
use chat_protocol::rpc::Handle;
use chat_protocol::rpc::types::{
    LookupAnswer, PresenceAnswer, PresenceList, PresentUser, SettingsGet, UserInfo, UserLookup,
};

use crate::api::Answer;
use crate::daemon::{Daemon, errors};
use crate::engine::{peers, profile};

impl Handle<PresenceList> for Daemon {
    async fn handle(&self, PresenceList {}: PresenceList) -> Answer<PresenceAnswer> {
        let me = self.me().await?;
        let visible = self.handle(SettingsGet {}).await?.presence;
        let list = self.ask(&PresenceWatch { visible }).await?;
        let present = |user: Username| PresentUser { me: user == me, user };
        Ok(PresenceAnswer { users: list.users.into_iter().map(present).collect() })
    }
}

impl Handle<UserLookup> for Daemon {
    async fn handle(&self, params: UserLookup) -> Answer<LookupAnswer> {
        let found = self.ask(&Lookup { users: params.users.clone() }).await?.users;
        self.read(move |rows| {
            let mut users = Vec::new();
            for user in params.users {
                let known = found.iter().find(|known| known.user == user);
                let pinned = peers::table_of(rows, &user).map_err(|error| errors::rows(&error))?;
                users.push(UserInfo {
                    exists: known.is_some(),
                    online: known.is_some_and(|known| known.online),
                    fingerprint: pinned.map(|table| table.fingerprint),
                    profile: profile::of(rows, &user).map_err(|error| errors::rows(&error))?,
                    user,
                });
            }
            Ok(LookupAnswer { users })
        })
        .await
    }
}
