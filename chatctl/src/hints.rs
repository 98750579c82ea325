//! What helps against a failure, in the case it happened in: one table of kinds and cases.
//!
//! The daemon's own advice goes first, since it knows names and numbers. What is here is for the rest: it depends on the
//! kind of failure and on what was being done, and names a command wherever one helps. A snapshot shows all of it.

use chat_protocol::rpc::{Kind, RpcError};

use crate::cli::Verb;

/// What was being done: verbs whose failures are mended alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Register,
    Login,
    Logout,
    Passwd,
    Reset,
    Look,
    Send,
    Listen,
    Read,
    Export,
    Change,
    People,
    Device,
    Settings,
    Consumers,
    Kv,
    Token,
    Rpc,
    /// Nothing is asked of the daemon, or all it says is a finding.
    Here,
}

impl Case {
    #[cfg(test)]
    const ALL: &'static [Self] = &[
        Self::Register,
        Self::Login,
        Self::Logout,
        Self::Passwd,
        Self::Reset,
        Self::Look,
        Self::Send,
        Self::Listen,
        Self::Read,
        Self::Export,
        Self::Change,
        Self::People,
        Self::Device,
        Self::Settings,
        Self::Consumers,
        Self::Kv,
        Self::Token,
        Self::Rpc,
        Self::Here,
    ];

    /// The case of a verb.
    pub(crate) const fn of(verb: &Verb) -> Self {
        match verb {
            Verb::Register(_) => Self::Register,
            Verb::Login(_) => Self::Login,
            Verb::Logout(_) => Self::Logout,
            Verb::Passwd(_) => Self::Passwd,
            Verb::Reset(_) => Self::Reset,
            Verb::Status | Verb::Who | Verb::Doctor => Self::Look,
            Verb::Send(_) | Verb::Chat(_) => Self::Send,
            Verb::Listen(_) => Self::Listen,
            Verb::History(_) | Verb::Search(_) | Verb::Unread(_) | Verb::Outbox => Self::Read,
            Verb::Export(_) => Self::Export,
            Verb::Edit(_) | Verb::Delete(_) | Verb::React(_) | Verb::Cancel(_) | Verb::Resend(_) => Self::Change,
            Verb::Contact(_) | Verb::Requests(_) | Verb::Verify(_) | Verb::Trust(_) | Verb::Profile(_) => Self::People,
            Verb::Device(_) => Self::Device,
            Verb::Mute(_) | Verb::Archive(_) | Verb::Settings(_) => Self::Settings,
            Verb::Consumers(_) => Self::Consumers,
            Verb::Kv(_) => Self::Kv,
            Verb::Token(_) | Verb::Audit(_) => Self::Token,
            Verb::Rpc(_) => Self::Rpc,
            Verb::Service(_) | Verb::Complete { .. } | Verb::Completions { .. } | Verb::Man { .. } => Self::Here,
        }
    }

    /// Whether it is a talk with the server of its own, which nobody goes on with once it failed.
    const fn is_entrance(self) -> bool {
        matches!(self, Self::Register | Self::Login | Self::Passwd | Self::Reset)
    }
}

/// What was being done, and by which words.
pub(crate) struct Doing {
    case: Case,
    /// As they are said: `device approve`.
    verb: String,
}

impl Doing {
    pub(crate) fn new(case: Case, verb: &str) -> Self {
        Self { case, verb: verb.to_owned() }
    }

    /// The command line itself was not understood.
    pub(crate) fn nothing() -> Self {
        Self::new(Case::Here, "")
    }
}

/// What helps against a refusal without advice of its own.
pub(crate) fn of(refusal: &RpcError, doing: &Doing) -> Option<String> {
    let parameter = refusal.path.as_deref().filter(|_| refusal.kind == Kind::InvalidParams);
    let said = parameter.and_then(|path| about(path, doing.case)).or_else(|| hint(refusal.kind, doing.case))?;
    Some(said.replace("VERB", &doing.verb))
}

