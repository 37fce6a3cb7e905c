//! Owns what a pattern is: the tokens of a text, with a placeholder for each literal and one for each list of
//! them, and a number that the same tokens always have.
//!
//! For people and dashboards. Never for a decision: whoever writes the SQL can make two statements of one pattern
//! that do different things.

use sql::{Kind, Lexer, Lexing, Span, Token, Unknown};
use std::fmt;
use std::hash::{DefaultHasher, Hasher};

/// The number of a pattern: a hash of its tokens, the same in all workers and after a restart of this build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PatternId(pub u64);

impl fmt::Display for PatternId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

/// What stands for a literal.
const PLACEHOLDER: &str = "?";

/// Statements that differ in nothing but literals, lists of them, comments, blanks and the case of words.
#[derive(Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Its number.
    pub id: PatternId,
    /// Its text, for people: cut at [`Pattern::TEXT_MAX`] bytes. Without any literal; of a text that can't be
    /// read it says so, and shows nothing of it.
    pub text: Box<str>,
}

impl Pattern {
    /// Bytes of a pattern's text.
    pub const TEXT_MAX: usize = 1024;

    /// The pattern of a text.
    pub fn of(text: &[u8], lexing: Lexing) -> Pattern {
        match id(text, lexing) {
            Ok(id) => Pattern {
                id,
                text: stripped(text, lexing),
            },
            Err(unknown) => Pattern::untold(&format!("not read: {unknown}")),
        }
    }

    /// The pattern of a text of which nothing is known but a reason for that.
    pub fn untold(reason: &str) -> Pattern {
        let text: Box<str> = format!("({reason})").into();
        let mut hash = DefaultHasher::new();
        hash.write(text.as_bytes());
        let id = PatternId(hash.finish());
        Pattern { id, text }
    }
}

/// The number of a text's pattern.
pub(crate) fn id(text: &[u8], lexing: Lexing) -> Result<PatternId, Unknown> {
    let mut hash = DefaultHasher::new();
    each(text, lexing, |piece| match piece {
        Piece::Literal => hash.write(PLACEHOLDER.as_bytes()),
        Piece::Word(span) => {
            let mut room = [0; 64];
            for part in span.of(text).chunks(room.len()) {
                let lower = &mut room[..part.len()];
                lower.copy_from_slice(part);
                lower.make_ascii_lowercase();
                hash.write(lower);
            }
            hash.write_u8(0);
        }
        Piece::Other(span) => {
            hash.write(span.of(text));
            hash.write_u8(0);
        }
        Piece::More => hash.write(b"..."),
        Piece::Blank => {}
    })?;
    Ok(PatternId(hash.finish()))
}

/// The text without its literals.
fn stripped(text: &[u8], lexing: Lexing) -> Box<str> {
    let mut out = Vec::new();
    // Beyond the limit nothing more is kept; the rest is only lexed.
    let put = |out: &mut Vec<u8>, bytes: &[u8]| {
        if out.len() <= Pattern::TEXT_MAX {
            out.extend_from_slice(bytes);
        }
    };
    let read = each(text, lexing, |piece| match piece {
        Piece::Literal => put(&mut out, PLACEHOLDER.as_bytes()),
        Piece::Word(span) => put(&mut out, &span.of(text).to_ascii_lowercase()),
        Piece::Other(span) => put(&mut out, span.of(text)),
        Piece::More => put(&mut out, b", ..."),
        Piece::Blank if out.is_empty() => {}
        Piece::Blank => put(&mut out, b" "),
    });
    if read.is_err() || out.is_empty() {
        return "(empty)".into();
    }
    let is_cut = out.len() > Pattern::TEXT_MAX;
    out.truncate(Pattern::TEXT_MAX);
    let mut text = String::from_utf8_lossy(&out).into_owned();
    if is_cut {
        // Half a character at the end is none.
        while text.ends_with(char::REPLACEMENT_CHARACTER) {
            text.pop();
        }
        text.push('…');
    }
    text.into()
}

/// A part of a pattern.
enum Piece {
    /// Blanks or comments were here.
    Blank,
    /// A word, whose case says nothing.
    Word(Span),
    /// Anything else that stands for itself.
    Other(Span),
    /// A literal or a parameter.
    Literal,
    /// The rest of a list of literals, or of rows of them.
    More,
}

