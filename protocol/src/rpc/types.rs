//! Parameters and answers of every method.
//!
//! Times are milliseconds since the Unix epoch (`_ms`). Keys an answer does not need are left out.

mod account;
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

/// Defines the parameters of a method: its name, its order, the scopes that open it, what it is about if a token can be
/// confined to that (a parameter and how it names it), and what it answers.
macro_rules! method {
    (
        $(#[$doc:meta])* $name:ident($wire:literal, $order:ident, [$($scope:ident),*] $(, $about:ident $(($($field:ident),+))?)?)
        -> $answer:ty { $($fields:tt)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($fields)* }

        impl $crate::rpc::Method for $name {
            const NAME: &'static str = $wire;
            const ORDER: $crate::rpc::Order = $crate::rpc::Order::$order;
            const SCOPES: &'static [$crate::rpc::Scope] = &[$($crate::rpc::Scope::$scope),*];
            type Answer = $answer;

            $(fn subject(&self) -> $crate::rpc::Subject<'_> {
                $crate::rpc::Subject::$about($($(&self.$field),+)?)
            })?
        }
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

pub(crate) use {method, object, word};

/// A success that says nothing more: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {}
