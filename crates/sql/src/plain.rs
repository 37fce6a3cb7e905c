//! Owns the quick look at a text: whether it is one plain SELECT, INSERT, UPDATE or DELETE, in which nothing can be a
//! call, however its tokens are cut. Most texts of programs that put values into them are, and each differs from the
//! last: what reads them all has to be cheap.
//!
//! It only ever says less than the layers that read tokens: `None` means that they have to. Also owns what all plain texts
//! have in common that differ in nothing but their values: their template.

use crate::effects::Effects;
use crate::encoding::Lexing;
use crate::lexer::is_space;

/// What a plain text does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// SELECT that can't lock rows.
    Reads,
    /// SELECT that may have FOR UPDATE, or one of its kind.
    Selects,
    /// INSERT, UPDATE or DELETE.
    Changes,
}

impl Plain {
    /// A look at a text. What passes is ASCII without backslash, comment, dollar quote and semicolon but the last, so
    /// that no setting of [`Lexing`] but `len_max` makes a difference; without INTO (but INSERT's) and words that begin
    /// like `temp` and `pg_temp`; with no parenthesis behind a name but those that only the grammar can mean; and with no
    /// letters in numbers.
    pub fn of(text: &[u8], lexing: Lexing) -> Option<Self> {
        Self::with_values(text, lexing, &mut Values::default())
    }

    /// The same, with the places of its values.
    pub fn with_values(text: &[u8], lexing: Lexing, values: &mut Values) -> Option<Self> {
        if text.len() > lexing.len_max {
            return None;
        }
        let start = spaces(text, 0);
        let verb = text.get(start..start + 6)?;
        let mut look = Look {
            text,
            at: start + 6,
            target: usize::MAX,
            may_lock: false,
        };
        let does = match verb.first()? | 0x20 {
            b's' if is(verb, b"select") => Self::Reads,
            b'i' if is(verb, b"insert") => Self::Changes,
            b'u' if is(verb, b"update") => Self::Changes,
            b'd' if is(verb, b"delete") => Self::Changes,
            _ => return None,
        };
        if !text.get(look.at).is_some_and(|&byte| is_space(byte)) {
            return None;
        }
        if verb[0] | 0x20 == b'i' {
            look.target()?;
        }
        look.rest(values)?;
        Some(match does {
            Self::Reads if look.may_lock => Self::Selects,
            does => does,
        })
    }

    /// The same that [`crate::effects()`] finds.
    pub fn effects(self) -> Effects {
        match self {
            Self::Reads | Self::Selects => Effects::NONE,
            Self::Changes => Effects::WRITES,
        }
    }
}

/// Bytes of the longest template.
pub const TEMPLATE_MAX: usize = 512;
/// Values of a text that has a template.
const VALUES_MAX: usize = 24;

/// Where the numbers and the strings of a plain text are.
#[derive(Debug, Default)]
pub struct Values {
    places: [(u32, u32); VALUES_MAX],
    /// There may be more than have a place.
    count: usize,
}

impl Values {
    #[inline]
    fn push(&mut self, start: usize, end: usize) {
        if let Some(place) = self.places.get_mut(self.count) {
            *place = (start as u32, end as u32);
        }
        self.count += 1;
    }

    /// The plain text that these are the values of, with `0` for each of its numbers and `''` for each of its strings: a
    /// plain text of its own, of which the layers that read tokens find the same, values and places apart. `None` if it is
    /// too long, or has too many values.
    pub fn template<'r>(&self, text: &[u8], room: &'r mut [u8; TEMPLATE_MAX]) -> Option<&'r [u8]> {
        let (mut from, mut len) = (0, 0);
        let mut put = |bytes: &[u8]| -> Option<()> {
            room.get_mut(len..len + bytes.len())?.copy_from_slice(bytes);
            len += bytes.len();
            Some(())
        };
        for (start, end) in self.places.get(..self.count)? {
            let start = *start as usize;
            put(text.get(from..start)?)?;
            put(if text.get(start) == Some(&b'\'') {
                b"''"
            } else {
                b"0"
            })?;
            from = *end as usize;
        }
        put(text.get(from..)?)?;
        Some(&room[..len])
    }
}

