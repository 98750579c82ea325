//! The schema's history, as refinery wants it. Append only: an applied file never changes.

use refinery::{Migration, Runner};

use super::contract::{Cause, Result, StoreError};

/// Declares a list of migrations from files of the top-level `sql` folder.
macro_rules! migrations {
    ($folder:literal: $($name:literal => $version:literal),* $(,)?) => {
        [$(($version, include_str!(concat!("../../../sql/", $folder, "/", $name, ".sql")))),*]
    };
}

/// Steps of the schema's history.
pub(super) const STEPS: usize = 11;

const SQLITE: [(&str, &str); STEPS] = migrations!("sqlite":
    "0001_accounts" => "V1__accounts",
    "0002_identities" => "V2__identities",
    "0003_bundles" => "V3__bundles",
    "0004_mailboxes" => "V4__mailboxes",
    "0005_room" => "V5__room",
    "0006_time" => "V6__time",
    "0007_shares" => "V7__shares",
    "0008_totals" => "V8__totals",
    "0009_generation" => "V9__generation",
    "0010_fewer_rows" => "V10__fewer_rows",
    "0011_groups" => "V11__groups",
);

const MYSQL: [(&str, &str); STEPS] = migrations!("mysql":
    "0001_accounts" => "V1__accounts",
    "0002_identities" => "V2__identities",
    "0003_bundles" => "V3__bundles",
    "0004_mailboxes" => "V4__mailboxes",
    "0005_room" => "V5__room",
    "0006_time" => "V6__time",
    "0007_shares" => "V7__shares",
    "0008_totals" => "V8__totals",
    "0009_generation" => "V9__generation",
    "0010_fewer_rows" => "V10__fewer_rows",
    "0011_groups" => "V11__groups",
);

/// Steps that bring a SQLite database up to date.
pub(super) fn sqlite() -> Result<Runner> {
    runner(&SQLITE)
}

/// Steps that bring a MySQL or MariaDB database up to date.
pub(super) fn mysql() -> Result<Runner> {
    runner(&MYSQL)
}

fn runner(files: &[(&str, &str)]) -> Result<Runner> {
    let steps =
        files.iter().map(|(name, sql)| Migration::unapplied(name, sql)).collect::<std::result::Result<Vec<_>, _>>();
    steps.map(|steps| Runner::new(&steps)).map_err(failed)
}

/// A migration that could not run.
pub(super) fn failed(error: refinery::Error) -> StoreError {
    StoreError::Internal(Cause::from(error))
}

/// Names of the steps a run has just applied.
pub(super) fn names(report: &refinery::Report) -> Vec<String> {
    report.applied_migrations().iter().map(ToString::to_string).collect()
}
