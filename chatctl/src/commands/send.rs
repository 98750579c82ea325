//! `send`: one message, and if wanted how far it came.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use chat_programs::clock;
use chat_protocol::ids::MessageId;
use chat_protocol::limits::MAX_TEXT_BYTES;
use chat_protocol::rpc::client::{CallError, Client, Events};
use chat_protocol::rpc::types::{EventsSubscribe, FailReason, MessageState, MsgSend, MsgStatus, Since, SinceWord};
use chat_protocol::rpc::{EventBody, Kind, RpcError, Target};

use crate::cli::{Send, Wait};
use crate::error::{Failure, OfFile};
use crate::input::{self, TextError};
use crate::output::reader::heard;
use crate::output::text::{escape, word};
use crate::secrets::is_standard;
use crate::session::Session;

/// `chatctl send TARGET TEXT`
pub(super) async fn run(send: Send, session: &mut Session) -> Result<(), Failure> {
    refuse_what_cannot_be(&send)?;
    let text = match &send.file {
        Some(path) if !is_standard(path) => file_text(path)?,
        Some(_) => text(None, session)?,
        None => text(send.text, session)?,
    };
    let params = MsgSend {
        client_id: send.id,
        require_online: send.require_online.then_some(true),
        require_user: Some(true),
        require_verified: send.require_verified.then_some(true),
        reply_to: send.reply_to,
        mentions: (!send.mentions.is_empty()).then_some(send.mentions),
        ttl_s: send.ttl,
        at_ms: send.delay.map(|delay| (clock::now() + delay).as_millis()),
        notify_undelivered_after_ms: send.overdue_after.map(millis),
        ..MsgSend::text(send.to, text)
    };
    let keyed = params.client_id.is_some();
    let client = session.client().await?;
    // Before the message is sent, so that nothing that happens to it is missed.
    let events = match send.wait {
        Some(_) => Some(client.events(changes()).await?),
        None => None,
    };
    let mut sent = client.call(&params).await.map_err(|error| unanswered(error, keyed))?;
    if let (Some(wait), Some(events)) = (send.wait, events) {
        sent.state = heard(async {
            let mut state = sent.state;
            let arrival = arrival(&client, events, (sent.id, &mut state), wait);
            let ended = tokio::time::timeout(send.timeout, arrival).await;
            ended.unwrap_or_else(|_| Err(Late { id: sent.id, to: sent.chat.as_str(), state, wait, keyed }.told()))
        })
        .await?;
    }
    session.out.answer(&sent, |sent| {
        vec![format!("{} to {}: {}", word(&sent.state), escape(sent.chat.as_str()), sent.id.to_uuid())]
    })
}

