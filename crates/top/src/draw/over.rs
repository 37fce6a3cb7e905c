//! Owns what lies over the rows: details, questions, help.

use super::painter::{Ink, Painter, wrapped};
use crate::cells::Tone;
use crate::event::Source;
use crate::keys::HELP;
use crate::model::Model;
use crate::orders::Proposal;
use crate::tab::Tab;
use crate::table::Row;

const FAINT: Ink = Ink::Tone(Tone::Faint);
const PLAIN: Ink = Ink::Tone(Tone::Plain);

/// Columns of a name in the details.
const NAME: u16 = 20;

impl Model {
    /// All that the tables know of a row, and of the other side of its connection.
    pub(super) fn details(
        &self,
        painter: &mut Painter<'_>,
        (top, height): (u16, u16),
        key: &str,
        from: usize,
    ) {
        let width = painter.width();
        for y in top..top.saturating_add(height) {
            painter.fill((0, y), width, PLAIN);
        }
        painter.fill((0, top), width, Ink::Bar);
        let title = format!(
            " {}: all that is known of this row (Esc: back) ",
            self.tab.name()
        );
        painter.put((0, top), &title, width, Ink::Bar);
        let Some(row) = self.row(key) else {
            painter.put((1, top + 1), "it is gone", width, FAINT);
            return;
        };
        let columns = usize::from(width.saturating_sub(NAME + 3));
        let mut lines = fields(row, columns);
        let other = match self.tab {
            Tab::Clients => Some((Source::Servers, "its server connection")),
            Tab::Servers => Some((Source::Clients, "the client that has it")),
            Tab::Activity | Tab::Patterns | Tab::Pools | Tab::Clusters => None,
        };
        let known = self.known();
        let linked = match (self.tab, other) {
            (Tab::Clusters, _) => known
                .find(Source::Clusters, "name", row.text("cluster"))
                .map(|it| (it, "its cluster")),
            (_, Some((source, name))) => known.linked(source, row).map(|it| (it, name)),
            (_, None) => None,
        };
        if let Some((other, name)) = linked {
            lines.push((String::new(), String::new()));
            lines.push((format!("— {name}"), String::new()));
            lines.extend(fields(other, columns));
        }
        let page = usize::from(height.saturating_sub(1));
        let from = from.min(lines.len().saturating_sub(page));
        for (y, (name, value)) in (top + 1..).zip(lines.into_iter().skip(from).take(page)) {
            painter.put(
                (1, y),
                &name,
                if value.is_empty() { width } else { NAME },
                Ink::Strong,
            );
            painter.put((NAME + 2, y), &value, width, PLAIN);
        }
    }

    /// Whom an order would hit.
    pub(super) fn question(&self, painter: &mut Painter<'_>, proposal: &Proposal) {
        let width = painter.width().min(76);
        let columns = usize::from(width.saturating_sub(4));
        let mut lines = vec![
            (proposal.question.clone(), Ink::Alarm),
            (String::new(), PLAIN),
        ];
        let whom = wrapped(&proposal.whom, columns);
        lines.extend(whom.into_iter().take(4).map(|it| (it, Ink::Strong)));
        let about = wrapped(&proposal.about, columns);
        lines.extend(about.into_iter().take(5).map(|it| (it, FAINT)));
        lines.push((format!("y: {}; any other key: no", proposal.order), PLAIN));
        let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
        let (x, y, inner) = painter.boxed((width, height), "Are you sure?");
        // In a low terminal, whom it hits and the keys are worth more than the rest.
        let room = usize::from(painter.height().saturating_sub(2));
        while lines.len() > room.max(2) {
            let least = if lines.len() > 4 { lines.len() - 2 } else { 1 };
            lines.remove(least);
        }
        for (y, (text, ink)) in (y..).zip(lines) {
            painter.put((x, y), &text, inner, ink);
        }
    }

    /// The keys.
    pub(super) fn help(&self, painter: &mut Painter<'_>) {
        let height = u16::try_from(HELP.len() + 2).unwrap_or(u16::MAX);
        let (x, y, inner) = painter.boxed((70, height), "Keys");
        let room = painter.height().saturating_sub(2);
        for (line, (key, what)) in (0..room).zip(HELP) {
            painter.put((x, y + line), key, inner.min(10), Ink::Strong);
            let rest = inner.saturating_sub(11);
            painter.put((x + 11, y + line), what, rest, PLAIN);
        }
    }
}

fn fields(row: Row<'_>, columns: usize) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for (name, value) in row.fields() {
        let value = value.unwrap_or("(none)");
        let mut name = name.to_owned();
        for line in wrapped(value, columns) {
            lines.push((std::mem::take(&mut name), line));
        }
    }
    lines
}
