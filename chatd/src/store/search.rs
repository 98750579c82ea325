//! A full-text index of the history, in memory: nothing of it ever touches a disk.
//!
//! SQLite's FTS5 over a database without a file. It knows no more than it is told, and compares bytes: what is a word,
//! and which spellings are one, is decided before (`words`), for every script alike.

use std::collections::{BTreeMap, HashMap};

use chat_protocol::ids::MessageId;
use rusqlite::{Connection, params, params_from_iter};

use super::database::classify;
use super::words::words;
use chat_engine::store::RowsError;

const SCHEMA: &str = "PRAGMA temp_store = MEMORY;
CREATE VIRTUAL TABLE texts USING fts5(text, chat UNINDEXED, author UNINDEXED, stored UNINDEXED,
    tokenize = 'ascii');";
const PUT: &str = "INSERT INTO texts (rowid, text, chat, author, stored) VALUES (?1, ?2, ?3, ?4, ?5)";
const DELETE: &str = "DELETE FROM texts WHERE rowid = ?1";
const FIND: &str = "SELECT rowid FROM texts WHERE texts MATCH ?1 AND rowid < ?2 \
    AND (?3 IS NULL OR chat = ?3) AND (?4 IS NULL OR author = ?4) AND stored >= ?5 AND stored < ?6 \
    ORDER BY rowid DESC LIMIT ?7";

/// What a message is counted for besides its words: its entries in the index and in the lists beside it.
pub const MESSAGE_BYTES: usize = 256;

/// What is indexed of a message.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Its id.
    pub id: MessageId,
    /// What it says.
    pub text: &'a str,
    /// Its chat.
    pub chat: &'a str,
    /// Its author.
    pub author: &'a str,
    /// When it was stored, in milliseconds.
    pub stored_ms: u64,
}

/// What is looked for.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// Words, all of which have to be there; one that ends in `*` begins a word.
    pub words: &'a str,
    /// Only numbers below this one.
    pub below: Option<i64>,
    /// Only this chat.
    pub chat: Option<&'a str>,
    /// Only this author.
    pub author: Option<&'a str>,
    /// Stored then or later.
    pub since_ms: Option<u64>,
    /// Stored before.
    pub until_ms: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// The index. Messages are numbered in the order they are put; beyond a bound the first ones go again.
pub struct SearchIndex {
    conn: Connection,
    numbers: HashMap<MessageId, i64>,
    /// By number: the message, and the bytes it is counted for.
    ids: BTreeMap<i64, (MessageId, usize)>,
    last: i64,
    /// What all messages in it are counted for.
    bytes: usize,
    most_bytes: usize,
    /// Whether any message went for want of room.
    is_partial: bool,
}