/// What helps against a parameter that is refused: of several, only one is wrong.
const PARAMETERS: &[(&str, &str)] = &[
    ("password", "choose another password, and say the same again with it"),
    ("password_file", "write another password into the first line of the file"),
    ("new", "choose another password as the new one"),
    ("old", "type the password of the account as it is now"),
    ("confirm", "say the name of the account once more: --confirm NAME"),
];

fn about(path: &str, case: Case) -> Option<&'static str> {
    let known = PARAMETERS.iter().filter(|_| case.is_entrance());
    known.into_iter().find_map(|(name, hint)| (*name == path).then_some(*hint))
}

const SAME_VERSION: &str = "install the same version of chatd and chatctl, and start chatd again";
const DOCTOR: &str = "`chatctl doctor` names the usual causes";

/// What helps.
pub(crate) const fn hint(kind: Kind, case: Case) -> Option<&'static str> {
    Some(match kind {
        Kind::Parse | Kind::InvalidRequest | Kind::UnknownMethod if matches!(case, Case::Rpc) => {
            "`chatctl rpc rpc.discover` describes every call"
        }
        Kind::InvalidParams if matches!(case, Case::Rpc) => "`chatctl rpc rpc.discover` describes its parameters",
        Kind::InvalidParams if case.is_entrance() => {
            "check the name, the password and the invite; `chat-server invite`, on the server, prints it"
        }
        Kind::InvalidParams => "`chatctl help VERB` shows what can be said",
        Kind::VersionMismatch if case.is_entrance() => "install a chatd that speaks the server's version",
        Kind::Parse | Kind::InvalidRequest | Kind::UnknownMethod | Kind::VersionMismatch => SAME_VERSION,
        Kind::Internal => "`chatctl doctor` names the usual causes, `chatctl service logs` what chatd wrote",
        Kind::Unauthenticated
        | Kind::ForbiddenScope
        | Kind::TokenExpired
        | Kind::Locked
        | Kind::ApprovalRequired
        | Kind::BadCredentials => return entering(kind, case),
        Kind::NotFound | Kind::AmbiguousTarget | Kind::AlreadyExists | Kind::UnknownConsumer => {
            return names(kind, case);
        }
        Kind::Offline | Kind::Timeout | Kind::ServerUnreachable | Kind::ServerRejected => return server(kind, case),
        Kind::QuotaExceeded | Kind::TooLarge | Kind::FrameTooLarge => return room(kind, case),
        Kind::NotMember => "`chatctl rpc chat.list` shows the chats there are",
        Kind::NoPermission if matches!(case, Case::Change) => {
            "only its author changes a message for everybody; `chatctl delete ID` takes it away here"
        }
        Kind::NoPermission => return None,
        Kind::Blocked => "`chatctl contact unblock @NAME` lets them write and be written to again",
        Kind::RateLimited => "wait a minute, then try again",
        Kind::MailboxFull => "chatd tries again by itself; there is room once they have fetched what waits for them",
        Kind::IdentityChanged => "ask them in another way whether that is true, then compare: `chatctl verify @NAME`",
        Kind::IdentityUnverified if matches!(case, Case::People) => {
            "somebody may be in between: write nothing secret until you know why it differs"
        }
        Kind::IdentityUnverified => "compare identities first: `chatctl verify @NAME`",
        Kind::NoKeys => "chatd tries again by itself; there are keys once they have logged in",
        Kind::DecryptFailed => "ask them to send it again",
        Kind::Conflict => return conflict(case),
        Kind::IdempotencyMismatch => "another message needs another --id",
        Kind::CursorTrimmed if matches!(case, Case::Listen) => "`--since start` begins with the oldest that is kept",
        Kind::CursorTrimmed => "begin anew, without the place where you were",
        Kind::TooManySubscriptions => "end another one on this connection first",
    })
}

