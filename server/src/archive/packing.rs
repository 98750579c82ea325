//! What people put around a backup before they keep it, known by its first bytes.

use std::fs::File;
use std::io::{self, Read, Seek};

/// A program that packed or encrypted something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Its name.
    pub program: &'static str,
    /// The command that undoes it and writes to standard output.
    pub undo: &'static str,
}

const fn by(program: &'static str, undo: &'static str) -> Packing {
    Packing { program, undo }
}

/// First bytes; no tar file begins with any of them.
const KNOWN: [(&[u8], Packing); 10] = [
    (b"\x1f\x8b", by("gzip", "gunzip -c")),
    (b"\x28\xb5\x2f\xfd", by("zstd", "zstd -dc")),
    (b"\xfd7zXZ\0", by("xz", "xz -dc")),
    (b"BZh", by("bzip2", "bzip2 -dc")),
    (b"age-encryption.org/", by("age", "age -d")),
    (b"-----BEGIN AGE ENCRYPTED FILE-----", by("age", "age -d")),
    (b"-----BEGIN PGP MESSAGE-----", by("gpg", "gpg -d")),
    (b"\x8c\x0d", by("gpg", "gpg -d")),
    (b"\x85\x01", by("gpg", "gpg -d")),
    (b"\x85\x02", by("gpg", "gpg -d")),
];

impl Packing {
    /// What a file was packed with.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn of(mut file: &File) -> io::Result<Option<Self>> {
        let mut start = Vec::new();
        file.rewind()?;
        file.take(64).read_to_end(&mut start)?;
        Ok(KNOWN.iter().find(|(first, _)| start.starts_with(first)).map(|(_, packing)| *packing))
    }
}
