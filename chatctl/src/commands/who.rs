//! `who`: a name a line, so that scripts can read it too.

use chat_protocol::rpc::types::PresenceList;

use crate::Session;
use crate::error::Failure;

/// `chatctl who`
pub(super) async fn run(session: &mut Session) -> Result<(), Failure> {
    session
        .simple(&PresenceList {}, |answer| answer.users.iter().map(|present| present.user.to_string()).collect())
        .await
}
