//! Owns strings and quoted identifiers: where they end.

use crate::lexer::{INSIDE, Lexer, is_space};
use crate::token::Kind;
use crate::unknown::Unknown;

impl Lexer<'_> {
    /// `'…'` whose opening, prefix and quote, takes `opening` bytes.
    pub(crate) fn string(&mut self, opening: usize, escapes: bool) -> Result<(), Unknown> {
        self.at += opening;
        loop {
            self.enclosed(b'\'', escapes, true)?;
            if !self.continues() {
                return Ok(());
            }
        }
    }

    /// `B'…'` and `X'…'`: a doubled quote is no quote here.
    pub(crate) fn bits(&mut self) -> Result<(), Unknown> {
        self.at += 2;
        loop {
            self.enclosed(b'\'', false, false)?;
            if !self.continues() {
                return Ok(());
            }
        }
    }

    /// `"…"`.
    pub(crate) fn quoted(&mut self, opening: usize, kind: Kind) -> Result<Kind, Unknown> {
        self.at += opening;
        let start = self.at;
        self.enclosed(b'"', false, true)?;
        if self.at == start + 1 {
            return Err(Unknown::Name);
        }
        Ok(kind)
    }

    /// To behind the closing quote.
    fn enclosed(&mut self, quote: u8, escapes: bool, doubles: bool) -> Result<(), Unknown> {
        loop {
            self.run(INSIDE);
            if self.at == self.text.len() {
                return Err(Unknown::Unterminated);
            }
            let byte = self.peek(0);
            if byte == quote {
                if !(doubles && self.peek(1) == quote) {
                    self.at += 1;
                    return Ok(());
                }
                self.at += 2;
            } else if byte == b'\\' && escapes {
                self.at += 1;
                if self.at == self.text.len() {
                    return Err(Unknown::Unterminated);
                }
                self.step()?;
            } else {
                self.step()?;
            }
        }
    }

    /// Whether the string goes on behind a line end (SQL's continuation): only blanks and `--` comments
    /// between, and a line end among them. Then the opening quote is behind us.
    fn continues(&mut self) -> bool {
        let mut ahead = *self;
        let mut newline = false;
        loop {
            let byte = ahead.peek(0);
            if is_space(byte) {
                newline |= matches!(byte, b'\n' | b'\r');
                ahead.at += 1;
            } else if byte == b'-' && ahead.peek(1) == b'-' {
                while ahead.at < ahead.text.len() && !matches!(ahead.peek(0), b'\n' | b'\r') {
                    if ahead.step().is_err() {
                        return false;
                    }
                }
            } else if byte == b'\'' && newline {
                self.at = ahead.at + 1;
                return true;
            } else {
                return false;
            }
        }
    }

    /// `$1` or `$tag$…$tag$`.
    pub(crate) fn dollar(&mut self) -> Result<Kind, Unknown> {
        let start = self.at;
        self.at += 1;
        if self.peek(0).is_ascii_digit() {
            self.skip(|byte| byte.is_ascii_digit());
            return match self.peek(0) {
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => Err(Unknown::Number),
                _ => Ok(Kind::Parameter),
            };
        }
        while self.at < self.text.len() {
            match self.peek(0) {
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'0'..=b'9' => self.at += 1,
                0x80.. => self.step()?,
                _ => break,
            }
        }
        if self.peek(0) != b'$' {
            return Err(Unknown::Byte);
        }
        self.at += 1;
        let tag = &self.text[start..self.at];
        loop {
            self.run(INSIDE);
            if self.at == self.text.len() {
                return Err(Unknown::Unterminated);
            }
            if self.peek(0) == b'$' && self.text[self.at..].starts_with(tag) {
                self.at += tag.len();
                return Ok(Kind::Dollar);
            }
            self.step()?;
        }
    }
}
