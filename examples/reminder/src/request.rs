//! What people ask for: `/remind TIME TEXT`.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use thiserror::Error;

const COMMAND: &str = "/remind";
/// chatd keeps a message for a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A reminder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// How long after it was asked for.
    pub(crate) after: Duration,
    /// Of what.
    pub(crate) what: String,
}

/// What is wrong with a request; its words are the answer.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("write for example: /remind 10m tea is ready (at most a year ahead)")]
pub(crate) struct NotUnderstood;

impl Request {
    /// Reads a message; `None` if it is no request at all.
    pub(crate) fn read(text: &str) -> Option<Result<Self, NotUnderstood>> {
        let rest = text.strip_prefix(COMMAND)?;
        if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
            return None;
        }
        let (time, what) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
        let after = duration(time).filter(|after| *after <= LONGEST);
        let what = what.trim();
        Some(match after {
            Some(after) if !what.is_empty() => Ok(Self { after, what: what.to_owned() }),
            _ => Err(NotUnderstood),
        })
    }
}

fn duration(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?.try_into().ok()
}

/// `90m` is told as `1h 30m`.
pub(crate) fn in_words(time: Duration) -> String {
    SignedDuration::try_from(time).map(|time| format!("{time:#}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_time_and_a_text() {
        let tea = Request { after: Duration::from_secs(600), what: "tea is ready".to_owned() };
        assert_eq!(Request::read("/remind 10m tea is ready"), Some(Ok(tea)));
        assert_eq!(in_words(Duration::from_secs(5400)), "1h 30m");
        let day = Request { after: Duration::from_secs(86_400), what: "a\nb".to_owned() };
        assert_eq!(Request::read("/remind  1day\ta\nb "), Some(Ok(day)));
    }

    #[test]
    fn what_is_no_request_is_left_alone_and_a_wrong_one_is_explained() {
        for other in ["hello", "/reminder 10m x", " /remind 10m x", ""] {
            assert_eq!(Request::read(other), None, "{other:?}");
        }
        for wrong in ["/remind", "/remind 10m", "/remind soon tea", "/remind 2years tea", "/remind -1m tea"] {
            assert_eq!(Request::read(wrong), Some(Err(NotUnderstood)), "{wrong:?}");
        }
    }
}
