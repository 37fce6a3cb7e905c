//! Owns the lines about clusters, above their hosts.

use super::painter::{Ink, Painter};
use crate::cells::Tone;
use crate::clusters::summaries;
use crate::event::Source;
use crate::model::{Link, Model};

impl Model {
    /// A line for each, as far as there is room: the last one says how many there are beside.
    pub(super) fn clusters(&self, painter: &mut Painter<'_>, (top, height): (u16, u16)) {
        if height == 0 {
            return;
        }
        let width = painter.width();
        let is_old = !matches!(self.link, Link::Up(_));
        let all = summaries(self.tables.get(&Source::Clusters));
        let room = usize::from(height);
        let shown = match all.len() > room {
            true => room - 1,
            false => all.len(),
        };
        for (y, summary) in (top..).zip(&all[..shown]) {
            let mut x = painter.put((1, y), &summary.name, width, Ink::Strong);
            for (text, tone) in &summary.parts {
                let tone = if is_old { Tone::Faint } else { *tone };
                x = painter.put((x + 2, y), text, width, Ink::Tone(tone));
            }
        }
        if shown < all.len() {
            let text = format!("and {} clusters more", all.len() - shown);
            painter.put((1, top + height - 1), &text, width, Ink::Tone(Tone::Warn));
        }
    }
}
