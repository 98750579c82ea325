//! Whom a message is for: one grammar for the socket and the command line.
//!
//! `@user`, `#group`, `room:public`, `self`, or the id of a chat. A bare word is refused and not
//! guessed at.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::ids::Username;

/// Text of the public room, as target and as chat id.
pub const PUBLIC_ROOM: &str = "room:public";
/// Text of the notes to oneself, as target and as chat id.
pub const SELF_CHAT: &str = "self";
/// How an opaque chat id begins.
const ID_PREFIX: &str = "chat:";
/// Longest group name or chat id after its first character.
const MAX_NAME_BYTES: usize = 150;

/// A parsed target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// `@bob`: the private chat with a user.
    User(Username),
    /// `room:public`: everybody on the server, and readable by the server.
    Room,
    /// `self`: notes to oneself.
    Myself,
    /// `#team`: a group, by name.
    Group(String),
    /// `chat:…`: a chat, by its id.
    Id(String),
}

/// Text that is no target.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not a target: {why}")]
pub struct ParseTargetError {
    why: Cow<'static, str>,
}

impl FromStr for Target {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Self, ParseTargetError> {
        let refuse = |why: &'static str| Err(ParseTargetError { why: why.into() });
        if text == PUBLIC_ROOM {
            return Ok(Self::Room);
        }
        if text == SELF_CHAT {
            return Ok(Self::Myself);
        }
        if let Some(name) = text.strip_prefix('@') {
            return name.parse().map(Self::User).map_err(|error| ParseTargetError { why: format!("{error}").into() });
        }
        if let Some(name) = text.strip_prefix('#') {
            return if is_name(name) { Ok(Self::Group(name.to_owned())) } else { refuse("not a group name") };
        }
        match text.strip_prefix(ID_PREFIX) {
            Some(id) if is_name(id) => Ok(Self::Id(text.to_owned())),
            _ => refuse("write `@user`, `#group`, `room:public`, `self` or a chat's id"),
        }
    }
}

/// Printable, without white space, and short: it may be shown, but is never a path.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME_BYTES
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "@{name}"),
            Self::Room => f.write_str(PUBLIC_ROOM),
            Self::Myself => f.write_str(SELF_CHAT),
            Self::Group(name) => write!(f, "#{name}"),
            Self::Id(id) => f.write_str(id),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Target {
    fn schema_name() -> Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "`@user`, `#group`, `room:public`, `self`, or a chat's id",
            "examples": ["@bob", "room:public", "self"]
        })
    }
}

/// Names a chat in answers and events. Opaque to clients, and always readable as a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ChatId(String);

impl ChatId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Target> for ChatId {
    fn from(target: &Target) -> Self {
        Self(target.to_string())
    }
}

impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_as_written() {
        for text in ["@bob", "#team", "room:public", "self", "chat:0a1b2c"] {
            assert_eq!(text.parse::<Target>().map(|target| target.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("@Bob".parse::<Target>(), "@bob".parse());
    }

    #[test]
    fn atk_21_nothing_is_guessed_and_nothing_hostile_is_a_target() {
        for text in
            ["bob", "", "@", "@..", "@-rf", "@a/b/c", "#", "#a b", "#a/b", "room:other", "Self", "chat:", "@bob\n"]
        {
            assert!(text.parse::<Target>().is_err(), "{text:?} was accepted");
        }
    }
}
