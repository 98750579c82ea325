//! How far the time that was seen had come.

use chat_protocol::time::SeenMark;
use mysql_async::prelude::Queryable;

use super::row::{Sql, millis, one, run, time};

pub(super) async fn seen<C: Queryable>(db: &mut C) -> Sql<Option<SeenMark>> {
    let sql = "SELECT time_ms, wall_ms FROM seen_time WHERE one = 1";
    one(db, sql, (), |row| Ok(SeenMark { time: time(row, 0)?, wall: time(row, 1)? })).await
}

pub(super) async fn keep<C: Queryable>(db: &mut C, mark: SeenMark) -> Sql<()> {
    // where several servers share a database, whoever has seen most is right
    let sql = "INSERT INTO seen_time (one, time_ms, wall_ms) VALUES (1, ?, ?) \
               ON DUPLICATE KEY UPDATE time_ms = GREATEST(time_ms, VALUES(time_ms)), wall_ms = VALUES(wall_ms)";
    run(db, sql, (millis(mark.time), millis(mark.wall))).await.map(drop)
}
