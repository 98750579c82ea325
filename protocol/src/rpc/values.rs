//! How checked values look in JSON: names and hashes as text.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

use super::name::Name;
use crate::identity::code::IdentityCode;
use crate::identity::safety_number::SafetyNumber;
use crate::ids::{DeviceId, Fingerprint, HeadHash, MessageId, Username};

/// Text in both directions: `$write` gives it, `$read` parses it.
macro_rules! text_value {
    ($name:ident, $pattern:literal, $write:expr, $read:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let write: fn(&$name) -> String = $write;
                serializer.serialize_str(&write(self))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                $read(&text).map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

text_value!(Username, r"^[A-Za-z0-9_][A-Za-z0-9_.@-]{2,149}$", |name| name.to_string(), str::parse::<Username>);
text_value!(Name, r"^[A-Za-z0-9_.-]{1,64}$", |name| name.to_string(), str::parse::<Name>);
text_value!(Fingerprint, "^[0-9a-f]{64}$", |id| id.to_string(), str::parse::<Fingerprint>);
text_value!(HeadHash, "^[0-9a-f]{64}$", |id| id.to_string(), str::parse::<HeadHash>);
text_value!(DeviceId, "^[0-9a-f]{32}$", |id| id.to_string(), str::parse::<DeviceId>);
text_value!(SafetyNumber, r"^\s*([0-9]\s*){60}$", |number| number.to_string(), str::parse::<SafetyNumber>);
text_value!(IdentityCode, r"^chat-id:1:[A-Za-z0-9_-]+\s*$", |code| code.to_string(), str::parse::<IdentityCode>);
text_value!(
    MessageId,
    "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    |id| id.to_uuid(),
    MessageId::from_uuid
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lowered_and_bad_ones_refused() {
        assert_eq!(serde_json::from_str::<Username>("\"Alice\"").unwrap().as_str(), "alice");
        assert!(serde_json::from_str::<Username>("\"a\\u0000b\"").is_err());
    }

    #[test]
    fn a_target_in_the_place_of_a_name_is_refused_with_how_a_name_is_written() {
        for target in ["@alice", "@a", "@@alice"] {
            let refused = serde_json::from_value::<Username>(target.into()).unwrap_err().to_string();
            assert_eq!(refused, "not a valid user name: a name is written without the `@` in front");
        }
    }

    #[test]
    fn ids_read_back_as_written() {
        let id = MessageId::new([7; 16]);
        let text = serde_json::to_string(&id).unwrap();
        assert_eq!(text, "\"07070707-0707-0707-0707-070707070707\"");
        assert_eq!(serde_json::from_str::<MessageId>(&text).unwrap(), id);
    }
}
