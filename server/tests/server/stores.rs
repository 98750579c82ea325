//! One contract for both databases.

/// What is promised of names, whatever the column of the first application takes for equal.
macro_rules! contract_of_names {
    ($language:ident: $open:path) => {
        mod $language {
            $crate::contract!(@list $open,
                accounts: name_is_one_account_in_every_spelling, adopted_capitals_are_the_account_of_the_small_letters,
                    colliding_rows_are_refused_until_renamed;
            );
        }
    };
}
pub(crate) use contract_of_names;

mod sqlite {
    crate::contract!(crate::support::Home::sqlite);
}

mod mariadb {
    crate::contract!(crate::support::Home::mysql);
}

/// Names compared as other languages do, or as bytes.
mod mariadb_by_language {
    super::contract_of_names!(turkish: crate::support::Home::turkish);
    super::contract_of_names!(czech: crate::support::Home::czech);
    super::contract_of_names!(bytes: crate::support::Home::bytes);
}

/// Names compared byte for byte, as a database may have been set up for the first application.
mod mariadb_by_case {
    crate::contract!(@list crate::support::Home::seeded,
        accounts: name_is_one_account_in_every_spelling, colliding_rows_are_refused_until_renamed,
            adopted_capitals_are_the_account_of_the_small_letters, enrolled_account_keeps_its_name,
            atk_21_hostile_text_is_only_ever_a_value;
    );
}
