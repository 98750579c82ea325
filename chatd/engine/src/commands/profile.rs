//! What this account says of itself.

use chat_protocol::rpc::types::{self, ProfileSet};

use crate::model::error::EngineError;
use crate::queue::profiles;
use crate::records::profile;
pub use crate::records::profile::{of, own};
use crate::txn::Txn;

/// Changes what this account says of itself: what is absent stays, an empty text goes.
///
/// # Errors
/// `invalid_params`.
pub fn set(txn: &mut Txn<'_>, wanted: ProfileSet) -> Result<types::Profile, EngineError> {
    let (shown, changed) = profile::set(txn, wanted)?;
    if changed {
        profiles::announce(txn)?;
    }
    Ok(shown)
}
