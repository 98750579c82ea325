//! What a method is, and what answers it.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::access::{Scope, Subject};
use super::errors::{self, Kind, RpcError};

/// When a call runs with respect to the other calls of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// At once, beside the others.
    Parallel,
    /// After every earlier call of the connection that changes something.
    Serial,
}

impl Concurrency {
    /// Its name in the document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parallel => "parallel",
            Self::Serial => "serial",
        }
    }
}

/// A call and its answer, as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// The parameters.
    pub params: &'static str,
    /// What a success carries.
    pub result: &'static str,
}

/// The parameters of a call.
pub trait Method: Listed + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// Name on the wire.
    const NAME: &'static str;
    /// See [`Concurrency`].
    const CONCURRENCY: Concurrency;
    /// Any of these opens it to a token; every token may make it if there is none.
    const SCOPES: &'static [Scope];
    /// What can go wrong, beyond what can with every call, and with every one that needs the network.
    const ERRORS: &'static [Kind];
    /// Whether it fails when the server cannot be reached.
    const NEEDS_NETWORK: bool;
    /// How it is used.
    const EXAMPLE: Example;
    /// What a success carries.
    type Answer: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static;

    /// What the call touches.
    fn subject(&self) -> Subject<'_> {
        Subject::Nothing
    }

    /// Every kind of error a call can have, in the order of their codes.
    #[must_use]
    fn kinds() -> Vec<Kind> {
        let network: &[Kind] = if Self::NEEDS_NETWORK { errors::NETWORK } else { &[] };
        let own = |kind: &Kind| [errors::ALWAYS, network, Self::ERRORS].iter().any(|kinds| kinds.contains(kind));
        Kind::ALL.iter().copied().filter(own).collect()
    }
}

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
