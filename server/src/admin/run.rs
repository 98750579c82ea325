//! `run` serves, `migrate` prepares the database only.

use std::io;
use std::net::SocketAddr;
use std::thread;

use chat_programs::settings::Layer;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::home::{self, Home};
use super::log::Log;
use super::output::{Done, object, say, talk};
use super::reload;
use crate::clock::Clock;
use crate::config::MIN_BCRYPT_COST;
use crate::failure::{Exit, Failure};
use crate::serve::Server;
use crate::{descriptors, service, shutdown};

/// Rows of the account table looked at when the server starts.
const LOOKED_AT: u32 = 1_000;

pub(super) async fn run(home: &Home, log: &Log, listen: Option<SocketAddr>) -> Done {
    let keys = home.keys()?;
    let mut more = Layer::default();
    home::say(&mut more, "listen", listen);
    let config = home.config(&more)?;
    log.follow(&config)?;
    let _lock = home::lock(&home.dir)?;
    if config.passwords.bcrypt_cost < MIN_BCRYPT_COST {
        tracing::warn!(cost = config.passwords.bcrypt_cost, "password hashes are cheaper than they should be");
    }
    descriptors::ask_for(config.connections.most);
    let store = home.open(&config).await?.store;
    warn_of_refused(&store).await?;
    let signals = |error| Failure::new(Exit::Internal, "cannot wait for signals").because(error);
    let (stop, hangups) = (shutdown::on_signals().map_err(signals)?, reload::hangups().map_err(signals)?);
    let (listener, address) = bind(config.listens_on(), "name another address: `--listen ADDR`").await?;
    let watched = match config.metrics.listen {
        Some(watched) => Some(bind(watched, "name another one: `--set metrics.listen=ADDR`").await?),
        None => None,
    };
    say_where(home.json, address, watched.as_ref().map(|(_, watched)| *watched));
    let clock = Clock::system(&*store).await?;
    let server = Server::new(config, store, &keys, stop.clone(), clock);
    let mut beside = JoinSet::new();
    if let Some((watched, _)) = watched {
        beside.spawn(server.status().serve(watched));
    }
    beside.spawn(service::tell(stop, address));
    let reloading = reload::on(hangups, home, &more, log, server.reload());
    // what runs beside the server ends with this function
    let served = tokio::select! {
        served = server.serve(listener) => served,
        never = reloading => match never {},
    };
    served.map_err(|error| Failure::new(Exit::Internal, "the server failed").because(error))
}

async fn bind(address: SocketAddr, hint: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|error: io::Error| {
        Failure::new(Exit::Unavailable, format!("cannot listen on {address}")).because(error).hint(hint)
    })
}

/// Says where the server listens, in a thread of its own: who is served does not depend on who hears of it, and a reader
/// that never reads holds up nobody, not even the end.
fn say_where(json: bool, address: SocketAddr, watched: Option<SocketAddr>) {
    let told = move || {
        if where_it_is(json, address, watched).is_err() {
            tracing::warn!(%address, "listening, which could not be said on standard output");
        }
    };
    if thread::Builder::new().name("where".to_owned()).spawn(told).is_err() {
        tracing::warn!(%address, "listening, which nobody could be told on standard output");
    }
}

/// One line for each address, the one for clients first.
fn where_it_is(json: bool, address: SocketAddr, watched: Option<SocketAddr>) -> Done {
    if json {
        return object(&json!({ "listening": address, "metrics": watched }));
    }
    say(&format!("listening on {address}"))?;
    watched.map_or(Ok(()), |watched| say(&format!("metrics and health on http://{watched}")))
}

/// Says which adopted accounts cannot log in, and why.
async fn warn_of_refused(store: &crate::store::SharedStore) -> Done {
    for (account, why) in super::users::refused(store.accounts(0, LOOKED_AT).await?) {
        tracing::warn!(account = ?account.name, %why, "this account cannot log in until `chat-server user rename`");
    }
    Ok(())
}

pub(super) async fn migrate(home: &Home) -> Done {
    let config = home.config(&Layer::default())?;
    let applied = home.open(&config).await?.applied;
    if home.json {
        return object(&json!({ "applied": applied }));
    }
    if applied.is_empty() {
        talk("The database is up to date");
    }
    applied.iter().try_for_each(|name| say(name))
}