/// Where the values of a template are, so that a text which has it is told by comparing the rest.
#[derive(Debug, Clone)]
pub struct Layout {
    plain: Plain,
    places: Box<[(u32, u32)]>,
}

impl Layout {
    /// Of a template.
    pub fn of(template: &[u8]) -> Option<Layout> {
        let mut values = Values::default();
        let plain = Plain::with_values(template, Lexing::default(), &mut values)?;
        let places = values.places.get(..values.count)?.into();
        Some(Layout { plain, places })
    }

    /// What all texts do that have the template.
    pub fn plain(&self) -> Plain {
        self.plain
    }

    /// True if a text has this template, which is the one that the layout is of.
    pub fn fits(&self, template: &[u8], text: &[u8], lexing: Lexing) -> bool {
        self.rest_of(template, text).is_some_and(<[u8]>::is_empty) && text.len() <= lexing.len_max
    }

    /// What a text has behind the template.
    fn rest_of<'t>(&self, template: &[u8], text: &'t [u8]) -> Option<&'t [u8]> {
        let (mut from, mut rest) = (0, text);
        let run = |rest: &[u8], class: u8| {
            let is_other = |byte: &u8| CLASS[usize::from(*byte)] & class == 0;
            rest.iter().position(is_other).unwrap_or(rest.len())
        };
        for (start, end) in &self.places {
            let start = *start as usize;
            rest = rest.strip_prefix(template.get(from..start)?)?;
            from = *end as usize;
            rest = match template.get(start)? {
                b'\'' => {
                    let string = rest.strip_prefix(b"'")?;
                    string.get(run(string, INSIDE)..)?.strip_prefix(b"'")?
                }
                // What follows is the template's, and no part of a word.
                _ => match run(rest, DIGIT) {
                    0 => return None,
                    digits => &rest[digits..],
                },
            };
        }
        rest.strip_prefix(template.get(from..)?)
    }
}

/// How far the look has come.
struct Look<'a> {
    text: &'a [u8],
    at: usize,
    /// Behind the name of the table that INSERT fills.
    target: usize,
    may_lock: bool,
}

