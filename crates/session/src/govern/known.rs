//! Owns texts as they were read to be judged: the bytes, wiped when nobody needs them any more, and their facts.

use buf::Secret;
use patterns::{Pattern, Recogniser};
use policy::Subject;
use sql::{Analysis, Asked, Facts, Layout, Lexing, Plain, Unsure, Verb};
use std::sync::{Arc, OnceLock};

/// A text that was read.
#[derive(Debug)]
pub(crate) struct Known {
    pub(super) text: Secret,
    pub(super) is_utf8: bool,
    pub(super) lexing: Lexing,
    pub(super) analysis: Analysis,
    /// True if it has SQL prepare something.
    prepares: bool,
    /// Its pattern, if that was asked for.
    pattern: OnceLock<Arc<Pattern>>,
    /// Of a template.
    layout: Option<Layout>,
}

impl Known {
    /// Reads a text that may be judged by other rules than those of now.
    pub fn read(text: &[u8], lexing: Lexing, is_utf8: bool) -> Known {
        Known::read_for(Shapes::Told, text, (lexing, is_utf8))
    }

    /// Reads a text.
    pub fn read_for(shapes: Shapes, text: &[u8], (lexing, is_utf8): (Lexing, bool)) -> Known {
        let mut analysis = Analysis::new();
        let asked = Asked {
            server_is_utf8: is_utf8,
            shape: (shapes == Shapes::Told).then_some(&[]),
            ..Asked::facts(lexing)
        };
        analysis.read(text, &asked);
        let mut all = analysis.statements().iter();
        let prepares = all.any(|it| it.statement.verb == Verb::Prepare);
        Known {
            text: Secret::new(text),
            is_utf8,
            lexing,
            analysis: analysis.compact(),
            prepares,
            pattern: OnceLock::new(),
            layout: None,
        }
    }

    /// Reads a template, for all texts that have it.
    pub(super) fn read_template(template: &[u8], dialect: (Lexing, bool)) -> Known {
        Known {
            layout: Layout::of(template),
            ..Known::read_for(Shapes::Untold, template, dialect)
        }
    }

    /// What a text does that has this template.
    pub(super) fn fits(&self, text: &[u8], lexing: Lexing) -> Option<Plain> {
        let layout = self.layout.as_ref()?;
        let fits = layout.fits(self.text.expose(), text, lexing);
        fits.then(|| layout.plain())
    }

    /// Its pattern, which is found once.
    pub fn pattern(&self, recogniser: &Recogniser) -> Arc<Pattern> {
        let find = || recogniser.pattern(self.text.expose(), self.lexing);
        Arc::clone(self.pattern.get_or_init(find))
    }

    /// A text that the server may read otherwise than is known here.
    pub fn doubtful(text: &[u8]) -> Known {
        let lexing = Lexing {
            len_max: 0,
            ..Lexing::default()
        };
        let text = if text.is_empty() { b" " } else { text };
        Known::read(text, lexing, false)
    }

    /// True if it has SQL prepare something.
    #[inline]
    pub(crate) fn prepares(&self) -> bool {
        self.prepares
    }

    /// True if it executes what SQL prepared.
    pub(super) fn executes(&self) -> bool {
        self.analysis.statements().iter().any(executes)
    }

    /// Why nothing of it could be read, if that is so.
    pub(super) fn is_unread(&self) -> Option<Unsure> {
        self.analysis
            .unsure()
            .filter(|it| matches!(it, Unsure::Text(_)))
    }

    /// One of its statements, to be judged.
    pub(super) fn subject<'a>(&'a self, facts: &'a Facts) -> Subject<'a> {
        Subject::Read {
            text: self.text.expose(),
            is_utf8: self.is_utf8,
            analysis: &self.analysis,
            facts,
        }
    }
}

/// Whether the shapes of statements are found out, which is most of the work of reading them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shapes {
    Told,
    Untold,
}

/// Whether a statement executes what SQL prepared.
pub(super) fn executes(facts: &Facts) -> bool {
    facts.unsure == Some(Unsure::Prepared) && facts.statement.verb == Verb::Execute
}
