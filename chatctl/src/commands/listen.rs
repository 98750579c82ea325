//! `listen`: events as they come, for people or for scripts.

use chat_protocol::rpc::types::EventsSubscribe;
use chat_protocol::rpc::{ChatId, Event, EventBody};

use crate::Session;
use crate::cli::Listen;
use crate::error::Failure;
use crate::output::{self, Output, word};

/// What stands above the messages.
const HEADER: &str = "Listening. What is said in room:public can be read by the server; chats with @user cannot.";

/// `chatctl listen`
pub(super) async fn run(listen: Listen, session: &mut Session) -> Result<(), Failure> {
    let wanted = EventsSubscribe {
        types: (!listen.types.is_empty()).then_some(listen.types),
        chats: (!listen.chats.is_empty()).then(|| listen.chats.iter().map(ChatId::from).collect()),
        include_self: Some(listen.own),
        ..EventsSubscribe::everything(listen.since)
    };
    let mut events = session.client().await?.events(wanted).await?;
    session.out.talk(HEADER);
    let mut left = listen.count;
    while left != Some(0) {
        let event = events.next().await?.ok_or(Failure::Lost)?;
        if show(&event, &mut session.out)? {
            left = left.map(|left| left - 1);
        }
    }
    Ok(())
}

/// Shows an event; says whether it was a line of data.
fn show(event: &Event, out: &mut Output) -> Result<bool, Failure> {
    if event.kind == "heartbeat" {
        // Whether anybody still reads is found out by writing; there is nothing to say.
        return Ok(false);
    }
    if out.is_json() {
        return out.object(event).map(|()| true);
    }
    match event.body() {
        Some(EventBody::MessageNew(message)) => out.line(&output::message(&message)).map(|()| true),
        Some(body) => {
            if let Some(notice) = notice(&body) {
                out.talk(&notice);
            }
            Ok(false)
        }
        None => Ok(false),
    }
}

/// What a person should know of what else happens.
fn notice(body: &EventBody) -> Option<String> {
    Some(match body {
        EventBody::MessageMissing(lost) => format!("{} of {}'s messages are missing", lost.count, lost.from_user),
        EventBody::MessageUndecryptable(closed) => {
            format!("a message of {} does not open: {}", closed.from_user, closed.reason)
        }
        EventBody::MessageHeld(held) => format!("a message of {} is kept back: {}", held.from_user, held.why),
        EventBody::Presence(change) => presence(&change.online, &change.offline),
        EventBody::IdentityChanged(change) => format!(
            "the identity of {0} has changed: ask them in another way, then see `chatctl rpc identity.get '{{\"user\":\"{0}\"}}'`",
            change.user
        ),
        EventBody::IdentityForkEvidence(about) => format!("{} has two contradicting account logs", about.user),
        EventBody::IdentityLogWithheld(about) => {
            format!("the server keeps back a part of {}'s account log", about.user)
        }
        EventBody::ResetPending(reset) => format!(
            "somebody asked to reset this account, which happens at {}; stop it with `chatctl reset --cancel`",
            output::time(reset.at_ms)
        ),
        EventBody::ResetCancelled(_) => "the reset of this account was cancelled".to_owned(),
        EventBody::ClockSkew(skew) => format!("this clock and the server's differ by {} s", skew.offset_ms / 1000),
        EventBody::Connection(change) => match &change.reason {
            Some(reason) => format!("connection: {} ({reason})", word(&change.state)),
            None => format!("connection: {}", word(&change.state)),
        },
        EventBody::DaemonStopping(_) => "chatd is stopping".to_owned(),
        EventBody::Gap(gap) => format!("events {} to {} are no longer kept", gap.from, gap.to),
        EventBody::MessageOverdue(late) => format!("message {} is not delivered yet", late.id.to_uuid()),
        EventBody::SubscriptionEnded(end) => format!("the subscription ended: {}", end.reason),
        EventBody::MessageNew(_)
        | EventBody::MessageEdited(_)
        | EventBody::MessageDeleted(_)
        | EventBody::MessageReaction(_)
        | EventBody::ContactUpdated(_)
        | EventBody::MessageStatus(_)
        | EventBody::ChatRead(_)
        | EventBody::ChatUpdated(_)
        | EventBody::SyncDone(_)
        | EventBody::Heartbeat(_) => return None,
    })
}

fn presence(online: &[chat_protocol::ids::Username], offline: &[chat_protocol::ids::Username]) -> String {
    let names = |names: &[chat_protocol::ids::Username]| {
        names.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>().join(", ")
    };
    match (online, offline) {
        (came, []) => format!("online: {}", names(came)),
        ([], went) => format!("offline: {}", names(went)),
        (came, went) => format!("online: {}; offline: {}", names(came), names(went)),
    }
}
