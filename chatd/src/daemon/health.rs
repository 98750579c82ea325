//! Whether the daemon lives, and whether it receives: connected, and able to store what comes.

use chat_protocol::rpc::types::{Connection, ConnectionState, Health, OutboxHealth, StoreHealth};

use super::{Daemon, errors};
use crate::account::Account;
use crate::api::Answer;
use crate::engine::{consumers, history};

impl Daemon {
    /// How it is doing.
    pub(super) async fn examine_health(&self) -> Answer<Health> {
        let connection = self.connection();
        let (outbox, idle) = self
            .read(|rows| {
                let failed = |error| errors::rows(&error);
                let (queued, lost) = history::unsent::counts(rows).map_err(failed)?;
                let outbox = OutboxHealth { queued, failed: lost };
                Ok((outbox, errors::idle(Account::load(rows).map_err(failed)?.as_ref()).message))
            })
            .await?;
        let failure = self.unstored();
        let live = !self.loop_messages.is_closed();
        let reason = unready(live, &connection, failure.as_deref(), idle);
        Ok(Health {
            live,
            ready: reason.is_none(),
            reason,
            connection,
            outbox,
            consumers: self.rows(consumers::list).await?,
            store: StoreHealth { bytes: self.store.bytes(), locked: false, failure },
        })
    }
}

/// Why nothing is received. What cannot be stored is not taken from the server, so that comes first. `idle`: why there
/// is no connection to be had.
fn unready(live: bool, connection: &Connection, unstored: Option<&str>, idle: String) -> Option<String> {
    if !live {
        return Some("the daemon is ending".to_owned());
    }
    if let Some(why) = unstored {
        return Some(format!("nothing can be stored: {why}"));
    }
    let server = || connection.server.as_deref().unwrap_or("the server");
    let words = match connection.state {
        ConnectionState::Online => return None,
        ConnectionState::Idle => idle,
        ConnectionState::Connecting => format!("connecting to {}", server()),
        ConnectionState::Offline => format!("no connection to {}", server()),
        ConnectionState::AuthFailed => format!("{} refuses this device", server()),
        ConnectionState::Kicked => format!("{} ended the connection", server()),
    };
    let cause = connection.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(words + &cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(state: ConnectionState, reason: Option<&str>) -> Connection {
        let server = Some("chat.example:8897".to_owned());
        Connection { state, server, reason: reason.map(str::to_owned), ..super::super::idle() }
    }

    #[test]
    fn ready_means_connected_and_able_to_store() {
        assert_eq!(unready(true, &state(ConnectionState::Online, None), None, String::new()), None);
        let full = unready(true, &state(ConnectionState::Online, None), Some("no space left"), String::new());
        assert_eq!(full.as_deref(), Some("nothing can be stored: no space left"));
    }

    #[test]
    fn who_does_not_live_is_not_ready_either() {
        let told = unready(false, &state(ConnectionState::Online, None), None, String::new());
        assert_eq!(told.as_deref(), Some("the daemon is ending"));
    }

    #[test]
    fn what_is_missing_is_said_in_words() {
        let said = |at, reason| {
            unready(true, &state(at, reason), None, "alice is logged out on this device".to_owned()).unwrap()
        };
        assert_eq!(said(ConnectionState::Idle, None), "alice is logged out on this device");
        assert_eq!(said(ConnectionState::Connecting, None), "connecting to chat.example:8897");
        let offline = said(ConnectionState::Offline, Some("connection refused"));
        assert_eq!(offline, "no connection to chat.example:8897: connection refused");
    }
}
