//! Owns how the monitor looks: a frame from the model, whatever its size. All drawing goes through
//! [`Painter`], which stays inside the frame.

mod head;
mod over;
mod painter;
mod rows;

pub use painter::Theme;

use crate::model::{Model, Over};
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
    heads: Option<u16>,
    /// The first row, and how many there are.
    rows: (u16, u16),
    foot: Option<u16>,
}

impl Layout {
    fn of(height: u16) -> Layout {
        let mut next = 0;
        let mut line = |least: u16| {
            (height >= least).then(|| {
                next += 1;
                next - 1
            })
        };
        let (title, totals, curves) = (line(8), line(9), line(12));
        let (tabs, heads) = (line(5), line(3));
        let foot = (height >= 2).then(|| height - 1);
        let rows = height - next - u16::from(foot.is_some());
        Layout {
            title,
            totals,
            curves,
            tabs,
            heads,
            rows: (next, rows),
            foot,
        }
    }
}

/// Rows of a view in a terminal of this height.
pub(crate) fn page(height: u16) -> usize {
    usize::from(Layout::of(height).rows.1)
}

impl Model {
    /// Draws everything.
    pub fn view(&self, frame: &mut Frame<'_>, theme: Theme) {
        let area = frame.area();
        self.paint(frame.buffer_mut(), area, theme);
    }

    /// The same as plain text, with all rows, in so many columns.
    pub fn plain(&self, width: u16) -> String {
        let rows = u16::try_from(self.lines.len().max(1)).unwrap_or(u16::MAX - AROUND);
        // A buffer of all cells: wider than any terminal would only take memory.
        let width = width.clamp(1, 1000);
        let area = Rect::new(0, 0, width, (rows.min(20_000) + AROUND).max(12));
        let mut buffer = Buffer::empty(area);
        self.paint(&mut buffer, area, Theme::Plain);
        let lines = (0..area.height - 1).map(|y| line(&buffer, y));
        let text = lines.collect::<Vec<_>>().join("\n");
        text.trim_end().to_owned()
    }

    fn paint(&self, buffer: &mut Buffer, area: Rect, theme: Theme) {
        let mut painter = Painter::new(buffer, area, theme);
        let layout = Layout::of(area.height);
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
