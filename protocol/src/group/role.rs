//! What a member is.

use minicbor::{Decode, Encode};

/// What a member may do; the later one may do all that an earlier one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// Writes, where the settings let everybody, and makes wishes.
    #[n(0)]
    Member,
    /// Changes the group, but for its owners.
    #[n(1)]
    Admin,
    /// Changes owners too, others than oneself. There is always one.
    #[n(2)]
    Owner,
}
