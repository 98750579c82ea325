//! `who`: a name a line, so that scripts can read it too.

use chat_protocol::rpc::types::{PresenceList, PresentUser};

use crate::error::Failure;
use crate::output::style::Look;
use crate::output::table::{Cell, Table};
use crate::session::Session;

/// `chatctl who`
pub(super) async fn run(session: &mut Session) -> Result<(), Failure> {
    let answer = session.client().await?.call(&PresenceList {}).await?;
    let cells = |present: &PresentUser| {
        let look = if present.me { Look::Own } else { Look::Name };
        vec![Cell::new(look, present.user.as_str()), Cell::new(Look::Faint, if present.me { "(you)" } else { "" })]
    };
    session.out.table(
        &answer,
        |answer| answer.users.iter().map(|present| present.user.to_string()).collect(),
        |answer| Table::new(&[]).rows(&answer.users, cells),
    )
}
