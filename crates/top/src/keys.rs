//! Owns what keys do.

use crate::clean::is_harmful;
use crate::draw;
use crate::event::{Effect, Key};
use crate::lines::Sort;
use crate::model::{Model, Over};
use crate::orders::{Proposal, Wish};
use crate::tab::Tab;

/// Characters of a filter.
const FILTER_MAX: usize = 200;

/// What keys do, as the help shows it.
pub(crate) const HELP: [(&str, &str); 17] = [
    ("1…6  Tab", "choose a view"),
    ("↑ ↓ j k", "choose a row; PgUp, PgDn, Home, End"),
    ("Enter", "all that is known of it"),
    ("s  < >", "sort by the next column, or the one beside"),
    ("r", "the other way round"),
    ("/", "filter: words that a row must have; Esc ends it"),
    ("c", "cancel what the client executes"),
    ("K", "end the client's session"),
    ("d", "drain the host: nothing new goes to it"),
    ("u", "end that"),
    ("S", "switch over to the host: make it the primary"),
    ("p  Space", "pause, and go on"),
    ("^L", "draw anew"),
    ("?", "this help"),
    ("q  ^C", "quit"),
    ("", ""),
    ("", "c K d u S ask first, and take a right: admin_users."),
];

impl Model {
    pub(crate) fn key(&mut self, key: Key) -> Vec<Effect> {
        match key {
            Key::Interrupt => return vec![Effect::Quit],
            Key::Redraw => return vec![Effect::Redraw],
            _ => {}
        }
        match std::mem::replace(&mut self.over, Over::Nothing) {
            Over::Nothing => self.key_of_view(key),
            Over::Filter { before } => self.key_of_filter(key, before),
            Over::Confirm(proposal) => self.key_of_question(key, &proposal),
            Over::Details { key: row, from } => self.key_of_details(key, row, from),
            // Any key ends it, and does nothing else.
            Over::Help => Vec::new(),
        }
    }

    fn key_of_view(&mut self, key: Key) -> Vec<Effect> {
        let (at, page) = (self.look().at, draw::page(self).max(1));
        match key {
            Key::Char('q') => return vec![Effect::Quit],
            Key::Char('?' | 'h') => self.over = Over::Help,
            Key::Char(digit @ '1'..='6') => {
                let tab = Tab::ALL[digit as usize - '1' as usize];
                return self.open(tab);
            }
            Key::Tab | Key::Right => return self.open(self.beside(1)),
            Key::BackTab | Key::Left => return self.open(self.beside(Tab::ALL.len() - 1)),
            Key::Up | Key::Char('k') => self.choose(at.saturating_sub(1)),
            Key::Down | Key::Char('j') => self.choose(at.saturating_add(1)),
            Key::PageUp => self.choose(at.saturating_sub(page)),
            Key::PageDown => self.choose(at.saturating_add(page)),
            Key::Home | Key::Char('g') => self.choose(0),
            Key::End | Key::Char('G') => self.choose(usize::MAX),
            Key::Char('s' | '>') => self.sort(1),
            Key::Char('<') => self.sort(self.tab.columns().len() - 1),
            Key::Char('r') => {
                let sort = &mut self.look_mut().sort;
                sort.descending = !sort.descending;
                self.arrange();
            }
            Key::Char('/') => {
                let before = self.filter.clone();
                self.over = Over::Filter { before };
            }
            Key::Escape if !self.filter.is_empty() => {
                self.filter.clear();
                self.arrange();
            }
            Key::Enter => {
                if let Some(line) = self.lines.get(at) {
                    let key = line.key.clone();
                    self.over = Over::Details { key, from: 0 };
                }
            }
            Key::Char('p' | ' ') => {
                self.is_paused = !self.is_paused;
                if !self.is_paused {
                    return self.ask();
                }
            }
            Key::Char(other) => {
                if let Some(wish) = Wish::of(other) {
                    self.propose(wish, None);
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn key_of_filter(&mut self, key: Key, before: String) -> Vec<Effect> {
        match key {
            Key::Enter => return Vec::new(),
            Key::Escape => {
                self.filter = before;
                self.arrange();
                return Vec::new();
            }
            Key::Backspace => drop(self.filter.pop()),
            Key::Char(character)
                if !is_harmful(character) && self.filter.chars().count() < FILTER_MAX =>
            {
                self.filter.push(character);
            }
            Key::Up => self.choose(self.look().at.saturating_sub(1)),
            Key::Down => self.choose(self.look().at.saturating_add(1)),
            _ => {}
        }
        self.over = Over::Filter { before };
        self.arrange();
        Vec::new()
    }

    /// Only a plain yes is one.
    fn key_of_question(&mut self, key: Key, proposal: &Proposal) -> Vec<Effect> {
        match (key, self.generation()) {
            (Key::Char('y' | 'Y'), Some(generation)) => {
                let effect = proposal.effect(generation);
                let text = format!("{} …", proposal.order);
                match effect {
                    Effect::Errand(_) => self.tell_until_answered(&text),
                    _ => self.tell(&text, false),
                }
                vec![effect]
            }
            _ => {
                self.tell("nothing was done", false);
                Vec::new()
            }
        }
    }

    fn key_of_details(&mut self, key: Key, row: String, from: usize) -> Vec<Effect> {
        let page = draw::page(self).max(1);
        let from = match key {
            Key::Enter | Key::Escape | Key::Char('q') => return Vec::new(),
            Key::Up | Key::Char('k') => from.saturating_sub(1),
            Key::Down | Key::Char('j') => from.saturating_add(1),
            Key::PageUp => from.saturating_sub(page),
            Key::PageDown => from.saturating_add(page),
            Key::Home => 0,
            Key::Char(other) => match Wish::of(other) {
                Some(wish) => {
                    self.propose(wish, Some(&row));
                    return Vec::new();
                }
                None => from,
            },
            _ => from,
        };
        // No row has more lines than this; drawing stops at its end.
        let from = from.min(10_000);
        self.over = Over::Details { key: row, from };
        Vec::new()
    }

    fn beside(&self, step: usize) -> Tab {
        Tab::ALL[(self.tab as usize + step) % Tab::ALL.len()]
    }

    fn sort(&mut self, step: usize) {
        let column = (self.look().sort.column + step) % self.tab.columns().len();
        self.look_mut().sort = Sort::by(self.tab, column);
        self.arrange();
    }

    /// Asks whether it is meant: of the row that is shown in full, or else the chosen one.
    fn propose(&mut self, wish: Wish, key: Option<&str>) {
        let chosen = self.lines.get(self.look().at).map(|it| it.key.as_str());
        let row = key.or(chosen).and_then(|key| self.row(key));
        let proposal = row.and_then(|row| Proposal::of(wish, self.tab, &self.known(), row));
        match proposal {
            Some(_) if !self.is_up() => self.tell("there is no connection to the console", true),
            Some(proposal) => self.over = Over::Confirm(proposal),
            None => self.tell(wish.of_nobody(), false),
        }
    }
}
