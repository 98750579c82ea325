//! `backup FILE`, `backup -`: everything a server needs to live again, as it is at one moment.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;

use chat_programs::named::{STANDARD, is_standard};
use chat_programs::settings::Layer;
use serde_json::json;

use super::home::Home;
use super::output::{Done, object, talk};
use super::progress::Progress;
use crate::archive::reader::STANDARD_INPUT;
use crate::archive::writer::Writer;
use crate::archive::{ArchiveError, FILES};
use crate::failure::{Exit, Failure};
use crate::store::copy::{self, CopyError, Table};
use crate::{clock, private};

pub(super) async fn backup(home: &Home, place: &Path) -> Done {
    home.keys()?;
    let config = home.config(&Layer::default())?;
    let standard = is_standard(place);
    if standard && io::stdout().is_terminal() {
        return Err(Failure::new(Exit::Usage, "a backup is nothing to look at, and holds the keys of the server")
            .hint("send it on: `chat-server backup - | age -p >FILE`"));
    }
    // brought up to date, as every command does: the archive is of the present schema
    drop(home.open(&config).await?);
    let mut writer =
        if standard { stream(home)? } else { Writer::create(place, clock::now().as_millis(), progress())? };
    for name in FILES.iter().filter(|name| home.path(name).exists()) {
        writer.file(name, &private::read(&home.path(name))?)?;
    }
    copy::dump(&home.database(&config)?, &mut writer).await.map_err(|error| match error {
        CopyError::Store(error) => Failure::from(error),
        CopyError::Sink(error) => unwritten(place).because(error),
    })?;
    let manifest = writer.finish()?;
    let made = json!({ "file": place, "made_ms": manifest.made_ms, "members": manifest.members });
    match (home.json, standard) {
        (true, false) => return object(&made),
        // standard output is the backup
        (true, true) => talk(&made.to_string()),
        (false, false) => talk(&format!("Everything is in {}; {KEEP}", place.display())),
        (false, true) => talk(&format!("Everything is on its way; {KEEP}")),
    }
    Ok(())
}

const KEEP: &str = "it holds the keys of the server: keep it as you keep them";

/// An archive on standard output; its rows wait where the database is.
fn stream(home: &Home) -> Result<Writer, Failure> {
    let output = io::stdout().as_fd().try_clone_to_owned();
    let output = output.map_err(|error| unwritten(Path::new(STANDARD)).because(error))?;
    Ok(Writer::stream(output.into(), "standard output", &home.dir, clock::now().as_millis(), progress()))
}

fn progress() -> impl FnMut(&Table, u64) + Send + 'static {
    let mut progress = Progress::new();
    move |table, rows| progress.rows(table.name, rows)
}

fn unwritten(place: &Path) -> Failure {
    Failure::new(Exit::Io, format!("cannot write {}", place.display()))
        .hint("is the disk full, or the reader gone? A backup needs room for itself and, meanwhile, its largest table")
}

/// What cannot be opened or made is one thing, what fails on the way another.
fn exit(error: &io::Error) -> Exit {
    use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    match error.kind() {
        AlreadyExists | IsADirectory | NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem => {
            Exit::CannotCreate
        }
        _ => Exit::Io,
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        let words = error.to_string();
        match error {
            ArchiveError::Exists(_) => {
                Self::new(Exit::CannotCreate, words).hint("name another file: a backup never replaces one")
            }
            ArchiveError::Io { source, .. } => Self::new(exit(&source), words).because(source),
            ArchiveError::Packed { path, packing } => {
                let from =
                    if path == Path::new(STANDARD_INPUT) { String::new() } else { format!(" {}", path.display()) };
                let undo = format!("`{}{from} | chat-server restore -`", packing.undo);
                Self::new(Exit::Data, words).hint(format!("nothing was changed; undo that on the way: {undo}"))
            }
            ArchiveError::Shape(_) | ArchiveError::Damaged(_) => {
                Self::new(Exit::Data, words).hint("nothing was changed; take another backup")
            }
            ArchiveError::Version { version, .. } => Self::new(Exit::Data, words).hint(format!(
                "restore it with chat-server {version}, then run this one: it brings the schema up to date"
            )),
        }
    }
}
