//! Owns looking ahead: a copy of the lexer with the present token at hand.

use crate::lexer::Lexer;
use crate::token::{Kind, Token};
use crate::unknown::Unknown;
use crate::word::{Packed, pack, w};

/// The present token and what follows.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    lexer: Lexer<'a>,
    /// `None` at the end of the statement.
    pub(crate) token: Option<Token>,
    /// The token as a word; 0 if it is none.
    pub(crate) word: Packed,
}

impl<'a> Look<'a> {
    /// At the first token behind the lexer's place.
    pub(crate) fn new(lexer: Lexer<'a>) -> Result<Self, Unknown> {
        let mut look = Self {
            lexer,
            token: None,
            word: 0,
        };
        look.advance()?;
        Ok(look)
    }

    pub(crate) fn text(&self) -> &'a [u8] {
        self.lexer.text
    }

    pub(crate) fn advance(&mut self) -> Result<(), Unknown> {
        self.token = self.lexer.significant()?;
        self.token = self.token.filter(|token| token.kind != Kind::Semicolon);
        self.word = match self.token {
            Some(token) => pack(self.lexer.text, token),
            None => {
                // The end of a statement stays the end.
                self.lexer.at = self.lexer.text.len();
                0
            }
        };
        Ok(())
    }

    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.token.is_some_and(|token| token.kind == kind)
    }

    /// Steps over the word if it is there.
    pub(crate) fn eat(&mut self, word: &str) -> Result<bool, Unknown> {
        let found = self.word == w(word);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// Steps over one of the words if it is there.
    pub(crate) fn eat_any(&mut self, words: &[&str]) -> Result<bool, Unknown> {
        for word in words {
            if self.eat(word)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// From an opening parenthesis to behind its closing one. Says whether, inside, a verb that changes
    /// data begins a statement.
    pub(crate) fn skip_parentheses(&mut self) -> Result<bool, Unknown> {
        let mut depth = 0usize;
        let mut writes = false;
        let mut may_begin = false;
        while let Some(token) = self.token {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth -= 1,
                _ => writes |= may_begin && changes_data(self.word),
            }
            may_begin = matches!(token.kind, Kind::Open | Kind::Close);
            self.advance()?;
            if depth == 0 {
                return Ok(writes);
            }
        }
        Err(Unknown::Unbalanced)
    }
}

fn changes_data(word: Packed) -> bool {
    [w("insert"), w("update"), w("delete"), w("merge")].contains(&word)
}