/// A post is everybody's and nobody's: the server has it, and nobody tells of having got or read it.
fn refuse_what_cannot_be(send: &Send) -> Result<(), Failure> {
    match (&send.to, send.wait) {
        (Target::Room, Some(Wait::Delivered | Wait::Read)) => {
            Err(Failure::Usage("a post in the room is accepted and nothing more: say --wait accepted".to_owned()))
        }
        _ => Ok(()),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn file_text(path: &Path) -> Result<String, Failure> {
    let file = File::open(path).map_err(|error| {
        let hint = "name a file that you may read".to_owned();
        Failure::Input(OfFile { what: path.display().to_string(), why: error.to_string(), hint })
    })?;
    read_text(file)
}

/// The text: given, or read to its end; one line break there belongs to the pipe and not to the message.
pub(super) fn text(given: Option<String>, session: &Session) -> Result<String, Failure> {
    match given.filter(|text| text != "-") {
        Some(text) => Ok(text),
        None => read_text(session.stdin()?),
    }
}

fn read_text(input: impl Read) -> Result<String, Failure> {
    let too_long = |bytes: u64| {
        let words = format!("the text has {bytes} bytes, and at most {MAX_TEXT_BYTES} fit into a message");
        Failure::Refused(RpcError::new(Kind::TooLarge, words))
    };
    let mut bytes = Vec::new();
    let text = input::text(input, MAX_TEXT_BYTES + 1, &mut bytes).map_err(|error| match error {
        TextError::TooLong(bytes) => too_long(bytes),
        TextError::NotUtf8 => Failure::Usage("the text is not UTF-8: `iconv -t UTF-8` makes it that".to_owned()),
        TextError::Io(error) => error.into(),
    })?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    if text.len() > MAX_TEXT_BYTES { Err(too_long(text.len() as u64)) } else { Ok(text.to_owned()) }
}

fn changes() -> EventsSubscribe {
    let types = Some(vec!["message.status".to_owned()]);
    EventsSubscribe { types, ..EventsSubscribe::everything(Since::Word(SinceWord::Now)) }
}

/// Waits until the message is as far as wanted, or will never be; how far it is meanwhile is written into `state`.
async fn arrival(
    client: &Client,
    mut events: Events,
    (id, state): (MessageId, &mut MessageState),
    wait: Wait,
) -> Result<MessageState, Failure> {
    // With a known `--id` it may be there already.
    let status = client.call(&MsgStatus { id }).await?;
    let mut why = status.recipients.into_iter().find_map(|recipient| recipient.error);
    *state = status.state;
    loop {
        if let Some(outcome) = outcome(*state, wait, why) {
            return outcome;
        }
        let event = events.next().await?.ok_or(Failure::Lost)?;
        if let Some(EventBody::MessageStatus(changed)) = event.body()
            && changed.id == id
        {
            (*state, why) = (changed.state, changed.error);
        }
    }
}

/// Whether a message in `state` need not be waited for any longer.
fn outcome(state: MessageState, wait: Wait, why: Option<FailReason>) -> Option<Result<MessageState, Failure>> {
    if state.has_ended() {
        return Some(Err(Failure::Refused(given_up(state, why))));
    }
    (state >= wanted(wait)).then_some(Ok(state))
}

const fn wanted(wait: Wait) -> MessageState {
    match wait {
        Wait::Accepted => MessageState::Accepted,
        Wait::Delivered => MessageState::Delivered,
        Wait::Read => MessageState::Read,
    }
}

/// The reason is the kind of failure, if the daemon knows one.
fn given_up(state: MessageState, why: Option<FailReason>) -> RpcError {
    let kind = why.map_or(Kind::ServerRejected, FailReason::kind);
    let message = match kind {
        Kind::NotFound => "there is no such user".to_owned(),
        _ => format!("the message was {}", word(&state)),
    };
    RpcError::new(kind, message)
}

/// Without a key, what chatd did not answer is not to be sent again by a program: it may have left.
fn unanswered(error: CallError, keyed: bool) -> Failure {
    match Failure::from(error) {
        Failure::Refused(refusal) if refusal.kind == Kind::Timeout && !keyed => Failure::NotYet(refusal),
        failure => failure,
    }
}

/// A message that did not come as far as was waited for.
struct Late<'s> {
    id: MessageId,
    to: &'s str,
    state: MessageState,
    wait: Wait,
    /// It has a key of the caller's: the same said again sends nothing.
    keyed: bool,
}

impl Late<'_> {
    fn told(&self) -> Failure {
        let Self { id, to, state, wait, keyed } = self;
        let wanted = word(&wanted(*wait));
        let (so_far, why) = match state {
            MessageState::Queued => ("it waits here", "`chatctl outbox` says why".to_owned()),
            MessageState::Accepted => (
                "the server has accepted it and keeps it",
                format!("{to} may not have fetched it, or not decided whether to hear you: nobody tells which of them"),
            ),
            _ => ("it was delivered", format!("{to} may not have looked, or tells nobody")),
        };
        let refusal = RpcError::new(Kind::Timeout, format!("the message was not {wanted} in time: {so_far}"));
        if *keyed {
            return Failure::Refused(refusal.with_hint(format!("{why}; the same again with its --id goes on waiting")));
        }
        let params = format!(r#"{{"id":"{}","state":"{wanted}"}}"#, id.to_uuid());
        let wait = format!("`chatctl rpc msg.wait '{params}'` goes on waiting");
        Failure::NotYet(
            refusal.with_hint(format!("{why}; do not send it again, which would be another message: {wait}")),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_left_without_a_key_is_not_to_be_sent_again() {
        assert!(matches!(unanswered(CallError::TimedOut, false), Failure::NotYet(_)));
        assert!(matches!(unanswered(CallError::TimedOut, true), Failure::Refused(_)));
        assert!(matches!(unanswered(CallError::Disconnected, false), Failure::Lost));
    }

    #[test]
    fn whoever_has_no_key_is_led_to_wait_and_not_to_send_it_again() {
        let id = MessageId::new([7; 16]);
        let told = |state, wait| match (Late { id, to: "@bob", state, wait, keyed: false }).told() {
            Failure::NotYet(refusal) => format!("{refusal}; {}", refusal.hint.as_deref().unwrap_or_default()),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            told(MessageState::Accepted, Wait::Delivered),
            "the message was not delivered in time: the server has accepted it and keeps it; @bob may not have fetched it, \
             or not decided whether to hear you: nobody tells which of them; do not send it again, which would be another \
             message: `chatctl rpc msg.wait '{\"id\":\"07070707-0707-0707-0707-070707070707\",\"state\":\"delivered\"}'` \
             goes on waiting"
        );
        assert!(told(MessageState::Queued, Wait::Accepted).contains("it waits here; `chatctl outbox`"));
        assert!(told(MessageState::Delivered, Wait::Read).contains("not read in time: it was delivered"));
    }
}
