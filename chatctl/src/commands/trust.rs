//! `trust`: who was seen, who is accepted, and what new devices get.

use chat_protocol::ids::Username;
use chat_protocol::limits::MAX_PAGE;
use chat_protocol::rpc::Target;
use chat_protocol::rpc::types::{
    Chat, ChatList, IdentityAccept, IdentityGet, IdentityState, IdentityUnverify, PeerIdentity, PolicyAnswer,
    PolicyGet, PolicySet, SeenIdentity,
};
use serde::Serialize;

use super::known;
use super::verify::{asked, grouped};
use crate::cli::trust::{Trust, Wanted};
use crate::error::Failure;
use crate::input;
use crate::output::style::Look;
use crate::output::table::{Cell, Table};
use crate::output::text::{time, word};
use crate::session::Session;

/// `chatctl trust …`
pub(super) async fn run(trust: Trust, session: &mut Session) -> Result<(), Failure> {
    match trust {
        Trust::List => list(session).await,
        Trust::Show(who) => session.simple(&IdentityGet { user: who.user }, shown).await,
        Trust::Accept { who, which, yes } => accept(who.user, &which, yes, session).await,
        Trust::Unverify(who) => {
            let params = IdentityUnverify { user: who.user };
            session.simple(&params, |identity| vec![format!("@{} is no longer verified", identity.user)]).await
        }
        Trust::Policy { chat, policy } => self::policy(chat, policy, session).await,
    }
}

/// Somebody and how far they are trusted.
#[derive(Serialize)]
struct Trusted {
    user: Username,
    state: IdentityState,
}

async fn list(session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let mut known = Vec::new();
    let mut cursor = None;
    loop {
        let params = ChatList { unread: None, archived: Some(true), limit: Some(MAX_PAGE), cursor };
        let page = client.call(&params).await?;
        known.extend(page.chats.iter().filter_map(trusted));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    if session.out.is_json() {
        return known.iter().try_for_each(|one| session.out.object(one));
    }
    let cells = |one: &Trusted| {
        vec![Cell::new(Look::Name, format!("@{}", one.user)), Cell::new(look(one.state), word(&one.state))]
    };
    session.out.table(
        &known,
        |known| known.iter().map(|one| format!("@{}  {}", one.user, word(&one.state))).collect(),
        |known| Table::new(&["USER", "IDENTITY"]).rows(known, cells),
    )
}

fn trusted(chat: &Chat) -> Option<Trusted> {
    Some(Trusted { user: chat.peer.clone()?, state: chat.identity? })
}

const fn look(state: IdentityState) -> Look {
    match state {
        IdentityState::Verified => Look::Good,
        IdentityState::Changed => Look::Bad,
        IdentityState::New | IdentityState::Tofu | IdentityState::Revoked => Look::Faint,
    }
}

fn shown(identity: &PeerIdentity) -> Vec<String> {
    let mut lines = vec![format!("@{}: {}, policy {}", identity.user, word(&identity.state), word(&identity.policy))];
    for seen in &identity.seen {
        lines.extend(seen_lines(seen));
    }
    for device in &identity.devices {
        let fate = match (device.left_out, device.unverified) {
            (true, _) => "  left out: it gets nothing until you compare again",
            (false, true) => "  not compared",
            (false, false) => "",
        };
        lines.push(format!("device {}  added {}{fate}", device.device_id, time(device.added_ms)));
    }
    if identity.log_withheld {
        lines.push("the server keeps back how the account goes on".to_owned());
    }
    lines
}

fn seen_lines(seen: &SeenIdentity) -> Vec<String> {
    let mut lines = vec![
        format!("{}  first seen {}", word(&seen.state), time(seen.first_seen_ms)),
        format!("  fingerprint {}", seen.fingerprint),
        format!("  head {} {}", seen.head.seq, seen.head.hash),
    ];
    if let Some(fork) = &seen.fork {
        let whose = if fork.by_revoked { ", which is revoked: it is in wrong hands" } else { "" };
        lines.push(format!("  parts from the known log at entry {}, signed by device {}{whose}", fork.seq, fork.by));
    }
    lines.extend(seen.safety_number.iter().flat_map(grouped));
    lines
}

async fn accept(user: Username, which: &str, yes: bool, session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let identity = client.call(&IdentityGet { user: user.clone() }).await?;
    let seen = named(&identity, which)?;
    let params = IdentityAccept { user: user.clone(), fingerprint: seen.fingerprint, head: seen.head.clone() };
    if !yes && !agreed(&user, seen)? {
        return Err(Failure::Usage("nothing was accepted".to_owned()));
    }
    let answer = client.call(&params).await?;
    session.out.answer(&answer, |answer| {
        vec![format!("accepted: messages to @{0} leave again; `chatctl verify @{0}` makes sure", answer.user)]
    })
}

/// The one identity that was named.
fn named<'i>(identity: &'i PeerIdentity, which: &str) -> Result<&'i SeenIdentity, Failure> {
    let fits =
        |seen: &&SeenIdentity| [seen.fingerprint.to_string(), seen.head.hash.to_string()].contains(&which.to_owned());
    let mut found = identity.seen.iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => {
            Err(Failure::Usage("several versions have this fingerprint: name the head of one".to_owned()))
        }
        (None, _) => {
            let why =
                format!("@{} was never seen so: `chatctl trust show @{}` shows what was", identity.user, identity.user);
            Err(Failure::Usage(why))
        }
    }
}

fn agreed(user: &Username, seen: &SeenIdentity) -> Result<bool, Failure> {
    if !input::has_terminal() {
        return Err(Failure::Usage("say that you mean it: --yes".to_owned()));
    }
    let question = format!(
        "Accepting {} without comparing means to believe the server that this is {user}.\n\
         Whoever it is reads what you write from now on. Type yes to accept: ",
        seen.fingerprint
    );
    Ok(asked(&question)? == "yes")
}

async fn policy(chat: Option<Target>, wanted: Option<Wanted>, session: &mut Session) -> Result<(), Failure> {
    if let Some(chat) = &chat {
        let client = session.client().await?;
        known::require(&client, std::slice::from_ref(chat), &mut session.out).await?;
    }
    match wanted {
        None => session.simple(&PolicyGet { chat }, in_force).await,
        Some(Wanted(policy)) => session.simple(&PolicySet { chat, policy }, in_force).await,
    }
}

fn in_force(answer: &PolicyAnswer) -> Vec<String> {
    vec![match &answer.chat {
        Some(chat) => format!("{}: {} (default: {})", chat.as_str(), word(&answer.policy), word(&answer.default)),
        None => word(&answer.default),
    }]
}