impl SearchIndex {
    /// An empty index, for messages that are counted for at most `most_bytes`, [`MESSAGE_BYTES`] and their words each; it takes
    /// up to three times as much memory.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn new(most_bytes: usize) -> Result<Self, RowsError> {
        let conn = Connection::open_in_memory().map_err(classify)?;
        conn.execute_batch(SCHEMA).map_err(classify)?;
        let (numbers, ids) = (HashMap::new(), BTreeMap::new());
        Ok(Self { conn, numbers, ids, last: 0, bytes: 0, most_bytes, is_partial: false })
    }

    /// Whether a message is in it.
    #[must_use]
    pub fn has(&self, id: &MessageId) -> bool {
        self.numbers.contains_key(id)
    }

    /// Whether messages are missing that were put, because there was no room for all.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// It is known that messages are missing.
    pub const fn set_partial(&mut self) {
        self.is_partial = true;
    }

    /// Adds messages in their order, oldest first: much faster than one by one, since FTS5 sorts the words of all at once.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn put_all<'a>(&mut self, entries: impl IntoIterator<Item = Entry<'a>>) -> Result<(), RowsError> {
        self.conn.execute_batch("BEGIN").map_err(classify)?;
        let put = entries.into_iter().try_for_each(|entry| self.put(&entry));
        let ended = self.conn.execute_batch("COMMIT").map_err(classify);
        put.and(ended)
    }

    /// Adds a message as the newest, or gives a known one another text.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn put(&mut self, entry: &Entry<'_>) -> Result<(), RowsError> {
        let known = self.numbers.get(&entry.id).copied();
        if let Some(number) = known {
            self.forget(number)?;
        }
        let number = known.unwrap_or_else(|| {
            self.last += 1;
            self.last
        });
        let words = words(entry.text);
        let bytes = words.len() + MESSAGE_BYTES;
        self.bytes += bytes;
        self.numbers.insert(entry.id, number);
        self.ids.insert(number, (entry.id, bytes));
        let stored = i64::try_from(entry.stored_ms).unwrap_or(i64::MAX);
        let row = params![number, words, entry.chat, entry.author, stored];
        self.conn.prepare_cached(PUT).and_then(|mut put| put.execute(row)).map_err(classify)?;
        self.make_room()
    }

    fn make_room(&mut self) -> Result<(), RowsError> {
        while self.bytes > self.most_bytes
            && let Some(&oldest) = self.ids.keys().next()
        {
            self.is_partial = true;
            self.forget(oldest)?;
        }
        Ok(())
    }

    /// Forgets a message.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn remove(&mut self, id: &MessageId) -> Result<(), RowsError> {
        self.numbers.get(id).copied().map_or(Ok(()), |number| self.forget(number))
    }

    fn forget(&mut self, number: i64) -> Result<(), RowsError> {
        if let Some((id, bytes)) = self.ids.remove(&number) {
            self.numbers.remove(&id);
            self.bytes -= bytes;
        }
        self.conn.prepare_cached(DELETE).and_then(|mut delete| delete.execute([number])).map(drop).map_err(classify)
    }

    /// Messages that fit, newest first, each with its number; nothing fits what [`has_words`] refuses.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn find(&self, wanted: &Wanted<'_>) -> Result<Vec<(i64, MessageId)>, RowsError> {
        let Some(query) = query(wanted.words) else { return Ok(Vec::new()) };
        let millis = |at: Option<u64>, absent| at.map_or(absent, |at| i64::try_from(at).unwrap_or(i64::MAX));
        let values: [rusqlite::types::Value; 7] = [
            query.into(),
            wanted.below.unwrap_or(i64::MAX).into(),
            wanted.chat.map(str::to_owned).into(),
            wanted.author.map(str::to_owned).into(),
            millis(wanted.since_ms, 0).into(),
            millis(wanted.until_ms, i64::MAX).into(),
            i64::try_from(wanted.limit).unwrap_or(i64::MAX).into(),
        ];
        let mut find = self.conn.prepare_cached(FIND).map_err(classify)?;
        let mut rows = find.query(params_from_iter(values)).map_err(classify)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(classify)? {
            let number = row.get(0).map_err(classify)?;
            found.extend(self.ids.get(&number).map(|(id, _)| (number, *id)));
        }
        Ok(found)
    }
}

impl std::fmt::Debug for SearchIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SearchIndex({} messages)", self.numbers.len())
    }
}

/// Whether there is anything to be looked for: punctuation and blanks are in no index.
#[must_use]
pub fn has_words(text: &str) -> bool {
    query(text).is_some()
}

