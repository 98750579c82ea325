//! What a server answers, as a client reads it: once, by the type of the request.

use super::Call;
use super::client::{
    BundleFetch, BundlePublish, ChangePassword, DevicesWaiting, Enrol, GroupAppend, GroupHeadQuery, LogAppend,
    LogFetch, Login, Lookup, MailboxAck, OneTimeStatus, PresenceWatch, Register, Reset, ResetCancel, RoomPost,
    RoomSince, Submit,
};
use crate::cbor::{self, Malformed};

/// A request whose answer can be told from those of others.
pub trait Answered: Call {
    /// Its answer; `None` if this is that of another request.
    fn of(answer: Answer) -> Option<Self::Answer>;
}

macro_rules! answers {
    ($($request:ident)*) => {
        /// The answer to a request.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Answer {
            $(#[doc = concat!("To [`", stringify!($request), "`].")] $request(<$request as Call>::Answer),)*
            /// To a request of a type that this version does not know.
            Unknown,
        }

        impl Answer {
            /// Reads the answer to a request of type `number`.
            ///
            /// # Errors
            /// [`Malformed`] for a payload that answers no such request.
            pub fn decode(number: u16, payload: &[u8]) -> Result<Self, Malformed> {
                match number {
                    $($request::TYPE => cbor::decode(payload).map(Self::$request),)*
                    _ => Ok(Self::Unknown),
                }
            }
        }

        $(impl Answered for $request {
            fn of(answer: Answer) -> Option<Self::Answer> {
                if let Answer::$request(answer) = answer { Some(answer) } else { None }
            }
        })*
    };
}

answers! {
    Register Enrol Login Reset Lookup LogFetch LogAppend ChangePassword ResetCancel DevicesWaiting PresenceWatch
    BundlePublish BundleFetch OneTimeStatus Submit MailboxAck RoomPost RoomSince GroupAppend
    GroupHeadQuery
}
