//! Owns the rows of a view, and which of its columns there is room for.

use super::head::nothing;
use super::painter::{Ink, Painter, Theme};
use crate::cells::Tone;
use crate::model::{Link, Model};
use crate::tab::Column;
use unicode_width::UnicodeWidthStr as _;

/// The least that a column gets that takes what is left.
const REST_MIN: u16 = 14;

/// A column that is shown: its number, where it begins, and how wide it is.
struct Place {
    column: usize,
    x: u16,
    width: u16,
}

/// The columns that fit, those of low rank first.
fn places(columns: &[Column], width: u16) -> Vec<Place> {
    let least = |it: &Column| if it.width == 0 { REST_MIN } else { it.width };
    let mut chosen: Vec<usize> = Vec::new();
    let mut used = 0;
    let mut ranked: Vec<usize> = (0..columns.len()).collect();
    ranked.sort_by_key(|at| columns[*at].rank);
    for at in ranked {
        let needed = least(&columns[at]) + u16::from(used > 0);
        let is_first = chosen.is_empty();
        if is_first || used + needed <= width {
            used += needed;
            chosen.push(at);
        } else if columns[at].rank > 0 {
            // Further ones are less important; a narrow one must not stand for a wide one.
            break;
        }
    }
    chosen.sort_unstable();
    let spare = width.saturating_sub(used);
    let mut x = 0;
    let place = |column: usize| {
        let it = &columns[column];
        let width = least(it) + if it.width == 0 { spare } else { 0 };
        let place = Place { column, x, width };
        x += width + 1;
        place
    };
    chosen.into_iter().map(place).collect()
}

impl Model {
    pub(super) fn rows(
        &self,
        painter: &mut Painter<'_>,
        heads: Option<u16>,
        (top, height): (u16, u16),
    ) {
        let columns = self.tab.columns();
        let places = places(columns, painter.width());
        if let Some(y) = heads {
            self.heads(painter, y, &places);
        }
        if self.lines.is_empty() {
            let table = self.tables.get(&self.tab.source());
            let width = painter.width();
            painter.put(
                (1, top),
                nothing(self, table),
                width,
                Ink::Tone(Tone::Faint),
            );
            return;
        }
        let (at, page) = (self.look().at, usize::from(height));
        let last = self.lines.len().saturating_sub(page);
        let from = at.saturating_sub(page / 2).min(last);
        let shown = self.lines.iter().enumerate().skip(from).take(page);
        for (y, (number, line)) in (top..).zip(shown) {
            let is_chosen = number == at && painter.theme != Theme::Plain;
            if is_chosen {
                painter.fill((0, y), painter.width(), Ink::Chosen);
            }
            for place in &places {
                let Some(cell) = line.cells.get(place.column) else {
                    continue;
                };
                let is_old = !matches!(self.link, Link::Up(_));
                let ink = match (is_chosen, is_old) {
                    (true, _) => Ink::Chosen,
                    (false, true) => Ink::Tone(Tone::Faint),
                    (false, false) => Ink::Tone(cell.tone),
                };
                let (at, text) = ((place.x, y), cell.text.as_str());
                match columns[place.column].is_number && columns[place.column].width > 0 {
                    true => painter.put_right(at, text, place.width, ink),
                    false => drop(painter.put(at, text, place.width, ink)),
                }
            }
        }
    }

    fn heads(&self, painter: &mut Painter<'_>, y: u16, places: &[Place]) {
        let width = painter.width();
        painter.fill((0, y), width, Ink::Bar);
        let sort = self.look().sort;
        for place in places {
            let column = &self.tab.columns()[place.column];
            let sign = match (place.column == sort.column, sort.descending) {
                (false, _) => "",
                (true, true) => "▼",
                (true, false) => "▲",
            };
            let mut head = format!("{}{sign}", column.head);
            if head.width() > usize::from(place.width) {
                // The sign says more than the last letter.
                head = column
                    .head
                    .chars()
                    .take(usize::from(place.width) - 1)
                    .collect();
                head.push_str(sign);
            }
            match column.is_number && column.width > 0 {
                true => painter.put_right((place.x, y), &head, place.width, Ink::Bar),
                false => drop(painter.put((place.x, y), &head, place.width, Ink::Bar)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tab::Tab;

    #[test]
    fn columns_fit_or_are_left_out() {
        for tab in Tab::ALL {
            let columns = tab.columns();
            for width in 0..300 {
                let places = places(columns, width);
                let end = places.last().map_or(0, |it| it.x + it.width);
                assert!(end <= width || places.len() == 1, "{tab:?} {width}");
                let heads = places.iter().map(|it| columns[it.column].head);
                let heads: Vec<_> = heads.collect();
                assert!(!heads.is_empty());
                if width > 200 {
                    assert_eq!(heads.len(), columns.len(), "{tab:?}");
                    assert_eq!(end, width, "{tab:?}");
                }
            }
        }
    }
}
