//! What a word being typed could become, for the scripts of shells: names, profiles and scopes.
//!
//! A script knows verbs and options by itself, and asks here, by a verb that help does not show, for what only chatd
//! knows. Where chatd does not answer at once there is nothing: a shell must not wait, and nothing is said.

use std::any::TypeId;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use chat_protocol::ids::Username;
use chat_protocol::limits::MAX_PAGE;
use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::paths::DEFAULT_PROFILE;
use chat_protocol::rpc::types::{Chat, ChatList, ContactList, FailReason, IdentityState, PresenceList, RequestList};
use chat_protocol::rpc::{Scope, Target};
use clap::{Arg, Command, CommandFactory};

use crate::cli::Cli;
use crate::error::Failure;
use crate::secrets::is_standard;
use crate::session::Session;

/// Longest that somebody waits who has pressed the key.
const WITHIN: Duration = Duration::from_millis(500);
/// Verbs whose name is not somebody else's.
const OWN_NAME: [&str; 3] = ["register", "login", "reset"];

/// `chatctl complete -- WORDS…`, the last of them unfinished.
pub(super) async fn run(words: &[String], session: &mut Session) -> Result<(), Failure> {
    let mut root = Cli::command();
    root.build();
    let Some((last, before)) = words.split_last() else { return Ok(()) };
    let Some(Asked { what, begun, head, places }) = asked(&root, before, last) else { return Ok(()) };
    for (place, value) in places {
        session.look_at(&place, value);
    }
    for word in candidates(what, &begun, session).await {
        session.out.line(&format!("{head}{word}"))?;
    }
    Ok(())
}

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Targets,
    Users,
    Profiles,
    Scopes,
    /// One of those that the command line knows by itself, where the script does not: behind `=`.
    Values(Vec<String>),
}

/// A word that is unfinished.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    what: What,
    /// What is there of it.
    begun: String,
    /// What stands before it in the same word: `--chat=`, or the members of a list.
    head: String,
    /// Options that say which daemon is meant.
    places: Vec<(String, String)>,
}

/// Follows the words through the tree of commands to what the last of them stands for.
fn asked(root: &Command, before: &[String], last: &str) -> Option<Asked> {
    let (mut command, mut position, mut places) = (root, 0, Vec::new());
    let (mut option, mut ended): (Option<&Arg>, bool) = (None, false);
    for word in before.iter().skip(1) {
        if let Some(arg) = option.take() {
            places.push((arg.get_id().to_string(), word.clone()));
        } else if word == "--" && !ended {
            ended = true;
        } else if let Some((arg, value)) = flag(command, word).filter(|_| !ended) {
            match value {
                Some(value) => places.push((arg.get_id().to_string(), value.to_owned())),
                None => option = Some(arg).filter(|arg| arg.get_action().takes_values()),
            }
        } else if let Some(found) = command.find_subcommand(word).filter(|_| !ended && position == 0) {
            command = found;
        } else {
            position += 1;
        }
    }
    let (arg, head, begun) = match (option, flag(command, last).filter(|_| !ended)) {
        (Some(arg), _) => (arg, String::new(), last),
        (None, Some((arg, Some(value)))) => (arg, last.strip_suffix(value)?.to_owned(), value),
        (None, _) if last.starts_with('-') && !ended => return None,
        (None, _) => (nth(command, position)?, String::new(), last),
    };
    let what = kind(command, arg)?;
    let (list, begun) = match arg.get_value_delimiter().and_then(|comma| begun.rfind(comma)) {
        Some(comma) => begun.split_at(comma + 1),
        None => ("", begun),
    };
    Some(Asked { what, begun: begun.to_owned(), head: head + list, places })
}

/// The option that a word is, and the value it holds.
fn flag<'a>(command: &'a Command, word: &'a str) -> Option<(&'a Arg, Option<&'a str>)> {
    let named = word.strip_prefix("--").filter(|name| !name.is_empty())?;
    let (name, value) = named.split_once('=').map_or((named, None), |(name, value)| (name, Some(value)));
    let arg = command.get_arguments().find(|arg| arg.get_long() == Some(name))?;
    Some((arg, value))
}

/// What stands in the Nth place; the last one may take all that follow.
fn nth(command: &Command, position: usize) -> Option<&Arg> {
    let mut places = command.get_positionals();
    let many = |arg: &&Arg| arg.get_num_args().is_some_and(|range| range.max_values() > 1);
    places.nth(position).or_else(|| command.get_positionals().last().filter(many))
}

fn kind(command: &Command, arg: &Arg) -> Option<What> {
    let is = |kind: TypeId| arg.get_value_parser().type_id() == kind;
    match () {
        () if is(TypeId::of::<Target>()) => Some(What::Targets),
        () if is(TypeId::of::<Username>()) && !OWN_NAME.contains(&command.get_name()) => Some(What::Users),
        () if is(TypeId::of::<Scope>()) => Some(What::Scopes),
        () if arg.get_id() == "profile" => Some(What::Profiles),
        () => Some(arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect())
            .filter(|values: &Vec<_>| !values.is_empty())
            .map(What::Values),
    }
}

