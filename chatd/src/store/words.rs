//! Words as a search compares them, of texts and of what is looked for alike.
//!
//! ```text
//! compatibility forms taken apart (NFKD) ─▶ accents dropped ─▶ case folded ─▶ put together (NFC) ─▶ cut into words
//! ```
//! Two spellings are the same if they differ in case, width, ligatures, or in marks that may be left out when writing:
//! accents of Latin, Greek and Cyrillic (so `ё` is `е`, and `й` is `и`), Hebrew points, Arabic vowels and hamzas on a letter.
//! Marks that make another letter stay: vowels of Indic scripts and of Thai, the voicing of kana. `ß` is `ss`, and the
//! dotless `ı` is `i`. What cannot be seen, as a soft hyphen or a joiner, is not there.

use icu_normalizer::properties::CanonicalCombiningClassMapBorrowed;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// How much longer than a text its words may be: spelled-out forms of honest texts stay far below, and one letter that
/// stands for eighteen costs its reader no more than this.
const MAX_GROWTH: usize = 4;

/// The words of a text, each behind a space; of the part that fits [`MAX_GROWTH`], should it grow without measure.
///
/// What is written without spaces is cut into characters: a phrase of them is found inside of what was written in one.
pub(super) fn words(text: &str) -> String {
    // ASCII has one form, nothing that is dropped, and folds letter by letter.
    if text.is_ascii() {
        return cut(text.chars().map(|character| character.to_ascii_lowercase()), text.len());
    }
    spelled_out(text)
}

/// The same for a text of any script.
fn spelled_out(text: &str) -> String {
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize_iter(text.chars());
    let folded = decomposed.filter(|c| !is_dropped(*c)).flat_map(fold);
    cut(ComposingNormalizerBorrowed::new_nfc().normalize_iter(folded), text.len())
}

/// Cuts characters into words, each behind a space.
fn cut(characters: impl Iterator<Item = char>, len: usize) -> String {
    let most = len * MAX_GROWTH;
    let mut words = String::with_capacity(len + 1);
    let mut inside = false;
    for character in characters {
        let alone = is_unspaced(character) || is_symbol(character);
        if !alone && !is_of_a_word(character) {
            inside = false;
            continue;
        }
        if alone || !inside {
            words.push(' ');
        }
        words.push(character);
        inside = !alone;
        if words.len() >= most {
            break;
        }
    }
    words
}

/// Case folding by Unicode's full mappings. By way of the capitals `ς` and `σ` are one, `ß` becomes `ss` and `ı` becomes `i`.
fn fold(character: char) -> impl Iterator<Item = char> {
    let small = character.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    small.flat_map(|small| plain(small).into_iter().flatten())
}

/// Letters whose stroke or ligature Unicode does not take apart, as people write them where their keyboard has none.
const fn plain(small: char) -> [Option<char>; 2] {
    match small {
        'æ' => [Some('a'), Some('e')],
        'œ' => [Some('o'), Some('e')],
        'ø' => [Some('o'), None],
        'đ' => [Some('d'), None],
        'ħ' => [Some('h'), None],
        'ł' => [Some('l'), None],
        'ŧ' => [Some('t'), None],
        _ => [Some(small), None],
    }
}

/// Accents, and what cannot be seen.
fn is_dropped(character: char) -> bool {
    is_accent(character) || is_invisible(character)
}

/// By the canonical combining class: marks of Hebrew, Arabic and Syriac have 10 to 36, an overlay 1, whatever stands
/// around a letter in no fixed place 200 to 240. The classes between, with 7 to 9, are letters' parts.
fn is_accent(character: char) -> bool {
    matches!(class(character), 1 | 10..=36 | 200..=240)
}

fn class(character: char) -> u8 {
    CanonicalCombiningClassMapBorrowed::new().get_u8(character)
}

/// Soft hyphen, joiners, directions, selectors of a glyph, and the line that Arabic words are drawn longer with.
const fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{640}' | '\u{180b}'..='\u{180f}' | '\u{200c}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{e0100}'..='\u{e01ef}')
}

