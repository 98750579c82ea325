//! `listen`: events as they come, for people or for scripts.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use chat_protocol::rpc::client::{CallError, Events};
use chat_protocol::rpc::events::{DevicesChange, Ended};
use chat_protocol::rpc::types::{EndReason, EventsSubscribe, Since, SinceWord};
use chat_protocol::rpc::{ChatId, Event, EventBody, Kind, RpcError};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::known;
use crate::cli::Listen;
use crate::error::Failure;
use crate::output::reader::Reader;
use crate::output::text::{escape, time, word};
use crate::output::{self, Output};
use crate::session::Session;

/// What stands above the messages.
const HEADER: &str = "Listening. What is said in room:public can be read by the server; chats with @user cannot.";

/// Tries of a command before the listener gives up, and the pause after the first; it doubles.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Between two attempts to reach a daemon that went away.
const RECONNECT: Duration = Duration::from_secs(1);

/// `chatctl listen`
pub(super) async fn run(listen: Listen, session: &mut Session) -> Result<(), Failure> {
    let wanted = EventsSubscribe {
        from: listen.since.or_else(|| listen.consumer.is_none().then_some(Since::Word(SinceWord::Now))),
        consumer: listen.consumer.clone(),
        types: (!listen.types.is_empty()).then(|| listen.types.clone()),
        chats: (!listen.chats.is_empty()).then(|| listen.chats.iter().map(ChatId::from).collect()),
        include_self: Some(listen.own),
        ..EventsSubscribe::everything(Since::Word(SinceWord::Now))
    };
    // What a command writes is its own affair.
    if listen.exec.is_some() {
        return follow(wanted, &listen, session).await;
    }
    let mut reader = Reader::of_stdout();
    // Cancel-safe as far as it matters: what was not acknowledged comes again.
    tokio::select! {
        outcome = follow(wanted, &listen, session) => outcome,
        () = reader.gone() => Err(Failure::ClosedPipe),
    }
}

/// Handles one event after the other.
async fn follow(wanted: EventsSubscribe, listen: &Listen, session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    known::require(&client, &listen.chats, &mut session.out).await?;
    let mut events = client.events(wanted.clone()).await?;
    session.out.talk(HEADER);
    let mut left = listen.count;
    while left != Some(0) {
        let Some(event) = events.next().await? else {
            // Whoever has a name loses nothing by waiting for the daemon to come back.
            if wanted.consumer.is_none() {
                return Err(Failure::Lost);
            }
            events = come_back(&wanted, session).await?;
            continue;
        };
        if let Some(EventBody::SubscriptionEnded(end)) = event.body() {
            return Err(ended(&end));
        }
        let handled = handle(&event, listen, &mut session.out).await?;
        if let (Some(_), Some(seq)) = (&wanted.consumer, event.seq) {
            acknowledge(&events, seq).await?;
        }
        if handled {
            left = left.map(|left| left - 1);
        }
    }
    Ok(())
}

fn ended(end: &Ended) -> Failure {
    let (kind, what, hint) = match end.reason {
        EndReason::Replaced => (
            Kind::Conflict,
            "another listener reads for this consumer now",
            "give each listener a --consumer of its own: `chatctl consumers` lists them",
        ),
        EndReason::Forgotten => {
            (Kind::NotFound, "this consumer was forgotten", "the next listener of this name begins with what is new")
        }
        EndReason::Other => (
            Kind::Conflict,
            "chatd does not say a reason that is known here",
            "`chatctl doctor` compares the programs' versions",
        ),
        EndReason::Failed => (
            end.error.unwrap_or(Kind::Internal),
            "chatd cannot read its event log",
            "its log says why; see also `chatctl doctor`",
        ),
    };
    Failure::Refused(RpcError::new(kind, format!("the subscription ended: {what}")).with_hint(hint))
}

