//! Characters that fool whoever reads them. One list, for those who refuse them and those who show them as escapes.

/// Whether a character moves the cursor, turns the text around, or cannot be seen.
#[must_use]
pub fn is_treacherous(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Makes text of others harmless on one line of a terminal: control characters, bidirectional overrides, invisible
/// characters and line breaks are written as escapes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if is_treacherous(character) => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atk_61_nothing_reaches_a_terminal_that_could_fool_it() {
        assert_eq!(escape("a\u{1b}]0;title\u{7}b"), "a\\u{1b}]0;title\\u{7}b");
        assert_eq!(escape("bob\nalice: yes\r\t"), "bob\\nalice: yes\\r\\t");
        assert_eq!(
            escape("\u{202e}evil\u{2066}\u{200b}\u{9b}31m\u{7f}"),
            "\\u{202e}evil\\u{2066}\\u{200b}\\u{9b}31m\\u{7f}"
        );
        assert_eq!(escape("grüß dich 👩\u{200d}🚀 עברית"), "grüß dich 👩\u{200d}🚀 עברית");
    }

    #[test]
    fn atk_61_letters_of_every_script_are_harmless_and_what_hides_or_turns_them_is_not() {
        assert!(!"grüß dich 👩\u{200d}🚀 עברית 日本語".contains(is_treacherous));
        let hostile = ["\u{1b}[2J", "\n", "\u{9b}31m", "\u{7f}", "\u{202e}", "\u{2066}", "\u{200b}", "\u{feff}"];
        assert!(hostile.iter().all(|text| text.contains(is_treacherous)));
    }
}
