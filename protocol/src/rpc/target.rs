//! Whom a message is for: one grammar for the socket and the command line.
//!
//! `@user`, `room:public` or `self`; the id of a chat is one of these. A bare word is refused and not guessed at.

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

/// A parsed target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// `@bob`: the private chat with a user.
    User(Username),
    /// `room:public`: everybody on the server, and readable by the server.
    Room,
    /// `self`: notes to oneself.
    Myself,
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
        if text.starts_with('#') {
            return refuse("this version has no groups; write `@user`, `room:public` or `self`");
        }
        refuse("write `@user`, `room:public` or `self`")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "@{name}"),
            Self::Room => f.write_str(PUBLIC_ROOM),
            Self::Myself => f.write_str(SELF_CHAT),
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
            "description": "`@user`, `room:public` or `self`; the id of a chat is one of these",
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
        for text in ["@bob", "room:public", "self"] {
            assert_eq!(text.parse::<Target>().map(|target| target.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("@Bob".parse::<Target>(), "@bob".parse());
    }

    #[test]
    fn atk_21_nothing_is_guessed_and_nothing_hostile_is_a_target() {
        for text in ["bob", "", "@", "@..", "@-rf", "@a/b/c", "#", "room:other", "Self", "chat:0a1b2c", "@bob\n"] {
            assert!(text.parse::<Target>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn what_is_offered_instead_of_a_target_is_there() {
        for text in ["bob", "#ops", "chat:0a1b2c"] {
            let told = text.parse::<Target>().unwrap_err().to_string();
            let offered: Vec<_> = told.split('`').skip(1).step_by(2).collect();
            assert_eq!(offered, ["@user", "room:public", "self"], "{told}");
            assert!(offered.iter().all(|text| text.parse::<Target>().is_ok()), "{told}");
        }
    }
}
