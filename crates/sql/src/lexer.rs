//! Owns the cutting of a text into tokens, by the rules of PostgreSQL's `scan.l` (15 to 18).
//!
//! Tokens tile the text: each begins where the last one ended. Where versions differ (numbers with a
//! base or `_`, `\v` as a blank) the newer rule holds: the older server refuses such a text whole.

use crate::encoding::{Encoding, Lexing};
use crate::token::{Kind, Span, Token};
use crate::unknown::Unknown;
use crate::{number, operator};

/// Cuts a text into tokens. `Copy`, so that looking ahead is reading from a copy.
#[derive(Clone, Copy, Debug)]
pub struct Lexer<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) at: usize,
    pub(crate) encoding: Encoding,
    pub(crate) escapes: bool,
}

impl<'a> Lexer<'a> {
    /// Begins at the start of a text, after judging what concerns it as a whole.
    pub fn new(text: &'a [u8], lexing: Lexing) -> Result<Self, Unknown> {
        if text.len() > lexing.len_max {
            return Err(Unknown::TooLong);
        }
        if lexing.encoding == Encoding::Utf8 && std::str::from_utf8(text).is_err() {
            return Err(Unknown::Encoding);
        }
        Ok(Self {
            text,
            at: 0,
            encoding: lexing.encoding,
            escapes: !lexing.standard_conforming_strings,
        })
    }

    /// Goes on at a place of a text that was lexed to its end before, where a token begins.
    pub(crate) fn within(text: &'a [u8], lexing: Lexing, at: usize) -> Self {
        Self {
            text,
            at,
            encoding: lexing.encoding,
            escapes: !lexing.standard_conforming_strings,
        }
    }

    /// The next token, blanks included; `None` at the end.
    pub fn token(&mut self) -> Result<Option<Token>, Unknown> {
        let start = self.at;
        let kind = self.kind()?;
        Ok(kind.map(|kind| self.since(start, kind)))
    }

    fn since(&self, start: usize, kind: Kind) -> Token {
        let end = self.at;
        Token {
            kind,
            span: Span { start, end },
        }
    }

    /// Steps over the next token; its kind alone fits into a register.
    fn kind(&mut self) -> Result<Option<Kind>, Unknown> {
        let Some(&first) = self.text.get(self.at) else {
            return Ok(None);
        };
        let kind = match first {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => {
                self.skip(is_space);
                Kind::Space
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => self.word(first)?,
            b'0'..=b'9' => number::lex(self)?,
            b'\'' => {
                let escapes = self.escapes;
                self.string(1, escapes)?;
                Kind::String
            }
            b'"' => self.quoted(1, Kind::Quoted)?,
            b'$' => self.dollar()?,
            b'.' => match self.peek(1) {
                b'0'..=b'9' => number::lex(self)?,
                b'.' => self.take(2, Kind::Punctuation),
                _ => self.take(1, Kind::Dot),
            },
            b':' => match self.peek(1) {
                b':' => self.take(2, Kind::Typecast),
                b'=' => self.take(2, Kind::Punctuation),
                _ => self.take(1, Kind::Punctuation),
            },
            b'(' => self.take(1, Kind::Open),
            b')' => self.take(1, Kind::Close),
            b',' => self.take(1, Kind::Comma),
            b';' => self.take(1, Kind::Semicolon),
            b'[' | b']' => self.take(1, Kind::Punctuation),
            b'-' if self.peek(1) == b'-' => self.line_comment()?,
            b'/' if self.peek(1) == b'*' => self.block_comment()?,
            _ if operator::is_part(first) => operator::lex(self)?,
            0 => return Err(Unknown::Encoding),
            _ => return Err(Unknown::Byte),
        };
        Ok(Some(kind))
    }

    /// The next token that the server's parser would see.
    pub fn significant(&mut self) -> Result<Option<Token>, Unknown> {
        loop {
            self.skip(is_space);
            let start = self.at;
            match self.kind()? {
                Some(kind) if kind.is_blank() => {}
                kind => return Ok(kind.map(|kind| self.since(start, kind))),
            }
        }
    }

    /// The byte so many behind the present one; 0 past the end.
    pub(crate) fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    pub(crate) fn take(&mut self, len: usize, kind: Kind) -> Kind {
        self.at += len;
        kind
    }

    pub(crate) fn skip(&mut self, wanted: fn(u8) -> bool) {
        while self.text.get(self.at).is_some_and(|&byte| wanted(byte)) {
            self.at += 1;
        }
    }

    /// Steps over one character, whatever its bytes; NUL and a cut-off character are refused.
    pub(crate) fn step(&mut self) -> Result<(), Unknown> {
        let width = match self.peek(0) {
            0 => return Err(Unknown::Encoding),
            1..=0x7f => 1,
            first => self.encoding.width(first, self.peek(1)),
        };
        self.at += width;
        if self.at > self.text.len()
            || width > 1 && self.text[self.at - width..self.at].contains(&0)
        {
            return Err(Unknown::Encoding);
        }
        Ok(())
    }

    /// Steps over bytes of these classes, one look at a table each.
    pub(crate) fn run(&mut self, classes: u8) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest
            .iter()
            .position(|&byte| CLASS[usize::from(byte)] & classes == 0);
        self.at += end.unwrap_or(rest.len());
    }

