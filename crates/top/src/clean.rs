//! Owns making texts of strangers harmless: an application name or a statement may hold what a terminal
//! obeys (escape sequences), what turns the direction of text around, or what piles up in one place.

use unicode_width::UnicodeWidthChar as _;

/// Characters of a text that are kept.
const LEN_MAX: usize = 4096;

/// Marks that one character may carry: no script needs more.
const MARKS_MAX: usize = 2;

/// What stands for a character that is not shown.
const INSTEAD: char = '\u{fffd}';

/// The text without what a terminal would act on: ends of lines and tabs become spaces, other controls and
/// invisible characters a sign that something was there.
///
/// ```
/// assert_eq!(top::clean("a\x1b[2Jb\tc"), "a\u{fffd}[2Jb c");
/// ```
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len().min(LEN_MAX));
    let mut marks = 0;
    for (at, character) in text.chars().enumerate() {
        if at == LEN_MAX {
            cleaned.push('…');
            break;
        }
        match character {
            '\n' | '\r' | '\t' => cleaned.push(' '),
            it if is_harmful(it) => cleaned.push(INSTEAD),
            it if it.width() == Some(0) => {
                marks += 1;
                if marks <= MARKS_MAX {
                    cleaned.push(it);
                }
                continue;
            }
            it => cleaned.push(it),
        }
        marks = 0;
    }
    cleaned
}

/// Controls of both kinds, and what Unicode calls format characters, line separators, selectors and tags:
/// none of them is seen, and all of them change what is.
pub(crate) fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_gone() {
        for (text, expected) in [
            ("select 1", "select 1"),
            ("a\nb\r\nc\td", "a b  c d"),
            ("\x1b]0;owned\x07", "\u{fffd}]0;owned\u{fffd}"),
            ("\u{9b}31m", "\u{fffd}31m"),
            ("\x7f\0", "\u{fffd}\u{fffd}"),
            ("a\u{202e}b\u{2066}c", "a\u{fffd}b\u{fffd}c"),
            ("\u{200b}\u{feff}", "\u{fffd}\u{fffd}"),
            ("e\u{301}\u{302}\u{303}\u{304}x", "e\u{301}\u{302}x"),
            ("日本 ü", "日本 ü"),
        ] {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let cut = clean(&"x".repeat(LEN_MAX + 7));
        assert_eq!(cut.chars().count(), LEN_MAX + 1);
        assert!(cut.ends_with('…'));
    }

    #[test]
    fn every_single_character_is_kept_or_replaced() {
        for character in '\0'..=char::MAX {
            let cleaned = clean(&character.to_string());
            assert!(!cleaned.contains(is_harmful), "{character:?}");
            assert!(cleaned.chars().count() == 1, "{character:?}");
        }
    }
}
