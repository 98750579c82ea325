//! Makes an archive: under a temporary name beside its place, private, durable, and only whole under its own; or for
//! whoever reads standard output.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use chat_programs::private;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::{ArchiveError, FORMAT, MANIFEST, Manifest, Member, line, member_of};
use crate::store::copy::{Cell, SCHEMA, Sink, Table};

/// Mode of the archive and of what is in it.
const PRIVATE: u32 = 0o600;

/// Hears of each row: its table, and how many of that table there were.
type Progress = Box<dyn FnMut(&Table, u64) + Send>;

/// An archive that is being made. Dropped, it leaves nothing, except what a stream took already.
pub struct Writer {
    tar: tar::Builder<BufWriter<Target>>,
    place: PathBuf,
    /// Where rows wait until their number is known.
    spools: PathBuf,
    made_ms: u64,
    members: Vec<Member>,
    spool: Option<Spool>,
    progress: Progress,
}

/// Where the bytes go.
enum Target {
    /// A file that gets its name at the end.
    Named(NamedTempFile),
    /// Whoever listens.
    Stream(File),
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Named(file) => file.write(bytes),
            Self::Stream(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Named(file) => file.flush(),
            Self::Stream(file) => file.flush(),
        }
    }
}

impl Target {
    /// Makes it durable, and lets it have its name.
    fn finish(self, place: &Path) -> io::Result<()> {
        match self {
            Self::Named(file) => {
                file.as_file().sync_all()?;
                file.persist_noclobber(place).map_err(|error| error.error)?;
                private::sync_directory_of(place)
            }
            Self::Stream(file) if file.metadata()?.is_file() => file.sync_all(),
            Self::Stream(_) => Ok(()),
        }
    }
}

/// Rows of a table: their number and size are known only at their end, and a member of a tar file begins with its size.
struct Spool {
    table: &'static Table,
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    rows: u64,
}

impl Writer {
    /// Begins an archive that will be at `place`. `progress` hears of each row.
    ///
    /// # Errors
    /// [`ArchiveError::Exists`], or what the system says.
    pub fn create(
        place: &Path,
        made_ms: u64,
        progress: impl FnMut(&Table, u64) + Send + 'static,
    ) -> Result<Self, ArchiveError> {
        if place.symlink_metadata().is_ok() {
            return Err(ArchiveError::Exists(place.to_owned()));
        }
        // mode 0600 is what it makes
        let file = NamedTempFile::with_prefix_in(".chat-backup-", private::directory_of(place)).map_err(told(place))?;
        let spools = private::directory_of(place).to_owned();
        Ok(Self::into_target(Target::Named(file), place.to_owned(), spools, made_ms, Box::new(progress)))
    }

    /// Begins an archive for whoever reads `output`, which errors call `name`; rows wait in the directory `spools`.
    pub fn stream(
        output: File,
        name: &str,
        spools: &Path,
        made_ms: u64,
        progress: impl FnMut(&Table, u64) + Send + 'static,
    ) -> Self {
        Self::into_target(Target::Stream(output), name.into(), spools.to_owned(), made_ms, Box::new(progress))
    }

    fn into_target(target: Target, place: PathBuf, spools: PathBuf, made_ms: u64, progress: Progress) -> Self {
        let tar = tar::Builder::new(BufWriter::new(target));
        Self { tar, place, spools, made_ms, members: Vec::new(), spool: None, progress }
    }

    /// Adds a small file.
    ///
    /// # Errors
    /// What the system says.
    pub fn file(&mut self, name: &str, contents: &[u8]) -> Result<(), ArchiveError> {
        self.close_spool().and_then(|()| self.append_bytes(name, contents)).map_err(told(&self.place))
    }

    /// Writes the manifest and gives the archive its name; durable when this returns, unless it goes to a pipe.
    ///
    /// # Errors
    /// [`ArchiveError::Exists`] when somebody made a file of that name meanwhile, or what the system says.
    pub fn finish(mut self) -> Result<Manifest, ArchiveError> {
        let place = self.place.clone();
        let manifest = self.append_manifest().map_err(told(&place))?;
        let target = self.tar.into_inner().and_then(|target| target.into_inner().map_err(io::Error::from));
        target.and_then(|target| target.finish(&place)).map_err(told(&place))?;
        Ok(manifest)
    }

    fn append_manifest(&mut self) -> io::Result<Manifest> {
        self.close_spool()?;
        let (format, version, schema) = (FORMAT, env!("CARGO_PKG_VERSION").to_owned(), SCHEMA);
        let members = self.members.clone();
        let manifest = Manifest { format, version, schema, made_ms: self.made_ms, members };
        let text = serde_json::to_vec_pretty(&manifest)?;
        self.append_bytes(MANIFEST, &text)?;
        Ok(manifest)
    }

    fn append_bytes(&mut self, name: &str, contents: &[u8]) -> io::Result<()> {
        let member = Member {
            name: name.to_owned(),
            bytes: contents.len() as u64,
            sha256: hex::encode(Sha256::digest(contents)),
        };
        self.append(member, contents)
    }

    fn append(&mut self, member: Member, contents: impl Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(member.bytes);
        header.set_mode(PRIVATE);
        header.set_mtime(self.made_ms / 1_000);
        self.tar.append_data(&mut header, &member.name, contents)?;
        self.members.push(member);
        Ok(())
    }

    fn close_spool(&mut self) -> io::Result<()> {
        let Some(spool) = self.spool.take() else { return Ok(()) };
        let mut file = spool.file.into_inner().map_err(io::Error::from)?;
        file.rewind()?;
        let name = member_of(spool.table);
        self.append(Member { name, bytes: spool.bytes, sha256: hex::encode(spool.hash.finalize()) }, file)
    }
}

impl Sink for Writer {
    fn table(&mut self, table: &'static Table) -> io::Result<()> {
        self.close_spool()?;
        let file = BufWriter::new(tempfile::tempfile_in(&self.spools)?);
        self.spool = Some(Spool { table, file, hash: Sha256::new(), bytes: 0, rows: 0 });
        Ok(())
    }

    fn row(&mut self, row: &[Cell]) -> io::Result<()> {
        let Some(spool) = &mut self.spool else { return Err(io::ErrorKind::InvalidInput.into()) };
        let line = format!("{}\n", line(row));
        spool.file.write_all(line.as_bytes())?;
        spool.hash.update(line.as_bytes());
        spool.bytes += line.len() as u64;
        spool.rows += 1;
        (self.progress)(spool.table, spool.rows);
        Ok(())
    }
}

fn told(place: &Path) -> impl Fn(io::Error) -> ArchiveError + use<> {
    let path = place.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::AlreadyExists => ArchiveError::Exists(path.clone()),
        _ => ArchiveError::Io { path: path.clone(), source },
    }
}