/// What is looked for in FTS5's own language: a phrase for each part between spaces, in quotes, so that nothing in it
/// means anything there. Nothing but letters, digits, their marks and symbols is left in [`words`].
fn query(wanted: &str) -> Option<String> {
    let phrase = |part: &str| {
        let (part, more) = part.strip_suffix('*').map_or((part, ""), |start| (start, "*"));
        let phrase = words(part);
        (!phrase.is_empty()).then(|| format!("\"{}\"{more}", phrase.trim_start()))
    };
    let phrases: Vec<String> = wanted.split_whitespace().filter_map(phrase).collect();
    (!phrases.is_empty()).then(|| phrases.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(texts: &[&str]) -> SearchIndex {
        let mut index = SearchIndex::new(usize::MAX).unwrap();
        for (number, text) in texts.iter().enumerate() {
            let id = MessageId::new([u8::try_from(number).unwrap(); 16]);
            let entry = Entry { id, text, chat: "@bob", author: "bob", stored_ms: number as u64 };
            index.put(&entry).unwrap();
        }
        index
    }

    fn found(index: &SearchIndex, words: &str) -> Vec<u8> {
        let wanted = Wanted { words, limit: 100, ..Wanted::default() };
        index.find(&wanted).unwrap().iter().map(|(_, id)| id.as_bytes()[0]).collect()
    }

    #[test]
    fn all_words_have_to_be_there_and_the_newest_comes_first() {
        let index = index(&["the red fox", "a red car", "Füchse, RED!", "nothing"]);
        assert_eq!(found(&index, "red"), [2, 1, 0]);
        assert_eq!(found(&index, "fox red"), [0]);
        assert_eq!(found(&index, "fuch*"), [2]);
        assert_eq!(found(&index, "fo"), [] as [u8; 0]);
    }

    #[test]
    fn symbols_are_found_and_punctuation_is_nothing_to_look_for() {
        let index = index(&["a 🦊 came", "the fox🦊!", "\u{fdfd}", "no animal"]);
        assert_eq!(found(&index, "🦊"), [1, 0]);
        assert_eq!(found(&index, "fox🦊"), [1]);
        assert_eq!(found(&index, "\u{fdfd}"), [2]);
        for nothing in ["", " ", "!!!", "* \u{200b}", "\"-\""] {
            assert!(!has_words(nothing), "{nothing:?}");
        }
        assert!(has_words("🦊") && has_words("a"));
    }

    #[test]
    fn no_query_is_a_syntax_error() {
        let index = index(&["NEAR the OR of \"quotes\" col:on (paren"]);
        for words in [
            "NEAR(",
            "OR",
            "\"",
            "quotes\"",
            "col:on",
            "(paren",
            "*",
            "**",
            "a AND NOT",
            "^x",
            "-",
            "{}",
            "\0",
            "a\0b",
            "\"\"\"a",
            "a\"*",
            &"a ".repeat(5000),
            &"天".repeat(5000),
        ] {
            let wanted = Wanted { words, limit: 10, ..Wanted::default() };
            assert!(index.find(&wanted).is_ok(), "{words:?}");
        }
        assert_eq!(found(&index, "OR NEAR"), [0]);
    }

    #[test]
    fn words_are_found_without_their_accents_and_within_scripts_that_write_no_spaces() {
        let index = index(&[
            "Die Fu\u{308}chse in Köln",
            "今日は東京の天気がいい",
            "서울은 비가 온다",
            "ราคาทองวันนี้",
            "東 京",
            "ёлка в Αθήνα, שָׁלוֹם",
        ]);
        assert_eq!((found(&index, "füchse"), found(&index, "KOLN")), (vec![0], vec![0]));
        assert_eq!((found(&index, "ЕЛКА αθηνα"), found(&index, "שלום")), (vec![5], vec![5]));
        assert_eq!((found(&index, "Ёл*"), found(&index, "лка")), (vec![5], vec![]));
        assert_eq!((found(&index, "天気"), found(&index, "東京")), (vec![1], vec![4, 1]));
        assert_eq!((found(&index, "서울"), found(&index, "ทอง")), (vec![2], vec![3]));
        assert_eq!((found(&index, "東*"), found(&index, "京都*")), (vec![4, 1], vec![]));
        assert_eq!(found(&index, "天東"), [] as [u8; 0], "their characters stand together and in order");
    }

    #[test]
    fn another_text_replaces_the_first_and_what_was_removed_is_not_found() {
        let mut index = index(&["first words", "first again"]);
        let id = MessageId::new([0; 16]);
        index.put(&Entry { id, text: "other", chat: "@bob", author: "bob", stored_ms: 0 }).unwrap();
        assert_eq!((found(&index, "first"), found(&index, "other")), (vec![1], vec![0]));
        index.remove(&MessageId::new([1; 16])).unwrap();
        assert_eq!(found(&index, "first"), [] as [u8; 0]);
    }

    #[test]
    fn beyond_its_bound_the_oldest_go_and_it_says_so() {
        let mut index = SearchIndex::new(2 * MESSAGE_BYTES + 20).unwrap();
        let mut put = |byte, text: &str| {
            let id = MessageId::new([byte; 16]);
            index.put(&Entry { id, text, chat: "@bob", author: "bob", stored_ms: 0 }).unwrap();
            (found(&index, "word"), index.is_partial())
        };
        assert_eq!(put(1, "word one"), (vec![1], false));
        assert_eq!(put(2, "word two"), (vec![2, 1], false));
        assert_eq!(put(1, "word"), (vec![2, 1], false), "an edited one keeps its place");
        assert_eq!(put(3, "word six"), (vec![3, 2], true));
        assert_eq!(put(4, &"word ".repeat(200)), (vec![], true));
        assert_eq!(put(5, "word"), (vec![5], true));
    }
}
