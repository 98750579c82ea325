//! Verbs about whom one talks to.

use chat_protocol::identity::code::IdentityCode;
use chat_protocol::identity::safety_number::SafetyNumber;
use chat_protocol::ids::Username;
use chat_protocol::rpc::Target;
use chat_protocol::rpc::types::TrustPolicy;
use clap::{Args, Subcommand};

use super::contacts::Who;
use super::values::{policy, user};

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Whom you compare with
    #[arg(value_parser = user, required_unless_present = "qr")]
    pub(crate) user: Option<Username>,
    /// The safety number their side shows; nobody is asked then
    #[arg(long, value_name = "DIGITS", conflicts_with = "qr")]
    pub(crate) safety_number: Option<SafetyNumber>,
    /// Without a user show your QR code; with one, what theirs says: its text, or `-` to read that from stdin
    #[arg(long, value_name = "TEXT", num_args = 0..=1, value_parser = code)]
    pub(crate) qr: Option<Option<Code>>,
}

/// Where the text of a QR code comes from.
#[derive(Clone, Debug)]
pub(crate) enum Code {
    /// A line of stdin.
    Stdin,
    /// The argument.
    Text(IdentityCode),
}

fn code(text: &str) -> Result<Code, String> {
    match text {
        "-" => Ok(Code::Stdin),
        text => text.parse().map(Code::Text).map_err(|error| format!("{error}")),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Trust {
    /// Show how far everybody you wrote with is trusted
    List,
    /// Show every identity somebody was seen with, and their devices
    Show(Who),
    /// Accept an identity after a change, without having compared it
    Accept {
        #[command(flatten)]
        who: Who,
        /// Which: the fingerprint or the head that `chatctl trust show` shows
        #[arg(value_name = "FINGERPRINT")]
        which: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Take back that you compared somebody's identity
    Unverify(Who),
    /// Show or decide what happens when somebody gets a new device
    Policy {
        /// Of one private chat; the default of all without it
        #[arg(long, value_name = "TARGET")]
        chat: Option<Target>,
        /// `tofu`: it gets messages, and you hear of it. `notify`: a notice in the chat too. `strict`: it gets nothing
        /// until you compare again. `default`: the chat goes by the default
        #[arg(value_name = "POLICY", value_parser = wanted)]
        policy: Option<Wanted>,
    },
}

/// What a policy is to become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted(pub(crate) Option<TrustPolicy>);

fn wanted(text: &str) -> Result<Wanted, String> {
    if text == "default" {
        return Ok(Wanted(None));
    }
    policy(text).map(|policy| Wanted(Some(policy))).map_err(|why| format!("{why}; or `default`"))
}
