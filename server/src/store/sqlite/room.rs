//! The public room.

use chat_protocol::ids::SubmitId;
use chat_protocol::message::server::{Post, RoomPage};
use chat_protocol::time::Timestamp;
use rusqlite::{Connection, Row};

use super::super::types::{NewPost, Posted};
use super::devices;
use super::row::{Sql, id, int, many, millis, one, run, text, time, uint, uint_or_zero, user};
use super::submits;
use crate::rules::next_seq;

pub(super) fn post(db: &Connection, new: &NewPost) -> Sql<Posted> {
    if let Some(earlier) = submits::recall(db, new.device, new.submit_id)? {
        let at = said_at(db, earlier.room_seq)?.unwrap_or(new.at);
        return Ok(Posted::Repeated { room_seq: earlier.room_seq, at });
    }
    let Some((_, user)) = devices::active(db, new.device)? else { return Ok(Posted::Missing) };
    let room_seq = next_seq(last(db)?);
    run(db, "UPDATE room_state SET last_seq = ?1 WHERE room = 1", [int(room_seq)])?;
    let sql = "INSERT INTO room_post (seq, author, device, submit_id, at_ms, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (device, submit_id) = (new.device.as_bytes(), new.submit_id.as_bytes());
    run(db, sql, (int(room_seq), user.as_str(), device, submit_id, millis(new.at), &new.text))?;
    run(db, "INSERT INTO room_post_age (seq, kept_ms) VALUES (?1, ?2)", (int(room_seq), millis(new.kept)))?;
    submits::remember(db, (new.device, new.submit_id), new.kept, &[], room_seq)?;
    let (text, at) = (new.text.clone(), new.at);
    Ok(Posted::New(Post { room_seq, user, at, text, submit_id: new.submit_id, device: new.device }))
}

/// What the clock showed when a post was said, as long as it is kept.
fn said_at(db: &Connection, seq: u64) -> Sql<Option<Timestamp>> {
    one(db, "SELECT at_ms FROM room_post WHERE seq = ?1", [int(seq)], |row| time(row, 0))
}

fn last(db: &Connection) -> Sql<u64> {
    Ok(one(db, "SELECT last_seq FROM room_state WHERE room = 1", [], |row| uint(row, 0))?.unwrap_or(0))
}

pub(super) fn since(db: &Connection, seq: Option<u64>, limit: u32) -> Sql<RoomPage> {
    let after = "SELECT seq, author, at_ms, text, submit_id, device FROM room_post \
                 WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let newest = "SELECT seq, author, at_ms, text, submit_id, device FROM room_post ORDER BY seq DESC LIMIT ?1";
    let posts = match seq {
        Some(seq) => many(db, after, (int(seq), limit), read)?,
        None => many(db, newest, [limit], read)?.into_iter().rev().collect(),
    };
    let oldest = one(db, "SELECT MIN(seq) FROM room_post", [], |row| uint_or_zero(row, 0))?.unwrap_or(0);
    Ok(RoomPage { posts, last: last(db)?, oldest })
}

fn read(row: &Row<'_>) -> Sql<Post> {
    Ok(Post {
        room_seq: uint(row, 0)?,
        user: user(row, 1)?,
        at: time(row, 2)?,
        text: text(row, 3)?,
        submit_id: SubmitId::from_bytes(id(row, 4)?),
        device: id(row, 5)?,
    })
}
