//! What those ask for whom the user does not know.

use chat_protocol::ids::Username;
use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::types::{self, RequestAccept, RequestDecline, RequestList, Requests};

use super::pages::all_pages;
use crate::cli::contacts::{self, RequestVerb};
use crate::error::Failure;
use crate::output::style::Look;
use crate::output::table::{Cell, Table};
use crate::output::text::{escape, time};
use crate::session::Session;

/// `chatctl requests`
pub(super) async fn requests(requests: contacts::Requests, session: &mut Session) -> Result<(), Failure> {
    match requests.what {
        None | Some(RequestVerb::List) => list(session).await,
        Some(RequestVerb::Accept(who)) => {
            let said = done(&who.user, "is heard from now on");
            session.simple(&RequestAccept { user: who.user }, |_| said).await
        }
        Some(RequestVerb::Decline(who)) => {
            let said = done(&who.user, "is not heard until you write to them or accept");
            session.simple(&RequestDecline { user: who.user }, |_| said).await
        }
    }
}

fn done(user: &Username, what: &str) -> Vec<String> {
    vec![format!("@{} {what}", escape(user.as_str()))]
}

async fn list(session: &mut Session) -> Result<(), Failure> {
    let mut all = all_requests(&session.client().await?).await?;
    all.requests.sort_by_key(|request| request.since_ms);
    let cells = |request: &types::Request| {
        vec![
            Cell::new(Look::Name, format!("@{}", request.user)),
            Cell::from(time(request.since_ms).as_str()),
            Cell::from(request.messages.to_string().as_str()),
            Cell::from(request.text.as_deref().unwrap_or_default()),
        ]
    };
    session.out.table(
        &all,
        |all| all.requests.iter().map(line).collect(),
        |all| Table::new(&["USER", "SINCE", "MESSAGES", "BEGINS"]).rows(&all.requests, cells),
    )
}

/// Every page of them.
async fn all_requests(client: &Client) -> Result<Requests, Failure> {
    let split = |page: Requests| (page.requests, page.more);
    let requests =
        all_pages(client, |after| RequestList { after }, split, |request: &types::Request| &request.user).await?;
    Ok(Requests { requests, more: false })
}

fn line(request: &types::Request) -> String {
    let user = escape(request.user.as_str());
    let text = request.text.as_deref().map(|text| format!("  {}", escape(text))).unwrap_or_default();
    format!("@{user}  since {}  messages: {}{text}", time(request.since_ms), request.messages)
}
