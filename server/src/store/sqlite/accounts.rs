//! Accounts: the table of the first application, and invites.

use chat_protocol::ids::Username;
use rusqlite::Connection;

use super::super::types::{Account, AccountSummary, Creation, Invite, NewAccount, PasswordHash, Renaming};
use super::row::{Sql, int, many, millis, one, run, some_time, text, uint};

const SAME_NAME: &str = "SELECT id, username, password FROM chat_app WHERE username = ?1 COLLATE NOCASE LIMIT 2";

/// Row id of the account; none too when two rows collide.
pub(super) fn row_id(db: &Connection, user: &Username) -> Sql<Option<i64>> {
    let ids = many(db, SAME_NAME, [user.as_str()], |row| row.get(0))?;
    Ok(if let [id] = ids.as_slice() { Some(*id) } else { None })
}

pub(super) fn account(db: &Connection, user: &Username) -> Sql<Option<Account>> {
    let mut hashes = many(db, SAME_NAME, [user.as_str()], |row| text(row, 2))?;
    if hashes.len() > 1 {
        tracing::warn!(%user, "two rows have this name: both are refused until `chat-server user rename`");
        return Ok(None);
    }
    Ok(hashes.pop().map(|hash| Account { user: user.clone(), hash: PasswordHash::new(hash) }))
}

fn taken(db: &Connection, user: &Username) -> Sql<bool> {
    db.prepare_cached(SAME_NAME)?.exists([user.as_str()])
}

pub(super) fn create(db: &Connection, new: &NewAccount) -> Sql<Creation> {
    if taken(db, &new.user)? {
        return Ok(Creation::Exists);
    }
    if let Some(invite) = new.invite {
        let used = run(db, "DELETE FROM invite WHERE hash = ?1 AND expires_ms > ?2", (invite, millis(new.at)))?;
        if used == 0 {
            return Ok(Creation::InviteRefused);
        }
    }
    run(db, "INSERT INTO chat_app (username, password) VALUES (?1, ?2)", (new.user.as_str(), new.hash.expose()))?;
    Ok(Creation::Created)
}

pub(super) fn set_password(
    db: &Connection,
    user: &Username,
    hash: &PasswordHash,
    expected: Option<&PasswordHash>,
) -> Sql<bool> {
    let Some(id) = row_id(db, user)? else { return Ok(false) };
    let changed = match expected {
        None => run(db, "UPDATE chat_app SET password = ?1 WHERE id = ?2", (hash.expose(), id))?,
        Some(old) => run(
            db,
            "UPDATE chat_app SET password = ?1 WHERE id = ?2 AND password = ?3",
            (hash.expose(), id, old.expose()),
        )?,
    };
    Ok(changed > 0)
}

pub(super) fn rename(db: &Connection, from: &str, to: &Username) -> Sql<Renaming> {
    let found = one(db, "SELECT id FROM chat_app WHERE username = ?1", [from], |row| row.get::<_, i64>(0))?;
    let Some(id) = found else { return Ok(Renaming::NotFound) };
    if db.prepare_cached("SELECT 1 FROM account_log WHERE account = ?1")?.exists([id])? {
        return Ok(Renaming::Enrolled);
    }
    let others = "SELECT 1 FROM chat_app WHERE username = ?1 COLLATE NOCASE AND id <> ?2";
    if db.prepare_cached(others)?.exists((to.as_str(), id))? {
        return Ok(Renaming::Exists);
    }
    run(db, "UPDATE chat_app SET username = ?1 WHERE id = ?2", (to.as_str(), id))?;
    // who waits for approval does so under a certificate with the old name
    run(db, "DELETE FROM device WHERE account = ?1", [id])?;
    Ok(Renaming::Renamed)
}

pub(super) fn list(db: &Connection, after: u64, limit: u32) -> Sql<Vec<AccountSummary>> {
    let sql = "SELECT u.id, u.username, \
               (SELECT COUNT(*) FROM device d WHERE d.account = u.id AND d.state = 1), \
               (SELECT MAX(d.last_login_ms) FROM device d WHERE d.account = u.id) \
               FROM chat_app u WHERE u.id > ?1 ORDER BY u.id LIMIT ?2";
    many(db, sql, (int(after), limit), |row| {
        let devices = u32::try_from(uint(row, 2)?).unwrap_or(u32::MAX);
        Ok(AccountSummary { id: uint(row, 0)?, name: text(row, 1)?, devices, last_login: some_time(row, 3)? })
    })
}

pub(super) fn create_invite(db: &Connection, invite: &Invite) -> Sql<()> {
    let sql = "INSERT OR REPLACE INTO invite (hash, made_ms, expires_ms) VALUES (?1, ?2, ?3)";
    run(db, sql, (invite.hash, millis(invite.at), millis(invite.expires))).map(drop)
}
