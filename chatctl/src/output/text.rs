//! Values in words: states, times, and what others wrote, made harmless.

use chat_protocol::rpc::types::{FailReason, MessageState};
pub(crate) use chat_protocol::text::escape;
use serde::Serialize;

/// What became of a message, and why: `failed: not found`.
pub(crate) fn state_in_words(state: MessageState, error: Option<FailReason>) -> String {
    let why = error.map(|error| format!(": {}", word(&error))).unwrap_or_default();
    format!("{}{why}", word(&state))
}

/// The wire's own word for a value of a few words.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.replace('_', " "),
        _ => String::new(),
    }
}

/// `2026-11-22 23:25:04Z`; peers may name times that no calendar has.
pub(crate) fn time(millis: u64) -> String {
    let seconds = i64::try_from(millis / 1000).unwrap_or(i64::MAX);
    let Ok(at) = jiff::Timestamp::from_second(seconds) else { return "(no known time)".to_owned() };
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(time(0), "1970-01-01 00:00:00Z");
        assert_eq!(time(951_782_399_000), "2000-02-28 23:59:59Z");
        assert_eq!(time(951_868_799_999), "2000-02-29 23:59:59Z");
        assert_eq!(time(1_700_000_000_000), "2023-11-14 22:13:20Z");
        assert_eq!(time(u64::MAX), "(no known time)");
    }
}
