//! `user list`, `user passwd`, `user rename`.

use std::collections::HashMap;
use std::io::{self, BufRead, IsTerminal};

use chat_programs::settings::Layer;
use chat_protocol::ids::Username;
use chat_protocol::message::client::Password;
use serde_json::json;
use zeroize::Zeroizing;

use super::home::Home;
use super::output::{Done, columns, object, talk};
use crate::cli::User;
use crate::failure::{Exit, Failure};
use crate::password;
use crate::store::{AccountSummary, Renaming, SharedStore};

const PAGE: u32 = 1_000;

pub(super) async fn user(home: &Home, command: User) -> Done {
    let config = home.config(&Layer::default())?;
    match command {
        User::List => list(home, &home.open(&config).await?.store).await,
        User::Passwd { name } => {
            let user = parse(&name)?;
            let password = new_password()?;
            let store = home.open(&config).await?.store;
            let hash = password::hash(&password, config.passwords.bcrypt_cost)
                .map_err(|error| Failure::new(Exit::Internal, "the password was not hashed").because(error))?;
            if !store.set_password(&user, hash, None).await? {
                return Err(unknown(&name));
            }
            talk(&format!("The password of {user} is changed; its devices stay logged in"));
            Ok(())
        }
        User::Rename { from, to } => rename(&home.open(&config).await?.store, &from, &to).await,
    }
}

async fn list(home: &Home, store: &SharedStore) -> Done {
    let mut rows = Vec::new();
    loop {
        let page = store.accounts(rows.last().map_or(0, |row: &AccountSummary| row.id), PAGE).await?;
        if page.is_empty() {
            break;
        }
        rows.extend(page);
    }
    let refused: HashMap<_, _> = refused(rows.clone()).into_iter().map(|(row, why)| (row.id, why)).collect();
    if home.json {
        let rows = rows.iter().map(|row| {
            json!({ "name": row.name, "devices": row.devices, "refused": refused.get(&row.id),
                "last_login_ms": row.last_login.map(chat_protocol::time::Timestamp::as_millis) })
        });
        return object(&serde_json::Value::Array(rows.collect()));
    }
    rows.iter().try_for_each(|row| line(row, refused.get(&row.id).copied()))
}

/// One account.
fn line(row: &AccountSummary, refused: Option<&str>) -> Done {
    let devices = match row.devices {
        0 => "no devices".to_owned(),
        1 => "1 device".to_owned(),
        n => format!("{n} devices"),
    };
    match refused {
        Some(why) => columns(&[&row.name, &devices, &format!("cannot log in: {why}")]),
        None => columns(&[&row.name, &devices]),
    }
}

/// Adopted rows that cannot log in, and why.
pub(super) fn refused(rows: Vec<AccountSummary>) -> Vec<(AccountSummary, &'static str)> {
    let mut spellings: HashMap<String, u32> = HashMap::new();
    for row in &rows {
        *spellings.entry(row.name.to_ascii_lowercase()).or_default() += 1;
    }
    let judge = |row: &AccountSummary| {
        if row.name.parse::<Username>().is_err() {
            return Some("the name is not allowed");
        }
        let spelled = spellings.get(&row.name.to_ascii_lowercase()).copied().unwrap_or(0);
        (spelled > 1).then_some("another account has the same name in another spelling")
    };
    rows.into_iter().filter_map(|row| judge(&row).map(|why| (row, why))).collect()
}

async fn rename(store: &SharedStore, from: &str, to: &str) -> Done {
    let to = parse(to)?;
    let fail = |words: String| Err(Failure::new(Exit::Data, words));
    match store.rename_account(from, &to).await? {
        Renaming::Renamed => {
            talk(&format!("{from} is now {to}"));
            Ok(())
        }
        Renaming::NotFound => Err(unknown(from)),
        Renaming::Exists => fail(format!("there is an account {to} already")),
        Renaming::Enrolled => fail(format!("{from} has devices, whose certificates carry the name: it stays")),
    }
}

pub(super) fn parse(name: &str) -> Result<Username, Failure> {
    name.parse().map_err(|error| Failure::new(Exit::Usage, format!("`{name}`: {error}")))
}

pub(super) fn unknown(name: &str) -> Failure {
    Failure::new(Exit::Data, format!("there is no account {name}"))
        .hint("names are listed by `chat-server user list`, which also says which ones collide")
}

/// Asks twice on a terminal, else reads one line of standard input.
fn new_password() -> Result<Password, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Data, "no password could be read").because(error);
    let text = if io::stdin().is_terminal() {
        let first = Zeroizing::new(rpassword::prompt_password("New password: ").map_err(failed)?);
        let second = Zeroizing::new(rpassword::prompt_password("The same again: ").map_err(failed)?);
        if first != second {
            return Err(Failure::new(Exit::Data, "the two passwords differ"));
        }
        first
    } else {
        let mut line = Zeroizing::new(String::new());
        io::stdin().lock().read_line(&mut line).map_err(failed)?;
        Zeroizing::new(line.trim_end_matches(['\n', '\r']).to_owned())
    };
    let password = Password::new(text.to_string());
    let checked = password.and_then(|password| password.check_new().map(|()| password));
    checked.map_err(|error| Failure::new(Exit::Data, error.to_string()))
}
