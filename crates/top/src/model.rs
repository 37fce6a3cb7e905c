//! Owns what the monitor knows and shows, and what follows from each event.

use crate::clean::clean;
use crate::event::{Answer, Connected, Effect, Event, Generation, Source};
use crate::history::History;
use crate::lines::{Line, Sort, lines};
use crate::orders::Proposal;
use crate::tab::{Known, Tab};
use crate::table::{Row, Table};
use std::collections::BTreeMap;
use std::time::Duration;

/// The first wait before the next attempt to connect; each further one is twice as long.
const RETRY: Duration = Duration::from_secs(1);

/// The longest.
const RETRY_MAX: Duration = Duration::from_secs(8);

/// How long a notice stays.
const NOTICE: Duration = Duration::from_secs(8);

/// What does not change.
#[derive(Debug, Clone)]
pub struct Options {
    /// From one poll to the next.
    pub interval: Duration,
    /// Whose console it is, until there is a connection.
    pub target: String,
}

/// Whether there is a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not yet.
    Connecting { attempt: u32 },
    /// There is.
    Up(Connected),
    /// No more, and at this time is the next attempt.
    Lost {
        why: String,
        next: Duration,
        attempt: u32,
    },
}

/// What lies over the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Over {
    Nothing,
    Help,
    /// All columns of the row with this key, from this line on.
    Details {
        key: String,
        from: usize,
    },
    /// A question.
    Confirm(Proposal),
    /// Somebody types the filter; this one was before.
    Filter {
        before: String,
    },
}

/// A sentence in the last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) text: String,
    pub(crate) is_bad: bool,
    until: Option<Duration>,
}

/// How one view is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) sort: Sort,
    /// The row that is chosen, and where it is.
    pub(crate) key: Option<String>,
    pub(crate) at: usize,
}

/// The monitor.
#[derive(Debug)]
pub struct Model {
    pub(crate) options: Options,
    pub(crate) tab: Tab,
    pub(crate) looks: [Look; 6],
    pub(crate) filter: String,
    pub(crate) over: Over,
    pub(crate) link: Link,
    pub(crate) tables: BTreeMap<Source, Table>,
    pub(crate) history: History,
    pub(crate) lines: Vec<Line>,
    pub(crate) notice: Option<Notice>,
    pub(crate) is_paused: bool,
    /// Rows of the screen.
    pub(crate) height: u16,
    asked: bool,
    due: Duration,
    pub(crate) now: Duration,
}

impl Model {
    /// At the beginning: without a connection.
    pub fn new(options: Options) -> Model {
        let target = clean(&options.target);
        let look = |tab: Tab| Look {
            sort: Sort::by(tab, tab.first_sort()),
            key: None,
            at: 0,
        };
        Model {
            options: Options { target, ..options },
            tab: Tab::Activity,
            looks: Tab::ALL.map(look),
            filter: String::new(),
            over: Over::Nothing,
            link: Link::Connecting { attempt: 0 },
            tables: BTreeMap::new(),
            history: History::default(),
            lines: Vec::new(),
            notice: None,
            is_paused: false,
            height: 16,
            asked: false,
            due: Duration::ZERO,
            now: Duration::ZERO,
        }
    }

    /// Takes an event at a time (since any beginning); gives what is to be done, in order.
    pub fn update(&mut self, event: Event, now: Duration) -> Vec<Effect> {
        self.now = self.now.max(now);
        let until = self.notice.as_ref().and_then(|it| it.until);
        if until.is_some_and(|until| until <= self.now) {
            self.notice = None;
        }
        match event {
            Event::Key(key) => self.key(key),
            Event::Tick => self.tick(),
            Event::Rows(rows) => {
                self.height = rows;
                Vec::new()
            }
            Event::Connected(connected) => {
                let about = clean(&connected.about);
                self.link = Link::Up(Connected { about, ..connected });
                // Another process may have given the same numbers to others.
                self.forget();
                self.asked = false;
                self.ask()
            }
            Event::Answer(answer) => {
                self.take(answer);
                Vec::new()
            }
            Event::Lost(why) => {
                self.lose(&why);
                Vec::new()
            }
            Event::Ordered(outcome) => {
                match outcome {
                    Ok(done) => self.tell(&done, false),
                    Err(words) => self.tell(&words, true),
                }
                self.asked = false;
                self.ask()
            }
        }
    }

