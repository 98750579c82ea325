//! What the readers' notes say became of the messages.

use std::collections::{HashMap, HashSet};

use super::sender::Route;

/// Counts over all readers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Messages handled, each once.
    pub handled: u64,
    /// Messages nobody who should have handled did.
    pub lost: u64,
    /// Messages that are in the log twice, or came again although their acknowledgement was answered.
    pub repeated: u64,
    /// Messages that came before one their sender said earlier in the same chat.
    pub disordered: u64,
    /// Where a promise was broken first, in words.
    pub trouble: Option<String>,
}

/// One reader's notes.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// (chat, author) → numbers, in the order of the log.
    said: HashMap<(String, String), Vec<u64>>,
    repeated: u64,
}

impl Notes {
    /// Reads notes; a last line that is not whole yet is left out.
    pub(crate) fn read(text: &str) -> Self {
        let mut notes = Self::default();
        let (mut seen, mut acked) = (HashSet::new(), 0);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let words: Vec<_> = line.split(' ').collect();
            match words.as_slice() {
                ["A", seq] => acked = acked.max(seq.parse().unwrap_or(0)),
                ["E", seq, chat, from, number] => {
                    let seq: u64 = seq.parse().unwrap_or(0);
                    notes.repeated += u64::from(seq <= acked);
                    // again, but not acknowledged: what a killed reader is promised
                    if seen.insert(seq) {
                        let said = notes.said.entry(((*chat).to_owned(), (*from).to_owned())).or_default();
                        said.push(number.parse().unwrap_or(u64::MAX));
                    }
                }
                _ => notes.repeated += 1,
            }
        }
        notes
    }
}

impl Verdict {
    /// Compares what was said with what was heard.
    pub(crate) fn of(routes: &[Route], notes: &[Notes]) -> Self {
        let mut verdict = Self { repeated: notes.iter().map(|notes| notes.repeated).sum(), ..Self::default() };
        for route in routes {
            for (hearer, chat) in &route.heard_by {
                let heard = notes[*hearer].said.get(&(chat.clone(), route.name.clone()));
                verdict.add(heard.map_or(&[], Vec::as_slice), route.messages, &format!("{} in {chat}", route.name));
            }
        }
        verdict
    }

    fn add(&mut self, heard: &[u64], said: u64, whose: &str) {
        let different: HashSet<_> = heard.iter().filter(|number| **number < said).collect();
        let once = different.len() as u64;
        self.handled += once;
        self.lost += said - once;
        self.repeated += heard.len() as u64 - once;
        self.disordered += heard.windows(2).filter(|pair| pair[1] < pair[0]).count() as u64;
        if once < said {
            let missing: Vec<_> = (0..said).filter(|number| !different.contains(number)).take(10).collect();
            self.trouble.get_or_insert_with(|| format!("{whose} said {said}, not heard: {missing:?}"));
        }
        if let Some(place) = heard.windows(2).position(|pair| pair[1] < pair[0]) {
            let around = &heard[place.saturating_sub(3)..(place + 6).min(heard.len())];
            self.trouble.get_or_insert_with(|| format!("{whose}, out of order: {around:?}"));
        }
    }

    /// Whether every promise was kept.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.lost == 0 && self.repeated == 0 && self.disordered == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(notes: &str, said: u64) -> Verdict {
        let heard_by = vec![(0, "@a".to_owned())];
        let route = Route { name: "a".into(), socket: "s".into(), to: "@b".into(), heard_by, messages: said };
        Verdict::of(&[route], &[Notes::read(notes)])
    }

    #[test]
    fn what_came_once_and_in_order_is_clean() {
        let verdict = judge("E 5 @a a 0\nA 5\nE 7 @a a 1\nE 7 @a a 1\nA 7\n", 2);
        assert!(verdict.is_clean() && verdict.handled == 2, "{verdict:?}");
    }

    #[test]
    fn every_broken_promise_is_counted() {
        assert_eq!(judge("E 5 @a a 0\n", 2).lost, 1);
        assert_eq!(judge("E 5 @a a 0\nE 6 @a a 1", 2).lost, 1, "half a line is none");
        assert_eq!(judge("E 5 @a a 0\nA 5\nE 5 @a a 0\n", 1).repeated, 1, "again after its acknowledgement");
        assert_eq!(judge("E 5 @a a 0\nE 6 @a a 0\n", 1).repeated, 1, "in the log twice");
        assert_eq!(judge("E 5 @a a 1\nE 6 @a a 0\n", 2).disordered, 1);
        let nonsense = judge("E 5 @a a what\n", 1);
        assert_eq!((nonsense.lost, nonsense.repeated), (1, 1));
    }
}
