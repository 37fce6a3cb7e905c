//! Owns the statements that are no queries, as far as they name relations or hold queries. Definitions are in
//! `define`.

use crate::facts::{Access, Unsure};
use crate::impact::Impact;
use crate::query::Stop;
use crate::reader::Reader;
use crate::token::Kind;
use crate::unknown::Unknown;
use crate::word::w;

/// EXPLAIN, PREPARE and DECLARE within one another.
const NESTING_MAX: u8 = 8;

impl Reader<'_, '_> {
    /// The statement that begins at the present token, to its end.
    pub(crate) fn statement(&mut self, nesting: u8) -> Result<(), Unknown> {
        if nesting > NESTING_MAX {
            self.doubt(Unsure::Size);
            return Ok(());
        }
        let begins_query = self.is(Kind::Open)
            || self.is_any(&["select", "values", "table", "with"])
            || self.is_any(&["insert", "update", "delete", "merge"]);
        if begins_query {
            return self.inner();
        }
        let verb = self.word;
        self.advance()?;
        if verb == w("explain") {
            self.explain(nesting)
        } else if verb == w("prepare") {
            self.prepare(nesting)
        } else if verb == w("declare") {
            self.declare(nesting)
        } else if verb == w("execute") {
            self.does(Impact::SESSION);
            self.doubt(Unsure::Prepared);
            self.skim(Stop::End)
        } else if verb == w("copy") {
            self.copy()
        } else if verb == w("create") {
            self.create()
        } else if verb == w("alter") {
            self.alter()
        } else if verb == w("drop") {
            self.drop()
        } else if verb == w("grant") || verb == w("revoke") {
            self.grant()
        } else if verb == w("comment") || verb == w("security") {
            self.remark()
        } else if self.maintains(verb)? {
            self.skim(Stop::End)
        } else {
            self.plain_verb(verb)
        }
    }