impl Look<'_> {
    /// Steps over INTO; the name behind it is noted.
    fn target(&mut self) -> Option<()> {
        let into = spaces(self.text, self.at);
        let behind = into + 4;
        if !is(self.text.get(into..behind)?, b"into") || !is_space(*self.text.get(behind)?) {
            return None;
        }
        self.at = spaces(self.text, behind);
        let name = self.text.get(self.at..)?;
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        let name = &name[..name.iter().take_while(|byte| is_part(byte)).count()];
        let begins_as_one = |part: &[u8]| part.first().is_some_and(|byte| !byte.is_ascii_digit());
        if name.split(|byte| *byte == b'.').all(begins_as_one) {
            self.target = self.at + name.len();
        }
        Some(())
    }

    fn rest(&mut self, values: &mut Values) -> Option<()> {
        while let Some(&byte) = self.text.get(self.at) {
            let class = CLASS[usize::from(byte)];
            if class & SYMBOL != 0 {
                self.at += 1;
                continue;
            }
            let start = self.at;
            if class & LETTER != 0 {
                self.at += 1;
                self.run(WORD);
                self.word(&self.text[start..self.at])?;
                continue;
            }
            match byte {
                b'0'..=b'9' => {
                    self.run(DIGIT);
                    if self.is_at(WORD) {
                        return None;
                    }
                    values.push(start, self.at);
                    continue;
                }
                b'\'' => {
                    // From one quote to the next: a doubled one ends here, and begins again.
                    self.at += 1;
                    self.run(INSIDE);
                    if self.text.get(self.at) != Some(&b'\'') {
                        return None;
                    }
                    values.push(start, self.at + 1);
                }
                b'"' => self.quoted()?,
                b'(' => self.parenthesis()?,
                b'$' => {
                    self.at += 1;
                    self.run(DIGIT);
                    if self.at == start + 1 || self.is_at(WORD) {
                        return None;
                    }
                    continue;
                }
                b'-' if self.next() != b'-' => {}
                b'/' if self.next() != b'*' => {}
                b';' if spaces(self.text, self.at + 1) == self.text.len() => {}
                _ => return None,
            }
            self.at += 1;
        }
        Some(())
    }

    /// Steps over bytes of a class.
    #[inline(always)]
    fn run(&mut self, class: u8) {
        while self.is_at(class) {
            self.at += 1;
        }
    }

    #[inline(always)]
    fn is_at(&self, class: u8) -> bool {
        let byte = self.text.get(self.at);
        byte.is_some_and(|byte| CLASS[usize::from(*byte)] & class != 0)
    }

    /// The byte behind the present one; 0 past the end.
    fn next(&self) -> u8 {
        self.text.get(self.at + 1).copied().unwrap_or(0)
    }

    /// A word outside of quotes.
    #[inline(always)]
    fn word(&mut self, word: &[u8]) -> Option<()> {
        match word.first()? | 0x20 {
            b'f' => self.may_lock |= is(word, b"for"),
            b'i' if is(word, b"into") => return None,
            b'p' | b't' if may_be_temporary(word) => return None,
            _ => {}
        }
        Some(())
    }

    /// A quoted name of the most ordinary letters, to its closing quote. `U&""` isn't one.
    fn quoted(&mut self) -> Option<()> {
        if self.at > 0 && self.text[self.at - 1] == b'&' {
            return None;
        }
        self.at += 1;
        let start = self.at;
        self.run(NAME);
        let is_closed = self.text.get(self.at) == Some(&b'"');
        (is_closed && !may_be_temporary(&self.text[start..self.at])).then_some(())
    }

    /// An opening parenthesis behind an operator, a comma, the name of INSERT's table, or a word that can be no name.
    fn parenthesis(&self) -> Option<()> {
        let before = self.text[..self.at].trim_ascii_end();
        match before.last()? {
            b',' | b'(' | b'=' | b'<' | b'>' | b'+' | b'-' => return Some(()),
            _ if before.len() == self.target => return Some(()),
            _ => {}
        }
        let is_name = |byte: &&u8| CLASS[usize::from(**byte)] & WORD != 0;
        let len = before.iter().rev().take_while(is_name).count();
        let (ahead, word) = before.split_at(before.len() - len);
        let words: &[&[u8]] = match len {
            2 => &[b"in", b"or"],
            3 => &[b"and", b"not", b"any", b"all"],
            5 => &[b"where"],
            6 => &[b"values"],
            _ => return None,
        };
        let stands_alone = matches!(ahead.trim_ascii_end().last(), Some(last) if *last != b'.');
        (stands_alone && words.iter().any(|it| is(word, it))).then_some(())
    }
}

fn may_be_temporary(name: &[u8]) -> bool {
    let begins = |word: &[u8]| {
        name.get(..word.len())
            .is_some_and(|it| it.eq_ignore_ascii_case(word))
    };
    begins(b"temp") || begins(b"pg_temp")
}

/// Whether these bytes are a word of lower-case letters, in any case.
fn is(bytes: &[u8], word: &[u8]) -> bool {
    let mut pairs = bytes.iter().zip(word);
    bytes.len() == word.len() && pairs.all(|(byte, letter)| byte | 0x20 == *letter)
}

/// The first place from here on where there is no blank.
fn spaces(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| is_space(**byte)).count()
}

/// What says nothing by itself and begins nothing, outside quotes.
const SYMBOL: u8 = 1;
/// What a word begins with.
const LETTER: u8 = 2;
/// What it goes on with, and no number may be followed by.
const WORD: u8 = 4;
const DIGIT: u8 = 8;
/// What a string holds as itself.
const INSIDE: u8 = 16;
/// What an ordinary quoted name holds.
const NAME: u8 = 32;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 1u8;
    while byte < 0x80 {
        let mut class = 0;
        let is_letter = byte.is_ascii_alphabetic() || byte == b'_';
        if is_letter {
            class |= LETTER | WORD | NAME;
        }
        if byte.is_ascii_digit() {
            class |= DIGIT | WORD | NAME;
        }
        if byte == b'$' {
            class |= WORD;
        }
        if byte == b' ' {
            class |= NAME;
        }
        if is_symbol(byte) {
            class |= SYMBOL;
        }
        if byte != b'\'' && byte != b'\\' {
            class |= INSIDE;
        }
        table[byte as usize] = class;
        byte += 1;
    }
    table
}

