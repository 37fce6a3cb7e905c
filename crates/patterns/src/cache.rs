//! Owns the way from a text to its pattern: a cache by a keyed hash of the bytes, and the patterns themselves,
//! each there once. Holds no text but those of patterns.

use crate::pattern::{self, Pattern, PatternId};
use sql::Lexing;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// Texts and patterns that are remembered, each.
const PLACES: usize = 4096;

/// Finds the patterns of texts. A worker has one; clones are the same one, and its lock is never waited for.
#[derive(Clone)]
pub struct Recogniser(Arc<Inner>);

struct Inner {
    /// Knows the key.
    hasher: DefaultHasher,
    tables: Mutex<Tables>,
}

/// Made when the first statement is seen: who watches nothing pays nothing.
#[derive(Default)]
struct Tables {
    /// By the hash of a text.
    texts: Vec<Option<(u64, Arc<Pattern>)>>,
    /// By the number of the pattern.
    patterns: Vec<Option<(u64, Arc<Pattern>)>>,
}

impl Recogniser {
    /// One that knows nothing yet. `key`: 32 random bytes, so that nobody can make texts that take each other's
    /// places.
    pub fn new(key: [u8; 32]) -> Recogniser {
        let mut hasher = DefaultHasher::new();
        hasher.write(&key);
        Recogniser(Arc::new(Inner {
            hasher,
            tables: Mutex::default(),
        }))
    }

    /// The pattern of a text that is read so.
    pub fn pattern(&self, text: &[u8], lexing: Lexing) -> Arc<Pattern> {
        let hash = self.hash(text, lexing);
        let mut tables = self.0.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = find(&mut tables.texts, hash) {
            return known;
        }
        let known = match pattern::id(text, lexing) {
            Ok(PatternId(id)) => find(&mut tables.patterns, id),
            Err(_) => None,
        };
        let known = known.unwrap_or_else(|| {
            let made = Arc::new(Pattern::of(text, lexing));
            put(&mut tables.patterns, made.id.0, &made);
            made
        });
        put(&mut tables.texts, hash, &known);
        known
    }

    fn hash(&self, text: &[u8], lexing: Lexing) -> u64 {
        let mut hasher = self.0.hasher.clone();
        let [encoding, strings] = [
            lexing.encoding.number(),
            u8::from(lexing.standard_conforming_strings),
        ];
        hasher.write_u64(u64::from_ne_bytes([encoding, strings, 0, 0, 0, 0, 0, 0]));
        hasher.write_usize(lexing.len_max);
        hasher.write(text);
        hasher.finish()
    }
}

impl fmt::Debug for Recogniser {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Recogniser")
    }
}

/// Two places for each hash; the one that was used last is in front.
fn find(table: &mut [Option<(u64, Arc<Pattern>)>], hash: u64) -> Option<Arc<Pattern>> {
    let front = hash as usize & (PLACES - 2);
    let [first, second] = table.get_mut(front..front + 2)? else {
        return None;
    };
    if let Some((known, pattern)) = first
        && *known == hash
    {
        return Some(Arc::clone(pattern));
    }
    match second {
        Some((known, pattern)) if *known == hash => {
            let pattern = Arc::clone(pattern);
            std::mem::swap(first, second);
            Some(pattern)
        }
        _ => None,
    }
}

fn put(table: &mut Vec<Option<(u64, Arc<Pattern>)>>, hash: u64, pattern: &Arc<Pattern>) {
    if table.is_empty() {
        table.resize(PLACES, None);
    }
    let front = hash as usize & (PLACES - 2);
    table.swap(front, front + 1);
    table[front] = Some((hash, Arc::clone(pattern)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use sql::{Plain, TEMPLATE_MAX, Values};

    #[test]
    fn texts_of_one_pattern_share_it() {
        let recogniser = Recogniser::new([1; 32]);
        let of = |text: &str| recogniser.pattern(text.as_bytes(), Lexing::default());
        let one = of("select 1");
        assert!(Arc::ptr_eq(&one, &of("select 1")));
        assert!(Arc::ptr_eq(&one, &of("SELECT 2")));
        assert!(!Arc::ptr_eq(&one, &of("select a")));
        let off = Lexing {
            standard_conforming_strings: false,
            ..Lexing::default()
        };
        let text = br"select 'a\', b -- '";
        let lexed = recogniser.pattern(text, Lexing::default());
        assert_ne!(lexed.id, recogniser.pattern(text, off).id);
    }

    #[test]
    fn a_template_has_the_pattern_of_its_texts() {
        for text in [
            "SELECT a FROM t WHERE b = 4711;",
            "select a from t where b in (1, -2, 3.5) and c = 'x'",
            "INSERT INTO t VALUES (1, 'O''Hara'), (- 2, E'y')",
            "UPDATE t SET a = a + -12, b = $1 WHERE c = date '2026-01-01'",
        ] {
            let (mut values, mut room) = (Values::default(), [0; TEMPLATE_MAX]);
            Plain::with_values(text.as_bytes(), Lexing::default(), &mut values).unwrap();
            let template = values.template(text.as_bytes(), &mut room).unwrap();
            assert_ne!(template, text.as_bytes());
            let of = |text| Pattern::of(text, Lexing::default());
            assert_eq!(of(template), of(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn places_are_bounded_and_the_latest_stay() {
        let recogniser = Recogniser::new([1; 32]);
        let of = |text: &str| recogniser.pattern(text.as_bytes(), Lexing::default());
        for number in 0..3 * PLACES {
            let text = format!("select a{number}");
            assert!(Arc::ptr_eq(&of(&text), &of(&text)));
        }
        let tables = recogniser.0.tables.lock().unwrap();
        assert_eq!(
            (tables.texts.len(), tables.patterns.len()),
            (PLACES, PLACES)
        );
    }
}