/// Says that an event was handled. A daemon that is gone hears it with the next one.
async fn acknowledge(events: &Events, seq: u64) -> Result<(), Failure> {
    match events.ack(seq).await {
        Err(CallError::Disconnected) => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Waits for the daemon, and goes on behind what was acknowledged.
async fn come_back(wanted: &EventsSubscribe, session: &mut Session) -> Result<Events, Failure> {
    session.out.talk("chatd is gone; waiting for it to come back");
    // The place is where the daemon has it, whatever was said at first.
    let wanted = EventsSubscribe { from: None, ..wanted.clone() };
    loop {
        tokio::time::sleep(RECONNECT).await;
        match session.client().await {
            Ok(client) => return Ok(client.events(wanted).await?),
            Err(Failure::NotRunning { .. }) => {}
            Err(failure) => return Err(failure),
        }
    }
}

/// Shows an event, or runs the command for it; says whether it counts.
async fn handle(event: &Event, listen: &Listen, out: &mut Output) -> Result<bool, Failure> {
    match &listen.exec {
        Some(_) if event.kind == "heartbeat" => Ok(false),
        Some(command) => execute(command, event).await.map(|()| true),
        None => show(event, listen.types.contains(&event.kind), out),
    }
}

/// Runs the command until it succeeds, a few times.
async fn execute(command: &str, event: &Event) -> Result<(), Failure> {
    let mut pause = FIRST_PAUSE;
    for left in (0..TRIES).rev() {
        let status = once(command, event).await?;
        if status.success() {
            return Ok(());
        }
        if left == 0 {
            return Err(Failure::Command { command: command.to_owned(), status: status.to_string() });
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(())
}

/// What others wrote reaches the command as data alone: on its standard input and in its environment.
async fn once(command: &str, event: &Event) -> Result<ExitStatus, Failure> {
    let found = |key: &str| event.data.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
    let user = ["from", "from_user", "user"].into_iter().find_map(found).unwrap_or_default();
    let chat = event.chat.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut child = Command::new("sh")
        .args(["-c", command])
        .env("CHAT_SEQ", event.seq.map(|seq| seq.to_string()).unwrap_or_default())
        .env("CHAT_TYPE", &event.kind)
        .env("CHAT_CHAT", chat)
        .env("CHAT_FROM", user)
        .env("CHAT_ID", found("id").unwrap_or_default())
        .stdin(Stdio::piped())
        .spawn()?;
    let json = serde_json::to_vec(event).map_err(|error| Failure::Malformed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read it has its reasons.
        let _ = stdin.write_all(&[json.as_slice(), b"\n"].concat()).await;
    }
    Ok(child.wait().await?)
}

/// Shows an event; says whether it was a line of data. A type that was `asked` for by its name is one, whatever it is.
fn show(event: &Event, asked: bool, out: &mut Output) -> Result<bool, Failure> {
    if event.kind == "heartbeat" {
        // Whether anybody still reads is found out by writing; there is nothing to say.
        return Ok(false);
    }
    if out.is_json() {
        return out.object(event).map(|()| true);
    }
    match event.body() {
        // deleted since: of its text nothing is left
        Some(EventBody::MessageNew(message)) if message.deleted => Ok(false),
        Some(EventBody::MessageNew(message)) => out.line(&output::message(&message)).map(|()| true),
        Some(body) if asked => out.line(&line(event, &body)).map(|()| true),
        Some(body) => {
            if let Some(notice) = notice(&body) {
                out.talk(&notice);
            }
            Ok(false)
        }
        None => Ok(false),
    }
}

/// An event on a line: when, where and what; its type, where there are no words for it.
fn line(event: &Event, body: &EventBody) -> String {
    let chat = event.chat.as_ref().map(|chat| format!("{chat}  ")).unwrap_or_default();
    let what = notice(body).unwrap_or_else(|| event.kind.clone());
    escape(&format!("{}  {chat}{what}", time(event.time_ms)))
}

/// How the devices of a peer have changed.
fn devices(change: &DevicesChange) -> String {
    let mut parts = Vec::new();
    if !change.added.is_empty() {
        let gets = if change.left_out { ", which gets nothing until you compare again" } else { "" };
        parts.push(format!("{} more{gets}", change.added.len()));
    }
    if !change.revoked.is_empty() {
        parts.push(format!("{} ended", change.revoked.len()));
    }
    format!("devices of {0}: {1}; `chatctl verify @{0}` compares", change.user, parts.join(", "))
}

/// What a person should know of what else happens.
pub(super) fn notice(body: &EventBody) -> Option<String> {
    Some(match body {
        EventBody::MessageMissing(lost) => format!("{} of {}'s messages are missing", lost.count, lost.from_user),
        EventBody::MessageUndecryptable(closed) => {
            format!("a message of {} does not open: {}", closed.from_user, closed.reason)
        }
        EventBody::MessageHeld(held) => format!("a message of {} is kept back: {}", held.from_user, held.why),
        EventBody::RequestNew(request) => format!(
            "{0} writes, whom you do not know: `chatctl requests` shows it, `chatctl requests accept @{0}` lets them in",
            request.user
        ),
        EventBody::RequestClosed(closed) if closed.accepted => {
            format!("{} does not wait any more, and is heard from now on", closed.user)
        }
        EventBody::RequestClosed(closed) => format!("what {} wrote does not wait any more, and is gone", closed.user),
        EventBody::Presence(change) => presence(&change.online, &change.offline),
        EventBody::IdentityChanged(change) => format!(
            "the identity of {0} has changed, nothing leaves: ask them in another way, then `chatctl verify @{0}`",
            change.user
        ),
        EventBody::IdentityVerified(verified) => format!("you compared identities with {}", verified.user),
        EventBody::IdentityDevices(change) => devices(change),
        EventBody::IdentityForkEvidence(fork) => format!(
            "a device that {} has revoked signs another version of the account's log: it is in wrong hands",
            fork.user
        ),
        EventBody::IdentityLogWithheld(about) => {
            format!("the server keeps back a part of {}'s account log", about.user)
        }
        EventBody::IdentityLogBehind(about) => format!(
            "the server lacks the end of {0}'s account log, so what is written to {0} waits: a device of {0} has to go online",
            about.user
        ),
        EventBody::ResetPending(reset) => format!(
            "somebody asked to reset this account, which happens at {}; stop it with `chatctl reset --cancel`",
            time(reset.at_ms)
        ),
        EventBody::ResetCancelled(_) => "the reset of this account was cancelled".to_owned(),
        EventBody::DeviceWaiting(device) => format!(
            "device {} asks to be let into this account: see `chatctl device list`; if it is not yours, change the password",
            device.device_id
        ),
        EventBody::DeviceAdded(change) if change.this => "this device was let into the account".to_owned(),
        EventBody::DeviceAdded(change) => format!("device {} belongs to this account now", change.device_id),
        EventBody::DeviceRevoked(change) if change.this => "this device was revoked".to_owned(),
        EventBody::DeviceRevoked(change) => format!("device {} was revoked", change.device_id),
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
        | EventBody::ProfileUpdated(_)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_subscription_is_explained_by_its_own_reason() {
        let refused = |reason, error| match ended(&Ended { reason, error }) {
            Failure::Refused(refusal) => (refusal.kind, refusal.message, refusal.hint.unwrap_or_default()),
            other => panic!("{other:?}"),
        };
        let (kind, _, hint) = refused(EndReason::Replaced, None);
        assert!(kind == Kind::Conflict && hint.contains("a --consumer of its own"), "{kind:?} {hint}");
        let (kind, what, hint) = refused(EndReason::Forgotten, None);
        assert!(kind == Kind::NotFound && what.contains("forgotten") && !hint.contains("of its own"), "{what} {hint}");
        let (kind, what, _) = refused(EndReason::Failed, Some(Kind::Internal));
        assert!(kind == Kind::Internal && what.contains("cannot read its event log"), "{what}");
    }
}