/// Who may do it.
const fn entering(kind: Kind, case: Case) -> Option<&'static str> {
    Some(match (kind, case) {
        (Kind::Unauthenticated, Case::Logout) => "there is nothing to leave; `chatctl status` shows it",
        (Kind::Unauthenticated, Case::Login | Case::Reset) => "name the server with --invite-file FILE",
        (Kind::Unauthenticated, _) => {
            "make an account with `chatctl register NAME`, or log in with `chatctl login NAME`"
        }
        (Kind::ForbiddenScope, _) => "leave --token-file out, or make a token that may: `chatctl token create NAME`",
        (Kind::TokenExpired, _) => "make another one: `chatctl token create NAME`",
        (Kind::Locked, _) => "start chatd with its passphrase: `chatd --passphrase`",
        (Kind::ApprovalRequired, _) => {
            "compare the digits with `chatctl device approve` on both; if no other device of the account is left, \
             `chatctl reset NAME` begins it anew, with a new identity"
        }
        (Kind::BadCredentials, Case::Passwd) => "check the old password",
        (Kind::BadCredentials, Case::Register | Case::Login | Case::Reset) => {
            "check the name and the password; who runs the server can set another one: `chat-server user passwd NAME`"
        }
        (Kind::BadCredentials, _) => "log in again: `chatctl login NAME`",
        _ => return None,
    })
}

/// What is named.
const fn names(kind: Kind, case: Case) -> Option<&'static str> {
    Some(match (kind, case) {
        (Kind::NotFound, Case::Send | Case::People) => "check the name; `chatctl who` shows who is online",
        (Kind::NotFound, Case::Change) => "`chatctl history TARGET --ids` shows the ids of messages",
        (Kind::NotFound, Case::Read | Case::Export | Case::Settings) => {
            "`chatctl rpc chat.list` shows the chats there are"
        }
        (Kind::NotFound, Case::Device) => "`chatctl device list` shows the devices there are",
        (Kind::NotFound, Case::Token) => "`chatctl token list` shows the tokens there are",
        (Kind::NotFound, Case::Kv) => "`chatctl kv list NAME` shows what is kept under a name",
        (Kind::NotFound | Kind::UnknownConsumer, Case::Consumers | Case::Listen) => {
            "`chatctl consumers` shows those there are"
        }
        (Kind::NotFound, Case::Register | Case::Reset) => "log in instead: `chatctl login NAME`",
        (Kind::NotFound, Case::Login) => "make it with `chatctl register NAME`",
        (Kind::UnknownConsumer, _) => "`chatctl consumers` shows those there are",
        (Kind::AmbiguousTarget, _) => "write one of them in full",
        (Kind::AlreadyExists, Case::Register) => "choose another name, or log in with `chatctl login NAME`",
        (Kind::AlreadyExists, Case::Token) => "choose another name, or end that one: `chatctl token revoke NAME`",
        (Kind::AlreadyExists, _) => "choose another name",
        _ => return None,
    })
}

/// The way to the server. What chatd was given to keep goes on by itself; a talk of its own does not.
const fn server(kind: Kind, case: Case) -> Option<&'static str> {
    Some(match (kind, case) {
        (Kind::Timeout, _) if case.is_entrance() => {
            "`chatctl status` shows whether it was done all the same; if not, say it again"
        }
        (Kind::Timeout, Case::Send) => {
            "the message is kept and leaves by itself; `chatctl history TARGET` shows how far it is"
        }
        (Kind::Timeout, _) => "`chatctl doctor` names the usual causes; then try again",
        (Kind::Offline, Case::Send) => "without --require-online it waits in chatd, and leaves by itself",
        (Kind::Offline | Kind::ServerUnreachable, _) if case.is_entrance() => {
            "it is over, and nothing is tried any more: see that the server runs and that its address is right, then say \
             the same again"
        }
        (Kind::Offline | Kind::ServerUnreachable, _) => {
            "`chatctl doctor` says why; chatd goes on trying to connect, and this is to be said again then"
        }
        (Kind::ServerRejected, Case::Register) => {
            "ask whoever runs the server for a fresh invite: `chat-server invite`"
        }
        (Kind::ServerRejected, Case::Login | Case::Reset) => {
            "compare your invite with a fresh one (`chat-server invite` on the server), and give it with --invite-file"
        }
        (Kind::ServerRejected, _) => "`chatctl doctor` says how the account and the connection stand",
        _ => return None,
    })
}

