//! Owns the rows of a view as they are shown: made from the tables, filtered, sorted.

use crate::cells::{Cell, Weight};
use crate::tab::{Column, Known, Tab};
use crate::table::Row;
use std::cmp::Ordering;

/// A row of a view.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// What tells it apart.
    pub(crate) key: String,
    /// One for each column of the view.
    pub(crate) cells: Vec<Cell>,
}

/// By which column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sort {
    pub(crate) column: usize,
    pub(crate) descending: bool,
}

impl Sort {
    /// By this column in its usual direction: great numbers first, texts from A on.
    pub(crate) fn by(tab: Tab, column: usize) -> Sort {
        let descending = tab.columns().get(column).is_some_and(|it| it.is_number);
        Sort { column, descending }
    }
}

/// The lines that a filter lets through, in order.
pub(crate) fn lines(tab: Tab, known: &Known<'_>, filter: &str, sort: Sort) -> Vec<Line> {
    let Some(table) = known.tables.get(&tab.source()) else {
        return Vec::new();
    };
    let words: Vec<String> = filter.split_whitespace().map(str::to_lowercase).collect();
    let line = |row: Row<'_>| Line {
        key: tab.key(row),
        cells: tab
            .columns()
            .iter()
            .map(|it: &Column| (it.cell)(known, row))
            .collect(),
    };
    let mut lines: Vec<Line> = table
        .rows()
        .map(|row| (row, line(row)))
        .filter(|(row, line)| words.iter().all(|word| has(*row, line, word)))
        .map(|(_, line)| line)
        .collect();
    lines.sort_by(|one, other| {
        let order = match (one.cells.get(sort.column), other.cells.get(sort.column)) {
            (Some(one), Some(other)) => compare(&one.weight, &other.weight),
            _ => Ordering::Equal,
        };
        // Rows that are alike stay in the console's order, which is the same from look to look.
        if sort.descending {
            order.reverse()
        } else {
            order
        }
    });
    lines
}

/// All that the table has counts, and what is shown instead of it.
fn has(row: Row<'_>, line: &Line, word: &str) -> bool {
    let holds = |text: &str| text.to_lowercase().contains(word);
    row.fields().any(|(_, value)| value.is_some_and(holds))
        || line.cells.iter().any(|cell| holds(&cell.text))
}

fn compare(one: &Weight, other: &Weight) -> Ordering {
    match (one, other) {
        (Weight::Number(one), Weight::Number(other)) => one.total_cmp(other),
        (Weight::Text(one), Weight::Text(other)) => one.cmp(other),
        (Weight::Number(_), Weight::Text(_)) => Ordering::Less,
        (Weight::Text(_), Weight::Number(_)) => Ordering::Greater,
    }
}
