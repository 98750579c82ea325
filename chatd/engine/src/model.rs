//! What everything rests on: errors.

pub(crate) mod error;
