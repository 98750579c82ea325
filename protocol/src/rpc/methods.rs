//! All methods, noun by noun, and what answers them.
//!
//! The nouns list their methods where they define them ([`types`](super::types)). From the lists follow the document,
//! and whatever a daemon has to know: it implements [`Handle`](super::Handle) for every method, which makes it
//! [`Methods`].

use super::method::{Registrar, Visitor};
use super::types::{
    account, amends, chats, contacts, daemon, devices, events, exports, identity, kv, messages, people, profiles,
    requests, search, settings, tokens,
};

/// Brings the nouns together.
macro_rules! nouns {
    ($($noun:ident::$methods:ident)*) => {
        /// Answers every method but those that the socket side answers by itself.
        pub trait Methods: $($noun::$methods +)* {}
        impl<H: $($noun::$methods +)*> Methods for H {}

        /// Visits every method, in the order of the document.
        pub fn every_method(visitor: &mut impl Visitor) {
            $($noun::each(visitor);)*
        }

        /// Registers every method that `H` answers.
        pub fn every_handled<H: Methods>(registrar: &mut impl Registrar<H>) {
            $($noun::each_handled(registrar);)*
        }
    };
}

nouns! {
    daemon::DaemonMethods
    account::AccountMethods
    settings::SettingsMethods
    people::PeopleMethods
    contacts::ContactMethods
    requests::RequestMethods
    profiles::ProfileMethods
    devices::DeviceMethods
    identity::IdentityMethods
    chats::ChatMethods
    messages::MessageMethods
    amends::AmendMethods
    search::SearchMethods
    exports::ExportMethods
    events::EventMethods
    kv::KvMethods
    tokens::TokenMethods
}
