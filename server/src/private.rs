//! Files that are ours alone, beyond what every program does with such: made once, put in the place of another.

use std::fs;
use std::io::Write;
use std::path::Path;

use chat_programs::private::{FileError, directory_of, sync_directory_of};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// Longest file read: keys are far shorter.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads a private file.
///
/// # Errors
/// [`FileError`] for a link, a foreign owner or an open mode.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    chat_programs::private::read(path, MAX_BYTES)
}

/// Reads a secret that was handed in by its name: a link to it is followed, as secrets of containers are links.
///
/// # Errors
/// As [`read`], of what the link points to.
pub fn read_named(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    chat_programs::private::read_named(path, MAX_BYTES)
}

/// Creates a private file, durably and whole or not at all; one that exists is never touched.
///
/// # Errors
/// [`FileError`]; [`FileError::is_there`] for one that exists.
pub fn create(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    // under a name of its own first: a key that was half written when the power went would stop every later start
    let written = NamedTempFile::new_in(directory_of(path)).and_then(|mut file| {
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path)?;
        sync_directory_of(path)
    });
    written.map_err(FileError::io("create", path))
}

/// Puts a private file in the place of another, durably.
///
/// # Errors
/// What the system says.
pub fn replace(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).and_then(|()| sync_directory_of(to)).map_err(FileError::io("replace", to))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn private_files_read_back_and_are_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret.key");
        create(&file, b"words").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert!(create(&file, b"others").unwrap_err().is_there());
        assert_eq!(read(&file).unwrap().as_slice(), b"words");
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["secret.key"], "what was refused left nothing");
        assert!(create(&dir.path().join("none/secret.key"), b"words").unwrap_err().is_missing());
    }
}
