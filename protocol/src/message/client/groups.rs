//! What a client may ask of the notary, who keeps for each group which op stands where and reads none.

use minicbor::{CborLen, Decode, Encode};

use crate::crypto::group::AppendToken;
use crate::ids::{GroupHead, GroupId, TokenHash};
use crate::message::server::GroupStands;
use crate::message::{Call, Done};

call! {
    /// Has an op called for its place. Success means that this head stands there, also if it did before, so that it may be
    /// asked again. Errors: `stale` (another op stands there, or the one before it does not), `denied` (token),
    /// `not_found` (no such group, and not its first op), `bad_request` (a first op that is not the one the group is named
    /// after), `rate_limited`, `busy`, `too_large` (the account made too many).
    GroupAppend = 80 -> Done {
        /// The group; of the first op the hash of its head.
        #[n(0)] pub group: GroupId,
        /// The op, and its place.
        #[n(1)] pub head: GroupHead,
        /// Of the secret that appends the op after it.
        #[n(2)] pub next_token: TokenHash,
        /// What appends this one; absent exactly for the first op.
        #[n(3)] pub token: Option<AppendToken>,
    }
}
call! {
    /// Asks where a group stands, and what does at one place. Errors: `not_found` (no such group).
    GroupHeadQuery = 81 -> GroupStands {
        /// The group.
        #[n(0)] pub group: GroupId,
        /// What the asker has there.
        #[n(1)] pub head: GroupHead,
    }
}
