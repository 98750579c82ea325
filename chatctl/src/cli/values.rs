//! How values are read from the command line, and what is said of those that cannot be.

use std::time::Duration;

use chat_protocol::ids::{MessageId, Username};
use chat_protocol::limits::MAX_PAGE;
use chat_protocol::rpc::EventBody;
use chat_protocol::rpc::types::{MessagesFrom, Since, SinceWord, TrustPolicy};
use clap::builder::{PossibleValuesParser, RangedI64ValueParser};
use clap::error::{ContextKind, ErrorKind};

/// What to do with a text that begins like an option, or goes on behind its first word, if that is what was not understood.
///
/// Taken as text, a mistyped option would be sent to somebody, in place of what stdin holds.
pub(crate) fn hyphen_hint(error: &clap::Error) -> Option<&'static str> {
    let word = error.get(ContextKind::InvalidArg)?.to_string();
    let usage = error.get(ContextKind::Usage)?.to_string();
    let takes_text = usage.contains("[TEXT]") || usage.contains("<TEXT>");
    let hint = if word.starts_with('-') {
        "A text that begins with `-` stands behind `--`, or comes from stdin, which `-` alone stands for."
    } else {
        "A text of several words stands in quotes: 'see you at nine'."
    };
    (error.kind() == ErrorKind::UnknownArgument && takes_text).then_some(hint)
}

/// The types of events there are: a mistyped one is answered with them, and with the nearest.
pub(super) fn event_types() -> PossibleValuesParser {
    PossibleValuesParser::new(EventBody::TYPES)
}

/// A number of rows that one answer of the daemon can have.
pub(super) fn rows() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(MAX_PAGE))
}

/// Accepts `bob` and `@bob`.
pub(super) fn user(text: &str) -> Result<Username, String> {
    text.strip_prefix('@').unwrap_or(text).parse().map_err(|error| format!("{error}"))
}

/// Accepts `yes` and `no`, `true` and `false`.
pub(super) fn yes(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("write `yes` or `no`".to_owned()),
    }
}

pub(super) fn policy(text: &str) -> Result<TrustPolicy, String> {
    match text {
        "tofu" => Ok(TrustPolicy::Tofu),
        "notify" => Ok(TrustPolicy::Notify),
        "strict" => Ok(TrustPolicy::Strict),
        _ => Err("write `tofu`, `notify` or `strict`".to_owned()),
    }
}

/// The words for whose messages are shown.
const MESSAGES_FROM: [(&str, MessagesFrom); 2] =
    [("anyone", MessagesFrom::Anyone), ("contacts_only", MessagesFrom::ContactsOnly)];

pub(super) fn messages_from(text: &str) -> Result<MessagesFrom, String> {
    let known = MESSAGES_FROM.iter().find(|(word, _)| *word == text);
    known.map(|(_, from)| *from).ok_or_else(|| "write `anyone` or `contacts_only`".to_owned())
}

/// The word that is written for it.
pub(crate) fn of_messages_from(from: MessagesFrom) -> &'static str {
    MESSAGES_FROM.iter().find(|(_, known)| *known == from).map_or("", |(word, _)| *word)
}

pub(super) fn message_id(text: &str) -> Result<MessageId, String> {
    MessageId::from_uuid(text).map_err(|error| error.to_string())
}

pub(super) fn since(text: &str) -> Result<Since, String> {
    match text {
        "now" => Ok(Since::Word(SinceWord::Now)),
        "start" => Ok(Since::Word(SinceWord::Start)),
        number => number.parse().map(Since::After).map_err(|_| "write `now`, `start` or a number".to_owned()),
    }
}

/// A time of whole milliseconds, from 1 ms to what an API counts in milliseconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let refuse = || "write a time of at least 1ms, such as 500ms, 30s, 5m, 2h or 7d".to_owned();
    let span: jiff::Span = text.parse().map_err(|_| refuse())?;
    let span = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| refuse())?;
    let time = Duration::try_from(span).map_err(|_| refuse())?;
    // what is finer would be cut off unsaid
    let whole = u64::try_from(time.as_millis()).ok().map(Duration::from_millis).filter(|whole| *whole == time);
    whole.filter(|whole| !whole.is_zero()).ok_or_else(refuse)
}

/// A time of whole seconds, from 1 s to what a message can say.
pub(super) fn life(text: &str) -> Result<u32, String> {
    let refuse = || "write a time of whole seconds, at least 1s, such as 30s, 1h or 7d".to_owned();
    let time = duration(text).map_err(|_| refuse())?;
    let whole = u32::try_from(time.as_secs()).ok().filter(|_| time.subsec_nanos() == 0);
    whole.ok_or_else(refuse)
}

/// A name: standard input is not read for it.
pub(super) fn no_input(text: &str) -> Result<String, String> {
    if text == "-" { Err("a name is not read from standard input".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 24 * 60 * 60)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(90 * 60)));
        for wrong in ["", "5", "s", "-1s", "1mo", "99999999999999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong:?} was accepted");
        }
    }

    #[test]
    fn a_time_too_short_to_be_kept_is_refused_and_not_cut_to_nothing() {
        for wrong in ["0s", "1us", "999µs", "1ns", "0.4ms", "1.5ms", "PT0S", "PT0.0001S"] {
            assert!(duration(wrong).unwrap_err().contains("at least 1ms"), "{wrong:?}");
        }
        for wrong in ["0s", "1ms", "999ms", "1500ms", "1us", "PT0.5S", "1.5s", "999999999d"] {
            assert!(life(wrong).unwrap_err().contains("at least 1s"), "{wrong:?}");
        }
        assert_eq!(
            (duration("1ms"), duration("1.5s")),
            (Ok(Duration::from_millis(1)), Ok(Duration::from_millis(1500)))
        );
        assert_eq!((life("1s"), life("1000ms"), life("7d")), (Ok(1), Ok(1), Ok(7 * 24 * 60 * 60)));
    }
}
