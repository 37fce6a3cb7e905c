//! Owns CREATE, ALTER and DROP, as far as they name relations or hold queries.

use crate::facts::{Access, Unsure};
use crate::frame::{Frame, Mode};
use crate::impact::Impact;
use crate::query::Stop;
use crate::reader::Reader;
use crate::token::Kind;
use crate::unknown::Unknown;
use crate::word::w;

impl Reader<'_, '_> {
    pub(crate) fn create(&mut self) -> Result<(), Unknown> {
        self.does(Impact::DDL);
        self.defines = true;
        if self.eat(&["or"])? {
            self.advance()?;
        }
        while self.eat(&["global", "local", "temp", "temporary", "unlogged"])? {}
        let is_recursive = self.eat(&["recursive"])?;
        while self.eat(&["unique", "trusted", "procedural", "default"])? {}
        let is_constraint = self.eat(&["constraint"])?;
        if self.eat(&["materialized"])? {
            self.does(Impact::WRITE);
        }
        if self.eat(&["foreign"])? && self.word != w("table") {
            return self.server();
        }
        let kind = self.word;
        self.advance()?;
        if kind == w("table") {
            self.create_table()
        } else if kind == w("view") {
            self.if_exists()?;
            self.relation(Access::Ddl)?;
            if let Some(view) = self.out.relations.last().filter(|_| is_recursive) {
                // Within its query it is a common table expression.
                self.out.scratch.ctes.push(view.name);
            }
            if !self.skip_to("as")? {
                self.doubt(Unsure::Grammar);
                return Ok(());
            }
            self.advance()?;
            self.inner()
        } else if kind == w("index") {
            self.on_relation()?;
            self.skim(Stop::End)
        } else if kind == w("sequence") {
            self.if_exists()?;
            self.relation(Access::Ddl)?;
            self.skim(Stop::End)
        } else if kind == w("trigger") || is_constraint {
            self.on_relation()?;
            if self.eat(&["from"])? {
                self.relation(Access::Read)?;
            }
            self.skim(Stop::End)
        } else if kind == w("rule") {
            self.rule()
        } else if kind == w("policy") {
            self.does(Impact::PRIVILEGE);
            self.on_relation()?;
            self.skim(Stop::End)
        } else if kind == w("statistics") {
            if self.skip_to("from")? {
                self.advance()?;
                self.run(
                    Frame {
                        mode: Mode::From,
                        ..Frame::default()
                    },
                    Stop::End,
                )?;
            }
            Ok(())
        } else if kind == w("schema") {
            self.schema()
        } else {
            self.other(kind)
        }
    }

    /// IF EXISTS and IF NOT EXISTS.
    fn if_exists(&mut self) -> Result<(), Unknown> {
        if self.word == w("if") && [w("not"), w("exists")].contains(&self.peek().1) {
            self.advance()?;
            self.eat(&["not"])?;
            self.advance()?;
        }
        Ok(())
    }

    /// Up to the relation behind ON.
    fn on_relation(&mut self) -> Result<(), Unknown> {
        if !self.skip_to("on")? {
            self.doubt(Unsure::Grammar);
            return Ok(());
        }
        self.advance()?;
        self.relation(Access::Ddl)
    }

    fn create_table(&mut self) -> Result<(), Unknown> {
        self.if_exists()?;
        self.relation(Access::Ddl)?;
        if self.word == w("partition") && self.peek().1 == w("of") {
            self.advance()?;
            self.advance()?;
            self.relation(Access::Ddl)?;
        }
        if self.is(Kind::Open) {
            self.advance()?;
            self.skim(Stop::End)?;
            self.advance()?;
        }
        if self.eat(&["inherits"])? && self.is(Kind::Open) {
            self.advance()?;
            self.relations(Access::Read)?;
            self.advance()?;
        }
        self.skim(Stop::Word(w("as")))?;
        if self.eat(&["as"])? {
            self.does(Impact::WRITE);
            self.defines = false;
            if self.is_any(&["execute"]) {
                self.doubt(Unsure::Prepared);
                return self.skim(Stop::End);
            }
            return self.inner();
        }
        Ok(())
    }

    fn rule(&mut self) -> Result<(), Unknown> {
        if !self.skip_to("to")? {
            self.doubt(Unsure::Grammar);
            return Ok(());
        }
        self.advance()?;
        self.relation(Access::Ddl)?;
        self.skim(Stop::Word(w("do")))?;
        self.advance()?;
        self.eat(&["also", "instead"])?;
        self.defines = false;
        if self.eat(&["nothing"])? {
            return Ok(());
        }
        if self.word == w("notify") {
            return self.skim(Stop::End);
        }
        self.inner()
    }

