//! Parameters and answers of every method.
//!
//! Times are milliseconds since the Unix epoch (`_ms`). Keys an answer does not need are left out.

mod account;
mod amends;
mod chats;
mod contacts;
mod daemon;
mod devices;
mod events;
mod exports;
mod identity;
mod messages;
mod people;
mod profiles;
mod search;
mod tokens;

pub use account::*;
pub use amends::*;
pub use chats::*;
pub use contacts::*;
pub use daemon::*;
pub use devices::*;
pub use events::*;
pub use exports::*;
pub use identity::*;
pub use messages::*;
pub use people::*;
pub use profiles::*;
pub use search::*;
pub use tokens::*;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Defines a method, which is all there is to say of it:
///
/// ```text
/// /// What it is for.
/// Type("name", Serial | Parallel, [scopes that open it], what it is about) -> Answer { parameters }
/// errors [kinds beyond those every call can have], or the name of several in `errors.rs`
/// needs network                                    if it fails without a connection to the server
/// example {parameters} => {answer}                 both as JSON
/// ```
/// What it is about is a parameter and how it names it (see [`Subject`](crate::rpc::Subject)), for tokens that are
/// confined; it is left out if there is nothing to be confined to.
macro_rules! method {
    (
        $(#[$doc:meta])* $name:ident($wire:literal, $concurrency:ident, [$($scope:ident),*] $(, $about:ident $(($($field:ident),+))?)?)
        -> $answer:ty { $($fields:tt)* }
        errors $errors:tt
        $(needs $network:ident)?
        example $params:tt => $result:tt
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($fields)* }

        impl $crate::rpc::Method for $name {
            const NAME: &'static str = $wire;
            const CONCURRENCY: $crate::rpc::Concurrency = $crate::rpc::Concurrency::$concurrency;
            const SCOPES: &'static [$crate::rpc::Scope] = &[$($crate::rpc::Scope::$scope),*];
            const ERRORS: &'static [$crate::rpc::Kind] = $crate::rpc::types::errors!($errors);
            const NEEDS_NETWORK: bool = $crate::rpc::types::flag!($($network)?);
            const EXAMPLE: $crate::rpc::Example =
                $crate::rpc::Example { params: stringify!($params), result: stringify!($result) };
            type Answer = $answer;

            $(fn subject(&self) -> $crate::rpc::Subject<'_> {
                $crate::rpc::Subject::$about($($(&self.$field),+)?)
            })?
        }
    };
}

/// Kinds of errors: a list, or one that has a name.
macro_rules! errors {
    ([$($kind:ident),*]) => { &[$($crate::rpc::Kind::$kind),*] };
    ($several:ident) => { $crate::rpc::errors::$several };
}

/// Whether the word is there.
macro_rules! flag {
    () => {
        false
    };
    (network) => {
        true
    };
}

/// Defines an object of answers and events; it may grow.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident { $($fields:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub struct $name { $($fields)* }
    };
}

/// Defines a word out of a few.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident { $($variants:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variants)* }
    };
}

pub(crate) use {errors, flag, method, object, word};

/// A success that says nothing more: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {}
