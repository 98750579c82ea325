//! All methods, noun by noun, and what answers them.
//!
//! The nouns list their methods where they define them ([`types`](super::types)). From the lists follow the document,
//! and whatever a daemon has to know: it implements [`Handle`] for every method, which makes it [`Methods`].

use super::types::{
    account, amends, chats, contacts, daemon, devices, events, exports, identity, kv, messages, people, profiles,
    search, settings, tokens,
};
use super::{Method, RpcError};

/// A method that is in the list; only the list says so.
pub trait Listed {}

/// Answers the calls of one method.
pub trait Handle<M: Method> {
    /// Carries out a call. Dropped half-way, it either had its whole effect or none.
    fn handle(&self, params: M) -> impl Future<Output = Result<M::Answer, RpcError>> + Send;
}

/// Something that is done for every method.
pub trait Visitor {
    /// Does it.
    fn method<M: Method>(&mut self);
}

/// Something that is done for every method that `H` answers.
pub trait Registrar<H> {
    /// Does it.
    fn method<M: Method>(&mut self)
    where
        H: Handle<M>;
}

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
