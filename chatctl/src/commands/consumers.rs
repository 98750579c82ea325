//! Readers of the event log whose place is kept.

use chat_protocol::rpc::types::{self, EventsConsumers, EventsForget};

use crate::cli::consumers::{Consumers, ConsumersVerb};
use crate::error::Failure;
use crate::output::style::Look;
use crate::output::table::{Cell, Table};
use crate::output::text::time;
use crate::session::Session;

/// `chatctl consumers`
pub(super) async fn consumers(consumers: Consumers, session: &mut Session) -> Result<(), Failure> {
    if let Some(ConsumersVerb::Forget { name }) = consumers.what {
        return session.simple(&EventsForget { consumer: name }, |_| vec!["forgotten".to_owned()]).await;
    }
    let all = session.client().await?.call(&EventsConsumers {}).await?;
    let seen = |known: &types::Consumer| {
        if known.connected { "reading now".to_owned() } else { time(known.seen_ms) }
    };
    let line = |known: &types::Consumer| {
        format!("{}  at {}, {} behind  {}", known.name, known.acked_seq, known.lag, seen(known))
    };
    let cells = |known: &types::Consumer| {
        let behind = Cell::new(if known.lag == 0 { Look::Good } else { Look::Warn }, known.lag.to_string());
        vec![known.name.to_string().into(), known.acked_seq.to_string().into(), behind, seen(known).into()]
    };
    session.out.table(
        &all,
        |all| all.consumers.iter().map(line).collect(),
        |all| Table::new(&["NAME", "AT", "BEHIND", "LAST SEEN"]).rows(&all.consumers, cells),
    )
}
