//! Reads a `.env` file as python-dotenv 1.2 does.
//!
//! Whoever takes over a database of the first application has such a file, and has lived with what that library makes
//! of it: a `$` is a dollar sign and only `${NAME}` is replaced, in quotes of either kind too; a `#` begins a comment
//! after a blank only; a line that cannot be read is left out. The crates that read `.env` follow a shell's rules
//! instead. A test compares this with the library itself.

use std::collections::BTreeMap;

/// What a file says.
#[derive(Debug, Default)]
pub struct Dotenv {
    /// Absent values are names that stand alone; the last statement about a name counts.
    values: BTreeMap<String, Option<String>>,
    unread: Vec<Unread>,
}

/// A statement that cannot be read. Its text is left out: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Line on which it begins, from 1.
    pub line: usize,
    /// What it would set, if that much of it can be read.
    pub name: Option<String>,
}

impl Dotenv {
    /// Reads a file. `environment` goes before it where a value names another one.
    #[must_use]
    pub fn read(file: &[u8], environment: impl Fn(&str) -> Option<String>) -> Self {
        let text = String::from_utf8_lossy(file);
        let damaged = matches!(text, std::borrow::Cow::Owned(_));
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
        let (mut reader, mut found) = (Reader { rest: &text, line: 1 }, Self::default());
        while let Some(statement) = reader.statement() {
            // what stands for bytes that are no text must not be taken for a value
            let torn = damaged && statement.text.contains(char::REPLACEMENT_CHARACTER);
            found.take(statement, torn, &environment);
        }
        found
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_deref()
    }

    /// All statements that cannot be read.
    #[must_use]
    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    fn take(&mut self, statement: Statement<'_>, torn: bool, environment: &impl Fn(&str) -> Option<String>) {
        let Statement { line, name, value, .. } = statement;
        match (name, value.filter(|_| !torn)) {
            (name, None) => self.unread.push(Unread { line, name }),
            (Some(name), Some(value)) => {
                let value = value.map(|value| self.interpolated(&value, environment));
                self.values.insert(name, value);
            }
            (None, Some(_)) => {}
        }
    }

    /// The text with `${NAME}` and `${NAME:-DEFAULT}` replaced; everything else that looks alike stays.
    fn interpolated(&self, text: &str, environment: &impl Fn(&str) -> Option<String>) -> String {
        let (mut done, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            done.push_str(before);
            rest = match variable(after) {
                Some((name, default, after)) => {
                    done.push_str(&self.named(name, environment).unwrap_or_else(|| default.to_owned()));
                    after
                }
                None => {
                    done.push_str("${");
                    after
                }
            };
        }
        done + rest
    }

    /// What a name stands for; nothing where it stands alone.
    fn named(&self, name: &str, environment: &impl Fn(&str) -> Option<String>) -> Option<String> {
        environment(name).or_else(|| self.values.get(name).map(|value| value.clone().unwrap_or_default()))
    }
}

/// Name and default of a variable, from behind its `${`, and what follows its `}`.
fn variable(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.split_at(text.find([':', '}'])?);
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((name, "", rest));
    }
    let (default, rest) = rest.strip_prefix(":-")?.split_once('}')?;
    Some((name, default, rest))
}

/// A statement as it stands in the file.
struct Statement<'a> {
    line: usize,
    text: &'a str,
    name: Option<String>,
    /// Absent: it cannot be read. Absent within: a name or a comment alone.
    value: Option<Option<String>>,
}

/// Goes through a text whose lines end with `\n`.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn statement(&mut self) -> Option<Statement<'a>> {
        self.take(is_space);
        let (line, from) = (self.line, self.rest);
        if from.is_empty() {
            return None;
        }
        let mut name = None;
        let value = self.binding(&mut name);
        if value.is_none() {
            self.take(|character| character != '\n');
        }
        let text = from.strip_suffix(self.rest).unwrap_or(from);
        Some(Statement { line, text, name, value })
    }

    fn binding(&mut self, name: &mut Option<String>) -> Option<Option<String>> {
        if self.rest.strip_prefix("export").is_some_and(|rest| rest.starts_with(is_blank)) {
            self.advance("export".len());
            self.take(is_blank);
        }
        *name = self.name()?;
        self.take(is_blank);
        let value = if self.skip("=") { Some(self.value()?) } else { None };
        self.take(is_blank);
        if self.rest.starts_with('#') {
            self.take(|character| character != '\n');
        }
        (self.rest.is_empty() || self.skip("\n")).then_some(value)
    }

    /// A name, or none where a comment begins.
    fn name(&mut self) -> Option<Option<String>> {
        if self.rest.starts_with('#') {
            return Some(None);
        }
        let name = match self.rest.strip_prefix('\'') {
            Some(quoted) => {
                let name = quoted.split_once('\'')?.0;
                self.advance(name.len() + 2);
                name
            }
            None => self.take(|character| !is_space(character) && !matches!(character, '=' | '#')),
        };
        (!name.is_empty()).then(|| Some(name.to_owned()))
    }

    fn value(&mut self) -> Option<String> {
        let blanks = self.take(is_blank);
        match self.rest.chars().next() {
            Some('#') if !blanks.is_empty() => Some(String::new()),
            Some(quote @ ('\'' | '"')) => self.quoted(quote),
            _ => Some(uncommented(self.take(|character| character != '\n')).to_owned()),
        }
    }

    /// Up to the quote that no backslash precedes, over lines if it must be.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let inner = self.rest.strip_prefix(quote)?;
        let mut escaped = false;
        let length = inner.find(|character| {
            let ends = !escaped && character == quote;
            escaped = !escaped && character == '\\';
            ends
        })?;
        let inner = inner.get(..length)?;
        self.advance(length + 2);
        Some(unescaped(inner, quote))
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let taken = self.rest.split_once(|character| !wanted(character)).map_or(self.rest, |(taken, _)| taken);
        self.advance(taken.len());
        taken
    }

    fn skip(&mut self, text: &str) -> bool {
        let there = self.rest.starts_with(text);
        if there {
            self.advance(text.len());
        }
        there
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }
}

