//! What is on the disk: modes, and room.

use std::fs::{self, Metadata};
use std::path::Path;

use chat_programs::private::{Kind, NotPrivate, judge};

use super::finding::Finding;

/// Less free space than this, and chatd may stop storing soon: 64 MiB.
const LITTLE_ROOM: u64 = 64 * 1024 * 1024;
/// Name of the key file in a data directory.
const KEY_FILE: &str = "key";

/// Directories, the key, and the room that is left.
pub(super) fn examine(socket: &Path, data: &Path) -> Vec<Finding> {
    let mut findings = vec![directory(data)];
    // Without an own runtime directory the socket is with the data.
    findings.extend(socket.parent().filter(|parent| *parent != data && parent.exists()).map(directory));
    findings.extend(private_file(&data.join(KEY_FILE), "the key of the store"));
    findings.extend(free_bytes(data).map(|free| room(data, free)));
    findings
}

/// What is wrong with a token file, if anything.
pub(super) fn token(path: &Path) -> Option<Finding> {
    match fs::metadata(path) {
        Ok(_) => private_file(path, "the token"),
        Err(error) => Some(Finding::bad(format!("{}: {error}", path.display()), "name another with --token-file")),
    }
}

fn directory(path: &Path) -> Finding {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(meta) => private(path, &meta, Kind::Directory, &shown.to_string())
            .unwrap_or_else(|| Finding::good(format!("{shown} can be changed by nobody else"))),
        Err(error) => Finding::bad(format!("{shown}: {error}"), format!("ls -ld {shown}")),
    }
}

fn private_file(path: &Path, what: &str) -> Option<Finding> {
    private(path, &fs::metadata(path).ok()?, Kind::File, &format!("{what} in {}", path.display()))
}

/// What is wrong with an owner or a mode, if anything is.
fn private(path: &Path, meta: &Metadata, kind: Kind, what: &str) -> Option<Finding> {
    match judge(path, meta, kind) {
        Ok(_) => None,
        Err(NotPrivate::Open { remedy, .. }) => {
            let fix = remedy.command().unwrap_or_else(|| remedy.to_string());
            Some(Finding::bad(format!("{what} is open to others"), fix))
        }
        Err(error) => Some(Finding::bad(error.to_string(), format!("ls -ld {}", path.display()))),
    }
}

fn free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn room(data: &Path, free: u64) -> Finding {
    let what = format!("{} MiB are free where {} is", free / (1024 * 1024), data.display());
    if free < LITTLE_ROOM {
        Finding::bad(
            format!("only {what}"),
            format!("make room; what takes it: du -xh --max-depth=2 {} | sort -h", data.display()),
        )
    } else {
        Finding::good(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_nearly_full_is_told_before_it_is() {
        let data = Path::new("/data");
        assert!(room(data, LITTLE_ROOM).ok);
        let finding = room(data, 3 * 1024 * 1024);
        assert_eq!((finding.ok, finding.what.as_str()), (false, "only 3 MiB are free where /data is"));
    }
}
