//! What is noted about others, and who is blocked.

use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::types::{self, ContactBlock, ContactGet, ContactList, ContactSet, ContactUnblock, Contacts};

use super::known::about;
use super::pages::all_pages;
use super::profile::claims;
use super::send::text;
use crate::cli::contacts::Contact;
use crate::error::Failure;
use crate::output::style::Look;
use crate::output::table::{Cell, Table};
use crate::output::text::escape;
use crate::session::Session;

/// `chatctl contact …`
pub(super) async fn contact(contact: Contact, session: &mut Session) -> Result<(), Failure> {
    let one = |contact: &types::Contact| vec![line(contact)];
    match contact {
        Contact::List => contacts(session).await,
        Contact::Show(who) => about(who.user.clone(), &ContactGet { user: who.user }, one, session).await,
        Contact::Set { alias: None, note: None, .. } => {
            Err(Failure::Usage("say what to note: --alias NAME, --note TEXT".to_owned()))
        }
        Contact::Set { who, alias, note } => {
            let note = note.map(|note| text(Some(note), session)).transpose()?;
            about(who.user.clone(), &ContactSet { user: who.user, alias, note }, one, session).await
        }
        Contact::Block(who) => about(who.user.clone(), &ContactBlock { user: who.user }, one, session).await,
        Contact::Unblock(who) => session.simple(&ContactUnblock { user: who.user }, one).await,
    }
}

async fn contacts(session: &mut Session) -> Result<(), Failure> {
    let all = all_contacts(&session.client().await?).await?;
    let cells = |contact: &types::Contact| {
        let text = |text: &Option<String>| Cell::from(text.as_deref().unwrap_or_default());
        let blocked = match contact {
            types::Contact { blocked: true, .. } => Cell::new(Look::Warn, "blocked"),
            types::Contact { accepted: true, .. } => Cell::from("accepted"),
            _ => Cell::from(""),
        };
        vec![Cell::new(Look::Name, format!("@{}", contact.user)), text(&contact.alias), text(&contact.note), blocked]
    };
    session.out.table(
        &all,
        |all| all.contacts.iter().map(line).collect(),
        |all| Table::new(&["USER", "ALIAS", "NOTE", ""]).rows(&all.contacts, cells),
    )
}

/// Every page of them.
async fn all_contacts(client: &Client) -> Result<Contacts, Failure> {
    let split = |page: Contacts| (page.contacts, page.more);
    let contacts =
        all_pages(client, |after| ContactList { after }, split, |contact: &types::Contact| &contact.user).await?;
    Ok(Contacts { contacts, more: false })
}

fn line(contact: &types::Contact) -> String {
    let mut line = format!("@{}", escape(contact.user.as_str()));
    for (name, text) in [("alias", &contact.alias), ("note", &contact.note)] {
        if let Some(text) = text {
            line.push_str(&format!("  {name}: {}", escape(text)));
        }
    }
    if contact.blocked {
        line.push_str("  blocked");
    }
    if contact.accepted {
        line.push_str("  accepted");
    }
    if let Some(profile) = &contact.profile {
        line.push_str(&format!("  {}", claims(profile)));
    }
    line
}
