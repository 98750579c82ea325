//! Whether the table of the first application is one that accounts can be kept in, asked before anything is made.
//!
//! What is in the way is named at the start with what mends it, instead of failing the first registration.

mod trial;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::super::contract::Mend;
use super::row::{Fault, Sql, many, one, signed, text};

/// Characters of the longest name.
const NAME: usize = chat_protocol::limits::MAX_USERNAME_BYTES;
/// Characters of a bcrypt hash.
const HASH: usize = 60;
/// What can be done where no statement makes a table of what there is, or none does without harm to who else uses it.
const COPY: &str = "give chat-server a database of its own, named by DB_NAME, and copy the accounts: \
    `CREATE DATABASE chat; \
    CREATE TABLE chat.chat_app (id INT AUTO_INCREMENT PRIMARY KEY, username VARCHAR(150) NOT NULL UNIQUE, \
    password VARCHAR(255) NOT NULL); \
    INSERT INTO chat.chat_app (username, password) SELECT username, password FROM chat_app;`";
/// For ids that no signed number holds.
const SMALLER: &str = "give each row of `SELECT id FROM chat_app WHERE id > 9223372036854775807` a smaller id, here and \
    where else it is named, then say `ALTER TABLE chat_app AUTO_INCREMENT = 1;`";

/// A column as the database describes it.
struct Column {
    name: String,
    kind: String,
    length: i64,
    /// An insertion that does not name it fails.
    needed: bool,
    extra: String,
    key: bool,
}

impl Column {
    fn is_whole_number(&self) -> bool {
        let kind = self.kind.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
        ["tinyint", "smallint", "mediumint", "int", "bigint"].contains(&kind)
    }

    fn counts(&self) -> bool {
        self.extra.contains("auto_increment")
    }
}

/// Something in the way, and the part of a statement that mends it, or words where none does.
type Obstacle = (String, Mend);

fn obstacle(why: impl Into<String>, part: impl Into<String>) -> Obstacle {
    (why.into(), Mend::Statement(part.into()))
}

fn advised(why: impl Into<String>, words: impl Into<String>) -> Obstacle {
    (why.into(), Mend::Words(words.into()))
}

/// Fails with all that is in the way; a table that is not there yet has nothing.
pub(super) async fn look(db: &mut Conn) -> Sql<()> {
    let engine = "SELECT COALESCE(t.ENGINE, ''), t.TABLE_TYPE, COALESCE(e.TRANSACTIONS, 'NO') = 'YES' \
                  FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
                  WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_NAME = 'chat_app'";
    let found = one(db, engine, (), |row| Ok((text(row, 0)?, text(row, 1)?, signed(row, 2)? == 1))).await?;
    let Some((engine, kind, transactions)) = found else { return Ok(()) };
    if engine.is_empty() {
        return refuse(vec![advised(format!("it is no table but a {}", kind.to_ascii_lowercase()), COPY)]);
    }
    let mut obstacles = Vec::new();
    if !transactions {
        obstacles.push(obstacle(format!("its engine {engine} has no transactions"), "ENGINE = InnoDB"));
    }
    let columns = columns(db).await?;
    obstacles.extend(unusable_id(&columns));
    obstacles.extend(needed(&columns));
    obstacles.extend(foreign(&columns));
    if !has_unique_names(db).await? {
        obstacles.push(obstacle("two rows can have one name", "ADD UNIQUE (username)"));
    }
    if obstacles.is_empty() {
        obstacles.extend(trial::register(db).await?);
    }
    refuse(obstacles)
}

/// Everything that is in the way at once: one statement of all parts, unless words are needed too.
fn refuse(obstacles: Vec<Obstacle>) -> Sql<()> {
    if obstacles.is_empty() {
        return Ok(());
    }
    let (mut whys, mut parts, mut words) = (Vec::new(), Vec::new(), Vec::new());
    for (why, mend) in obstacles {
        whys.push(why);
        match mend {
            Mend::Statement(part) => parts.push(part),
            Mend::Words(told) => words.push(told),
        }
    }
    // who copies the accounts leaves this table as it is
    let mend = match words.iter().find(|told| **told == COPY).or(words.first()) {
        Some(told) => Mend::Words(told.clone()),
        None => Mend::Statement(format!("ALTER TABLE chat_app {};", parts.join(", "))),
    };
    Err(Fault::Unsuitable { why: whys.join("; "), mend })
}

