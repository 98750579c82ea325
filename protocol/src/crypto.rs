//! The only doors to the cryptographic crates, so that each has one place to be looked at.

pub mod fernet;
pub mod kdf;
pub mod labels;
pub mod secret;
