//! A registration for trial, undone at once: constraints, triggers and full counters are found whatever they are.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, TxOpts};
use rand::RngExt;

use super::super::row::{Fault, Sql, one};
use super::{HASH, NAME, Obstacle, SMALLER, advised, obstacle};

/// A counter that has reached the end of its column, as MariaDB and as MySQL say it.
const FULL: [u16; 2] = [167, 1467];
/// The same in words about the column or its key.
const OUT_OF_RANGE: u16 = 1264;
const DUPLICATE: u16 = 1062;

/// What keeps the longest name and hash from being stored. It takes one number of the counter.
pub(super) async fn register(db: &mut Conn) -> Sql<Option<Obstacle>> {
    let above = "SELECT 1 FROM chat_app WHERE id > 9223372036854775807 LIMIT 1";
    if one(db, above, (), |_| Ok(())).await?.is_some() {
        return Ok(Some(too_large()));
    }
    let mut undone = db.start_transaction(TxOpts::default()).await?;
    let sql = "INSERT INTO chat_app (username, password) VALUES (?, ?)";
    let inserted = undone.exec_iter(sql, (name(), hash())).await.map(|result| result.last_insert_id());
    undone.rollback().await?;
    match inserted {
        Ok(id) => Ok(id.is_some_and(|id| i64::try_from(id).is_err()).then(too_large)),
        Err(error) => refused(error.into()).map(Some),
    }
}

fn too_large() -> Obstacle {
    advised("it has ids above 9223372036854775807, the largest number that is read", SMALLER)
}

/// Why the database refused; a database that is away or shuts us out says nothing of its table.
fn refused(fault: Fault) -> Sql<Obstacle> {
    let words = match &fault {
        Fault::Driver(Error::Server(error)) if fault.is_refusal() => (error.code, error.message.clone()),
        _ => return Err(fault),
    };
    let (code, said) = words;
    let of_id = said.contains("'id'") || said.contains("PRIMARY");
    if FULL.contains(&code) || (of_id && [OUT_OF_RANGE, DUPLICATE].contains(&code)) {
        return Ok(obstacle(format!("its ids are used up ({said})"), "MODIFY id BIGINT AUTO_INCREMENT"));
    }
    let mend = "drop or widen what refuses it: `SHOW CREATE TABLE chat_app;` shows the constraints, \
                `SHOW TRIGGERS LIKE 'chat_app';` the triggers";
    Ok(advised(format!("it refuses an account with a name of {NAME} letters ({said})"), mend))
}

/// A name of nobody.
fn name() -> String {
    let mut rng = rand::rng();
    (0..NAME).map(|_| char::from(rng.random_range(b'a'..=b'z'))).collect()
}

/// As long as a bcrypt hash, and the hash of no password.
fn hash() -> String {
    format!("{:.<HASH$}", "$2b$12$")
}
