//! Owns common table expressions: their heads, their scope, and what may name them.

use crate::facts::{Access, Relation, Unsure};
use crate::frame::{Frame, Mode};
use crate::reader::Reader;
use crate::token::{Kind, Span};
use crate::unknown::Unknown;
use crate::word::{Packed, w};

impl Reader<'_, '_> {
    pub(crate) fn is_cte(&self, found: &Relation) -> bool {
        let known = &self.out.scratch.ctes;
        found.schema.is_none() && known.iter().any(|&cte| self.are_same(cte, found.name))
    }

    /// WITH: its first common table expression.
    pub(crate) fn with(&mut self) -> Result<(), Unknown> {
        self.advance()?;
        let relations = self.out.relations.len();
        if self.word == w("recursive") {
            let (kind, word) = self.peek();
            if kind != Some(Kind::Open) && word != w("as") {
                self.frame().is_recursive = true;
                self.frame().relations = relations;
                self.advance()?;
            }
        }
        self.cte()
    }

    /// `name [(columns)] AS [NOT] [MATERIALIZED] (`, the parenthesis included.
    pub(crate) fn cte(&mut self) -> Result<(), Unknown> {
        let Some(found) = self.dotted()?.filter(|found| found.schema.is_none()) else {
            self.doubt(Unsure::Grammar);
            return Ok(());
        };
        if self.is(Kind::Open) {
            self.skip_parentheses()?;
        }
        let has_as = self.eat(&["as"])?;
        self.eat(&["not"])?;
        self.eat(&["materialized"])?;
        if !has_as || !self.is(Kind::Open) {
            self.doubt(Unsure::Grammar);
            return Ok(());
        }
        let is_recursive = self.frame().is_recursive;
        self.frame().mode = Mode::Cte;
        if is_recursive {
            self.out.scratch.ctes.push(found.name);
        }
        self.push(Frame {
            is_statement: true,
            cte: Some(found.name).filter(|_| !is_recursive),
            ..Frame::default()
        });
        self.advance()
    }

    /// Behind the last common table expression: with RECURSIVE, earlier ones could name later ones.
    pub(crate) fn end_of_list(&mut self) {
        let frame = *self.frame();
        if frame.mode != Mode::Cte || !frame.is_recursive {
            return;
        }
        self.frame().is_recursive = false;
        let mut kept = frame.relations;
        for at in frame.relations..self.out.relations.len() {
            let found = self.out.relations[at];
            let own = &self.out.scratch.ctes[frame.ctes..];
            let is_forward = found.access == Access::Read
                && found.schema.is_none()
                && own.iter().any(|&cte: &Span| self.are_same(cte, found.name));
            if !is_forward {
                self.out.relations[kept] = found;
                kept += 1;
            }
        }
        self.out.relations.truncate(kept);
    }

    /// Behind a search or cycle clause's last word, and the name after it.
    pub(crate) fn behind(&mut self, word: Packed) -> Result<(), Unknown> {
        while self.token.is_some() && self.word != word {
            self.advance()?;
        }
        self.advance()?;
        self.advance()
    }
}
