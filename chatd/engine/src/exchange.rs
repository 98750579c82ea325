//! What comes: opened, in the order of its author, shown once, acknowledged.

pub(crate) mod acks;
pub(crate) mod ahead;
pub(crate) mod amendments;
pub(crate) mod content;
pub mod devices;
pub(crate) mod inbox;
pub(crate) mod incoming;
pub(crate) mod own_device;
pub mod own_log;
pub(crate) mod pin_change;
pub(crate) mod read_elsewhere;
pub(crate) mod received;
pub(crate) mod reorder;
pub(crate) mod requests;
pub(crate) mod room;