/// The parts of a text's pattern, in order. Semicolons at the end are none.
fn each(text: &[u8], lexing: Lexing, mut take: impl FnMut(Piece)) -> Result<(), Unknown> {
    let mut reader = Reader {
        text,
        lexer: Lexer::new(text, lexing)?,
        end: 0,
    };
    let (mut row, mut value, mut before) = (Row::No, Value::Start, None);
    while let Some(token) = reader.lexer.significant()? {
        if token.kind == Kind::Semicolon && reader.is_last()? {
            break;
        }
        if token.span.start > reader.end {
            take(Piece::Blank);
        }
        reader.end = token.span.end;
        if is_sign(text, token)
            && before.is_none_or(|it| leaves_operand_due(text, it))
            && let Some(number) = reader.number_ahead()?
        {
            // It is part of the literal, with what is between them.
            reader.end = number.start;
            continue;
        }
        before = Some(token);
        let stands_for_value = value.next(text, token);
        row = match (token.kind, row) {
            (Kind::Open, _) => Row::Open,
            (kind, Row::Open) if is_literal(kind) => Row::Filled,
            (Kind::Close, Row::Filled) => Row::Closed,
            _ => Row::No,
        };
        match token.kind {
            kind if is_literal(kind) => {
                take(Piece::Literal);
                if reader.skip_list()? {
                    take(Piece::More);
                }
            }
            _ if stands_for_value => take(Piece::Literal),
            Kind::Word => take(Piece::Word(token.span)),
            _ => take(Piece::Other(token.span)),
        }
        if let Row::Closed = row
            && reader.skip_rows()?
        {
            take(Piece::More);
        }
    }
    Ok(())
}

/// How far into a row that is only literals.
#[derive(Clone, Copy)]
enum Row {
    No,
    Open,
    Filled,
    Closed,
}

/// Whether a name is a value in truth: what SET assigns, and what stands behind PASSWORD, where somebody forgot
/// the quotes.
#[derive(Clone, Copy)]
enum Value {
    /// At a statement's first token.
    Start,
    No,
    /// In SET, before `TO` or `=`.
    Assigned,
    /// Behind that, to the end of the statement.
    Rest,
    /// The next one.
    Next,
}

impl Value {
    /// Steps over a token; true if it is a value.
    fn next(&mut self, text: &[u8], token: Token) -> bool {
        let bytes = token.span.of(text);
        let is =
            |word: &str| token.kind == Kind::Word && bytes.eq_ignore_ascii_case(word.as_bytes());
        let is_name = matches!(token.kind, Kind::Word | Kind::Quoted | Kind::UnicodeQuoted);
        let (next, found) = match *self {
            _ if token.kind == Kind::Semicolon => (Value::Start, false),
            Value::Rest => (Value::Rest, is_name && !is("default")),
            Value::Start if is("set") => (Value::Assigned, false),
            Value::Assigned if is("to") || bytes == b"=" => (Value::Rest, false),
            Value::Assigned => (Value::Assigned, false),
            Value::Next => (Value::No, is_name && !is("null")),
            Value::Start | Value::No if is("password") => (Value::Next, false),
            Value::Start | Value::No => (Value::No, false),
        };
        *self = next;
        found
    }
}

fn is_sign(text: &[u8], token: Token) -> bool {
    token.kind == Kind::Operator && matches!(token.span.of(text), b"-" | b"+")
}

/// Whether what stands before a sign has it be a number's and no operator of two values.
fn leaves_operand_due(text: &[u8], before: Token) -> bool {
    const WORDS: [&str; 16] = [
        "select",
        "distinct",
        "where",
        "and",
        "or",
        "not",
        "between",
        "when",
        "then",
        "else",
        "limit",
        "offset",
        "returning",
        "by",
        "having",
        "on",
    ];
    let bytes = before.span.of(text);
    match before.kind {
        Kind::Open | Kind::Comma | Kind::Operator | Kind::Semicolon => true,
        Kind::Punctuation => bytes != b"]",
        Kind::Word => WORDS
            .iter()
            .any(|it| bytes.eq_ignore_ascii_case(it.as_bytes())),
        _ => false,
    }
}

fn is_literal(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::String | Kind::Bits | Kind::Dollar | Kind::Number | Kind::Parameter
    )
}

/// The text from a place on.
#[derive(Clone, Copy)]
struct Reader<'a> {
    text: &'a [u8],
    lexer: Lexer<'a>,
    /// Behind the last token.
    end: usize,
}

