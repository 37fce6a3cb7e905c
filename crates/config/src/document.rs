//! Owns the text of the file: where a byte stands in it, and what has been found wrong so far.

use crate::error::{ConfigError, Place, Problem};
use crate::warning::{Warning, Weakness};
use std::cell::RefCell;
use std::sync::Arc;

/// Where something starts, as an offset into the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(pub(crate) usize);

/// The text, and the errors and warnings about it. They are collected through a shared reference,
/// so that all parts can be read before any is given up.
pub(crate) struct Report<'t> {
    file: Arc<str>,
    text: &'t str,
    errors: RefCell<Vec<ConfigError>>,
    warnings: RefCell<Vec<Warning>>,
}

impl<'t> Report<'t> {
    /// A report on `text`, without errors yet.
    pub(crate) fn new(file: &str, text: &'t str) -> Self {
        Self {
            file: file.into(),
            text,
            errors: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// Notes an error.
    pub(crate) fn error(&self, span: Span, key: impl Into<String>, problem: Problem) {
        let place = self.place(span, key);
        self.errors
            .borrow_mut()
            .push(ConfigError { place, problem });
    }

    /// Notes a warning.
    pub(crate) fn warn(&self, span: Span, key: impl Into<String>, weakness: Weakness) {
        let place = self.place(span, key);
        self.warnings.borrow_mut().push(Warning { place, weakness });
    }

    /// Line and column of an offset, for a key.
    pub(crate) fn place(&self, span: Span, key: impl Into<String>) -> Place {
        let before = self.text.get(..span.0).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            file: self.file.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            key: key.into(),
        }
    }

    /// The value with its warnings, if nothing was wrong; else all errors in the order of the file.
    pub(crate) fn conclude<T>(
        self,
        value: Option<T>,
    ) -> Result<(T, Vec<Warning>), Vec<ConfigError>> {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|error| (error.place.line, error.place.column));
        match value {
            Some(value) if errors.is_empty() => {
                let mut warnings = self.warnings.into_inner();
                warnings.sort_by_key(|warning| (warning.place.line, warning.place.column));
                Ok((value, warnings))
            }
            _ => Err(errors),
        }
    }
}
