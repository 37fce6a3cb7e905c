//! Owns FROM lists: their items, and the words behind an item that end it or go on.

use crate::facts::{Access, Unsure};
use crate::frame::Mode;
use crate::impact::Impact;
use crate::reader::Reader;
use crate::token::Kind;
use crate::unknown::Unknown;
use crate::word::{Packed, w};

/// Behind these an operand is due: a JOIN with a parenthesis is a function there.
const OPERAND_FOLLOWS: [Packed; 32] = [
    w("and"),
    w("or"),
    w("not"),
    w("on"),
    w("like"),
    w("ilike"),
    w("to"),
    w("between"),
    w("symmetric"),
    w("asymmetric"),
    w("in"),
    w("case"),
    w("when"),
    w("then"),
    w("else"),
    w("from"),
    w("escape"),
    w("zone"),
    w("collate"),
    w("select"),
    w("distinct"),
    w("all"),
    w("any"),
    w("some"),
    w("where"),
    w("having"),
    w("by"),
    w("limit"),
    w("offset"),
    w("using"),
    w("returning"),
    w("set"),
];

impl Reader<'_, '_> {
    /// A key word within a FROM list, behind an item.
    pub(crate) fn list_word(&mut self) {
        let word = self.word;
        let frame = *self.frame();
        let mode = if word == w("join") {
            let is_function = frame.mode == Mode::On
                && (OPERAND_FOLLOWS.contains(&self.last_word)
                    || self.last.is_some_and(|last| last.kind == Kind::Operator))
                && self.peek().0 == Some(Kind::Open);
            if is_function { Mode::On } else { Mode::From }
        } else if word == w("on") {
            Mode::On
        } else if word == w("when") && frame.cases == 0
            || self.is_any(&["group", "having", "window", "order", "limit", "offset"])
            || self.is_any(&["fetch", "for", "returning", "do"])
        {
            if frame.is_insert && self.is_any(&["returning", "do"]) {
                self.leave_insert();
            }
            Mode::Expression
        } else {
            frame.mode
        };
        self.frame().mode = mode;
    }

    /// Behind an INSERT's query its common table expressions are gone.
    pub(crate) fn leave_insert(&mut self) {
        let frame = *self.frame();
        self.out.scratch.ctes.truncate(frame.insert_ctes);
        self.frame().mode = Mode::Expression;
    }

    /// SELECT … INTO.
    pub(crate) fn into(&mut self) -> Result<(), Unknown> {
        self.advance()?;
        self.does(Impact::WRITE | Impact::DDL);
        while self.is_any(&["local", "global", "temporary", "temp", "unlogged", "table"]) {
            let (kind, word) = self.peek();
            let is_name = matches!(
                kind,
                None | Some(Kind::Dot | Kind::Comma | Kind::Close | Kind::Semicolon)
            ) || word == w("from");
            if is_name && self.word != w("table") {
                break;
            }
            self.advance()?;
        }
        self.relation(Access::Ddl)
    }

    /// One item of a FROM list.
    pub(crate) fn item(&mut self) -> Result<(), Unknown> {
        if self.is_any(&["only", "lateral"]) {
            return self.advance();
        }
        if self.is_any(&["select", "table", "with"])
            || self.word == w("values") && self.peek().0 == Some(Kind::Open)
        {
            self.frame().mode = Mode::Start;
            return self.name();
        }
        if self.word == w("rows") && self.peek().1 == w("from") {
            self.advance()?;
            self.frame().mode = Mode::Item;
            return self.advance();
        }
        if self.is_function_without_parentheses() {
            self.frame().mode = Mode::Item;
            return self.advance();
        }
        self.read_relation()?;
        self.frame().mode = Mode::Item;
        Ok(())
    }

    /// CURRENT_DATE and its like, and COLLATION FOR (…).
    pub(crate) fn is_function_without_parentheses(&mut self) -> bool {
        const VALUES: [&[u8]; 12] = [
            b"current_date",
            b"current_time",
            b"current_timestamp",
            b"localtime",
            b"localtimestamp",
            b"current_role",
            b"current_user",
            b"session_user",
            b"user",
            b"current_catalog",
            b"current_schema",
            b"system_user",
        ];
        let Some(token) = self.token.filter(|token| token.kind == Kind::Word) else {
            return false;
        };
        let word = token.span.of(self.text());
        let next = self.peek();
        if word.eq_ignore_ascii_case(b"collation") && next.1 == w("for") {
            // Its FOR is none of a query.
            self.doubt(Unsure::Grammar);
        }
        let is_value = VALUES.iter().any(|value| word.eq_ignore_ascii_case(value));
        if is_value && word.eq_ignore_ascii_case(b"system_user") {
            // A table's name until 15.
            self.doubt(Unsure::Grammar);
        }
        is_value && !matches!(next.0, Some(Kind::Dot | Kind::Open))
    }

    /// A name in a FROM list: a function if a parenthesis follows, a common table expression in scope, or a
    /// relation.
    pub(crate) fn read_relation(&mut self) -> Result<(), Unknown> {
        self.eat(&["only"])?;
        let encloses = self.is(Kind::Open);
        if encloses {
            self.advance()?;
        }
        let Some(found) = self.dotted()? else {
            return Ok(());
        };
        if encloses {
            self.advance()?;
        } else if self.is(Kind::Open) {
            return Ok(());
        }
        if !self.is_cte(&found) {
            self.note(found);
        }
        Ok(())
    }
}