async fn candidates(what: What, begun: &str, session: &Session) -> Vec<String> {
    let with_room = what == What::Targets;
    let mut found: BTreeSet<String> = match what {
        What::Values(values) => values.into_iter().collect(),
        What::Scopes => Scope::ALL.iter().map(|scope| scope.as_str().to_owned()).collect(),
        What::Profiles => profiles(),
        // Those who leave the sign out want it left out.
        What::Users if !begun.is_empty() && !begun.starts_with('@') => names(session).await,
        What::Users => marked(names(session).await),
        What::Targets => marked(names(session).await),
    };
    if with_room {
        found.extend([Target::Room, Target::Myself].map(|target| target.to_string()));
    }
    found.into_iter().filter(|word| word.starts_with(begun) && is_plain(word)).collect()
}

fn marked(names: BTreeSet<String>) -> BTreeSet<String> {
    names.into_iter().map(|name| format!("@{name}")).collect()
}

/// Whether no shell reads anything into it.
fn is_plain(word: &str) -> bool {
    word.chars().all(|character| character.is_alphanumeric() || "@:._-".contains(character))
}

/// Everybody this daemon has to do with, and who is online.
async fn names(session: &Session) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if !session.token_file().is_none_or(can_be_read_again) {
        return found;
    }
    let asking = async {
        if let Ok(client) = session.client().await {
            gather(&client, &mut found).await;
        }
    };
    // Cancel-safe: what came in time is kept.
    let _ = tokio::time::timeout(WITHIN, asking).await;
    found
}

/// Whether nothing is taken from anybody by reading it, and nothing waited for: standard input is the shell's own here.
fn can_be_read_again(file: &Path) -> bool {
    !is_standard(file) && std::fs::metadata(file).is_ok_and(|meta| meta.is_file())
}

async fn gather(client: &Client, found: &mut BTreeSet<String>) {
    if let Ok(page) =
        client.call(&ChatList { unread: None, archived: Some(true), limit: Some(MAX_PAGE), cursor: None }).await
    {
        let chats = page.chats.iter().filter(|chat| !is_with_nobody(chat));
        found.extend(chats.filter_map(|chat| chat.peer.as_ref()).map(ToString::to_string));
    }
    if let Ok(known) = client.call(&ContactList { after: None }).await {
        found.extend(known.contacts.iter().map(|contact| contact.user.to_string()));
    }
    if let Ok(waiting) = client.call(&RequestList { after: None }).await {
        found.extend(waiting.requests.iter().map(|request| request.user.to_string()));
    }
    if let Ok(online) = client.call(&PresenceList {}).await {
        found.extend(online.users.iter().filter(|present| !present.me).map(|present| present.user.to_string()));
    }
}

/// Whether all there is of a chat is a message to a name that the server did not know.
fn is_with_nobody(chat: &Chat) -> bool {
    let unmet = chat.identity.is_none_or(|state| state == IdentityState::New);
    unmet && chat.last.as_ref().is_some_and(|last| last.error == Some(FailReason::NotFound))
}

/// Profiles that have a configuration file, or data.
fn profiles() -> BTreeSet<String> {
    let mut found = BTreeSet::from([DEFAULT_PROFILE.to_owned()]);
    let Some(homes) = directories::BaseDirs::new() else { return found };
    found.extend(
        entries(&homes.config_dir().join("chatd")).filter_map(|name| Some(name.strip_suffix(".toml")?.to_owned())),
    );
    found.extend(entries(&homes.data_dir().join("chatd")));
    found
}

fn entries(directory: &Path) -> impl Iterator<Item = String> {
    let found = std::fs::read_dir(directory).into_iter().flatten().flatten();
    found.filter_map(|entry| entry.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(line: &str) -> Option<(What, String, String)> {
        let mut root = Cli::command();
        root.build();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (last, before) = words.split_last().unwrap();
        asked(&root, before, last).map(|Asked { what, begun, head, .. }| (what, begun, head))
    }

    fn wants(line: &str) -> Option<What> {
        about(line).map(|(what, ..)| what)
    }

    #[test]
    fn a_word_is_completed_as_what_its_place_takes() {
        for line in ["chatctl send @b", "chatctl --json send ", "chatctl send --id x @b", "chatctl listen --chat @"] {
            assert_eq!(wants(line), Some(What::Targets), "{line}");
        }
        for line in ["chatctl contact show ", "chatctl verify @b", "chatctl send @bob hi --mention b"] {
            assert_eq!(wants(line), Some(What::Users), "{line}");
        }
        for line in ["chatctl --profile ", "chatctl send @bob --profile w"] {
            assert_eq!(wants(line), Some(What::Profiles), "{line}");
        }
        for line in ["chatctl listen --type=mess", "chatctl listen --type mess"] {
            assert!(
                matches!(wants(line), Some(What::Values(types)) if types.contains(&"message.new".to_owned())),
                "{line}"
            );
        }
        for line in ["chatctl ", "chatctl se", "chatctl send @bob ", "chatctl send --i", "chatctl register a"] {
            assert_eq!(wants(line), None, "{line}");
        }
    }

    #[test]
    fn what_stands_before_in_the_same_word_stays() {
        assert_eq!(
            about("chatctl token create x --scope send,re"),
            Some((What::Scopes, "re".to_owned(), "send,".to_owned()))
        );
        assert_eq!(about("chatctl search x --chat=@b"), Some((What::Targets, "@b".to_owned(), "--chat=".to_owned())));
    }

    #[test]
    fn a_name_that_a_shell_would_obey_is_not_offered() {
        assert!(is_plain("@bob") && is_plain("room:public") && is_plain("read:events") && is_plain("jörg"));
        for hostile in ["$(reboot)", "`x`", "a b", "x;y", "a'b", "~root", "*"] {
            assert!(!is_plain(hostile), "{hostile}");
        }
    }
}
