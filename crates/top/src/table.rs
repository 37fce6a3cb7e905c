//! Owns a table of the console as rows of harmless text.

use crate::clean::clean;

/// A table, whose texts were made harmless when it was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    left_out: usize,
}

impl Table {
    /// Of what the console said; `left_out` is how many rows there were beside these.
    pub fn new(columns: &[String], rows: &[Vec<Option<String>>], left_out: usize) -> Table {
        let row =
            |row: &Vec<Option<String>>| row.iter().map(|it| it.as_deref().map(clean)).collect();
        Table {
            columns: columns.iter().map(|it| clean(it)).collect(),
            rows: rows.iter().map(row).collect(),
            left_out,
        }
    }

    pub(crate) fn left_out(&self) -> usize {
        self.left_out
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|values| Row {
            columns: &self.columns,
            values,
        })
    }

    /// The first row with this value.
    pub(crate) fn find(&self, column: &str, value: &str) -> Option<Row<'_>> {
        self.rows().find(|row| row.text(column) == value)
    }
}

/// A row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    columns: &'a [String],
    values: &'a [Option<String>],
}

impl<'a> Row<'a> {
    /// A value; empty if it is null, or if the console knows no such column.
    pub(crate) fn text(self, column: &str) -> &'a str {
        let at = self.columns.iter().position(|it| it == column);
        let value = at.and_then(|at| self.values.get(at)?.as_deref());
        value.unwrap_or_default()
    }

    /// A number; 0 if it is none.
    pub(crate) fn number(self, column: &str) -> f64 {
        let number = self.text(column).parse().unwrap_or(0.0);
        if f64::is_finite(number) { number } else { 0.0 }
    }

    /// All columns with their values; `None` for null.
    pub(crate) fn fields(self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let values = self.values.iter().map(Option::as_deref);
        self.columns.iter().map(String::as_str).zip(values)
    }
}