/// Letters, digits, and marks that belong to a letter.
fn is_of_a_word(character: char) -> bool {
    character.is_alphanumeric() || class(character) != 0
}

/// What stands for a word: currencies, arrows, mathematics, pictures. U+FDFD is a whole sentence.
const fn is_symbol(character: char) -> bool {
    matches!(character, '\u{20a0}'..='\u{20cf}' | '\u{2190}'..='\u{2bff}' | '\u{fdfd}' | '\u{1f000}'..='\u{1fbff}')
}

/// Thai, Lao, Myanmar, Khmer; kana, ideographs, Hangul, whose words take their particles without a space.
const fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_word_are_one_in_every_script() {
        for spellings in [
            &["Köln", "koln", "KÖLN", "Ko\u{308}ln"][..],
            &["Straße", "STRASSE", "STRAẞE", "strasse"],
            &["Isparta", "ısparta", "İSPARTA", "ISPARTA"],
            &["Łódź", "lodz"],
            &["Ærø", "aero"],
            &["Tiếng", "tieng", "TIÊ\u{301}NG"],
            &["Đà", "da"],
            &["Ἀθῆναι", "αθηναι", "ΑΘΗΝΑΙ"],
            &["οδός", "ΟΔΟΣ", "οδοσ"],
            &["ёлка", "елка", "ЁЛКА", "е\u{308}лка"],
            &["мой", "МОЙ", "мои\u{306}", "мои"],
            &["Київ", "Киі\u{308}в", "КИІВ"],
            &["שָׁלוֹם", "שלום"],
            &["مُحَمَّد", "محمد", "محـــمد"],
            &["أحمد", "احمد"],
            &["ﻣﺮﺣﺒﺎ", "مرحبا"],
            &["می\u{200c}خواهم", "میخواهم"],
            &["Ｈｅｌｌｏ１", "hello1"],
            &["ｶﾞｷﾞ", "ガギ", "カ\u{3099}キ\u{3099}"],
            &["서울", "\u{1109}\u{1165}\u{110b}\u{116e}\u{11af}"],
            &["ﬁnd", "find", "fi\u{ad}nd"],
            &["Ꭰꭰ", "ꭰꭰ"],
            &["𞤀𞤁", "𞤢𞤣"],
        ] {
            for other in spellings {
                assert_eq!(words(other), words(spellings[0]), "{other} and {}", spellings[0]);
            }
        }
    }

    #[test]
    fn another_letter_makes_another_word() {
        for (one, other) in [("か", "が"), ("हिन्दी", "हान्दा"), ("กิน", "กน"), ("уз", "ус"), ("नहीं", "नही"), ("ก่า", "กา")]
        {
            assert_ne!(words(one), words(other), "{one} and {other}");
        }
    }

    #[test]
    fn words_end_where_their_letters_do() {
        assert_eq!(words("The red, RED fox's den… 7½"), " the red red fox s den 71 2");
        assert_eq!(words("हिन्दी में"), " हिन्दी में", "marks part no word");
        assert_eq!(words("東京 tower"), " 東 京 tower");
        assert_eq!(words("– \u{200b}\0 !?"), "");
        assert_eq!(words("👍done🦊🦊 €5 ❤\u{fe0f}"), " 👍 done 🦊 🦊 € 5 ❤", "a symbol is a word of its own");
    }

    #[test]
    fn a_letter_that_stands_for_many_costs_no_more_than_its_share() {
        for text in ["\u{fdfa}".repeat(20_000), "㌀".repeat(20_000), "e\u{301}".repeat(20_000), "天".repeat(20_000)] {
            assert!(words(&text).len() <= text.len() * MAX_GROWTH + 5, "{}", text.len());
        }
    }

    proptest! {
        #[test]
        fn words_stay_as_they_are_when_they_are_cut_again(text in "\\PC{0,40}") {
            let once = words(&text);
            prop_assume!(once.len() < text.len() * MAX_GROWTH);
            prop_assert_eq!(words(&once), once);
        }

        #[test]
        fn words_of_ascii_are_those_of_any_script(text in "[\\x00-\\x7f]{0,60}") {
            prop_assert_eq!(words(&text), spelled_out(&text));
        }
    }
}
