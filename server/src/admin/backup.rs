//! `backup FILE`: everything a server needs to live again, as it is at one moment.

use std::path::Path;

use serde_json::json;

use super::home::Home;
use super::progress::Progress;
use super::{Done, say, talk};
use crate::archive::writer::Writer;
use crate::archive::{ArchiveError, FILES};
use crate::failure::{Exit, Failure};
use crate::store::copy::{self, CopyError};
use crate::{clock, private};

pub(super) async fn backup(home: &Home, place: &Path) -> Done {
    home.keys()?;
    let config = home.config(&[])?;
    // brought up to date, as every command does: the archive is of the present schema
    drop(home.open(&config).await?);
    let mut progress = Progress::new();
    let mut writer =
        Writer::create(place, clock::now().as_millis(), move |table, rows| progress.rows(table.name, rows))?;
    for name in FILES.iter().filter(|name| home.path(name).exists()) {
        writer.file(name, private::read(&home.path(name))?.as_bytes())?;
    }
    copy::dump(&home.database(&config)?, &mut writer).await.map_err(|error| match error {
        CopyError::Store(error) => Failure::from(error),
        CopyError::Sink(error) => unwritten(place).because(error),
    })?;
    let manifest = writer.finish()?;
    if home.json {
        return say(&json!({ "file": place, "made_ms": manifest.made_ms, "members": manifest.members }).to_string());
    }
    talk(&format!("Everything is in {}; it holds the keys of the server: keep it as you keep them", place.display()));
    Ok(())
}

fn unwritten(place: &Path) -> Failure {
    Failure::new(Exit::CannotCreate, format!("cannot write {}", place.display()))
        .hint("is the disk full? A backup needs room for itself and, meanwhile, its largest table")
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        let words = error.to_string();
        match error {
            ArchiveError::Exists(_) => {
                Self::new(Exit::CannotCreate, words).hint("name another file: a backup never replaces one")
            }
            ArchiveError::Io { source, .. } => Self::new(Exit::CannotCreate, words).because(source),
            ArchiveError::Shape(_) | ArchiveError::Damaged(_) => {
                Self::new(Exit::Data, words).hint("nothing was changed; take another backup")
            }
            ArchiveError::Version { version, .. } => Self::new(Exit::Data, words).hint(format!(
                "restore it with chat-server {version}, then run this one: it brings the schema up to date"
            )),
        }
    }
}