async fn columns<C: Queryable>(db: &mut C) -> Sql<Vec<Column>> {
    let sql = "SELECT COLUMN_NAME, COLUMN_TYPE, CAST(COALESCE(CHARACTER_MAXIMUM_LENGTH, 0) AS SIGNED), \
               IS_NULLABLE = 'NO' AND COLUMN_DEFAULT IS NULL, EXTRA, COLUMN_KEY <> '' FROM information_schema.COLUMNS \
               WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'chat_app' ORDER BY ORDINAL_POSITION";
    many(db, sql, (), |row| {
        let (name, kind, extra) = (text(row, 0)?, text(row, 1)?, text(row, 4)?.to_ascii_lowercase());
        let filled = extra.contains("auto_increment") || extra.contains("generated");
        Ok(Column {
            name,
            kind,
            length: signed(row, 2)?,
            needed: signed(row, 3)? == 1 && !filled,
            extra,
            key: signed(row, 5)? == 1,
        })
    })
    .await
}

/// Ids that accounts cannot be counted by. A column keeps its kind: other tables may refer to it.
fn unusable_id(columns: &[Column]) -> Option<Obstacle> {
    let counted = columns.iter().any(Column::counts);
    match columns.iter().find(|column| column.name.eq_ignore_ascii_case("id")) {
        None if counted => Some(advised("it has no column id, and counts by another", COPY)),
        None if columns.iter().any(|column| column.key) => {
            Some(obstacle("it has no column id", "ADD id INT AUTO_INCREMENT UNIQUE"))
        }
        None => Some(obstacle("it has no column id", "ADD id INT AUTO_INCREMENT PRIMARY KEY")),
        Some(id) if !id.is_whole_number() => Some(advised(format!("its ids are {}, not whole numbers", id.kind), COPY)),
        Some(id) if id.counts() => None,
        Some(id) if counted => Some(advised(format!("id does not count by itself ({}), another does", id.kind), COPY)),
        Some(id) => {
            let unique = if id.key { "" } else { ", ADD UNIQUE (id)" };
            let part = format!("MODIFY id {} AUTO_INCREMENT{unique}", id.kind);
            Some(obstacle(format!("id does not count by itself ({})", id.kind), part))
        }
    }
}

/// Columns of ours that are missing or too short.
fn needed(columns: &[Column]) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    for (name, length, kind) in [("username", NAME, "VARCHAR(150)"), ("password", HASH, "VARCHAR(255)")] {
        match columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)) {
            None => obstacles.push(obstacle(format!("it has no column {name}"), format!("ADD {name} {kind} NOT NULL"))),
            Some(column) if usize::try_from(column.length).unwrap_or(0) < length => obstacles.push(obstacle(
                format!("{name} is {}, too short for {length} characters", column.kind),
                format!("MODIFY {name} {kind} NOT NULL"),
            )),
            Some(_) => {}
        }
    }
    obstacles
}

/// Columns that a registration would have to fill and knows nothing of.
fn foreign(columns: &[Column]) -> impl Iterator<Item = Obstacle> {
    let ours =
        |column: &&Column| ["id", "username", "password"].iter().any(|name| column.name.eq_ignore_ascii_case(name));
    columns.iter().filter(move |column| column.needed && !ours(column)).map(|column| {
        let name = column.name.replace('`', "``");
        obstacle(format!("its column {} has no default", column.name), format!("MODIFY `{name}` {} NULL", column.kind))
    })
}

async fn has_unique_names<C: Queryable>(db: &mut C) -> Sql<bool> {
    let sql = "SELECT 1 FROM information_schema.STATISTICS \
               WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'chat_app' AND NON_UNIQUE = 0 GROUP BY INDEX_NAME \
               HAVING COUNT(*) = 1 AND MIN(LOWER(COLUMN_NAME) = 'username' AND SUB_PART IS NULL) = 1 LIMIT 1";
    Ok(one(db, sql, (), |_| Ok(())).await?.is_some())
}
