//! `key` changes the key that clients pin, with a time in which both count.
//!
//! ```text
//! server.key ──rotate──▶ server.key and server.key.next ──finish──▶ the next one is server.key
//! ```
//! In between the server answers under both and tells everybody who connects. Whoever was away all that time needs
//! the new invite.

use chat_programs::settings::Layer;
use chat_protocol::handshake::ServerKey;
use serde_json::json;

use super::home::{Home, NEXT_KEY, SERVER_KEY};
use super::init;
use super::output::{Done, object, say, talk};
use crate::cli::Key;
use crate::failure::{Exit, Failure};
use crate::private;

pub(super) fn key(home: &Home, command: &Key) -> Done {
    match command {
        Key::Rotate => rotate(home),
        Key::Finish => finish(home),
    }
}

fn rotate(home: &Home) -> Done {
    let present = home.keys()?;
    if present.next.is_some() {
        let hint = format!("end that first: `chat-server key finish --data {}`", home.dir.display());
        return Err(Failure::new(Exit::CannotCreate, "the key is being changed already").hint(hint));
    }
    let next = ServerKey::generate(&mut rand::rng());
    private::create(&home.path(NEXT_KEY), next.to_text().as_bytes())?;
    talk("Restart the server: it then answers under both keys, and everybody who connects learns the next one");
    talk("Once they have all been here, end it: `chat-server key finish`");
    let (server_key, next_key) = (present.server.public().to_string(), next.public().to_string());
    if home.json {
        return object(&json!({ "server_key": server_key, "next_key": next_key }));
    }
    say(&next_key)
}

fn finish(home: &Home) -> Done {
    if home.keys()?.next.is_none() {
        let hint = format!("begin with `chat-server key rotate --data {}`", home.dir.display());
        return Err(Failure::new(Exit::Config, "the key is not being changed").hint(hint));
    }
    private::replace(&home.path(NEXT_KEY), &home.path(SERVER_KEY))?;
    talk("Restart the server: it then answers under the new key alone");
    talk("Invites from before are void. Whoever has not been here since the change began needs this one:");
    init::print_invite(home, &home.config(&Layer::default())?, &home.keys()?, None)
}
