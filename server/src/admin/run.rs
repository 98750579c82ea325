//! `run` serves, `migrate` prepares the database only.

use std::net::SocketAddr;

use serde_json::json;
use tokio::net::TcpListener;

use super::home::{self, Home};
use super::{Done, say, talk};
use crate::config::MIN_BCRYPT_COST;
use crate::failure::{Exit, Failure};
use crate::{serve, service, shutdown};

/// Rows of the account table looked at when the server starts.
const LOOKED_AT: u32 = 1_000;

pub(super) async fn run(home: &Home, listen: Option<SocketAddr>) -> Done {
    let keys = home.keys()?;
    let listen: Vec<_> = listen.map(|listen| format!("listen={listen}")).into_iter().collect();
    let config = home.config(&listen)?;
    let _lock = home::lock(&home.dir)?;
    if config.passwords.bcrypt_cost < MIN_BCRYPT_COST {
        tracing::warn!(cost = config.passwords.bcrypt_cost, "password hashes are cheaper than they should be");
    }
    let store = home.open(&config).await?.store;
    warn_of_refused(&store).await?;
    let stop = shutdown::on_signals();
    let stop = stop.map_err(|error| Failure::new(Exit::Internal, "cannot wait for signals").because(error))?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        let words = format!("cannot listen on {}", config.listen);
        Failure::new(Exit::Unavailable, words).because(error).hint("name another address: `--listen ADDR`")
    })?;
    let address = listener.local_addr();
    let address = address.map_err(|error| Failure::new(Exit::Internal, "the socket has no address").because(error))?;
    say(&if home.json { json!({ "listening": address }).to_string() } else { format!("listening on {address}") })?;
    let told = tokio::spawn(service::tell(stop.clone(), address));
    let served = serve::run(config, store, listener, keys, stop).await;
    told.abort();
    served.map_err(|error| Failure::new(Exit::Internal, "the server failed").because(error))
}

/// Says which adopted accounts cannot log in, and why.
async fn warn_of_refused(store: &crate::store::SharedStore) -> Done {
    for (account, why) in super::users::refused(store.accounts(0, LOOKED_AT).await?) {
        tracing::warn!(account = ?account.name, %why, "this account cannot log in until `chat-server user rename`");
    }
    Ok(())
}

pub(super) async fn migrate(home: &Home) -> Done {
    let config = home.config(&[])?;
    let applied = home.open(&config).await?.applied;
    if home.json {
        return say(&json!({ "applied": applied }).to_string());
    }
    if applied.is_empty() {
        talk("The database is up to date");
    }
    applied.iter().try_for_each(|name| say(name))
}
