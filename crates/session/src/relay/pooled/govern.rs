//! Owns the places where a governed client's messages are judged: each before it passes, and as a whole.

use super::query::reads_the_same;
use super::{Run, Sides, Step};
use crate::govern::{self, Admitted, Known, Shapes};
use crate::ledger::Request;
use crate::statements::{Course, Found, Instead, Name, Refusal, Statement, Unnamed};
use buf::Plain;
use sql::Unsure;
use std::sync::Arc;
use wire::frame::{HEADER, Header};
use wire::from_client::Bind;
use wire::{Message, Text};

impl Run<'_> {
    /// A Query that can't be here as a whole: it is gathered, or refused.
    pub(super) fn govern_long_query(&mut self, header: Header) -> Option<Step> {
        let max = self.sides.pooled.governor.as_ref()?.message_max();
        if header.total() > max {
            self.refuse(govern::too_long(max), Instead::Query);
            return Some(self.drop_frame(header));
        }
        self.sides.pooled.course = Course::Gathering(Plain::with_capacity(header.total()));
        Some(Step::Go)
    }

    /// A Query that was gathered.
    pub(super) fn gathered_query(&mut self, header: Header, frame: Plain) -> Step {
        if self.sides.server.ledger.skips() {
            self.request(Request::Query);
            self.sides.pooled.course = Course::Passing(frame);
            return Step::Go;
        }
        let body = frame.bytes().get(HEADER..).unwrap_or_default();
        // With a NUL inside the server refuses it unread.
        if let Some((0, text)) = body.split_last()
            && !text.contains(&0)
        {
            match self.sides.judge_query(text, None, header.total()).0 {
                Admitted::Go => {}
                Admitted::Refuse(refusal) => {
                    self.refuse(refusal, Instead::Query);
                    return Step::Go;
                }
                Admitted::Hold => {
                    self.sides.pooled.course = Course::Gathering(frame);
                    return self.wait();
                }
            }
        }
        self.sides.server.lease.unknown = true;
        self.watch_unread("too long to be read", header);
        let asked = self.asked();
        let step = self.pass_query(header, true);
        self.sent(asked, None);
        *self.passing = 0;
        self.sides.pooled.course = Course::Passing(frame);
        step
    }

    /// A Query whose text is at the front as a whole: what is known of all texts of its template, if it passed for one of
    /// those; or what was done in its stead.
    pub(super) fn govern_query(
        &mut self,
        header: Header,
        template: Option<&[u8]>,
    ) -> Result<Option<Arc<Known>>, Step> {
        let text = self.belt.rest().get(HEADER..header.total() - 1);
        let text = text.ok_or(Step::Stop)?;
        let (admitted, like) = self.sides.judge_query(text, template, header.total());
        self.admitted(admitted, header).map(|()| like)
    }

    /// A Query that passes as one like it did; or what was done in its stead.
    pub(super) fn admit_query(&mut self, header: Header) -> Result<(), Step> {
        let governor = self.sides.pooled.governor();
        let admitted = governor.map_or(Admitted::Go, |it| it.admit(header.total()));
        self.admitted(admitted, header)
    }

    fn admitted(&mut self, admitted: Admitted, header: Header) -> Result<(), Step> {
        match admitted {
            Admitted::Go => Ok(()),
            Admitted::Hold => Err(self.wait()),
            Admitted::Refuse(refusal) => {
                self.refuse(refusal, Instead::Query);
                Err(self.drop_frame(header))
            }
        }
    }

    /// A Bind whose statement is there, or surely is not. Something else than `None` was done in its stead.
    pub(super) fn govern_bind(
        &mut self,
        header: Header,
        is_stranger: bool,
        statement: Option<&Arc<Statement>>,
    ) -> Option<Step> {
        self.sides.pooled.governor.as_ref()?;
        let bytes = self.belt.rest();
        let body = bytes.get(HEADER..header.total());
        let front = &bytes[HEADER..bytes.len().min(header.total())];
        let front = wire::from_client::BindFront::decode(front)?;
        let (portal, name) = (front.portal.bytes(), front.statement.bytes());
        if is_stranger {
            // The server may have one of this name that nobody saw being made.
            let refusal = govern::no_such_statement(name);
            return Some(self.refuse_use(refusal, header));
        }
        let known = match statement {
            Some(statement) => Some(self.sides.facts_of(statement)),
            None => self.sides.known_by_name(name),
        };
        let is_outside = self.sides.server.ledger.is_settled()
            && self.sides.server.status == crate::ledger::Status::Idle;
        let frame_max = self.belt.frame_max();
        let governor = self.sides.pooled.governor()?;
        if is_outside {
            governor.end_portals();
        }
        let total = header.total();
        let refusal = match (governor.wants_values(), body) {
            (false, _) => governor.bind(portal, known, (None, total)),
            (true, Some(body)) => match Bind::decode(body) {
                Ok(bind) => governor.bind(portal, known, (Some(&bind), total)),
                // The server refuses it, and makes no portal.
                Err(_) => return None,
            },
            (true, None) if header.total() <= frame_max => return Some(Step::Stop),
            (true, None) => Some(govern::too_long(frame_max)),
        }?;
        Some(self.refuse_use(refusal, header))
    }

    /// An Execute. Something else than `None` was done in its stead.
    pub(super) fn govern_execute(&mut self, header: Header) -> Option<Step> {
        let frame_max = self.belt.frame_max();
        let body = self.belt.rest().get(HEADER..header.total());
        let governor = self.sides.pooled.governor()?;
        let refusal = match body {
            Some(body) => {
                let portal = Text::cut(body).bytes();
                match governor.execute(portal) {
                    Some(refusal) => refusal,
                    None => {
                        let bytes = header.total() + governor.bytes_of(portal);
                        match governor.admit(bytes) {
                            Admitted::Go => return None,
                            Admitted::Hold => return Some(self.wait()),
                            Admitted::Refuse(refusal) => refusal,
                        }
                    }
                }
            }
            None if header.total() <= frame_max => return Some(Step::Stop),
            None => govern::too_long(frame_max),
        };
        Some(self.refuse_use(refusal, header))
    }

    /// A FunctionCall, which names a function by its number. Something else than `None` was done in its stead.
    pub(super) fn govern_call(&mut self, header: Header) -> Option<Step> {
        let governor = self.sides.pooled.governor()?;
        let refused = governor.unread(Unsure::Code, header.total());
        let admitted = match refused {
            Some(refusal) => Admitted::Refuse(refusal),
            None => governor.admit(header.total()),
        };
        match admitted {
            Admitted::Go => None,
            Admitted::Hold => Some(self.wait()),
            Admitted::Refuse(refusal) => {
                self.refuse(refusal, Instead::Query);
                Some(self.drop_frame(header))
            }
        }
    }

    /// A Parse of so many bytes that can't be gathered.
    pub(super) fn govern_long_parse(&mut self, header: Header, is_named: bool) -> Option<Step> {
        let max = self.sides.pooled.governor.as_ref()?.message_max();
        let instead = match is_named {
            true => Instead::NamedParse,
            false => Instead::UnnamedParse,
        };
        self.refuse(govern::too_long(max), instead);
        Some(self.drop_frame(header))
    }

    pub(super) fn refuse_use(&mut self, refusal: Refusal, header: Header) -> Step {
        self.sides.server.again.drop();
        self.sides.pooled.begun = true;
        self.refuse(refusal, Instead::NamedParse);
        self.drop_frame(header)
    }
}

