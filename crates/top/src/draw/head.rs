//! Owns the lines above and below the rows.

use super::painter::{Ink, Painter, Theme};
use crate::cells::Tone;
use crate::event::Source;
use crate::figures;
use crate::model::{Link, Model, Over};
use crate::tab::Tab;
use crate::table::Table;

const FAINT: Ink = Ink::Tone(Tone::Faint);
const PLAIN: Ink = Ink::Tone(Tone::Plain);

/// Columns of a curve.
const CURVE: u16 = 40;

/// From nothing to all.
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl Model {
    /// Who, where and how; or why not.
    pub(super) fn title(&self, painter: &mut Painter<'_>, y: u16) {
        let width = painter.width();
        painter.fill((0, y), width, Ink::Bar);
        let x = painter.put((0, y), " portcullis top  ", width, Ink::Bar);
        match &self.link {
            Link::Connecting { .. } => {
                let text = format!("connecting to {} … ", self.options.target);
                painter.put((x, y), &text, width, Ink::Bar);
            }
            Link::Up(connected) => {
                painter.put((x, y), &connected.about, width, Ink::Bar);
            }
            Link::Lost { why, next, .. } => {
                let seconds = next.saturating_sub(self.now).as_secs_f64().ceil();
                let text = format!(" NO CONNECTION, next attempt in {seconds:.0}s: {why} ");
                painter.put((x, y), &text, width, Ink::Alarm);
            }
        }
        if self.is_paused {
            let text = " PAUSED ";
            let x = width.saturating_sub(8);
            painter.put((x, y), text, 8, Ink::Alarm);
        }
    }

    /// What all clients and servers come to.
    pub(super) fn totals(&self, painter: &mut Painter<'_>, y: u16) {
        let sum = |columns: &[&str]| {
            let all = columns.iter().map(|it| self.sum(Source::Pools, it));
            figures::count(all.sum())
        };
        let waiting = self.sum(Source::Pools, "cl_waiting");
        let clients = sum(&["cl_active", "cl_waiting"]);
        let servers = sum(&["sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login"]);
        let mut x = 1;
        let mut part = |painter: &mut Painter<'_>, name: &str, value: &str, ink: Ink| {
            x = painter.put((x, y), value, painter.width(), ink);
            x = painter.put((x + 1, y), name, painter.width(), FAINT) + 2;
        };
        part(painter, "clients", &clients, Ink::Strong);
        let ink = if waiting > 0.0 {
            Ink::Tone(Tone::Warn)
        } else {
            PLAIN
        };
        part(painter, "waiting", &figures::count(waiting), ink);
        part(painter, "servers", &servers, Ink::Strong);
        part(painter, "active", &sum(&["sv_active"]), PLAIN);
        part(painter, "idle", &sum(&["sv_idle", "sv_used"]), PLAIN);
        if let Some(last) = self.history.last() {
            let (received, sent) = last.bytes;
            part(painter, "tx/s", &figures::rate(last.transactions), PLAIN);
            part(painter, "in/s", &figures::bytes(received), PLAIN);
            part(painter, "out/s", &figures::bytes(sent), PLAIN);
        }
        if let Some(state) = self.held() {
            painter.put((x, y), &format!(" {state} "), painter.width(), Ink::Alarm);
        }
    }

    /// What an administrator holds up.
    fn held(&self) -> Option<&'static str> {
        let table = self.tables.get(&Source::State)?;
        let is = |key| {
            table
                .find("key", key)
                .is_some_and(|it| it.text("value") == "yes")
        };
        match (is("suspended"), is("paused")) {
            (true, _) => Some("SUSPENDED"),
            (false, true) => Some("POOLS PAUSED"),
            (false, false) => None,
        }
    }

    /// The last minute.
    pub(super) fn curves(&self, painter: &mut Painter<'_>, y: u16) {
        let last = self.history.last();
        let shown = |of: Option<f64>| of.map_or_else(|| "-".to_owned(), figures::rate);
        let room = painter.width().saturating_sub(46) / 2;
        let columns = room.min(CURVE);
        let mut x = painter.put((1, y), "statements/s", painter.width(), FAINT) + 1;
        painter.put_right((x, y), &shown(last.map(|it| it.statements)), 7, Ink::Strong);
        x += 8;
        let curve = curve(&self.history.curve(usize::from(columns), |it| it.statements));
        x = painter.put((x, y), &curve, columns, Ink::Tone(Tone::Good)) + 3;
        x = painter.put((x, y), "waiting", painter.width(), FAINT) + 1;
        painter.put_right((x, y), &shown(last.map(|it| it.waiting)), 5, Ink::Strong);
        x += 6;
        let curve = self::curve(&self.history.curve(usize::from(columns), |it| it.waiting));
        painter.put((x, y), &curve, columns, Ink::Tone(Tone::Warn));
    }

    /// The views, how many rows the open one has, and the filter.
    pub(super) fn tabs(&self, painter: &mut Painter<'_>, y: u16) {
        let mut x = 0;
        let brief = painter.width() < 72;
        for (number, tab) in (1..).zip(Tab::ALL) {
            let is_open = tab == self.tab;
            let name = match brief && !is_open {
                true => format!(" {number} "),
                false => format!(" {number} {} ", tab.name()),
            };
            let is_plain = painter.theme == Theme::Plain && is_open;
            let name = if is_plain {
                format!("[{}]", name.trim())
            } else {
                name
            };
            let ink = if is_open { Ink::Chosen } else { PLAIN };
            x = painter.put((x, y), &name, painter.width(), ink) + 1;
        }
        let all = self.tables.get(&self.tab.source());
        let all = all.map_or(0, |it| it.rows().count() + it.left_out());
        let rows = match self.lines.len() == all {
            true => format!("{all} rows"),
            false => format!("{} of {all} rows", self.lines.len()),
        };
        x = painter.put((x + 1, y), &rows, painter.width(), FAINT);
        if !self.filter.is_empty() {
            let filter = format!(" /{} ", self.filter);
            painter.put((x + 2, y), &filter, painter.width(), Ink::Tone(Tone::Warn));
        }
    }

    /// What was said last, what is being typed, or which keys there are.
    pub(super) fn foot(&self, painter: &mut Painter<'_>, y: u16) {
        let width = painter.width();
        if let Over::Filter { .. } = self.over {
            let x = painter.put((0, y), " filter: ", width, Ink::Strong);
            let x = painter.put((x, y), &self.filter, width, PLAIN);
            let x = painter.put((x, y), "▏", width, Ink::Strong);
            painter.put((x + 2, y), "Enter keeps it, Esc drops it", width, FAINT);
            return;
        }
        if let Some(notice) = &self.notice {
            let ink = if notice.is_bad {
                Ink::Alarm
            } else {
                Ink::Strong
            };
            painter.put((0, y), &format!(" {} ", notice.text), width, ink);
            return;
        }
        let orders = match self.tab {
            Tab::Clusters => [("d", "drain"), ("u", "undrain"), ("S", "switchover")].as_slice(),
            _ => &[("c", "cancel"), ("K", "kill")],
        };
        let keys = [
            ("q", "quit"),
            ("?", "help"),
            ("s", "sort"),
            ("r", "reverse"),
            ("/", "filter"),
            ("Enter", "details"),
        ];
        let rest = [("p", "pause"), ("Tab", "view")];
        let mut x = 1;
        for (key, what) in keys.iter().chain(orders).chain(&rest) {
            let len = key.len() + what.len() + 1;
            if usize::from(x) + len > usize::from(width) {
                break;
            }
            x = painter.put((x, y), key, width, Ink::Strong) + 1;
            x = painter.put((x, y), what, width, FAINT) + 2;
        }
    }
}