    /// Verbs over a list of relations.
    fn maintains(&mut self, verb: u128) -> Result<bool, Unknown> {
        if verb == w("truncate") || verb == w("lock") {
            self.eat(&["table"])?;
            self.relations(Access::Write)?;
        } else if verb == w("vacuum") || verb == w("analyze") || verb == w("analyse") {
            self.does(Impact::WRITE);
            if self.is(Kind::Open) {
                self.skip_parentheses()?;
            }
            while self.eat(&["full", "freeze", "verbose", "analyze", "analyse"])? {}
            if self.token.is_some() {
                self.relations(Access::Write)?;
            }
        } else if verb == w("cluster") {
            self.cluster()?;
        } else if verb == w("reindex") {
            self.reindex()?;
        } else if verb == w("refresh") {
            self.eat(&["materialized"])?;
            self.eat(&["view"])?;
            self.eat(&["concurrently"])?;
            self.relation(Access::Write)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// `[ONLY] name [*] [(columns)], …`
    pub(crate) fn relations(&mut self, access: Access) -> Result<(), Unknown> {
        loop {
            self.relation(access)?;
            let is_star = self
                .token
                .is_some_and(|token| token.span.of(self.text()) == b"*");
            if is_star {
                self.advance()?;
            }
            if self.is(Kind::Open) {
                self.skip_parentheses()?;
            }
            if !self.is(Kind::Comma) {
                return Ok(());
            }
            self.advance()?;
        }
    }

    /// `CLUSTER [VERBOSE] [(options)] [name [USING index] | index ON name]`
    fn cluster(&mut self) -> Result<(), Unknown> {
        self.does(Impact::WRITE);
        if self.is(Kind::Open) {
            self.skip_parentheses()?;
        }
        self.eat(&["verbose"])?;
        if self.token.is_some() {
            let (_, next) = self.peek();
            if next == w("on") {
                self.advance()?;
                self.advance()?;
            }
            self.relation(Access::Write)?;
        }
        Ok(())
    }

    fn reindex(&mut self) -> Result<(), Unknown> {
        self.does(Impact::WRITE);
        if self.is(Kind::Open) {
            self.skip_parentheses()?;
        }
        let names_relation = self.is_any(&["table", "index"]);
        self.advance()?;
        self.eat(&["concurrently"])?;
        if names_relation {
            self.relation(Access::Write)?;
        }
        Ok(())
    }

    fn plain_verb(&mut self, verb: u128) -> Result<(), Unknown> {
        const SESSION: [u128; 12] = [
            w("reset"),
            w("discard"),
            w("listen"),
            w("unlisten"),
            w("notify"),
            w("deallocate"),
            w("close"),
            w("fetch"),
            w("move"),
            w("show"),
            w("load"),
            w("set"),
        ];
        const TRANSACTION: [u128; 8] = [
            w("begin"),
            w("start"),
            w("commit"),
            w("end"),
            w("rollback"),
            w("abort"),
            w("savepoint"),
            w("release"),
        ];
        let impact = if TRANSACTION.contains(&verb) {
            Impact::TRANSACTION
        } else if verb == w("fetch") || verb == w("move") || verb == w("show") {
            Impact::READ
                | if verb == w("show") {
                    Impact::NONE
                } else {
                    Impact::SESSION
                }
        } else if verb == w("load") {
            Impact::SESSION | Impact::OUTSIDE
        } else if SESSION.contains(&verb) {
            let impact = self.setting(verb);
            self.does(impact);
            return self.skip_rest();
        } else if verb == w("do") {
            self.doubt(Unsure::Code);
            Impact::CALLS
        } else if verb == w("call") {
            Impact::CALLS
        } else if verb == w("checkpoint") {
            Impact::WRITE
        } else if verb == w("reassign") {
            Impact::DDL | Impact::PRIVILEGE
        } else if verb == w("import") {
            self.doubt(Unsure::Grammar);
            Impact::DDL
        } else {
            self.doubt(Unsure::Grammar);
            Impact::NONE
        };
        self.does(impact);
        self.skim(Stop::End)
    }

    /// What SET does; whether it is the role that it sets is among the session's effects.
    fn setting(&self, verb: u128) -> Impact {
        if verb == w("set") && self.is_any(&["transaction", "constraints"]) {
            return Impact::TRANSACTION;
        }
        Impact::SESSION
    }

    /// To the end, where nothing of interest can be.
    pub(crate) fn skip_rest(&mut self) -> Result<(), Unknown> {
        while self.token.is_some() {
            self.advance()?;
        }
        Ok(())
    }

    /// Steps to this word outside of parentheses, or to the end.
    pub(crate) fn skip_to(&mut self, word: &'static str) -> Result<bool, Unknown> {
        while self.token.is_some() {
            if self.word == w(word) {
                return Ok(true);
            }
            if self.is(Kind::Open) {
                self.skip_parentheses()?;
            } else {
                self.advance()?;
            }
        }
        Ok(false)
    }

    fn explain(&mut self, nesting: u8) -> Result<(), Unknown> {
        let mut executes = false;
        let (kind, word) = self.peek();
        let is_query = kind == Some(Kind::Open)
            || [w("select"), w("values"), w("table"), w("with")].contains(&word);
        if self.is(Kind::Open) && !is_query {
            executes = self.explain_options()?;
        } else {
            while self.is_any(&["analyze", "analyse", "verbose"]) {
                executes |= self.word != w("verbose");
                self.advance()?;
            }
        }
        self.does(Impact::READ);
        self.statement(nesting + 1)?;
        self.here.only_explained = !executes;
        Ok(())
    }

    /// Whether ANALYZE is among the options and not turned off; the last one counts.
    fn explain_options(&mut self) -> Result<bool, Unknown> {
        let mut executes = false;
        self.advance()?;
        while self.token.is_some() && !self.is(Kind::Close) {
            if self.is_any(&["analyze", "analyse"]) || !self.is(Kind::Word) && self.is_name() {
                // A quoted name may be ANALYZE as well.
                self.advance()?;
                let value = self.token.map(|token| token.span.of(self.text()));
                executes = !value.is_some_and(is_off);
            } else {
                self.advance()?;
            }
        }
        self.advance()?;
        Ok(executes)
    }

    fn prepare(&mut self, nesting: u8) -> Result<(), Unknown> {
        let (next, word) = self.peek();
        if self.word == w("transaction") && next != Some(Kind::Open) && word != w("as") {
            self.does(Impact::TRANSACTION);
            return self.skip_rest();
        }
        self.does(Impact::SESSION);
        self.advance()?;
        if self.is(Kind::Open) {
            self.skip_parentheses()?;
        }
        if !self.eat(&["as"])? {
            self.doubt(Unsure::Grammar);
            return Ok(());
        }
        self.statement(nesting + 1)
    }

    fn declare(&mut self, nesting: u8) -> Result<(), Unknown> {
        self.does(Impact::SESSION);
        self.advance()?;
        if !self.skip_to("for")? {
            self.doubt(Unsure::Grammar);
            return Ok(());
        }
        self.advance()?;
        self.statement(nesting + 1)
    }

    fn copy(&mut self) -> Result<(), Unknown> {
        if self.word == w("binary") {
            let (kind, word) = self.peek();
            let is_table = matches!(kind, Some(Kind::Dot | Kind::Open))
                || word == w("from")
                || word == w("to");
            if !is_table {
                self.advance()?;
            }
        }
        if self.is(Kind::Open) {
            self.advance()?;
            self.inner()?;
            if !self.is(Kind::Close) {
                self.doubt(Unsure::Grammar);
            }
            self.advance()?;
            self.does(Impact::READ);
        } else {
            let Some(mut found) = self.dotted()? else {
                return Ok(());
            };
            if self.is(Kind::Open) {
                self.skip_parentheses()?;
            }
            let fills = self.word == w("from");
            found.access = if fills { Access::Write } else { Access::Read };
            self.note(found);
        }
        if !self.eat(&["from", "to"])? {
            self.doubt(Unsure::Grammar);
        }
        if !self.is_any(&["stdin", "stdout"]) {
            self.does(Impact::OUTSIDE);
        }
        self.skim(Stop::End)
    }

    /// GRANT and REVOKE. Of rights or of roles.
    fn grant(&mut self) -> Result<(), Unknown> {
        const KINDS: [&[&str]; 4] = [
            &["database", "domain", "function", "routine", "procedure"],
            &["language", "large", "parameter", "schema", "tablespace"],
            &["type", "foreign", "all"],
            &["sequence", "table"],
        ];
        self.does(Impact::PRIVILEGE);
        if !self.skip_to("on")? {
            return Ok(());
        }
        self.advance()?;
        let (next, word) = self.peek();
        let is_kind = next.is_some_and(Kind::is_name) && word != w("to") && word != w("from");
        if is_kind && KINDS[..3].iter().any(|words| self.is_any(words)) || self.word == w("all") {
            return self.skip_rest();
        }
        if is_kind {
            self.eat(KINDS[3])?;
        }
        self.relations(Access::Ddl)?;
        self.skip_rest()
    }

    /// COMMENT ON and SECURITY LABEL … ON.
    fn remark(&mut self) -> Result<(), Unknown> {
        self.does(Impact::DDL);
        if !self.skip_to("on")? {
            self.doubt(Unsure::Grammar);
            return Ok(());
        }
        self.advance()?;
        self.eat(&["materialized", "foreign"])?;
        if self.eat(&["table", "view", "index", "sequence"])? {
            self.relation(Access::Ddl)?;
        } else if self.eat(&["column"])? {
            if let Some(found) = self.column()? {
                self.note(found);
            }
        } else if self.is_any(&["trigger", "rule", "policy", "constraint"]) {
            self.advance()?;
            if self.skip_to("on")? {
                self.advance()?;
                if self.word == w("domain") && self.peek().0.is_some_and(Kind::is_name) {
                    return self.skip_rest();
                }
                self.relation(Access::Ddl)?;
            }
        }
        self.skip_rest()
    }
}

fn is_off(value: &[u8]) -> bool {
    let value = value.strip_prefix(b"'").unwrap_or(value);
    let value = value.strip_suffix(b"'").unwrap_or(value);
    [&b"off"[..], b"false", b"0"]
        .iter()
        .any(|off| value.eq_ignore_ascii_case(off))
}
