//! How far the time that was seen had come.

use chat_protocol::time::SeenMark;
use rusqlite::Connection;

use super::row::{Sql, millis, one, run, time};

pub(super) fn seen(db: &Connection) -> Sql<Option<SeenMark>> {
    let sql = "SELECT time_ms, wall_ms FROM seen_time WHERE one = 1";
    one(db, sql, [], |row| Ok(SeenMark { time: time(row, 0)?, wall: time(row, 1)? }))
}

pub(super) fn keep(db: &Connection, mark: SeenMark) -> Sql<()> {
    let sql = "INSERT INTO seen_time (one, time_ms, wall_ms) VALUES (1, ?1, ?2) \
               ON CONFLICT (one) DO UPDATE SET time_ms = MAX(time_ms, excluded.time_ms), wall_ms = excluded.wall_ms";
    run(db, sql, (millis(mark.time), millis(mark.wall))).map(drop)
}