/// What Python's `\s` matches.
fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// The same within a line.
fn is_blank(character: char) -> bool {
    is_space(character) && character != '\n'
}

/// Without a comment that follows a blank, and without blanks at the end.
fn uncommented(text: &str) -> &str {
    let hashes = text.match_indices('#').map(|(at, _)| text.get(..at).unwrap_or_default());
    let before = hashes.into_iter().find(|before| before.ends_with(is_space));
    before.unwrap_or(text).trim_end_matches(is_space)
}

fn unescaped(text: &str, quote: char) -> String {
    let mut characters = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        let next = characters.clone().next().filter(|_| character == '\\');
        match next.and_then(|next| escape(next, quote)) {
            Some(meant) => {
                plain.push(meant);
                characters.next();
            }
            None => plain.push(character),
        }
    }
    plain
}

/// What a backslash and this stand for within such quotes.
const fn escape(letter: char, quote: char) -> Option<char> {
    Some(match letter {
        '\\' | '\'' => letter,
        _ if quote == '\'' => return None,
        '"' => '"',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(file: &str) -> Dotenv {
        Dotenv::read(file.as_bytes(), |_| None)
    }

    #[test]
    fn dollar_is_a_dollar_sign_and_only_braces_name_a_variable() {
        let file = "A=pa$word\nB='$A ${A}'\nC=\"${C:-none} ${A:x} ${\"\nHOST=other\nD=${HOST}${SHELL}";
        let found = Dotenv::read(file.as_bytes(), |name| (name == "HOST").then(|| "outer".to_owned()));
        let value = |name| found.get(name).unwrap();
        assert_eq!((value("A"), value("B")), ("pa$word", "$A pa$word"));
        assert_eq!(value("C"), "none ${A:x} ${");
        assert_eq!((value("HOST"), value("D")), ("other", "outer"), "the environment goes before the file");
    }

    #[test]
    fn lines_about_other_things_are_left_out_with_their_number() {
        let file = "\n\nDEBUG\nnot this one\nDB_USER=u\nMOTD=it's \"me\"\n'x=1\nDB_PASSWORD=\"open\nA=1\n";
        let found = read(file);
        assert_eq!(
            (found.get("DB_USER"), found.get("MOTD"), found.get("A")),
            (Some("u"), Some("it's \"me\""), Some("1"))
        );
        let unread = |line, name: Option<&str>| Unread { line, name: name.map(str::to_owned) };
        let wanted = [unread(4, Some("not")), unread(7, None), unread(8, Some("DB_PASSWORD"))];
        assert_eq!(found.unread(), wanted);
    }

    #[test]
    fn bytes_that_are_no_text_are_nobodys_value() {
        let found = Dotenv::read(b"A=caf\xe9\nB=\xef\xbf\xbd\nC=1", |_| None);
        assert_eq!((found.get("A"), found.get("C")), (None, Some("1")));
        assert_eq!(found.unread().first(), Some(&Unread { line: 1, name: Some("A".to_owned()) }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(file: Vec<u8>) {
            let lines = file.split(|byte| matches!(byte, b'\n' | b'\r')).count();
            prop_assert!(Dotenv::read(&file, |_| None).unread().iter().all(|unread| (1..=lines).contains(&unread.line)));
        }

        #[test]
        fn password_in_single_quotes_is_itself(password in "[^\\\\'$\r]*") {
            let found = read(&format!("DB_PASSWORD='{password}' # comment\r\nDB_USER=u\r\n"));
            prop_assert_eq!(found.get("DB_PASSWORD"), Some(password.as_str()));
            prop_assert_eq!(found.get("DB_USER"), Some("u"));
        }
    }
}
