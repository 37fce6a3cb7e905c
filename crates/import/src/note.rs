//! Owns what a reader of an import has to know: what was left out or differs, why, and what to do.

use crate::Translation;
use crate::document::{comment, point};
use crate::fault::At;
use std::fmt;
use std::path::Path;

/// One thing to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub kind: Kind,
    /// Where PgBouncer's setting stands; `None` where its default is meant.
    pub at: Option<At>,
    /// The setting.
    pub key: String,
    /// Why, and what to do. One line, and nothing secret.
    pub text: String,
}

/// How much a [`Note`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing works, or something is open, before somebody has done something.
    ToDo,
    /// Something has no equivalent, or is not the same.
    Differs,
    /// Something is not needed here.
    NotNeeded,
}

impl Kind {
    /// The heading above notes of this kind.
    pub fn heading(self) -> &'static str {
        match self {
            Self::ToDo => "To do before this can serve",
            Self::Differs => "Different from PgBouncer",
            Self::NotNeeded => "Not needed",
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        write!(f, "{}: {}", self.key, self.text)
    }
}

impl Note {
    /// What matters most first; then the main file's own, then others, by lines.
    pub(crate) fn order(&self, main: &Path) -> (Kind, bool, usize) {
        let elsewhere = self.at.as_ref().is_some_and(|at| &*at.file != main);
        (
            self.kind,
            elsewhere,
            self.at.as_ref().map_or(0, |at| at.line),
        )
    }
}

impl Translation<'_> {
    /// Notes something, once.
    pub(crate) fn note(&mut self, kind: Kind, (key, at): (&str, Option<&At>), text: &str) {
        let note = Note {
            kind,
            at: at.cloned(),
            key: key.to_owned(),
            text: text.to_owned(),
        };
        // What holds for all databases is met at each of them.
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// The comments on top of the configuration.
pub(crate) fn preface(text: &mut String, from: &Path, notes: &[Note]) {
    comment(
        text,
        &format!(
            "What PgBouncer's {} says, as a configuration of Portcullis. Behind each setting stands \
             the line that it comes from.",
            from.display()
        ),
    );
    comment(
        text,
        "`portcullis check --config FILE` proves both legs, `portcullis settings NAME` explains a \
         setting.",
    );
    let mut last = None;
    for note in notes {
        if last != Some(note.kind) {
            text.push_str("#\n");
            comment(text, &format!("{}:", note.kind.heading()));
            last = Some(note.kind);
        }
        let at = note
            .at
            .as_ref()
            .map_or(String::new(), |at| format!("{}: ", at.short()));
        point(text, &format!("{at}{}: {}", note.key, note.text));
    }
}
