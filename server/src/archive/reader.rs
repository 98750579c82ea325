//! Reads an archive, twice: once to see that it is whole and every member is what the manifest says, then for its
//! rows. Nothing is to be written anywhere before the first reading has ended well.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::packing::Packing;
use super::{ArchiveError, FILES, FORMAT, MANIFEST, MAX_FILE_BYTES, MAX_LINE_BYTES, Manifest, Member, row, table_of};
use crate::store::copy::{Cell, SCHEMA, TABLES, Table};

/// What errors call standard input.
pub const STANDARD_INPUT: &str = "standard input";

/// An archive that was verified.
pub struct Reader {
    file: File,
    path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Its small files by name.
    pub files: BTreeMap<String, Zeroizing<Vec<u8>>>,
    /// How many rows each table has.
    pub rows: BTreeMap<&'static str, u64>,
}

impl Reader {
    /// Opens an archive and verifies all of it.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let file = File::open(path).map_err(|source| ArchiveError::Io { path: path.to_owned(), source })?;
        Self::read(file, path)
    }

    /// Verifies an archive that is open; errors call it `path`. What cannot be read twice is copied first, into a file
    /// without a name in the directory for temporary ones.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn read(file: File, path: &Path) -> Result<Self, ArchiveError> {
        let broken = |source| ArchiveError::Io { path: path.to_owned(), source };
        let file = readable_twice(file).map_err(broken)?;
        if let Some(packing) = Packing::of(&file).map_err(broken)? {
            return Err(ArchiveError::Packed { path: path.to_owned(), packing });
        }
        let mut first = FirstReading::default();
        for_each(&file, path, |name, contents| first.member(name, contents))?;
        let manifest = first.judged()?;
        Ok(Self { file, path: path.to_owned(), manifest, files: first.files, rows: first.rows })
    }

    /// Hands out all rows, many at once, read on a thread of their own.
    ///
    /// # Errors
    /// When the file cannot be read on. What goes wrong later comes in place of rows.
    pub fn rows(&self) -> Result<mpsc::Receiver<Result<Batch, ArchiveError>>, ArchiveError> {
        let path = self.path.clone();
        let file = self.file.try_clone().map_err(|source| ArchiveError::Io { path: path.clone(), source })?;
        let (batches, handed_out) = mpsc::channel(WAITING);
        tokio::task::spawn_blocking(move || {
            let read = for_each(&file, &path, |name, contents| match table_of(name) {
                Some(table) => send_rows(table, contents, &batches),
                None => Ok(()),
            });
            // who no longer listens has failed already
            let _ = read.map_err(|error| batches.blocking_send(Err(error)));
        });
        Ok(handed_out)
    }
}

fn readable_twice(mut file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    let mut copy = tempfile::tempfile()?;
    io::copy(&mut file, &mut copy)?;
    Ok(copy)
}

