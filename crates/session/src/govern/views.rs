//! Owns what one client's statements have to do with the views of its database: what rules see through them, whether a
//! statement has to wait since a name in it may mean something else by now, and what it changes itself.
//!
//! A change of definitions is told before it can be seen by others: before the statement, or before the end of its
//! transaction. It is over when nothing of the transaction is left.

use super::{Governor, Known};
use policy::Rules;
use policy::views::{Change, Doubted, NAMES_MAX, Sight, Views};
use sql::{Access, Impact, Kind, Lexer, NAME_MAX};
use std::sync::Arc;

/// A governor's part of it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) shared: Arc<Views>,
    /// Of what the governor sees.
    pub(super) generation: u64,
    is_in_transaction: bool,
    next: Next,
    /// Names that the open transaction has changed, which nobody was told of.
    untold: Option<Vec<Box<[u8]>>>,
    changes: Vec<Change>,
}

/// The statement that was judged last.
#[derive(Debug, Default)]
struct Next {
    /// Why a name in it may mean something else by now.
    in_doubt: Vec<Doubted>,
    /// Names whose meaning it changes.
    changes: Option<Vec<Box<[u8]>>>,
    /// It may end its transaction.
    may_end: bool,
}

impl Governor {
    /// Looks through the views of its database, too.
    pub fn watch(&mut self, views: Arc<Views>) {
        let mut watched = Box::new(Watched {
            shared: views,
            generation: 0,
            is_in_transaction: false,
            next: Next::default(),
            untold: None,
            changes: Vec::new(),
        });
        watched.generation = self.see(&watched.shared);
        self.views = Some(watched);
    }

    /// The generation of what is seen from now on.
    pub(super) fn see(&mut self, views: &Views) -> u64 {
        let rules = self.rules.as_deref().filter(|it| wants(it));
        let (sight, generation) = match rules {
            Some(rules) => views.sight(rules, self.generation),
            None => (Sight::Names, views.generation()),
        };
        self.context.views = sight;
        generation
    }

    /// Of what was known of views when the client's statements were judged last.
    pub(super) fn views_generation(&self) -> u64 {
        self.views.as_ref().map_or(0, |it| it.generation)
    }

    /// The client's transaction stands so.
    #[inline]
    pub(crate) fn stands(&mut self, is_in_transaction: bool) {
        if let Some(views) = &mut self.views {
            views.is_in_transaction = is_in_transaction;
        }
    }

    /// A statement is judged that can't be read.
    pub(super) fn overlook(&mut self) {
        if let Some(views) = &mut self.views {
            views.next = Next::default();
        }
    }

    /// A statement is judged.
    pub(super) fn look_at(&mut self, known: &Known) {
        let Some(rules) = self.rules.as_deref() else {
            return;
        };
        let Some(views) = self.views.as_mut().filter(|_| wants(rules)) else {
            return;
        };
        views.next = Next::default();
        for facts in known.analysis.statements() {
            if facts.impact.has(Impact::TRANSACTION) {
                views.next.may_end = true;
            }
            if facts.impact.has(Impact::DDL)
                && let Some(names) = changed(known, facts)
            {
                views.next.changes.get_or_insert_default().extend(names);
            }
        }
        // Its own changes are there to see for this session at once, and are its own to answer for.
        if views.shared.may_doubt() && views.changes.is_empty() {
            let prepared = &self.prepared;
            for facts in known.analysis.statements() {
                let stands_for = prepared.of(known, facts).unwrap_or_default();
                let stands_for = stands_for.iter().filter_map(|(text, index)| {
                    Some((text.as_ref(), text.analysis.statements().get(*index)?))
                });
                for (known, facts) in stands_for.chain([(known, facts)]) {
                    doubt(&views.shared, (known, facts), &mut views.next.in_doubt);
                }
            }
        }
    }

