//! Whether the daemon lives, and whether it receives: connected, and able to store what comes.

use chat_protocol::rpc::types::{Connection, ConnectionState, Health, OutboxHealth, StoreHealth};

use super::{Daemon, errors};
use crate::api::{Answer, Api};
use crate::engine::outbox;

impl Daemon {
    pub(super) async fn health(&self) -> Answer<Health> {
        let connection = self.connection();
        let outbox = self
            .read(|rows| {
                let queued = outbox::queued(rows).map_err(|error| errors::rows(&error))?;
                Ok(OutboxHealth { queued, failed: outbox::failed(rows).map_err(|error| errors::rows(&error))? })
            })
            .await?;
        let reason = unready(&connection, self.unstored().as_deref());
        Ok(Health {
            live: !self.orders.is_closed(),
            ready: reason.is_none(),
            reason,
            connection,
            outbox,
            consumers: self.events_consumers().await?.consumers,
            store: StoreHealth { bytes: self.store.bytes(), locked: false },
        })
    }
}

/// Why nothing is received. What cannot be stored is not taken from the server, so that comes first.
fn unready(connection: &Connection, unstored: Option<&str>) -> Option<String> {
    if let Some(why) = unstored {
        return Some(format!("nothing can be stored: {why}"));
    }
    let server = || connection.server.as_deref().unwrap_or("the server");
    let words = match connection.state {
        ConnectionState::Online => return None,
        ConnectionState::Idle => "there is no account".to_owned(),
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
        assert_eq!(unready(&state(ConnectionState::Online, None), None), None);
        let full = unready(&state(ConnectionState::Online, None), Some("no space left"));
        assert_eq!(full.as_deref(), Some("nothing can be stored: no space left"));
    }

    #[test]
    fn what_is_missing_is_said_in_words() {
        let said = |at, reason| unready(&state(at, reason), None).unwrap();
        assert_eq!(said(ConnectionState::Idle, None), "there is no account");
        assert_eq!(said(ConnectionState::Connecting, None), "connecting to chat.example:8897");
        let offline = said(ConnectionState::Offline, Some("connection refused"));
        assert_eq!(offline, "no connection to chat.example:8897: connection refused");
    }
}
