//! Whether this database keeps what it says it has committed.
//!
//! `accepted` means that a message survives a power cut. InnoDB does so by default; somebody may have told it not to.

use mysql_async::Pool;
use mysql_async::prelude::Queryable;

const FLUSH: &str = "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit";

/// Warns about a setting that loses the last second of what was accepted when the machine goes down.
pub(super) async fn look(pool: &Pool) {
    if let Some(setting) = flush(pool).await.filter(|setting| *setting != 1) {
        tracing::warn!(
            setting,
            "innodb_flush_log_at_trx_commit is not 1: messages that were accepted can be lost when this database's \
             machine goes down; set it to 1"
        );
    }
}

/// The setting; `None` where there is none, or it is not ours to see.
async fn flush(pool: &Pool) -> Option<u64> {
    let mut db = pool.get_conn().await.ok()?;
    db.query_first(FLUSH).await.ok()?
}
