//! Checked parts of a group: its name, the line about it, its settings, and numbers within their bounds.

use std::fmt;

use minicbor::{Decode, Encode};
use thiserror::Error;

use super::role::Role;
use crate::limits::{
    MAX_GROUP_ABOUT_BYTES, MAX_GROUP_HISTORY, MAX_GROUP_NAME_BYTES, MAX_GROUP_TTL_S, MAX_LINK_USES, MIN_GROUP_TTL_S,
};

/// A value that no group can have.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a possible {0}")]
pub struct NotPossible(&'static str);

/// Defines a text that was checked by `$fits`.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $fits:expr) => {
        $(#[$doc])*
        /// Its `Debug` says nothing of it: it is as private as what is written in the group.
        #[derive(Clone, PartialEq, Eq, Hash, Encode)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] String);

        impl $name {
            /// Checks a text.
            ///
            /// # Errors
            /// [`NotPossible`] for one that breaks a rule of this type.
            pub fn new(text: &str) -> Result<Self, NotPossible> {
                if $fits(text) { Ok(Self(text.to_owned())) } else { Err(NotPossible($what)) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({} bytes)", stringify!($name), self.0.len())
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                Self::new(d.str()?).map_err(|_| minicbor::decode::Error::message(concat!("not a ", $what)))
            }
        }
    };
}

/// Whether a name may not have a character. What fools readers on a screen ([`crate::text::is_treacherous`]) may come to be
/// more; this is part of version 1 of ops and stays, since a name that one reader takes and another does not splits a group.
const fn is_barred(character: char) -> bool {
    matches!(character,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

checked_text!(
    /// What a group is called: 1 to 80 bytes, none of the characters that fooled readers when version 1 of ops
    /// was made, no space at either end.
    GroupName,
    "name of a group",
    |text: &str| {
        (1..=MAX_GROUP_NAME_BYTES).contains(&text.len())
            && !text.contains(is_barred)
            && !text.starts_with(' ')
            && !text.ends_with(' ')
    }
);
checked_text!(
    /// What a group is about: at most 500 bytes, empty if nobody said.
    GroupAbout,
    "text about a group",
    |text: &str| text.len() <= MAX_GROUP_ABOUT_BYTES
);

/// Defines a number within a range.
macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident($inner:ty) in $range:expr, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] $inner);

        impl $name {
            /// Checks a number.
            ///
            /// # Errors
            /// [`NotPossible`] for one out of the range.
            pub fn new(number: $inner) -> Result<Self, NotPossible> {
                if $range.contains(&number) { Ok(Self(number)) } else { Err(NotPossible($what)) }
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
                let number = <$inner as Decode<'b, C>>::decode(d, ctx)?;
                Self::new(number).map_err(|_| minicbor::decode::Error::message(concat!("not a ", $what)))
            }
        }
    };
}

bounded!(
    /// After how many seconds the messages of a group go: 5 to a year.
    GroupTtl(u32) in (MIN_GROUP_TTL_S..=MAX_GROUP_TTL_S), "time to live"
);
bounded!(
    /// How often a link lets somebody in: 1 to 1,000.
    LinkUses(u16) in (1..=MAX_LINK_USES), "number of uses"
);
bounded!(
    /// How many messages from before a newcomer is given: 1 to 1,000.
    HistoryCount(u32) in (1..=MAX_GROUP_HISTORY), "number of messages"
);

/// Who may write in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Writers {
    /// Every member.
    #[n(0)]
    Members,
    /// Admins and owners.
    #[n(1)]
    Admins,
}

/// How a group is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(map)]
pub struct Settings {
    /// Who may write.
    #[n(0)]
    pub writers: Writers,
    /// After how many seconds messages go; absent where they stay.
    #[n(1)]
    pub ttl_s: Option<GroupTtl>,
    /// Whether an `add` may let a newcomer have messages from before.
    #[n(2)]
    pub history: bool,
    /// Whether admins' devices add whom a member wishes for, without asking.
    #[n(3)]
    pub wishes: bool,
}

impl Settings {
    /// Whether a member of this role may write.
    #[must_use]
    pub fn may_write(&self, role: Role) -> bool {
        match self.writers {
            Writers::Members => true,
            Writers::Admins => role >= Role::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor;

    #[test]
    fn a_name_is_short_and_fools_nobody() {
        for name in ["a", "ops", "Küche & Bad", "日本 👩\u{200d}🚀", &"x".repeat(80)] {
            assert_eq!(GroupName::new(name).unwrap().as_str(), name);
        }
        for name in ["", " ops", "ops ", "o\nps", "\u{202e}ops", "o\u{200b}ps", &"x".repeat(81)] {
            assert_eq!(GroupName::new(name), Err(NotPossible("name of a group")), "{name:?}");
            assert!(cbor::decode::<GroupName>(&cbor::encode(&name)).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_characters_that_no_name_has_are_frozen() {
        let barred = ('\u{0}'..=char::MAX).filter(|character| is_barred(*character));
        let text: String = barred.collect();
        assert_eq!(text.chars().count(), 4_194);
        let hash = hex::encode(crate::crypto::kdf::sha256(text.as_bytes()));
        assert_eq!(&hash[..16], "077383d6dd3f8892");
        assert!(!text.contains(|character| !crate::text::is_treacherous(character)), "each of them fools today too");
    }

    #[test]
    fn what_a_group_is_called_and_about_is_in_no_log() {
        let (name, about) = (GroupName::new("ops").unwrap(), GroupAbout::new("who is on call").unwrap());
        assert_eq!(format!("{name:?} {about:?}"), "GroupName(3 bytes) GroupAbout(14 bytes)");
    }

    #[test]
    fn what_a_group_is_about_may_have_lines_and_an_end() {
        assert!(GroupAbout::new("").is_ok() && GroupAbout::new("first\nsecond").is_ok());
        assert!(GroupAbout::new(&"x".repeat(500)).is_ok() && GroupAbout::new(&"x".repeat(501)).is_err());
    }

    #[test]
    fn numbers_out_of_their_range_are_not_read() {
        for (number, ttl, uses, history) in [
            (0_u32, false, false, false),
            (1, false, true, true),
            (5, true, true, true),
            (1_000, true, true, true),
            (1_001, true, false, false),
            (31_536_000, true, false, false),
            (31_536_001, false, false, false),
        ] {
            let item = cbor::encode(&number);
            assert_eq!(cbor::decode::<GroupTtl>(&item).is_ok(), ttl, "{number}");
            assert_eq!(cbor::decode::<LinkUses>(&item).is_ok(), uses, "{number}");
            assert_eq!(cbor::decode::<HistoryCount>(&item).is_ok(), history, "{number}");
        }
    }

    #[test]
    fn who_may_write_is_the_settings_to_say() {
        let settings = |writers| Settings { writers, ttl_s: None, history: false, wishes: false };
        let may = |writers| [Role::Member, Role::Admin, Role::Owner].map(|role| settings(writers).may_write(role));
        assert_eq!((may(Writers::Members), may(Writers::Admins)), ([true; 3], [false, true, true]));
    }
}
