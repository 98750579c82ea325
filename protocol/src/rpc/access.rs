//! What a token may do: scopes, and what a call is about.
//!
//! Each method says which scopes open it ([`Method::SCOPES`](super::Method::SCOPES), any one of them does; none
//! means that every token may) and what it touches ([`Subject`]), so that a token confined to some chats is held to
//! them by one rule, not by each handler.

use super::define::word;
use super::name::Name;
use super::target::Target;
use crate::ids::{MessageId, Username};

word! {
    /// A right a token can have.
    #[derive(PartialOrd, Ord)]
    Scope {
        /// Hear what happens: subscribe, pull and acknowledge. Events carry the texts of messages.
        #[serde(rename = "read:events")]
        ReadEvents,
        /// Read chats and messages, and search them.
        #[serde(rename = "read:history")]
        ReadHistory,
        /// Write, edit, delete, cancel and resend messages.
        Send,
        /// React to messages, and mark them read.
        React,
        /// Look after groups.
        Groups,
        /// See who is there, look people up, note something about them, block them, and decide whom to hear.
        Contacts,
        /// See identities and decide about changed ones.
        Identity,
        /// Send and fetch files.
        Files,
        /// Log in and out, change the password, the settings and the profile.
        Account,
        /// Steer the daemon.
        Admin,
        /// See and revoke tokens, and read what they were used for.
        Tokens,
        /// No token has it: what the owner alone may do, such as making tokens and writing exports to the disk.
        #[serde(skip_deserializing)]
        Owner,
    }
}

impl Scope {
    /// Every scope a token can have.
    pub const ALL: &'static [Self] = &[
        Self::ReadEvents,
        Self::ReadHistory,
        Self::Send,
        Self::React,
        Self::Groups,
        Self::Contacts,
        Self::Identity,
        Self::Files,
        Self::Account,
        Self::Admin,
        Self::Tokens,
    ];

    /// Name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadEvents => "read:events",
            Self::ReadHistory => "read:history",
            Self::Send => "send",
            Self::React => "react",
            Self::Groups => "groups",
            Self::Contacts => "contacts",
            Self::Identity => "identity",
            Self::Files => "files",
            Self::Account => "account",
            Self::Admin => "admin",
            Self::Tokens => "tokens",
            Self::Owner => "owner",
        }
    }

    /// Whether what it allows reaches others.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Send | Self::React | Self::Groups | Self::Files)
    }
}

/// What a call touches, as far as a token can be confined to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// Nothing of that kind.
    Nothing,
    /// One chat.
    Chat(&'a Target),
    /// A user, and with them the chat with them.
    User(&'a Username),
    /// All chats or users, or those the answer is then confined to.
    EveryChat,
    /// A message, and with it its chat.
    Message(&'a MessageId),
    /// A name out of those that callers give to things of theirs: a consumer, a namespace of values.
    Own(&'a Name),
    /// A file that the daemon reads for the caller, who may be another program on another machine.
    File,
}

/// How the macro that declares methods names a subject.
impl<'a> Subject<'a> {
    /// The chat that has to be named.
    pub(crate) const fn to(target: &'a Target) -> Self {
        Self::Chat(target)
    }

    /// The chat that may be named.
    pub(crate) fn maybe_to(target: &'a Option<Target>) -> Self {
        target.as_ref().map_or(Self::EveryChat, Self::Chat)
    }

    /// All chats at once.
    pub(crate) const fn every() -> Self {
        Self::EveryChat
    }

    /// A message.
    pub(crate) const fn message(id: &'a MessageId) -> Self {
        Self::Message(id)
    }

    /// A user.
    pub(crate) const fn user(user: &'a Username) -> Self {
        Self::User(user)
    }

    /// A user other than the own account, which is meant when nobody is named.
    pub(crate) fn maybe_user(user: &'a Option<Username>) -> Self {
        user.as_ref().map_or(Self::Nothing, Self::User)
    }

    /// Files, if any are named.
    pub(crate) const fn files(one: &'a Option<String>, other: &'a Option<String>) -> Self {
        if one.is_some() || other.is_some() { Self::File } else { Self::Nothing }
    }

    /// A name of the caller's.
    pub(crate) const fn own(name: &'a Name) -> Self {
        Self::Own(name)
    }

    /// A name of the caller's that may be absent.
    pub(crate) fn maybe_own(name: &'a Option<Name>) -> Self {
        name.as_ref().map_or(Self::Nothing, Self::Own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_have_one_name_everywhere() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
    }
}
