//! What the daemon keeps besides messages.

use chat_programs::clock;
use chat_protocol::ids::Username;
use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::types::{
    self, ChatSet, ChatUnread, ContactBlock, ContactGet, ContactList, ContactSet, ContactUnblock, Contacts,
    EventsConsumers, EventsForget, KvDelete, KvEntry, KvGet, KvList, KvSet, SettingsGet, SettingsSet,
};
use chat_protocol::rpc::{Method, Target};

use super::known;
use super::profile::claims;
use super::send::text;
use crate::cli::keep::{Archive, Consumers, ConsumersVerb, Contact, Kv, Mute, Quiet, Settings, Unread};
use crate::error::Failure;
use crate::output::style::Look;
use crate::output::table::{Cell, Table};
use crate::output::text::{escape, time, word};
use crate::session::Session;

/// `chatctl unread`
pub(super) async fn unread(unread: &Unread, session: &mut Session) -> Result<(), Failure> {
    let human = |count: &types::Unread| {
        let numbers = [("{messages}", count.messages), ("{chats}", count.chats), ("{mentions}", count.mentions)];
        let fill = |text: String, (name, number): (&str, u64)| text.replace(name, &number.to_string());
        vec![numbers.into_iter().fold(unread.format.clone(), fill)]
    };
    session.simple(&ChatUnread {}, human).await
}

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

/// A call about somebody who exists.
async fn about<M: Method>(
    user: Username,
    params: &M,
    human: impl FnOnce(&M::Answer) -> Vec<String>,
    session: &mut Session,
) -> Result<(), Failure> {
    in_chat(&Target::User(user), params, human, session).await
}

/// A call about a chat, with somebody who exists if it is one with somebody.
async fn in_chat<M: Method>(
    to: &Target,
    params: &M,
    human: impl FnOnce(&M::Answer) -> Vec<String>,
    session: &mut Session,
) -> Result<(), Failure> {
    let client = session.client().await?;
    known::require(&client, std::slice::from_ref(to), &mut session.out).await?;
    let answer = client.call(params).await?;
    session.out.answer(&answer, human)
}

async fn contacts(session: &mut Session) -> Result<(), Failure> {
    let all = all_contacts(&session.client().await?).await?;
    let cells = |contact: &types::Contact| {
        let text = |text: &Option<String>| Cell::from(text.as_deref().unwrap_or_default());
        let blocked = Cell::new(Look::Warn, if contact.blocked { "blocked" } else { "" });
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
    let mut contacts: Vec<types::Contact> = Vec::new();
    loop {
        let after = contacts.last().map(|contact| contact.user.clone());
        let page = client.call(&ContactList { after }).await?;
        contacts.extend(page.contacts);
        if !page.more {
            return Ok(Contacts { contacts, more: false });
        }
    }
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
    if let Some(profile) = &contact.profile {
        line.push_str(&format!("  {}", claims(profile)));
    }
    line
}

/// `chatctl mute TARGET TIME`
pub(super) async fn mute(mute: Mute, session: &mut Session) -> Result<(), Failure> {
    let until = match mute.how_long {
        Quiet::Off => 0,
        Quiet::Forever => u64::MAX,
        Quiet::For(time) => (clock::now() + time).as_millis(),
    };
    let params = ChatSet { to: mute.to, muted_until_ms: Some(until), ttl_s: None, archived: None };
    let human = |chat: &types::Chat| {
        vec![match chat.muted_until_ms {
            None => format!("{} makes itself heard", escape(chat.id.as_str())),
            Some(u64::MAX) => format!("{} is quiet", escape(chat.id.as_str())),
            Some(until) => format!("{} is quiet until {}", escape(chat.id.as_str()), time(until)),
        }]
    };
    in_chat(&params.to, &params, human, session).await
}

/// `chatctl archive TARGET`
pub(super) async fn archive(archive: Archive, session: &mut Session) -> Result<(), Failure> {
    let params = ChatSet { to: archive.to, muted_until_ms: None, ttl_s: None, archived: Some(!archive.undo) };
    let human = |chat: &types::Chat| {
        let what = if chat.archived { "put away until somebody writes" } else { "back" };
        vec![format!("{} is {what}", escape(chat.id.as_str()))]
    };
    in_chat(&params.to, &params, human, session).await
}

/// `chatctl settings`
pub(super) async fn settings(settings: Settings, session: &mut Session) -> Result<(), Failure> {
    let Settings { read_receipts, presence, history_days, event_days, max_events, trust_policy, outbox_days } =
        settings;
    let wanted =
        SettingsSet { read_receipts, presence, history_days, event_days, max_events, trust_policy, outbox_days };
    if wanted == SettingsSet::default() {
        session.simple(&SettingsGet {}, shown).await
    } else {
        session.simple(&wanted, shown).await
    }
}

fn shown(settings: &types::Settings) -> Vec<String> {
    vec![
        format!("--read-receipts {}", settings.read_receipts),
        format!("--presence {}", settings.presence),
        format!("--history-days {}", settings.history_days),
        format!("--event-days {}", settings.event_days),
        format!("--max-events {}", settings.max_events),
        format!("--trust-policy {}", word(&settings.trust_policy)),
        format!("--outbox-days {}", settings.outbox_days),
    ]
}

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

/// `chatctl kv …`
pub(super) async fn kv(kv: Kv, session: &mut Session) -> Result<(), Failure> {
    match kv {
        Kv::Get(place) => {
            let params = KvGet { scope: place.scope, key: place.key };
            session.simple(&params, |entry| vec![escape(&entry.value.to_string())]).await
        }
        Kv::Set { place, value, if_version } => {
            let value = text(Some(value), session)?;
            let value = serde_json::from_str(&value).unwrap_or(serde_json::Value::String(value));
            let params = KvSet { scope: place.scope, key: place.key, value, if_version };
            session.simple(&params, |entry| vec![format!("version {}", entry.version)]).await
        }
        Kv::Delete(place) => {
            let params = KvDelete { scope: place.scope, key: place.key, if_version: None };
            session.simple(&params, |_| vec!["forgotten".to_owned()]).await
        }
        Kv::List { scope } => kv_list(scope, session).await,
    }
}

/// Every page of a drawer.
async fn kv_list(scope: chat_protocol::rpc::Name, session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let mut after = None;
    loop {
        let page = client.call(&KvList { scope: scope.clone(), prefix: None, limit: None, after }).await?;
        for entry in &page.entries {
            let plain =
                |KvEntry { key, value, .. }: &KvEntry| vec![format!("{} {}", escape(key), escape(&value.to_string()))];
            session.out.answer(entry, plain)?;
        }
        after = page.entries.last().map(|entry| entry.key.clone());
        if !page.more || after.is_none() {
            return Ok(());
        }
    }
}
