//! `mailbox peek`: everything the server knows of the messages that wait, which is not what they say.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use chat_programs::settings::Layer;
use chat_protocol::cbor;
use chat_protocol::ids::Username;
use chat_protocol::message::Envelope;
use serde_json::{Value, json};

use super::home::Home;
use super::output::{Done, object, say, talk};
use super::users;
use crate::cli::Mailbox;
use crate::failure::Failure;
use crate::store::{DeviceState, Mail, SharedStore, StoreError};

/// Messages shown of one mailbox, oldest first.
const SHOWN: u32 = 100;
/// Bytes of them.
const SHOWN_BYTES: u64 = 4 * 1024 * 1024;
/// Characters of a token that are shown on a line for people.
const TOKEN_SHOWN: usize = 88;

pub(super) async fn mailbox(home: &Home, command: Mailbox) -> Done {
    let Mailbox::Peek { user } = command;
    let user = users::parse(&user)?;
    let store = home.open(&home.config(&Layer::default())?).await?.store;
    let mut waiting = Vec::new();
    for device in store.devices(&user).await?.iter().filter(|device| device.state == DeviceState::Active) {
        waiting.extend(store.mailbox_after(device.device, 0, SHOWN, SHOWN_BYTES).await?);
    }
    show(home, &store, &user, &waiting).await
}

async fn show(home: &Home, store: &SharedStore, user: &Username, waiting: &[Mail]) -> Done {
    if store.account(user).await?.is_none() {
        return Err(users::unknown(user.as_str()));
    }
    if home.json {
        let all = waiting.iter().map(described).collect::<Result<Vec<_>, _>>()?;
        return object(&Value::Array(all));
    }
    if waiting.is_empty() {
        talk(&format!("Nothing waits for {user}"));
    }
    waiting.iter().try_for_each(|mail| lines(mail, &open(mail)?).lines().try_for_each(say))
}

/// One message for people.
fn lines(mail: &Mail, envelope: &Envelope) -> String {
    let mut text = format!("message   {} from {}, {} bytes", mail.seq, mail.from, mail.envelope.len());
    let token = token(envelope);
    let shown = token.get(..TOKEN_SHOWN).map_or(token.clone(), |start| format!("{start}…"));
    // writing into a string cannot fail
    let _ = write!(text, "\nsession   {}\ntoken     {shown} ({} characters)", envelope.sid, token.len());
    if let Some(init) = &envelope.init {
        let _ = write!(text, "\nopening   {} bytes of key exchange, sent along until the peer answers", init.len());
    }
    text
}

/// One message for programs.
fn described(mail: &Mail) -> Result<Value, Failure> {
    let envelope = open(mail)?;
    Ok(json!({
        "seq": mail.seq,
        "from": mail.from.as_str(),
        "from_device": mail.from_device.to_string(),
        "bytes": mail.envelope.len(),
        "session": envelope.sid.to_string(),
        "opening_bytes": envelope.init.as_ref().map(|init| init.len()),
        "token": token(&envelope),
    }))
}

fn open(mail: &Mail) -> Result<Envelope, Failure> {
    cbor::decode(&mail.envelope).map_err(|_| StoreError::Corrupt("an envelope").into())
}

/// The Fernet token as text; inside the envelope it travels decoded.
fn token(envelope: &Envelope) -> String {
    URL_SAFE.encode(&*envelope.token)
}

#[cfg(test)]
mod tests {
    use chat_protocol::ids::{DeviceId, SessionId};

    use super::*;

    fn mail(init: Option<Vec<u8>>) -> Mail {
        let envelope = Envelope {
            sid: SessionId::new([7; 16]),
            header: vec![1; 40].into(),
            token: [vec![0x80], vec![0; 200]].concat().into(),
            init: init.map(Into::into),
        };
        Mail {
            seq: 3,
            from: "alice".parse().unwrap(),
            from_device: DeviceId::new([1; 16]),
            envelope: cbor::encode(&envelope).into(),
        }
    }

    #[test]
    fn a_waiting_message_shows_its_token_and_its_sizes() {
        let mail = mail(None);
        let text = lines(&mail, &open(&mail).unwrap());
        assert!(text.starts_with("message   3 from alice, "), "{text}");
        assert!(text.contains("\ntoken     gAAAAAAA") && text.ends_with("… (268 characters)"), "{text}");
    }

    #[test]
    fn programs_get_the_whole_token_and_the_size_of_the_opening() {
        let object = described(&mail(Some(vec![2; 1500]))).unwrap();
        assert_eq!(object["opening_bytes"], 1500);
        assert_eq!(object["token"].as_str().unwrap().len(), 268);
    }
}
