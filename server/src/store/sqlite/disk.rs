//! How much more the file can take.

use std::path::Path;

use rusqlite::Connection;
use rustix::fs::statvfs;

use super::row::Sql;

/// What the write-ahead log needs of the disk, however much is free within the file.
pub(super) const LOG_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes that are free on the disk of a file, as far as the system tells.
pub(super) fn free(file: &Path) -> Option<u64> {
    let disk = statvfs(file).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Bytes of pages that rows left: the file does not shrink, and is written into again.
pub(super) fn reusable(db: &Connection) -> Sql<u64> {
    let number = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    Ok(u64::from(number("freelist_count")?).saturating_mul(u64::from(number("page_size")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rows_left_in_the_file_can_be_written_into_again() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t (x BLOB NOT NULL); INSERT INTO t VALUES (zeroblob(4000000))").unwrap();
        assert_eq!(reusable(&db).unwrap(), 0);
        db.execute_batch("DELETE FROM t").unwrap();
        assert!(reusable(&db).unwrap() >= 3_900_000);
    }
}
