//! `token` and `audit`: rights for programs, and what was done with them.

use std::io::Write;
use std::path::Path;

use chat_programs::clock;
use chat_programs::private::create_new;
use chat_protocol::rpc::types::{self, AuditList, TokenCreate, TokenList, TokenMade, TokenRevoke};
use chat_protocol::rpc::{ChatId, Secret};

use super::known;
use crate::cli::tokens::{Audit, Create, Token};
use crate::error::{Failure, OfFile};
use crate::output::style::Look;
use crate::output::table::{Cell, Table};
use crate::output::text::{escape, time};
use crate::secrets::is_standard;
use crate::session::Session;

/// `chatctl token …`
pub(super) async fn token(token: Token, session: &mut Session) -> Result<(), Failure> {
    match token {
        Token::Create(create) => self::create(create, session).await,
        Token::List => list(session).await,
        Token::Revoke { name } => session.simple(&TokenRevoke { name }, |_| vec!["revoked".to_owned()]).await,
    }
}

async fn create(create: Create, session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    known::require(&client, &[create.chats.as_slice(), &create.allow_to].concat(), &mut session.out).await?;
    let params = TokenCreate {
        name: create.name,
        scopes: create.scopes,
        chats: some(create.chats),
        allow_to: if create.allow_to_nobody { Some(Vec::new()) } else { some(create.allow_to) },
        rate: create.rate,
        expires_ms: create.expires.map(|time| (clock::now() + time).as_millis()),
    };
    // Before the token is made: afterwards nobody could read it again.
    let out = create.out.filter(|out| !is_standard(out));
    let file = out.as_deref().map(new_file).transpose()?;
    let made = match client.call(&params).await {
        Ok(made) => made,
        Err(error) => {
            if let Some(path) = &out {
                std::fs::remove_file(path)?;
            }
            return Err(error.into());
        }
    };
    session.out.talk(&format!("token {}: {}", made.info.name, rights(&made.info).join("; ")));
    match (file, out) {
        (Some(mut file), Some(path)) => {
            writeln!(file, "{}", made.token.expose())?;
            file.sync_all()?;
            session.out.talk(&format!("written to {}: use it with --token-file or CHATD_TOKEN_FILE", path.display()));
            if session.out.is_json() { session.out.object(&made.info) } else { Ok(()) }
        }
        _ => hand_over(&made, session),
    }
}

/// The token alone, so that a script can take it.
fn hand_over(made: &TokenMade, session: &mut Session) -> Result<(), Failure> {
    session.out.answer(made, |made| vec![text(&made.token)])?;
    session.out.talk("keep it in a file that only its user can read; it cannot be shown again");
    Ok(())
}

fn text(token: &Secret) -> String {
    token.expose().to_owned()
}

fn some<T>(values: Vec<T>) -> Option<Vec<T>> {
    (!values.is_empty()).then_some(values)
}

fn new_file(path: &Path) -> Result<std::fs::File, Failure> {
    create_new(path).map_err(|error| {
        let hint = "name a file that is not there yet".to_owned();
        Failure::NotMade(OfFile { what: path.display().to_string(), why: error.to_string(), hint })
    })
}

/// What a token may do, in words.
fn rights(token: &types::Token) -> Vec<String> {
    let mut words = vec![scopes(token)];
    words.extend(token.chats.as_ref().map(|chats| format!("only in {}", names(chats))));
    words.extend(token.allow_to.as_ref().map(|allowed| format!("writes only to {}", names(allowed))));
    words.extend(token.rate.map(|rate| format!("{rate} calls a minute")));
    words.extend(token.expires_ms.map(|end| format!("until {}", time(end))));
    words
}

fn scopes(token: &types::Token) -> String {
    token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(",")
}

fn names(chats: &[ChatId]) -> String {
    if chats.is_empty() {
        return "nobody".to_owned();
    }
    chats.iter().map(|chat| escape(chat.as_str())).collect::<Vec<_>>().join(",")
}

async fn list(session: &mut Session) -> Result<(), Failure> {
    let all = session.client().await?.call(&TokenList {}).await?;
    let line = |token: &types::Token| format!("{}  {}", token.name, rights(token).join("  "));
    let cells = |token: &types::Token| {
        let confined = |chats: &Option<Vec<ChatId>>| chats.as_deref().map_or_else(|| "any".to_owned(), names);
        vec![
            Cell::new(Look::Name, token.name.to_string()),
            scopes(token).into(),
            confined(&token.chats).into(),
            confined(&token.allow_to).into(),
            token.rate.map(|rate| rate.to_string()).unwrap_or_default().into(),
            token.expires_ms.map_or_else(|| "never".to_owned(), time).into(),
        ]
    };
    session.out.table(
        &all,
        |all| all.tokens.iter().map(line).collect(),
        |all| Table::new(&["NAME", "SCOPES", "CHATS", "WRITES TO", "A MINUTE", "ENDS"]).rows(&all.tokens, cells),
    )
}

/// `chatctl audit`
pub(super) async fn audit(audit: Audit, session: &mut Session) -> Result<(), Failure> {
    let params = AuditList { token: audit.name, before: audit.before, limit: Some(audit.limit) };
    let page = session.client().await?.call(&params).await?;
    let chat = |entry: &types::AuditEntry| entry.chat.as_ref().map(|chat| escape(chat.as_str())).unwrap_or_default();
    let became = |entry: &types::AuditEntry| match &entry.refused {
        Some(why) => format!("refused: {}", escape(why)),
        None => "allowed".to_owned(),
    };
    let line = |entry: &types::AuditEntry| {
        let (at, name, method) = (time(entry.time_ms), &entry.token, escape(&entry.method));
        format!("{}  {at}  {name}  {method}  {}  {}", entry.seq, chat(entry), became(entry))
    };
    let cells = |entry: &types::AuditEntry| {
        let look = if entry.refused.is_some() { Look::Warn } else { Look::Good };
        let (seq, name) = (entry.seq.to_string(), entry.token.to_string());
        let (at, method) = (Cell::new(Look::Faint, time(entry.time_ms)), escape(&entry.method));
        vec![seq.into(), at, name.into(), method.into(), chat(entry).into(), Cell::new(look, became(entry))]
    };
    session.out.table(
        &page,
        |page| page.entries.iter().map(line).collect(),
        |page| Table::new(&["NO", "WHEN", "TOKEN", "CALL", "CHAT", ""]).rows(&page.entries, cells),
    )?;
    if let Some(oldest) = page.entries.last().filter(|_| page.more) {
        session.out.talk(&format!("there are older ones: --before {}", oldest.seq));
    }
    Ok(())
}
