//! One contract for both databases.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

mod contract;
mod support;

mod sqlite {
    crate::contract!(crate::support::Home::sqlite);
}

mod mariadb {
    crate::contract!(crate::support::Home::mysql);
}

/// Names compared byte for byte, as a database may have been set up for the first application.
mod mariadb_by_case {
    crate::contract!(@list crate::support::Home::seeded,
        accounts: name_is_one_account_in_every_spelling, colliding_rows_are_refused_until_renamed,
            enrolled_account_keeps_its_name, atk_21_hostile_text_is_only_ever_a_value;
    );
}