    fn schema(&mut self) -> Result<(), Unknown> {
        while self.token.is_some() {
            if self.is_any(&["create", "grant"]) {
                self.doubt(Unsure::Grammar);
            }
            self.advance()?;
        }
        Ok(())
    }

    /// Servers, wrappers and mappings, whose options hold passwords.
    fn server(&mut self) -> Result<(), Unknown> {
        self.does(Impact::PRIVILEGE);
        self.here.has_secret = true;
        self.skim(Stop::End)
    }

    /// What is no relation.
    fn other(&mut self, kind: u128) -> Result<(), Unknown> {
        const OBJECTS: [u128; 19] = [
            w("function"),
            w("procedure"),
            w("routine"),
            w("aggregate"),
            w("type"),
            w("domain"),
            w("cast"),
            w("operator"),
            w("collation"),
            w("conversion"),
            w("database"),
            w("tablespace"),
            w("transform"),
            w("text"),
            w("access"),
            w("large"),
            w("statistics"),
            w("schema"),
            w("event"),
        ];
        if [w("role"), w("user"), w("group")].contains(&kind) {
            return self.server();
        }
        if kind == w("server") || kind == w("subscription") {
            return self.server();
        }
        if kind == w("extension") || kind == w("language") {
            self.doubt(Unsure::Code);
        } else if !OBJECTS.contains(&kind) {
            // Publications among them, which may list tables.
            self.doubt(Unsure::Grammar);
        }
        self.skim(Stop::End)
    }

    pub(crate) fn alter(&mut self) -> Result<(), Unknown> {
        self.does(Impact::DDL);
        self.defines = true;
        self.eat(&["materialized"])?;
        if self.eat(&["foreign"])? && self.word != w("table") {
            return self.server();
        }
        let kind = self.word;
        self.advance()?;
        if [w("table"), w("index"), w("sequence"), w("view")].contains(&kind) {
            if self.word == w("all") && self.peek().1 == w("in") {
                self.doubt(Unsure::Grammar);
                return self.skim(Stop::End);
            }
            self.if_exists()?;
            self.relation(Access::Ddl)?;
            return self.actions();
        }
        if [w("trigger"), w("rule"), w("policy")].contains(&kind) {
            self.does(Impact::PRIVILEGE);
            self.on_relation()?;
            return self.skim(Stop::End);
        }
        if [w("default"), w("system")].contains(&kind) {
            self.does(Impact::PRIVILEGE);
            self.here.has_secret = kind == w("system");
            return self.skip_rest();
        }
        self.other(kind)
    }

    /// The actions of ALTER TABLE, between commas.
    fn actions(&mut self) -> Result<(), Unknown> {
        loop {
            self.eat(&["no"])?;
            if self.is_any(&["owner", "enable", "disable", "force"]) {
                self.does(Impact::PRIVILEGE);
            }
            let (_, next) = self.peek();
            if self.word == w("inherit") {
                self.advance()?;
                self.relation(Access::Ddl)?;
            } else if self.is_any(&["attach", "detach"]) && next == w("partition") {
                self.advance()?;
                self.advance()?;
                self.relation(Access::Ddl)?;
            }
            self.skim(Stop::Comma)?;
            if !self.is(Kind::Comma) {
                return Ok(());
            }
            self.advance()?;
        }
    }

    pub(crate) fn drop(&mut self) -> Result<(), Unknown> {
        self.does(Impact::DDL);
        self.eat(&["materialized"])?;
        if self.eat(&["foreign"])? && self.word != w("table") {
            return self.skim(Stop::End);
        }
        let kind = self.word;
        self.advance()?;
        if [w("table"), w("index"), w("sequence"), w("view")].contains(&kind) {
            self.eat(&["concurrently"])?;
            self.if_exists()?;
            self.relations(Access::Ddl)?;
        } else if [w("trigger"), w("rule"), w("policy")].contains(&kind) {
            self.does(Impact::PRIVILEGE);
            self.on_relation()?;
        } else if [w("role"), w("user"), w("group"), w("owned")].contains(&kind) {
            self.does(Impact::PRIVILEGE);
        }
        self.skim(Stop::End)
    }
}
