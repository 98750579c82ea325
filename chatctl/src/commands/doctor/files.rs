//! What is on the disk: modes, and room.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Finding;

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
    match std::fs::metadata(path) {
        Ok(_) => private_file(path, "the token"),
        Err(error) => Some(Finding::bad(format!("{}: {error}", path.display()), "name another with --token-file")),
    }
}

fn directory(path: &Path) -> Finding {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(found) if found.mode() & 0o077 == 0 => Finding::good(format!("{shown} is open to nobody else")),
        Ok(_) => Finding::bad(format!("{shown} is open to others"), format!("chmod 0700 {shown}")),
        Err(error) => Finding::bad(format!("{shown}: {error}"), format!("ls -ld {shown}")),
    }
}

fn private_file(path: &Path, what: &str) -> Option<Finding> {
    let found = std::fs::metadata(path).ok()?;
    let fix = format!("chmod 0600 {}", path.display());
    (found.mode() & 0o077 != 0).then(|| Finding::bad(format!("{what} in {} is open to others", path.display()), fix))
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
