//! The macros that define what is on the socket: methods, objects, words.

/// Defines a method, which is all there is to say of it but its place in the list of its noun ([`methods!`]):
///
/// ```text
/// /// What it is for.
/// Type("name", Serial | Parallel, [scopes that open it], what it is about) -> Answer { parameters }
/// errors [kinds beyond those every call can have], or a constant of [`Kind`](crate::rpc::Kind)
/// needs network                                    if it fails without a connection to the server
/// example {parameters} => {answer}                 both as JSON; or the method whose example has the same answer
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

        impl $crate::rpc::method::Method for $name {
            const NAME: &'static str = $wire;
            const CONCURRENCY: $crate::rpc::method::Concurrency = $crate::rpc::method::Concurrency::$concurrency;
            const SCOPES: &'static [$crate::rpc::access::Scope] = &[$($crate::rpc::access::Scope::$scope),*];
            const ERRORS: &'static [$crate::rpc::errors::Kind] = $crate::rpc::define::errors!($errors);
            const NEEDS_NETWORK: bool = $crate::rpc::define::flag!($($network)?);
            const EXAMPLE: $crate::rpc::method::Example =
                $crate::rpc::method::Example { params: stringify!($params), result: $crate::rpc::define::answer!($result) };
            type Answer = $answer;

            $(fn subject(&self) -> $crate::rpc::access::Subject<'_> {
                $crate::rpc::access::Subject::$about($($(&self.$field),+)?)
            })?
        }
    };
}

/// Lists the methods of a noun: those that the daemon answers, and those that its socket side answers by itself,
/// which knows the connection, the readers of the log and the tokens in use.
///
/// A method that is in no list does not compile. What answers the first kind implements the trait named here; see
/// [`Handle`](crate::rpc::Handle).
macro_rules! methods {
    ($noun:ident { $($method:ident)* } $(socket { $($own:ident)* })?) => {
        #[doc = concat!("Answers ", $("[`", stringify!($method), "`] ",)* "and nothing else.")]
        pub trait $noun: Send + Sync + 'static $(+ $crate::rpc::method::Handle<$method>)* {}
        impl<H: Send + Sync + 'static $(+ $crate::rpc::method::Handle<$method>)*> $noun for H {}

        $(impl $crate::rpc::method::Listed for $method {})*
        $($(impl $crate::rpc::method::Listed for $own {})*)?

        pub(crate) fn each(visitor: &mut impl $crate::rpc::method::Visitor) {
            $(visitor.method::<$method>();)*
            $($(visitor.method::<$own>();)*)?
        }

        pub(crate) fn each_handled<H: $noun>(registrar: &mut impl $crate::rpc::method::Registrar<H>) {
            $(registrar.method::<$method>();)*
            let _ = registrar;
        }
    };
}

/// Kinds of errors: a list, or a constant of `Kind`.
macro_rules! errors {
    ([$($kind:ident),*]) => { &[$($crate::rpc::errors::Kind::$kind),*] };
    ($several:ident) => { $crate::rpc::errors::Kind::$several };
}

/// The answer of an example: JSON, or that of another method's example.
macro_rules! answer {
    ($method:ident) => {
        <$method as $crate::rpc::method::Method>::EXAMPLE.result
    };
    ($json:tt) => {
        stringify!($json)
    };
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

/// Defines why something is as it is: names on the wire, which one that is of a newer daemon is not among.
macro_rules! reason {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $wire:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $wire)] $variant,)*
            /// Something else.
            #[serde(other, rename = "other")]
            Other,
        }

        impl $name {
            /// Every reason that has a name of its own.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $wire,)* Self::Other => "other" }
            }

            /// The reason of this name; [`Self::Other`] for one that this version does not know.
            #[must_use]
            pub fn from_wire(name: &str) -> Self {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == name).unwrap_or(Self::Other)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use {answer, errors, flag, method, methods, object, reason, word};