    /// The rows of the view that is open and what they are made of.
    pub(crate) fn known(&self) -> Known<'_> {
        Known {
            tables: &self.tables,
            history: &self.history,
        }
    }

    pub(crate) fn look(&self) -> &Look {
        &self.looks[self.tab as usize]
    }

    pub(crate) fn look_mut(&mut self) -> &mut Look {
        &mut self.looks[self.tab as usize]
    }

    /// The row of the open view with this key.
    pub(crate) fn row(&self, key: &str) -> Option<Row<'_>> {
        let table = self.tables.get(&self.tab.source())?;
        table.rows().find(|row| self.tab.key(*row) == key)
    }

    /// True if the console answers.
    pub fn is_up(&self) -> bool {
        matches!(self.link, Link::Up(_))
    }

    /// True if nothing is asked that was not answered.
    pub fn is_settled(&self) -> bool {
        self.is_up() && !self.asked
    }

    pub(crate) fn generation(&self) -> Option<Generation> {
        match &self.link {
            Link::Up(connected) => Some(connected.generation),
            Link::Connecting { .. } | Link::Lost { .. } => None,
        }
    }

    /// Shows another view. Its tables are asked for at once.
    pub fn open(&mut self, tab: Tab) -> Vec<Effect> {
        if self.tab == tab {
            return Vec::new();
        }
        self.tab = tab;
        self.over = Over::Nothing;
        self.arrange();
        self.asked = false;
        self.ask()
    }

    pub(crate) fn tell(&mut self, text: &str, is_bad: bool) {
        self.notice = Some(Notice {
            text: clean(text),
            is_bad,
            until: Some(self.now + NOTICE),
        });
    }

    /// Says what is under way, until something else is said.
    pub(crate) fn tell_until_answered(&mut self, text: &str) {
        self.tell(text, false);
        if let Some(notice) = &mut self.notice {
            notice.until = None;
        }
    }

    fn tick(&mut self) -> Vec<Effect> {
        match &self.link {
            Link::Connecting { .. } if self.asked => Vec::new(),
            Link::Connecting { .. } => {
                self.asked = true;
                vec![Effect::Connect]
            }
            Link::Lost { next, attempt, .. } if *next <= self.now => {
                self.link = Link::Connecting { attempt: *attempt };
                self.asked = true;
                vec![Effect::Connect]
            }
            Link::Lost { .. } => Vec::new(),
            Link::Up(_) if self.is_paused || self.due > self.now => Vec::new(),
            Link::Up(_) => self.ask(),
        }
    }

    /// Asks for what the view needs, unless an answer is still to come.
    pub(crate) fn ask(&mut self) -> Vec<Effect> {
        if self.asked || !self.is_up() {
            return Vec::new();
        }
        self.asked = true;
        self.due = self.now + self.options.interval;
        vec![Effect::Ask(self.tab.sources())]
    }

    fn take(&mut self, answer: Answer) {
        self.asked = false;
        if !self.is_up() {
            return;
        }
        for (source, table) in answer.tables {
            match table {
                Ok(table) => drop(self.tables.insert(source, table)),
                Err(words) => self.tell(&words, true),
            }
            if let (Source::Patterns, Some(table)) = (source, self.tables.get(&source)) {
                self.history.note_patterns(table, self.now);
            }
        }
        if let Some(totals) = self.tables.get(&Source::Totals) {
            let waiting = self.sum(Source::Pools, "cl_waiting");
            self.history.note(totals, waiting, self.now);
        }
        self.arrange();
        self.drop_what_is_gone();
    }

    /// A column's sum.
    pub(crate) fn sum(&self, source: Source, column: &str) -> f64 {
        let rows = self.tables.get(&source).into_iter().flat_map(Table::rows);
        rows.map(|row| row.number(column)).sum()
    }

    fn lose(&mut self, why: &str) {
        let attempt = match self.link {
            Link::Up(_) => 0,
            Link::Connecting { attempt } | Link::Lost { attempt, .. } => attempt,
        };
        let wait = RETRY.saturating_mul(1 << attempt.min(8)).min(RETRY_MAX);
        self.link = Link::Lost {
            why: clean(why),
            next: self.now + wait,
            attempt: attempt.saturating_add(1),
        };
        self.asked = false;
        // A question about somebody whom nobody can reach any more.
        if matches!(self.over, Over::Confirm(_)) {
            self.over = Over::Nothing;
        }
    }

    fn forget(&mut self) {
        self.tables.clear();
        self.history = History::default();
        if matches!(self.over, Over::Confirm(_) | Over::Details { .. }) {
            self.over = Over::Nothing;
        }
        for look in &mut self.looks {
            look.key = None;
        }
        self.arrange();
    }

    /// A question about somebody who has left is none any more.
    fn drop_what_is_gone(&mut self) {
        if let Over::Confirm(proposal) = &self.over
            && let Some(key) = &proposal.key
            && self.row(key).is_none()
        {
            let gone = proposal.gone.clone();
            self.over = Over::Nothing;
            self.tell(&gone, false);
        }
    }

    /// Makes the lines anew; the chosen row stays chosen wherever it is now.
    pub(crate) fn arrange(&mut self) {
        let sort = self.look().sort;
        self.lines = lines(self.tab, &self.known(), &self.filter, sort);
        let key = self.look().key.clone();
        let found = key.and_then(|key| self.lines.iter().position(|it| it.key == key));
        let last = self.lines.len().saturating_sub(1);
        let at = found.unwrap_or(self.look().at).min(last);
        self.choose(at);
    }

    /// Chooses the line at this place, or the last one.
    pub(crate) fn choose(&mut self, at: usize) {
        let at = at.min(self.lines.len().saturating_sub(1));
        let key = self.lines.get(at).map(|it| it.key.clone());
        let is_empty = self.lines.is_empty();
        let look = self.look_mut();
        look.at = at;
        // At the top one sees whatever is first; without rows, the one that was chosen may come back.
        if !is_empty {
            look.key = key.filter(|_| at > 0);
        }
    }
}
