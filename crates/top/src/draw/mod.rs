//! Owns how the monitor looks: a frame from the model, whatever its size. All drawing goes through
//! [`Painter`], which stays inside the frame.

mod clusters;
mod head;
mod over;
mod painter;
mod rows;

pub use painter::Theme;

use crate::event::Source;
use crate::model::{Model, Over};
use crate::tab::Tab;
use painter::Painter;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr as _;

/// Lines that are no rows: title, totals, curves, views, heads of columns, keys.
const AROUND: u16 = 6;

/// Where everything is. A low terminal has rows first.
struct Layout {
    title: Option<u16>,
    totals: Option<u16>,
    curves: Option<u16>,
    tabs: Option<u16>,
    /// The first line about a cluster, and how many there are.
    clusters: (u16, u16),
    heads: Option<u16>,
    /// The first row, and how many there are.
    rows: (u16, u16),
    foot: Option<u16>,
}

impl Layout {
    /// With so many clusters to say something of.
    fn of(height: u16, clusters: u16) -> Layout {
        let mut next = 0;
        let mut line = |least: u16| {
            (height >= least).then(|| {
                next += 1;
                next - 1
            })
        };
        let (title, totals, curves) = (line(8), line(9), line(12));
        let tabs = line(5);
        let clusters = (next, clusters.min(height / 3));
        next += clusters.1;
        let heads = (height >= 3).then_some(next);
        next += u16::from(heads.is_some());
        let foot = (height >= 2).then(|| height - 1);
        let rows = height - next - u16::from(foot.is_some());
        Layout {
            title,
            totals,
            curves,
            tabs,
            clusters,
            heads,
            rows: (next, rows),
            foot,
        }
    }
}

/// Rows of the open view that the terminal has room for.
pub(crate) fn page(model: &Model) -> usize {
    usize::from(model.layout(model.height).rows.1)
}

impl Model {
    /// Draws everything.
    pub fn view(&self, frame: &mut Frame<'_>, theme: Theme) {
        let area = frame.area();
        self.paint(frame.buffer_mut(), area, theme);
    }

    /// The same as plain text, with all rows, in so many columns.
    pub fn plain(&self, width: u16) -> String {
        let rows = u16::try_from(self.lines.len().max(1)).unwrap_or(u16::MAX);
        // So much that each cluster has its line.
        let around = AROUND + self.clusters_known().min(1000) * 3;
        // A buffer of all cells: wider than any terminal would only take memory.
        let width = width.clamp(1, 1000);
        let area = Rect::new(0, 0, width, (rows.min(20_000) + around).max(12));
        let mut buffer = Buffer::empty(area);
        self.paint(&mut buffer, area, Theme::Plain);
        let lines = (0..area.height - 1).map(|y| line(&buffer, y));
        let text = lines.collect::<Vec<_>>().join("\n");
        text.trim_end().to_owned()
    }

    /// What there is to say something of, in the open view.
    fn clusters_known(&self) -> u16 {
        match self.tab {
            Tab::Clusters => {
                let table = self.tables.get(&Source::Clusters);
                let count = table.map_or(0, |it| it.rows().count());
                u16::try_from(count).unwrap_or(u16::MAX)
            }
            _ => 0,
        }
    }

    fn layout(&self, height: u16) -> Layout {
        Layout::of(height, self.clusters_known())
    }

    fn paint(&self, buffer: &mut Buffer, area: Rect, theme: Theme) {
        let mut painter = Painter::new(buffer, area, theme);
        let layout = self.layout(area.height);
        if let Some(y) = layout.title {
            self.title(&mut painter, y);
        }
        if let Some(y) = layout.totals {
            self.totals(&mut painter, y);
        }
        if let Some(y) = layout.curves {
            self.curves(&mut painter, y);
        }
        if let Some(y) = layout.tabs {
            self.tabs(&mut painter, y);
        }
        self.clusters(&mut painter, layout.clusters);
        self.rows(&mut painter, layout.heads, layout.rows);
        if let Some(y) = layout.foot {
            self.foot(&mut painter, y);
        }
        match &self.over {
            Over::Nothing | Over::Filter { .. } => {}
            Over::Help => self.help(&mut painter),
            Over::Details { key, from } => {
                let top = layout.heads.unwrap_or(layout.rows.0);
                let height = layout.rows.0 + layout.rows.1 - top;
                self.details(&mut painter, (top, height), key, *from);
            }
            Over::Confirm(proposal) => self.question(&mut painter, proposal),
        }
    }
}

/// A line of a buffer; what follows a wide character in its second cell is not part of it.
fn line(buffer: &Buffer, y: u16) -> String {
    let mut text = String::new();
    let mut x = 0;
    while let Some(cell) = buffer.cell((x, y)) {
        text.push_str(cell.symbol());
        x += u16::try_from(cell.symbol().width()).unwrap_or(1).max(1);
    }
    text.trim_end().to_owned()
}
