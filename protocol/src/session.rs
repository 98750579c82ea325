//! What two devices say to each other that nobody between them can read, change or repeat.
//!
//! [`bundle`] is what a device publishes, [`init`] makes the first shared secret from one,
//! [`ratchet`] gives every message its own key, [`content`] is what is inside, and [`manager`]
//! decides which of several sessions of two devices is used. Everything here is a value: the
//! caller stores what comes out, all of it in one transaction.

pub mod bundle;
pub mod content;
pub mod init;
pub mod manager;
pub mod ratchet;