/// Rows of one table.
pub type Batch = (&'static Table, Vec<Vec<Cell>>);

/// Rows handed out at once.
const BATCH: usize = 256;
/// Batches read ahead.
const WAITING: usize = 4;

fn send_rows(
    table: &'static Table,
    contents: &mut dyn Read,
    batches: &mpsc::Sender<Result<Batch, ArchiveError>>,
) -> Result<(), ArchiveError> {
    let mut batch = Vec::new();
    read_rows(table, contents, |row| {
        batch.push(row);
        if batch.len() == BATCH {
            let _gone = batches.blocking_send(Ok((table, std::mem::take(&mut batch))));
        }
    })?;
    if !batch.is_empty() {
        let _gone = batches.blocking_send(Ok((table, batch)));
    }
    Ok(())
}

/// What the first reading has found so far.
#[derive(Default)]
struct FirstReading {
    files: BTreeMap<String, Zeroizing<Vec<u8>>>,
    rows: BTreeMap<&'static str, u64>,
    seen: Vec<Member>,
    manifest: Option<Manifest>,
    /// What is not as this version makes it; another version, if the manifest names one, explains it.
    doubt: Option<ArchiveError>,
}

impl FirstReading {
    fn member(&mut self, name: &str, contents: &mut dyn Read) -> Result<(), ArchiveError> {
        if name == MANIFEST && self.manifest.is_none() {
            let text = whole(name, contents)?;
            let manifest = serde_json::from_slice(&text).map_err(|error| shape(&format!("its manifest: {error}")))?;
            self.manifest = Some(manifest);
            return Ok(());
        }
        let mut hashed = Hashed { inner: contents, hash: Sha256::new(), bytes: 0 };
        if let Err(doubt) = self.look_into(name, &mut hashed) {
            self.doubt.get_or_insert(doubt);
        }
        io::copy(&mut hashed, &mut io::sink()).map_err(torn)?;
        let (bytes, sha256) = (hashed.bytes, hex::encode(hashed.hash.finalize()));
        self.seen.push(Member { name: name.to_owned(), bytes, sha256 });
        Ok(())
    }

    fn look_into(&mut self, name: &str, contents: &mut dyn Read) -> Result<(), ArchiveError> {
        if self.manifest.is_some() || self.seen.iter().any(|member| member.name == name) {
            return Err(shape("a member is in it twice, or follows the manifest"));
        }
        if let Some(table) = table_of(name) {
            let mut count = 0;
            read_rows(table, contents, |_| count += 1)?;
            self.rows.insert(table.name, count);
        } else if FILES.contains(&name) {
            self.files.insert(name.to_owned(), whole(name, contents)?);
        } else {
            return Err(shape(&format!("`{name}` does not belong there")));
        }
        Ok(())
    }

    /// The manifest, if everything is as it says and as this version makes it.
    fn judged(&mut self) -> Result<Manifest, ArchiveError> {
        let manifest = self.manifest.take().ok_or_else(|| shape("its manifest is missing"))?;
        if manifest.format != FORMAT || manifest.schema != SCHEMA {
            let (version, theirs) = (manifest.version, manifest.schema);
            return Err(ArchiveError::Version { version, theirs, ours: SCHEMA });
        }
        let mut pairs = manifest.members.iter().zip(&self.seen);
        if let Some((_, found)) = pairs.find(|(said, found)| said != found) {
            return Err(ArchiveError::Damaged(found.name.clone()));
        }
        let needed = TABLES.iter().map(super::member_of).chain(FILES.iter().take(2).map(|name| (*name).to_owned()));
        let missing = needed.into_iter().find(|name| !self.seen.iter().any(|member| member.name == *name));
        if manifest.members.len() != self.seen.len() || missing.is_some() {
            return Err(shape(&format!("{} is missing", missing.as_deref().unwrap_or("a member"))));
        }
        self.doubt.take().map_or(Ok(manifest), Err)
    }
}

/// Goes through the members from the beginning.
fn for_each(
    file: &File,
    path: &Path,
    mut look: impl FnMut(&str, &mut dyn Read) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    let broken = |source| ArchiveError::Io { path: path.to_owned(), source };
    let mut file = file;
    file.rewind().map_err(broken)?;
    let mut archive = tar::Archive::new(BufReader::new(file));
    for entry in archive.entries().map_err(torn)? {
        let mut entry = entry.map_err(torn)?;
        if !entry.header().entry_type().is_file() {
            return Err(shape("something in it is not a plain file"));
        }
        let name = entry.path().map_err(torn)?.to_string_lossy().into_owned();
        look(&name, &mut entry)?;
    }
    Ok(())
}

fn read_rows(table: &Table, contents: &mut dyn Read, mut take: impl FnMut(Vec<Cell>)) -> Result<(), ArchiveError> {
    let (mut contents, mut text, mut number) = (BufReader::new(contents), Vec::new(), 0);
    loop {
        text.clear();
        let read = contents.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut text).map_err(torn)?;
        if read == 0 {
            return Ok(());
        }
        number += 1;
        let cells = text.strip_suffix(b"\n").and_then(|line| row(table, line));
        take(cells.ok_or_else(|| shape(&format!("line {number} of {} is not a row", super::member_of(table))))?);
    }
}

fn whole(name: &str, contents: &mut dyn Read) -> Result<Zeroizing<Vec<u8>>, ArchiveError> {
    let mut text = Zeroizing::new(Vec::new());
    contents.take(MAX_FILE_BYTES + 1).read_to_end(&mut text).map_err(torn)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(shape(&format!("{name} is too long")));
    }
    Ok(text)
}

/// Hashes what is read.
struct Hashed<'a> {
    inner: &'a mut dyn Read,
    hash: Sha256,
    bytes: u64,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        self.bytes += count as u64;
        Ok(count)
    }
}

fn shape(what: &str) -> ArchiveError {
    ArchiveError::Shape(what.to_owned())
}

fn torn(error: io::Error) -> ArchiveError {
    ArchiveError::Shape(error.to_string())
}