impl Sides<'_> {
    /// True where rules judge.
    #[inline]
    pub(super) fn is_governed(&self) -> bool {
        self.pooled.governor.is_some()
    }

    /// True if what SQL prepared under this name is known.
    pub(super) fn is_prepared_by_sql(&self, name: &[u8]) -> bool {
        let governor = self.pooled.governor.as_deref();
        governor.is_some_and(|it| it.prepared_by_sql(name).is_some())
    }

    /// Judges a Query, whose message has so many bytes. With it comes what is known of all texts of its template, if it
    /// passed for one of those.
    fn judge_query(
        &mut self,
        text: &[u8],
        template: Option<&[u8]>,
        bytes: usize,
    ) -> (Admitted, Option<Arc<Known>>) {
        let Some(governor) = self.pooled.governor() else {
            return (Admitted::Go, None);
        };
        if let Some(like) = template.and_then(|it| governor.passes_like(it)) {
            return (governor.admit(bytes), Some(like));
        }
        let shapes = governor.wants_shapes();
        let mut known = self.read(text, shapes);
        if shapes == Shapes::Untold && known.prepares() {
            // What is prepared may be executed under other rules.
            known = self.read(text, Shapes::Told);
        }
        let Some(governor) = self.pooled.governor() else {
            return (Admitted::Go, None);
        };
        let admitted = match governor.query(known, template) {
            Some(refusal) => Admitted::Refuse(refusal),
            None => governor.admit(bytes),
        };
        (admitted, None)
    }

    /// Judges a Parse: of a statement that is kept, or of a text.
    pub(super) fn govern_parse(
        &mut self,
        statement: Option<&Arc<Statement>>,
        text: &[u8],
    ) -> Option<Refusal> {
        let shapes = self.pooled.governor()?.wants_shapes();
        let known = match statement {
            Some(statement) if statement.text() == text => self.facts_of(statement),
            _ => Arc::new(self.read(text, shapes)),
        };
        self.pooled.governor()?.parse(&known)
    }

    /// What is known of what a name stands for.
    pub(super) fn known_by_name(&mut self, name: &[u8]) -> Option<Arc<Known>> {
        let statement = match name.is_empty() {
            true => match self.server.statements.unnamed(&self.pooled.holdings) {
                Some(Unnamed::Kept(statement)) => Some(Arc::clone(statement)),
                _ => None,
            },
            false => match self
                .server
                .statements
                .name(&self.pooled.holdings, Name::cut(name))
            {
                Found::Here(statement) => Some(statement),
                _ => None,
            },
        };
        match statement {
            Some(statement) => Some(self.facts_of(&statement)),
            None => self.pooled.governor()?.prepared_by_sql(name),
        }
    }

    pub(super) fn facts_of(&mut self, statement: &Arc<Statement>) -> Arc<Known> {
        self.settle_reading();
        let ours = self.pooled.dialect.lexing;
        let is_other = statement.dialect().lexing != ours && !reads_the_same(statement.text());
        match is_other || self.is_doubtful(statement.text()) {
            true => Arc::new(Known::doubtful(statement.text())),
            false => statement.judged(self.is_utf8()),
        }
    }

    pub(super) fn read(&mut self, text: &[u8], shapes: Shapes) -> Known {
        self.settle_reading();
        match self.is_doubtful(text) {
            true => Known::doubtful(text),
            false => {
                let dialect = (self.pooled.dialect.lexing, self.is_utf8());
                Known::read_for(shapes, text, dialect)
            }
        }
    }

    /// Where the client keeps its connection and nothing is owed, the server has said how it reads.
    fn settle_reading(&mut self) {
        if self.pooled.is_alone() && self.server.ledger.is_settled() {
            self.pooled.read_as_reported(self.server);
        }
    }

    /// True if the server may find other tokens in a text than are found here.
    fn is_doubtful(&self, text: &[u8]) -> bool {
        let server = &self.server;
        let batch = server.statements.batch();
        let otherwise = server
            .lease
            .lexes_otherwise(batch, || server.ledger.is_one_batch());
        otherwise && !reads_the_same(text)
    }

    fn is_utf8(&self) -> bool {
        self.server.reported.is_utf8() && self.pooled.dialect.lexing.encoding == sql::Encoding::Utf8
    }
}
