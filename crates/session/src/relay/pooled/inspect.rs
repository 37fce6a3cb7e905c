//! Owns telling whoever watches what a client that shares connections has executed.

use super::{Run, Sides};
use crate::inspect::{Inspection, Known, Protocol};
use crate::statements::{Found, Name, Promise, Statement, Unnamed};
use std::sync::Arc;
use wire::Text;
use wire::frame::{HEADER, Header};

/// Of a statement whose text is not at hand.
const NOT_FOLLOWED: &str = "a statement that was not followed";

impl Run<'_> {
    /// A Query whose text can't be read goes to the server.
    pub(super) fn watch_unread(&mut self, reason: &'static str, header: Header) {
        if let Some(inspector) = &mut self.sides.server.inspector {
            inspector.unread(reason, Protocol::Simple, header.total());
        }
    }

    /// An Execute went to the server, if one more than `asked` statements did. It is still at the front, unless it
    /// is too long to be here.
    pub(super) fn watch_execute(&mut self, header: Header, asked: u64) {
        let server = &mut self.sides.server;
        let (true, Some(inspector)) = (
            server.ledger.statements_asked() > asked,
            &mut server.inspector,
        ) else {
            return;
        };
        match self.belt.rest().get(HEADER..header.total()) {
            Some(body) => inspector.execute(Text::cut(body).bytes(), header.total()),
            None => inspector.unread("too long to be read", Protocol::Extended, header.total()),
        }
        self.sides.tell_wish();
    }
}

impl Sides<'_> {
    /// Tells what rules want of the query log for the statement that has just started.
    pub(super) fn tell_wish(&mut self) {
        let governor = self.pooled.governor.as_deref();
        if let (Some(inspector), Some(governor)) = (&mut self.server.inspector, governor) {
            inspector.wished(governor.log());
        }
    }

    /// Tells of a refusal, where that is wanted.
    pub(super) fn tell_refusal(&mut self) {
        let denied = self
            .pooled
            .governor
            .as_mut()
            .and_then(|it| it.take_denied());
        if let (Some(inspector), Some(denied)) = (&mut self.server.inspector, denied) {
            inspector.refused(denied);
        }
    }

    /// A portal is being bound, by so many bytes, to the client's statement of this name, which may be at hand.
    pub(super) fn watch_bind(
        &mut self,
        (portal, bytes, body): (&[u8], usize, Option<&[u8]>),
        (name, statement): (&[u8], Option<&Arc<Statement>>),
    ) {
        let Some(inspection) = self.server.inspector.as_ref().map(|it| it.inspection()) else {
            return;
        };
        let found = match statement {
            Some(_) => None,
            None => self.kept_by_name(name),
        };
        let known = match statement.or(found.as_ref()) {
            Some(statement) => Known {
                types: (inspection.keep_values > 0).then(|| self.pooled.types.of(statement)),
                ..known(inspection, statement)
            },
            None => inspection.untold(NOT_FOLLOWED),
        };
        if let Some(inspector) = &mut self.server.inspector {
            inspector.bind(portal, known, (bytes, body));
        }
    }
}

impl Sides<'_> {
    /// A statement was sent by so many bytes of Bind and Execute, whose portal nobody has to know: it is executed once, and
    /// no values are kept.
    #[inline]
    pub(super) fn watch_once(&mut self, statement: &Arc<Statement>, bytes: usize) {
        if let Some(inspector) = &mut self.server.inspector {
            let known = known(inspector.inspection(), statement);
            inspector.start(known, Protocol::Extended, bytes);
            self.tell_wish();
        }
    }

    /// The client's statement of this name, if that is kept and known now.
    fn kept_by_name(&self, name: &[u8]) -> Option<Arc<Statement>> {
        let (statements, holdings) = (&self.server.statements, &self.pooled.holdings);
        match name.is_empty() {
            true => match statements.unnamed(holdings) {
                Some(Unnamed::Kept(statement)) => Some(Arc::clone(statement)),
                _ => None,
            },
            false => match statements.name(holdings, Name::cut(name)) {
                Found::Here(statement) => Some(statement),
                _ => None,
            },
        }
    }

    /// What a Describe of the client's statement of this name promises, where values are written down.
    pub(super) fn describes(&mut self, name: &[u8]) -> Option<Promise> {
        self.server
            .inspector
            .as_ref()
            .filter(|it| it.keeps_values())?;
        let statement = self.kept_by_name(name)?;
        Some(Promise::Described(self.pooled.types.of(&statement)))
    }
}

fn known(inspection: &Inspection, statement: &Arc<Statement>) -> Known {
    let (pattern, lexing) = (
        statement.pattern(&inspection.recogniser),
        statement.dialect().lexing,
    );
    inspection.known_as(pattern, statement.text(), lexing)
}