/// What is shown of a view without rows.
pub(super) fn nothing(model: &Model, tables: Option<&Table>) -> &'static str {
    match (tables, model.filter.is_empty(), model.tab) {
        (None, ..) => "nothing is known yet",
        (Some(_), false, _) => "no row has what the filter asks for",
        (Some(_), true, Tab::Clusters)
            if model
                .tables
                .get(&Source::Clusters)
                .is_some_and(|it| it.rows().next().is_none()) =>
        {
            "there is none: a [[cluster]] with its hosts makes one, and a [[database]] follows it"
        }
        (Some(_), true, Tab::Activity) => "nobody does anything",
        (Some(_), true, Tab::Patterns) => "no statement was counted (is inspection.statements on?)",
        (Some(_), true, _) => "there is none",
    }
}

/// Values as a curve, the greatest as high as a line is.
fn curve(values: &[Option<f64>]) -> String {
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let step = |value: &Option<f64>| match value {
        None => ' ',
        Some(value) if most <= 0.0 || *value <= 0.0 => STEPS[0],
        Some(value) => {
            let step = (value / most * 7.0).round() as usize;
            STEPS.get(step).copied().unwrap_or(STEPS[7])
        }
    };
    values.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_reach_from_the_bottom_to_the_top() {
        let values = [None, Some(0.0), Some(50.0), Some(100.0)];
        assert_eq!(curve(&values), " ▁▅█");
        assert_eq!(curve(&[Some(0.0)]), "▁");
        assert_eq!(curve(&[]), "");
    }
}
