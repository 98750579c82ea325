//! What the notary is asked.

use chat_protocol::crypto::group::AppendToken;
use chat_protocol::ids::{DeviceId, GroupAt, TokenHash};

/// An op that asks for its place in a group.
#[derive(Clone, Debug)]
pub struct NewOp {
    /// Device that asks.
    pub by: DeviceId,
    /// The group, and the op by its place and hash.
    pub at: GroupAt,
    /// Of the secret that appends the op after it.
    pub next_token: TokenHash,
    /// What appends this one.
    pub token: Option<AppendToken>,
}