/// Blanks, and what operators and lists are made of, where no comment can begin.
const fn is_symbol(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t'
            | b'\n'
            | b'\r'
            | 0x0b
            | 0x0c
            | b'.'
            | b','
            | b')'
            | b'['
            | b']'
            | b':'
            | b'='
            | b'<'
            | b'>'
            | b'*'
            | b'+'
            | b'%'
            | b'|'
            | b'!'
            | b'@'
            | b'#'
            | b'~'
            | b'&'
            | b'^'
            | b'?'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_texts_pass() {
        let table: &[(&str, Plain)] = &[
            (
                "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;",
                Plain::Reads,
            ),
            (
                "  select \"u\".* from \"users\" \"u\" where \"u\".\"name\" = 'O''Hara (x); --' limit 1 ; ",
                Plain::Reads,
            ),
            ("SELECT a FROM t WHERE id IN ($1, $2)", Plain::Reads),
            ("SELECT a FROM t WHERE (a = 1 OR (b - 2) > 3)", Plain::Reads),
            ("SELECT a FROM t WHERE id = 1 FOR UPDATE", Plain::Selects),
            ("SELECT before, \"for\" FROM t", Plain::Reads),
            (
                "UPDATE pgbench_accounts SET abalance = abalance + -5 WHERE aid = 1",
                Plain::Changes,
            ),
            (
                "INSERT INTO pgbench_history (tid, bid) VALUES (1, 'x'), (2, E'y')",
                Plain::Changes,
            ),
            ("insert into s.t values (1)", Plain::Changes),
            ("DELETE FROM t WHERE a = '\"' AND b = '$$'", Plain::Changes),
        ];
        for (text, does) in table {
            let found = Plain::of(text.as_bytes(), Lexing::default());
            assert_eq!(found, Some(*does), "{text}");
        }
    }

    #[test]
    fn templates() {
        let table: &[(&str, Option<&str>)] = &[
            (
                "SELECT a1 FROM t2 WHERE id = 4711;",
                Some("SELECT a1 FROM t2 WHERE id = 0;"),
            ),
            (
                "UPDATE \"t 1\" SET a = -5, b = 'x y', c = $12 WHERE d = 1.5",
                Some("UPDATE \"t 1\" SET a = -0, b = '', c = $12 WHERE d = 0.0"),
            ),
            (
                "DELETE FROM t WHERE a = 'O''Hara'",
                Some("DELETE FROM t WHERE a = ''''"),
            ),
            ("SELECT a$1 FROM t", Some("SELECT a$1 FROM t")),
            ("SELECT 0x1F", None),
            ("SELECT 1_000", None),
            ("SELECT 1e5", None),
            ("SELECT f(1)", None),
        ];
        for (text, wanted) in table {
            let mut room = [0; TEMPLATE_MAX];
            let mut values = Values::default();
            let plain = Plain::with_values(text.as_bytes(), Lexing::default(), &mut values);
            let found = plain.and_then(|_| values.template(text.as_bytes(), &mut room));
            assert_eq!(found, wanted.map(str::as_bytes), "{text}");
        }
        for (piece, count) in [("1, ", 200), ("a, ", 200)] {
            let long = format!("SELECT a FROM t WHERE b IN ({}1)", piece.repeat(count));
            let mut values = Values::default();
            let plain = Plain::with_values(long.as_bytes(), Lexing::default(), &mut values);
            assert_eq!(plain, Some(Plain::Reads));
            let found = values
                .template(long.as_bytes(), &mut [0; TEMPLATE_MAX])
                .is_some();
            assert!(!found, "{piece}");
        }
    }

    #[test]
    fn texts_that_have_a_template() {
        let template = b"UPDATE t1 SET a = 0, b = '''' WHERE c = $1 AND d = 0.0";
        let layout = Layout::of(template).unwrap();
        assert_eq!(layout.plain(), Plain::Changes);
        for (text, fits) in [
            (
                "UPDATE t1 SET a = 17, b = 'O''Hara' WHERE c = $1 AND d = 3.14",
                true,
            ),
            (
                "UPDATE t1 SET a = 0, b = '''' WHERE c = $1 AND d = 0.0",
                true,
            ),
            (
                "UPDATE t2 SET a = 17, b = 'O''Hara' WHERE c = $1 AND d = 3.14",
                false,
            ),
            (
                "UPDATE t1 SET a = , b = 'O''Hara' WHERE c = $1 AND d = 3.14",
                false,
            ),
            (
                "UPDATE t1 SET a = 1x, b = 'O''Hara' WHERE c = $1 AND d = 3.14",
                false,
            ),
            (
                "UPDATE t1 SET a = 1, b = 'Hara' WHERE c = $1 AND d = 3.14",
                false,
            ),
            (
                "UPDATE t1 SET a = 1, b = '\\''' WHERE c = $1 AND d = 3.14",
                false,
            ),
            (
                "UPDATE t1 SET a = 1, b = '''\u{e4}' WHERE c = $1 AND d = 3.14",
                false,
            ),
            (
                "UPDATE t1 SET a = 1, b = '''' WHERE c = $2 AND d = 3.14",
                false,
            ),
            (
                "UPDATE t1 SET a = 1, b = '''' WHERE c = $1 AND d = 3.14x",
                false,
            ),
            (
                "UPDATE t1 SET a = 1, b = '''' WHERE c = $1 AND d = 3.14; DROP TABLE t1",
                false,
            ),
            ("UPDATE t1 SET a = 1, b = '''", false),
            ("", false),
        ] {
            let found = layout.fits(template, text.as_bytes(), Lexing::default());
            assert_eq!(found, fits, "{text}");
        }
        let short = Lexing {
            len_max: template.len() - 1,
            ..Lexing::default()
        };
        assert!(!layout.fits(template, template, short));
    }

    #[test]
    fn what_has_to_be_read_does_not_pass() {
        for text in [
            "",
            "SELECT",
            "selecta b",
            "SELECT nextval('s')",
            "SELECT f (1)",
            "SELECT \"f\"(1)",
            "SELECT s.values(1)",
            "SELECT s . in (1)",
            "SELECT 1; DISCARD ALL",
            "SELECT 1;; ",
            "SELECT * INTO t FROM u",
            "SELECT 1 -- x",
            "SELECT 1 /* x */",
            "SELECT '\\'",
            "SELECT $$x$$",
            "SELECT $1$a$ x $a$",
            "SELECT 'a",
            "SELECT \"a",
            "SELECT \"a'\", f(), \"'\"",
            "SELECT U&\"a\"",
            "SELECT 1into t",
            "SELECT 0x1F",
            "SELECT $1into t",
            "SELECT * FROM pg_temp.t",
            "SELECT * FROM \"pg_temp_3\".t",
            "INSERT INTO pg_temp.t VALUES (1)",
            "INSERT INTO t AS f (a) VALUES (1)",
            "INSERT INTO t SELECT * FROM t (1)",
            "SELECT (WITH x AS (DELETE FROM t RETURNING 1) SELECT 1)",
            "SELECT '\u{e4}'",
            "SELECT \0",
            "SELECT '\0'",
            "WITH x AS (SELECT 1) SELECT 1",
            "BEGIN",
            "EXPLAIN SELECT 1",
        ] {
            let found = Plain::of(text.as_bytes(), Lexing::default());
            assert_eq!(found, None, "{text}");
        }
        let short = Lexing {
            len_max: 8,
            ..Lexing::default()
        };
        assert_eq!(Plain::of(b"SELECT 12", short), None);
    }
}
