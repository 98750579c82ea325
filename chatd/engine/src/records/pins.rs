//! What is known about other accounts, as it is kept: whoever may change it is above.

use chat_protocol::identity::account_log::{AccountLog, Fork, Relation};
use chat_protocol::ids::Username;

use crate::rows::PINS;
pub use crate::rows::peers::{Identity, Peer, Trust};
use crate::store::{Rows, RowsError};

impl Peer {
    /// Somebody seen for the first time.
    pub(crate) const fn new(user: Username, pinned: Identity, trust: Trust) -> Self {
        Self {
            user,
            pinned,
            trust,
            rival: None,
            former: Vec::new(),
            withheld_since: None,
            others: Vec::new(),
            known_to: None,
            withheld: None,
            withheld_told: None,
            lacking: None,
        }
    }

    /// Where another log parts from the pinned one, if it is a version of it.
    #[must_use]
    pub fn fork(&self, log: &AccountLog) -> Option<Fork> {
        match self.pinned.log.relation(log) {
            Relation::Forked(fork) => Some(*fork),
            _ => None,
        }
    }
}

/// What is known about `user`.
///
/// # Errors
/// [`RowsError`].
pub fn get(rows: &dyn Rows, user: &Username) -> Result<Option<Peer>, RowsError> {
    PINS.get(rows, user)
}

/// Everybody with a pinned identity, oldest acquaintance first.
///
/// # Errors
/// [`RowsError`].
pub fn all(rows: &dyn Rows) -> Result<Vec<Peer>, RowsError> {
    PINS.all(rows)
}
