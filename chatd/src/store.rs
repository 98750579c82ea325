//! The daemon's memory: rows grouped by scope and ordered by a number, every value sealed on disk.
//!
//! [`rows`] says what may be asked of it and has the form that lives in memory alone, for tests and
//! the simulated world. Nothing outside this module speaks SQL.

pub mod memory;
pub mod rows;

pub use memory::MemoryRows;
pub use rows::{Direction, Place, Rows, RowsError, Table};
