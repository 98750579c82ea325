//! The only doors to the cryptographic crates, so that each has one place to be looked at.

pub mod agreement;
pub mod fernet;
pub mod group;
pub mod kdf;
pub mod kem;
pub mod labels;
pub mod rsa;
pub mod secret;
pub mod signed;
