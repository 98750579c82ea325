//! One contract for both databases.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod contract;
mod support;

mod sqlite {
    crate::contract!(crate::support::Home::sqlite);
}