impl Reader<'_> {
    /// True if nothing but semicolons follows.
    fn is_last(mut self) -> Result<bool, Unknown> {
        while let Some(token) = self.lexer.significant()? {
            if token.kind != Kind::Semicolon {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The number that comes next, if one does.
    fn number_ahead(mut self) -> Result<Option<Span>, Unknown> {
        let token = self.lexer.significant()?;
        Ok(token.filter(|it| it.kind == Kind::Number).map(|it| it.span))
    }

    /// Steps over the next token if it is of this kind.
    fn eat(&mut self, wanted: impl Fn(Kind) -> bool) -> Result<bool, Unknown> {
        let token = self.lexer.significant()?;
        if let Some(token) = token {
            self.end = token.span.end;
        }
        Ok(token.is_some_and(|it| wanted(it.kind)))
    }

    /// Steps over a literal, perhaps behind a sign.
    fn eat_literal(&mut self) -> Result<bool, Unknown> {
        let mut ahead = *self;
        if let Some(sign) = ahead.lexer.significant()?
            && is_sign(self.text, sign)
        {
            *self = ahead;
        }
        self.eat(is_literal)
    }

    /// Steps over `, ?` as often as it comes; true if it came. A sign belongs to its number.
    fn skip_list(&mut self) -> Result<bool, Unknown> {
        let mut skipped = false;
        loop {
            let mut ahead = *self;
            if !ahead.eat(|it| it == Kind::Comma)? || !ahead.eat_literal()? {
                return Ok(skipped);
            }
            // `1, 2 + x`: the second is no item of a list.
            let mut behind = ahead;
            if !behind.eat(|it| matches!(it, Kind::Comma | Kind::Close))? && !ahead.is_last()? {
                return Ok(skipped);
            }
            *self = ahead;
            skipped = true;
        }
    }

    /// Steps over `, (?, ...)` as often as it comes; true if it came.
    fn skip_rows(&mut self) -> Result<bool, Unknown> {
        let mut skipped = false;
        loop {
            let mut ahead = *self;
            if !ahead.eat(|it| it == Kind::Comma)?
                || !ahead.eat(|it| it == Kind::Open)?
                || !ahead.eat_literal()?
            {
                return Ok(skipped);
            }
            ahead.skip_list()?;
            if !ahead.eat(|it| it == Kind::Close)? {
                return Ok(skipped);
            }
            *self = ahead;
            skipped = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(of: &str) -> String {
        Pattern::of(of.as_bytes(), Lexing::default()).text.into()
    }

    #[test]
    fn literals_lists_comments_and_case_are_left_out() {
        for (of, wanted) in [
            ("SELECT 1", "select ?"),
            ("select  1 ; ", "select ?"),
            ("/* a 'b' */ SELECT -- c\n 1", " select ?"),
            (
                "select * from T where a = 'x' and b=$1",
                "select * from t where a = ? and b=?",
            ),
            (
                "select * from \"T\" where a in (1, 2,3)",
                "select * from \"T\" where a in (?, ...)",
            ),
            (
                "select * from t where a in (1)",
                "select * from t where a in (?)",
            ),
            (
                "insert into t values (1, -2), (3, 4) , (5, 6)",
                "insert into t values (?, ...), ...",
            ),
            (
                "insert into t values (1), (2)",
                "insert into t values (?), ...",
            ),
            (
                "insert into t values (1, now()), (2, now())",
                "insert into t values (?, now()), (?, now())",
            ),
            ("select 1, 2 + x", "select ?, ? + x"),
            ("select -1", "select ?"),
            ("-1", "?"),
            (
                "update t set a = - 1, b = a -1 where c in (-1, +2) limit -1",
                "update t set a = ?, b = a -? where c in (?, ...) limit ?",
            ),
            (
                "select a[-1], b[1] - 1, (c) - 1, f(-1), -x, a::int -1",
                "select a[?], b[?] - ?, (c) - ?, f(?), -x, a::int -?",
            ),
            (
                "insert into t values (-1, -2), (3, 4)",
                "insert into t values (?, ...), ...",
            ),
            ("select $$secret$$, E'a\\'b', X'1f', 1.5e3", "select ?, ..."),
            ("alter role x password 'a'", "alter role x password ?"),
            ("alter role x password hunter2", "alter role x password ?"),
            ("alter role x password null", "alter role x password null"),
            ("set my.key = hunter2", "set my.key = ?"),
            (
                "set my.key to \"hunter2\"; select a",
                "set my.key to ?; select a",
            ),
            ("set role admin", "set role admin"),
            ("begin; select 1", "begin; select ?"),
            ("", "(empty)"),
            (" -- nothing", "(empty)"),
            (
                "select 'open",
                "(not read: ends inside a string, name or comment)",
            ),
        ] {
            assert_eq!(text(of), wanted.trim_start(), "{of}");
        }
    }

    #[test]
    fn what_differs_in_no_token_is_one() {
        let id = |text: &str| id(text.as_bytes(), Lexing::default()).unwrap();
        let one = id("SELECT a FROM t WHERE b IN (1,2)");
        assert_eq!(
            one,
            id("select a /* x */ from T where b in ($1, 'x', 3.0);")
        );
        for other in [
            "select a from t where b in (1)",
            "select a from t where c in (1,2)",
            "select a from t",
            "select af rom t where b in (1,2)",
            "select a, a from t where b in (1,2)",
        ] {
            assert_ne!(one, id(other), "{other}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = format!("select \"{}\"", "ä".repeat(2000));
        let cut = text(&long);
        assert!(
            cut.len() <= Pattern::TEXT_MAX + '…'.len_utf8() && cut.ends_with("ä…"),
            "{cut}"
        );
    }

    proptest! {
        /// Whatever stands around it, a literal with the marker never shows it.
        #[test]
        fn no_literal_is_ever_shown(front in "[a-z ,()=;0-9]{0,20}", back in "[ -~]{0,20}", form in 0..6) {
            const MARKER: &str = "zqmarkerqz";
            let literal = match form {
                0 => format!("'{MARKER}'"),
                1 => format!("$${MARKER}$$"),
                2 => format!("E'\\'{MARKER}'"),
                3 => format!("/* {MARKER} */"),
                4 => format!("password {MARKER} "),
                _ => format!("$a${MARKER}$a$"),
            };
            let text = format!("{front} {literal} {back}");
            let shown = Pattern::of(text.as_bytes(), Lexing::default());
            prop_assert!(!shown.text.contains(MARKER), "{}", shown.text);
        }
    }
}
