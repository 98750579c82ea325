//! What is still to be sent, from the line to the server: composed, sealed, under way, sent again.

pub(crate) mod answers;
pub(crate) mod catch_up;
pub(crate) mod compose;
pub mod delays;
pub(crate) mod device_backlog;
pub(crate) mod expiry;
pub(crate) mod failing;
pub(crate) mod flush;
pub(crate) mod log_entries;
pub(crate) mod mailbox_full;
pub(crate) mod numbers;
pub mod outbox;
pub(crate) mod own_receipts;
pub(crate) mod pending_submits;
pub(crate) mod posts;
pub(crate) mod profiles;
pub(crate) mod queue_len;
pub(crate) mod receipts;
pub(crate) mod retransmit;
pub(crate) mod sealing;
pub(crate) mod sending;
pub(crate) mod session_maintenance;
pub(crate) mod unacked_timeout;
pub(crate) mod withdraw;
