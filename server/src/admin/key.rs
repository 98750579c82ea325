//! `key` changes the key that clients pin, with a time in which both count.
//!
//! ```text
//! server.key ──rotate──▶ server.key and server.key.next ──finish──▶ the next one is server.key
//! ```
//! In between the server answers under both and tells everybody who connects. Whoever was away all that time needs
//! the new invite.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chat_programs::settings::Layer;
use chat_protocol::crypto::rsa::SigningKey;
use chat_protocol::handshake::ServerKey;
use chat_protocol::offline_key::{OfflineKey, vouch};
use serde_json::json;

use super::home::{Home, NEXT_KEY, NEXT_PROOF, SERVER_KEY};
use super::init;
use super::output::{Done, object, say, talk};
use crate::cli::Key;
use crate::failure::{Exit, Failure};
use crate::private;
use crate::serve::Keys;

pub(super) fn key(home: &Home, command: &Key) -> Done {
    match command {
        Key::Rotate { offline_key } => rotate(home, offline_key.as_deref()),
        Key::Finish => finish(home),
    }
}

fn rotate(home: &Home, offline_key: Option<&Path>) -> Done {
    let present = home.keys()?;
    if present.next.is_some() {
        let hint = format!("end that first: `chat-server key finish --data {}`", home.dir.display());
        return Err(Failure::new(Exit::CannotCreate, "the key is being changed already").hint(hint));
    }
    let next = ServerKey::generate(&mut rand::rng());
    vouch_for(home, &present, &next, offline_key)?;
    private::create(&home.path(NEXT_KEY), next.to_text().as_bytes())?;
    talk("Restart the server: it then answers under both keys, and everybody who connects learns the next one");
    talk("Once they have all been here, end it: `chat-server key finish`");
    let (server_key, next_key) = (present.server.public().to_string(), next.public().to_string());
    if home.json {
        return object(&json!({ "server_key": server_key, "next_key": next_key }));
    }
    say(&next_key)
}

/// Has the offline key sign the change, if invites name one: without its word nobody would believe the next key.
fn vouch_for(home: &Home, present: &Keys, next: &ServerKey, file: Option<&Path>) -> Done {
    let (named, file) = match (present.offline, file) {
        (None, None) => return Ok(()),
        (None, Some(_)) => {
            let words = "no invite of this server names an offline key";
            return Err(Failure::new(Exit::Usage, words).hint("leave `--offline-key` out"));
        }
        (Some(_), None) => {
            let words = "clients believe the next key only with the signature of the offline key";
            return Err(Failure::new(Exit::Usage, words).hint("bring it here for a moment: `--offline-key FILE`"));
        }
        (Some(named), Some(file)) => (named, file),
    };
    let wrong = || Failure::new(Exit::Data, format!("{} is not the offline key of this server", file.display()));
    let key = read_offline(file)?.ok_or_else(wrong)?;
    if OfflineKey::of(&key.verifying_key()) != named {
        return Err(wrong());
    }
    let proof = vouch(&key, &present.server.public(), &next.public(), &mut rand::rng());
    let path = home.path(NEXT_PROOF);
    // of a change that was not begun in the end
    let _none = std::fs::remove_file(&path);
    Ok(private::create(&path, URL_SAFE_NO_PAD.encode(&*proof.signature).as_bytes())?)
}

/// The key in a file that is kept off the machine; `None` if it holds none.
pub(super) fn read_offline(file: &Path) -> Result<Option<SigningKey>, Failure> {
    let pem = private::read_named(file)?;
    Ok(std::str::from_utf8(&pem).ok().and_then(|pem| SigningKey::from_plain_pem(pem).ok()))
}

fn finish(home: &Home) -> Done {
    if home.keys()?.next.is_none() {
        let hint = format!("begin with `chat-server key rotate --data {}`", home.dir.display());
        return Err(Failure::new(Exit::Config, "the key is not being changed").hint(hint));
    }
    private::replace(&home.path(NEXT_KEY), &home.path(SERVER_KEY))?;
    // it is nothing without the next key, and there is none where no key is kept off the machine
    let _none = std::fs::remove_file(home.path(NEXT_PROOF));
    talk("Restart the server: it then answers under the new key alone");
    talk("Invites from before are void. Whoever has not been here since the change began needs this one:");
    init::print_invite(home, &home.config(&Layer::default())?, &home.keys()?, None)
}