/// How much of it there may be.
const fn room(kind: Kind, case: Case) -> Option<&'static str> {
    Some(match (kind, case) {
        (Kind::QuotaExceeded, Case::Register | Case::Login) => {
            "end devices that are gone, on another one: `chatctl device list`"
        }
        (Kind::QuotaExceeded, Case::Send) => "wait until what is queued has left: `chatctl outbox` shows it",
        (Kind::QuotaExceeded, Case::Kv) => "delete what is not needed: `chatctl kv list NAME`",
        (Kind::QuotaExceeded, Case::Token) => "end those nobody uses: `chatctl token list`",
        (Kind::QuotaExceeded, Case::Consumers | Case::Listen) => "forget those nobody reads for: `chatctl consumers`",
        (Kind::QuotaExceeded, _) => DOCTOR,
        (Kind::TooLarge | Kind::FrameTooLarge, Case::Send | Case::Change) => "say it in several messages",
        (Kind::TooLarge, Case::Read) => "ask for fewer with --limit",
        (Kind::TooLarge | Kind::FrameTooLarge, Case::Rpc) => "ask for less at once",
        (Kind::TooLarge | Kind::FrameTooLarge, _) => "say less at once",
        _ => return None,
    })
}

const fn conflict(case: Case) -> Option<&'static str> {
    Some(match case {
        Case::Register | Case::Login | Case::Reset => {
            "another account needs another profile: `chatd --profile NAME`, then `chatctl --profile NAME login NAME`"
        }
        Case::Device => "compare the digits on both screens again; if they differ, do not go on",
        Case::Kv => "read it again: `chatctl kv get`",
        Case::People => "look again: `chatctl trust show @NAME`",
        Case::Change => "look again: `chatctl history TARGET --ids`",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use clap::CommandFactory;

    use super::*;

    /// Every kind, and below it every hint with the cases that get it, as a verb `send` would read it.
    fn table() -> String {
        let mut text = String::new();
        for kind in Kind::ALL {
            let mut hints: Vec<(Option<String>, Vec<String>)> = Vec::new();
            for case in Case::ALL {
                let given = of(&RpcError::from(*kind), &Doing::new(*case, "send"));
                let name = format!("{case:?}").to_lowercase();
                match hints.iter_mut().find(|(known, _)| *known == given) {
                    Some((_, cases)) => cases.push(name),
                    None => hints.push((given, vec![name])),
                }
            }
            writeln!(text, "{kind} ({})", kind.exit_code()).unwrap();
            for (hint, cases) in &hints {
                let cases = if hints.len() == 1 { "always".to_owned() } else { cases.join(" ") };
                writeln!(text, "  {cases}\n      {}", hint.as_deref().unwrap_or("-")).unwrap();
            }
        }
        text
    }

    #[test]
    fn every_kind_of_error_has_the_hint_of_its_case() {
        insta::assert_snapshot!("hints", table());
    }

    #[test]
    fn what_is_over_is_never_said_to_go_on() {
        for case in Case::ALL.iter().filter(|case| case.is_entrance()) {
            for kind in Kind::ALL {
                let said = hint(*kind, *case).unwrap_or_default();
                assert!(!said.contains("by itself") || *kind != Kind::ServerUnreachable, "{case:?} {kind}: {said}");
                assert!(!said.contains("goes on"), "{case:?} {kind}: {said}");
            }
        }
    }

    #[test]
    fn every_command_a_hint_names_is_there() {
        let mut tree = crate::cli::Cli::command();
        tree.build();
        let hints = Kind::ALL.iter().flat_map(|kind| Case::ALL.iter().filter_map(|case| hint(*kind, *case)));
        for said in hints {
            for command in said.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.strip_prefix("chatctl ")) {
                let words = command.split(' ').skip_while(|word| word.starts_with("--") || *word == "NAME");
                let mut at = &tree;
                for word in words.take_while(|word| word.chars().all(|c| c.is_ascii_lowercase())) {
                    match at.find_subcommand(word) {
                        Some(below) => at = below,
                        None => assert!(at.get_arguments().any(|one| one.is_positional()), "no verb: {command}"),
                    }
                }
                assert!(!std::ptr::eq(at, &tree), "no verb: {command}");
            }
        }
    }
}
