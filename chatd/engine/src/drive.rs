//! What makes the engine go: the connection, its answers and pushes, and what is due.

pub mod link;
pub(crate) mod scheduler;
