//! Messages: sending, reading back, and waiting for what becomes of them.

use std::time::Duration;

use chat_protocol::ids::{MessageId, Username};
use chat_protocol::message::client::Lookup;
use chat_protocol::rpc::types::{
    ConnectionState, Message, MessagePage, MessageState, MessageStatus, MsgGet, MsgList, MsgOutbox, MsgSend, MsgStatus,
    MsgWait, OutboxPage, Sent,
};
use chat_protocol::rpc::{Handle, Kind, RpcError, Target};

use crate::api::{Answer, turn};
use crate::clock;
use crate::daemon::{Daemon, ended, errors, reads};
use crate::engine::{commands, history, peers};
use crate::store::Rows;

/// A server that takes longer to say whether a name exists is not waited for.
const LOOKED_UP_WITHIN: Duration = Duration::from_secs(5);
/// How long a caller waits who does not say.
const WAIT_MS: u64 = 30_000;
/// Longest wait: whoever wants to know later asks again, or reads the events.
const LONGEST_WAIT_MS: u64 = 600_000;

impl Handle<MsgSend> for Daemon {
    async fn handle(&self, params: MsgSend) -> Answer<Sent> {
        let online = self.connection().state == ConnectionState::Online;
        if params.require_online == Some(true) && !online && reads::to(&params.to, &self.me().await?) != Target::Myself
        {
            return Err(self.offline());
        }
        if let (Some(true), Target::User(user)) = (params.require_user, &params.to) {
            self.require_user(user).await?;
        }
        self.line_up(move |txn| commands::send(txn, params), turn::taken).await
    }
}

impl Daemon {
    /// Fails if the server says that there is no such user. One that is known here, or a server that does not answer,
    /// is no reason not to write.
    async fn require_user(&self, user: &Username) -> Answer<()> {
        let name = user.clone();
        if self.rows(move |rows| Ok(peers::table_of(rows, &name)?.is_some())).await? {
            return Ok(());
        }
        let lookup = Lookup { users: vec![user.clone()] };
        match tokio::time::timeout(LOOKED_UP_WITHIN, self.ask(&lookup)).await {
            Ok(Ok(found)) if found.users.iter().all(|known| known.user != *user) => {
                Err(RpcError::new(Kind::NotFound, format!("there is no user {user}: nothing was sent")))
            }
            _ => Ok(()),
        }
    }
}

impl Handle<MsgGet> for Daemon {
    async fn handle(&self, params: MsgGet) -> Answer<Message> {
        self.read(move |rows| reads::message(rows, &params.id)).await
    }
}

impl Handle<MsgStatus> for Daemon {
    async fn handle(&self, params: MsgStatus) -> Answer<MessageStatus> {
        self.read(move |rows| reads::message_status(rows, &params.id)).await
    }
}

impl Handle<MsgList> for Daemon {
    async fn handle(&self, params: MsgList) -> Answer<MessagePage> {
        self.read(move |rows| reads::messages(rows, &params)).await
    }
}

impl Handle<MsgOutbox> for Daemon {
    async fn handle(&self, params: MsgOutbox) -> Answer<OutboxPage> {
        self.read(move |rows| reads::outbox(rows, &params, clock::now())).await
    }
}

/// Waits beside the loop: looks again whenever something was stored. A caller that hangs up leaves nothing.
impl Handle<MsgWait> for Daemon {
    async fn handle(&self, params: MsgWait) -> Answer<MessageStatus> {
        let wanted = params.state;
        if wanted == MessageState::Queued || wanted.has_ended() {
            return Err(RpcError::invalid("state", "must be accepted, delivered or read"));
        }
        let span = params.timeout_ms.unwrap_or(WAIT_MS);
        if span > LONGEST_WAIT_MS {
            return Err(RpcError::invalid("timeout_ms", format!("must be at most {LONGEST_WAIT_MS}")));
        }
        let id = params.id;
        self.read(move |rows| check_wait(rows, &id, wanted)).await?;
        let mut newest = self.newest.clone();
        let reached = async {
            loop {
                // before the row is read, so that nothing stored meanwhile is missed
                newest.borrow_and_update();
                let status = self.read(move |rows| reads::message_status(rows, &id)).await?;
                if status.state >= wanted || status.state.has_ended() {
                    return Ok(status);
                }
                newest.changed().await.map_err(|_| ended())?;
            }
        };
        // whichever ends it, nothing was begun that would be lost
        tokio::select! {
            outcome = tokio::time::timeout(Duration::from_millis(span), reached) => {
                outcome.unwrap_or_else(|_| Err(not_in_time()))
            }
            () = self.closing.cancelled() => Err(ended()),
        }
    }
}

fn not_in_time() -> RpcError {
    RpcError::new(Kind::Timeout, "the message did not get so far in that time")
        .with_hint("it is still on its way: call msg.wait again, or read message.status")
}

/// Whether there is something to wait for.
fn check_wait(rows: &dyn Rows, id: &MessageId, wanted: MessageState) -> Answer<()> {
    let found = history::get(rows, id).map_err(|error| errors::rows(&error))?;
    let (_, message) = found.ok_or_else(|| RpcError::new(Kind::NotFound, "no such message"))?;
    if !message.mine {
        return Err(RpcError::invalid("id", "only own messages are on their way to somebody"));
    }
    if message.chat == history::ROOM && wanted > MessageState::Accepted {
        return Err(RpcError::invalid("state", "posts of the public room are accepted, and no more is ever told"));
    }
    Ok(())
}