    /// True if the statement that was judged last has to wait for a look.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.views
            .as_ref()
            .is_some_and(|it| !it.next.in_doubt.is_empty())
    }

    /// True if statements may have to wait for a look.
    #[inline]
    pub(super) fn may_be_in_doubt(&self) -> bool {
        let wants = || self.rules.as_deref().is_some_and(wants);
        (self.views.as_ref()).is_some_and(|it| it.shared.may_doubt() && wants())
    }

    /// The statement that was judged last goes to the server.
    #[inline]
    pub(super) fn goes(&mut self) {
        if let Some(views) = &mut self.views
            && (views.next.changes.is_some() || views.next.may_end)
        {
            views.goes();
        }
    }

    /// The server's words were relayed; `is_over`: nothing is under way, and no transaction open.
    #[inline]
    pub(crate) fn settle_views(&mut self, is_over: impl FnOnce() -> bool) {
        if let Some(views) = &mut self.views
            && (!views.changes.is_empty() || views.untold.is_some())
            && is_over()
        {
            views.untold = None;
            views.changes.clear();
        }
    }

    /// What was under way is lost.
    pub(super) fn lose_changes(&mut self) {
        if let Some(views) = &mut self.views {
            views.untold = None;
            views.changes.clear();
        }
    }
}

impl Watched {
    /// What puts the statement that was judged last in doubt.
    pub(super) fn doubted(&self) -> &[Doubted] {
        &self.next.in_doubt
    }

    fn goes(&mut self) {
        let Next {
            changes, may_end, ..
        } = std::mem::take(&mut self.next);
        if let Some(names) = changes {
            let untold = self.untold.get_or_insert_default();
            untold.extend(names);
            // Beyond that the names are not told apart anyway.
            untold.truncate(NAMES_MAX + 1);
        }
        if (may_end || !self.is_in_transaction)
            && let Some(names) = self.untold.take()
        {
            self.changes.push(self.shared.change(names));
        }
    }
}

fn wants(rules: &Rules) -> bool {
    rules.wants_views() && rules.learned().is_none()
}

/// Adds why a name in a statement may mean something else by now.
fn doubt(views: &Views, (known, facts): (&Known, &sql::Facts), by: &mut Vec<Doubted>) {
    for relation in known.analysis.relations(facts) {
        for written in [relation.schema, Some(relation.name)].into_iter().flatten() {
            let mut room = [0; NAME_MAX];
            let name = sql::name(known.text.expose(), written, known.is_utf8, &mut room);
            if let Ok(name) = name {
                views.doubt(name, by);
            }
        }
    }
}

/// The names whose meaning a definition changes, if it can change what leads where: of what is defined, and those
/// behind TO and SCHEMA.
fn changed(known: &Known, facts: &sql::Facts) -> Option<Vec<Box<[u8]>>> {
    const WORDS: [&[u8]; 6] = [
        b"view",
        b"rule",
        b"inherits",
        b"inherit",
        b"partition",
        b"schema",
    ];
    let text = known.text.expose();
    let name = |written| {
        let mut room = [0; NAME_MAX];
        let name = sql::name(text, written, known.is_utf8, &mut room).ok()?;
        Some(Box::<[u8]>::from(name))
    };
    let relations = known.analysis.relations(facts).iter();
    let mut names: Vec<_> = relations
        .filter(|it| it.access == Access::Ddl)
        .filter_map(|it| name(it.name))
        .collect();
    let span = facts.statement.span;
    let own = text.get(span.start..span.end)?;
    let mut tokens = Lexer::new(own, known.lexing).ok()?;
    let (mut matters, mut before) = (false, [0; NAME_MAX]);
    let mut before_len = 0;
    while let Ok(Some(token)) = tokens.significant() {
        let word = &before[..before_len];
        let is_name = matches!(token.kind, Kind::Word | Kind::Quoted | Kind::UnicodeQuoted);
        if is_name && (word == b"to" || word == b"schema") {
            let written = sql::Span {
                start: span.start + token.span.start,
                end: span.start + token.span.end,
            };
            names.extend(name(written));
        }
        let mut room = [0; NAME_MAX];
        let folded = match token.kind {
            Kind::Word => sql::fold(own, token, &mut room).unwrap_or_default(),
            _ => &[],
        };
        matters |= WORDS.contains(&folded) || (word == b"rename" && folded == b"to");
        before_len = folded.len();
        before[..before_len].copy_from_slice(folded);
    }
    matters.then_some(names)
}
