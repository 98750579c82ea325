//! What everything rests on: rows with their counters, and errors.

pub(crate) mod error;
pub(crate) mod rows;