    /// The rest of an identifier.
    pub(crate) fn identifier(&mut self) -> Result<(), Unknown> {
        loop {
            self.run(NAME);
            if self.peek(0) < 0x80 {
                return Ok(());
            }
            self.step()?;
        }
    }

    fn word(&mut self, first: u8) -> Result<Kind, Unknown> {
        match (first | 0x20, self.peek(1), self.peek(2)) {
            (b'e', b'\'', _) => {
                self.string(2, true)?;
                return Ok(Kind::String);
            }
            (b'n', b'\'', _) => {
                let escapes = self.escapes;
                self.string(2, escapes)?;
                return Ok(Kind::String);
            }
            (b'b' | b'x', b'\'', _) => {
                self.bits()?;
                return Ok(Kind::Bits);
            }
            (b'u', b'&', b'\'') if self.escapes => return Err(Unknown::UnicodeString),
            (b'u', b'&', b'\'') => {
                self.string(3, false)?;
                return Ok(Kind::String);
            }
            (b'u', b'&', b'"') => return self.quoted(3, Kind::UnicodeQuoted),
            _ => {}
        }
        self.identifier()?;
        Ok(Kind::Word)
    }

    fn line_comment(&mut self) -> Result<Kind, Unknown> {
        loop {
            self.run(REMARK);
            if self.at == self.text.len() || matches!(self.peek(0), b'\n' | b'\r') {
                return Ok(Kind::Comment);
            }
            self.step()?;
        }
    }

    fn block_comment(&mut self) -> Result<Kind, Unknown> {
        let mut depth = 0usize;
        loop {
            self.run(REMARK);
            if self.at == self.text.len() {
                return Err(Unknown::Unterminated);
            }
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(Kind::Comment);
                    }
                }
                _ => self.step()?,
            }
        }
    }
}

/// Letters, digits, `_` and `$`.
pub(crate) const NAME: u8 = 1;
/// What a quoted thing holds as itself: no quote, backslash, `$`, NUL, nor a byte from 0x80 on.
pub(crate) const INSIDE: u8 = 2;
/// What a comment holds as itself: as above, without `*`, `/` and line ends, but with quotes.
pub(crate) const REMARK: u8 = 4;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 1u8;
    while byte < 0x80 {
        let mut class = 0;
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' {
            class |= NAME;
        }
        if !matches!(byte, b'\'' | b'"' | b'\\' | b'$') {
            class |= INSIDE;
        }
        if !matches!(byte, b'*' | b'/' | b'\n' | b'\r') {
            class |= REMARK;
        }
        table[byte as usize] = class;
        byte += 1;
    }
    table
}

pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}
