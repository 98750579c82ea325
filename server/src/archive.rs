//! A backup: one tar file with the keys, the settings and every row of the database.
//!
//! ```text
//! server.key  secret.key  server.key.next  server.toml     as in the data directory, those that are there
//! rows/TABLE.ndjson                                        a row a line: a JSON array of its columns; bytes as base64
//! manifest.json                                            last: versions, and size and SHA-256 of each member
//! ```
//!
//! Nothing in it depends on which database it came from. It holds the keys of the server, so it is as
//! private as they are. [`writer`] makes one; [`reader`] believes nothing that the manifest does not confirm.

pub mod packing;
pub mod reader;
pub mod writer;

use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::store::copy::{Cell, Shape, TABLES, Table};

/// Files of the data directory that belong to a backup. All but the first two may be missing.
pub const FILES: [&str; 6] =
    ["server.key", "secret.key", "server.key.next", "server.key.next.proof", "offline.pub", "server.toml"];
/// The last member.
const MANIFEST: &str = "manifest.json";
/// Number of this format.
const FORMAT: u32 = 1;
/// Longest member that is read at once: keys, settings and the manifest are far shorter.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Longest line of rows: a blob of 16 MiB in base64, and the rest.
const MAX_LINE_BYTES: u64 = 24 * 1024 * 1024;

/// What is in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Number of the format.
    pub format: u32,
    /// Version of the program that made it.
    pub version: String,
    /// Number of the database's schema.
    pub schema: usize,
    /// When its rows were read, in milliseconds since 1970.
    pub made_ms: u64,
    /// All other members, in their order.
    pub members: Vec<Member>,
}

/// A member of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its path.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of it, in hexadecimal digits.
    pub sha256: String,
}

/// Why an archive is not made or not believed.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// There is a file of its name.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The system refuses.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Packed or encrypted since it was made.
    #[error("{} is not a backup as it was made: it went through {}", path.display(), packing.program)]
    Packed {
        /// Which file.
        path: PathBuf,
        /// By what.
        packing: packing::Packing,
    },
    /// Not made by `chat-server backup`, or cut short.
    #[error("not a whole backup of a chat server: {0}")]
    Shape(String),
    /// A member is not what the manifest says.
    #[error("{0} is damaged: it differs from what the manifest says")]
    Damaged(String),
    /// Made by another version.
    #[error("made by chat-server {version} for schema {theirs}; this program restores schema {ours}")]
    Version {
        /// Its version.
        version: String,
        /// Its schema.
        theirs: usize,
        /// Ours.
        ours: usize,
    },
}

/// The member that holds the rows of a table.
fn member_of(table: &Table) -> String {
    format!("rows/{}.ndjson", table.name)
}

/// The table whose rows a member holds.
fn table_of(member: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| member_of(table) == member)
}

/// A row as a line, without its end.
fn line(row: &[Cell]) -> String {
    let values = row.iter().map(|cell| match cell {
        Cell::Int(number) => Value::from(*number),
        Cell::Bytes(bytes) => Value::String(STANDARD.encode(bytes)),
        Cell::Text(text) => Value::String(text.clone()),
    });
    Value::Array(values.collect()).to_string()
}

/// The row of a line, if it fits the table.
fn row(table: &Table, line: &[u8]) -> Option<Vec<Cell>> {
    let values: Vec<Value> = serde_json::from_slice(line).ok()?;
    if values.len() != table.columns.len() {
        return None;
    }
    values.into_iter().zip(table.columns).map(|(value, (_, shape))| cell(*shape, value)).collect()
}

fn cell(shape: Shape, value: Value) -> Option<Cell> {
    match (shape, value) {
        (Shape::Int, Value::Number(number)) => number.as_i64().map(Cell::Int),
        (Shape::Bytes, Value::String(text)) => STANDARD.decode(text).ok().map(Cell::Bytes),
        (Shape::Text, Value::String(text)) => Some(Cell::Text(text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_survive_their_lines(id: i64, name in ".*", hash in ".*", bytes: Vec<u8>) {
            let account = table_of("rows/chat_app.ndjson").unwrap();
            let cells = vec![Cell::Int(id), Cell::Text(name), Cell::Text(hash)];
            let text = line(&cells);
            prop_assert!(!text.contains('\n'));
            prop_assert_eq!(row(account, text.as_bytes()), Some(cells));
            let bundle = table_of("rows/bundle.ndjson").unwrap();
            let cells = vec![Cell::Bytes(bytes.clone()), Cell::Int(1), Cell::Bytes(bytes)];
            prop_assert_eq!(row(bundle, line(&cells).as_bytes()), Some(cells));
        }

        #[test]
        fn lines_of_anything_else_are_refused_not_panicked_at(line: Vec<u8>) {
            prop_assert_eq!(row(table_of("rows/mail.ndjson").unwrap(), &line), None);
        }
    }
}
