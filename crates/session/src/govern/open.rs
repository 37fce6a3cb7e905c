//! Owns what is counted of a statement that is under way: rows and bytes for those that limit or throttle it, and what
//! happens where a result grows too large.
//!
//! One statement at a time is counted; the next that has to be waits for its end. Behind one whose result is limited
//! nothing goes to the server before it has ended: what the client sent behind it can be skipped then as a server
//! skips it behind an error of its own.

use super::hold::Hold;
use super::{Denial, Governor, in_force};
use crate::ledger::Ledger;
use crate::statements::{Instead, Refusal};
use policy::throttle::{Measure, Pass};
use policy::{Action, Mode, Rules};
use std::sync::Arc;
use wire::frame::Header;
use wire::run::{Run, bulk};

/// A statement under way that is counted.
#[derive(Debug)]
pub(super) struct Open {
    /// Its number among those of the server connection.
    number: u64,
    passes: Vec<Pass>,
    bounds: Vec<Bound>,
    rows: u64,
    bytes: u64,
    /// What was charged of rows, and of bytes.
    charged: (u64, u64),
    /// Bytes that came in behind its request.
    copied: u64,
    /// The portal that it executes.
    portal: Option<Box<[u8]>>,
    is_cut: bool,
}

/// A limit of a result.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    rules: Arc<Rules>,
    rule: usize,
    mode: Mode,
    rows_max: u64,
    bytes_max: u64,
    /// It was exceeded, and that was said.
    is_told: bool,
}

/// The order to have a server stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stop {
    #[default]
    None,
    /// The shell is to send it.
    Wanted,
    /// It is on its way: what goes to the server now could be hit.
    Sent,
}

/// What becomes of rows at the front of a server's words.
#[derive(Debug)]
pub(crate) enum Rows {
    /// Whole frames pass.
    Pass(Run),
    /// The first passes as it comes.
    Stream,
    /// None passes: the statement ends with this.
    Over(Refusal),
}

impl Bound {
    pub fn of(rules: &Arc<Rules>, rule: usize) -> Option<Bound> {
        let it = rules.rule(rule)?;
        let Action::Limit(limit) = it.action else {
            return None;
        };
        Some(Bound {
            rules: Arc::clone(rules),
            rule,
            mode: it.mode,
            rows_max: limit.rows.unwrap_or(u64::MAX),
            bytes_max: limit.bytes.unwrap_or(u64::MAX),
            is_told: false,
        })
    }

    fn holds(&self, rows: u64, bytes: u64) -> bool {
        rows <= self.rows_max && bytes <= self.bytes_max
    }
}

impl Governor {
    /// The statement that was let through last went to the server, as its statement of this number, if any did.
    #[inline]
    pub(crate) fn sent(&mut self, number: Option<u64>, portal: Option<&[u8]>) {
        if !matches!(self.hold, Hold::None)
            && let Some(number) = number
        {
            self.opens(number, portal);
        }
    }

    fn opens(&mut self, number: u64, portal: Option<&[u8]>) {
        let Hold::Over(over) = std::mem::take(&mut self.hold) else {
            return;
        };
        if over.passes.is_empty() && over.bounds.is_empty() {
            return;
        }
        let (rows, bytes) = portal.map_or((0, 0), |name| self.used_of(name));
        self.open = Some(Box::new(Open {
            number,
            passes: over.passes,
            bounds: over.bounds,
            rows,
            bytes,
            charged: (rows, bytes),
            copied: 0,
            portal: portal.map(Into::into),
            is_cut: false,
        }));
    }

    /// True if a statement is counted.
    #[inline]
    pub(crate) fn counts(&self) -> bool {
        self.open.is_some()
    }

    /// True if nothing may go to the server now.
    #[inline]
    pub(crate) fn blocks(&self) -> bool {
        let enforces = |it: &Bound| it.mode == Mode::Enforce;
        self.stop != Stop::None
            || self
                .open
                .as_ref()
                .is_some_and(|it| it.is_cut || it.bounds.iter().any(enforces))
    }

    /// True if the rows that come are those of the statement that is counted.
    #[inline]
    pub(crate) fn counts_now(&self, ledger: &Ledger) -> bool {
        self.open.as_ref().is_some_and(|it| {
            !it.is_cut && it.number == ledger.statements_ended() + 1 && ledger.statement_due()
        })
    }

    /// Copied data of so many bytes goes to the server.
    #[inline]
    pub(crate) fn copied(&mut self, bytes: usize) {
        if let Some(open) = &mut self.open {
            open.copied += bytes as u64;
        }
    }

    /// Rows or copied data are at the front of the server's words.
    pub(crate) fn rows(&mut self, header: Header, bytes: &[u8]) -> Rows {
        let Some(open) = &mut self.open else {
            return Rows::Stream;
        };
        let run = bulk(bytes, header.tag);
        let is_long = run.frames == 0;
        let (frames, len) = match is_long {
            true => (1, header.total()),
            false => (run.frames, run.bytes),
        };
        let after = (open.rows + frames as u64, open.bytes + len as u64);
        let enforces = |it: &&Bound| it.mode == Mode::Enforce;
        let exceeds = |it: &Bound, (rows, bytes): (u64, u64)| !it.holds(rows, bytes);
        let is_over = open
            .bounds
            .iter()
            .filter(enforces)
            .any(|it| exceeds(it, after));
        if !is_over {
            (open.rows, open.bytes) = after;
            self.tell_of_bounds();
            return match is_long {
                true => Rows::Stream,
                false => Rows::Pass(run),
            };
        }
        let mut fits = Run::default();
        while let Some(next) = bytes.get(fits.bytes..).and_then(Header::peek) {
            let one_more = (open.rows + 1, open.bytes + next.total() as u64);
            let over = open.bounds.iter().filter(enforces);
            if let Some(bound) = over.clone().find(|it| exceeds(it, one_more)) {
                if fits.frames > 0 {
                    return Rows::Pass(fits);
                }
                bound.rules.note_exceeded(bound.rule);
                let denial = Denial::limited(&bound.rules, bound.rule);
                open.is_cut = true;
                self.stop = Stop::Wanted;
                return Rows::Over(Refusal::Policy(Arc::new(denial)));
            }
            (open.rows, open.bytes) = one_more;
            fits.frames += 1;
            fits.bytes += next.total();
        }
        Rows::Pass(fits)
    }

    /// Limits that don't end anything are told of once.
    fn tell_of_bounds(&mut self) {
        let Some(open) = &mut self.open else {
            return;
        };
        let (rows, bytes) = (open.rows, open.bytes);
        let mut notices = Vec::new();
        for bound in &mut open.bounds {
            if bound.is_told || bound.holds(rows, bytes) {
                continue;
            }
            bound.is_told = true;
            bound.rules.note_exceeded(bound.rule);
            let rule = bound.rules.rule(bound.rule);
            notices.extend(
                rule.filter(|it| it.mode == Mode::Warn)
                    .map(in_force::would_end),
            );
        }
        for notice in notices {
            self.notify(notice);
        }
    }

    /// The server's words were relayed: charges what has come, and lets go of what has ended.
    pub(crate) fn settle(&mut self, ledger: &Ledger) {
        let Some(open) = &mut self.open else {
            return;
        };
        let (rows, bytes) = (open.rows - open.charged.0, open.bytes - open.charged.1);
        open.charged = (open.rows, open.bytes);
        let copied = std::mem::take(&mut open.copied);
        for pass in &open.passes {
            pass.charge(Measure::Rows, rows, self.now_us);
            pass.charge(Measure::BytesOut, bytes, self.now_us);
            pass.charge(Measure::BytesIn, copied, self.now_us);
        }
        if ledger.statements_ended() < open.number {
            return;
        }
        if let Some(open) = self.open.take()
            && let Some(portal) = open.portal
        {
            self.note_used(&portal, (open.rows, open.bytes));
        }
    }

    /// A statement whose result was cut has ended by itself: so that the server takes it for failed as its client does,
    /// something that fails goes to it.
    pub(crate) fn owe_failure(&mut self, instead: Instead) {
        self.failure = Some(instead);
    }

    /// True if [`Governor::take_failure`] has something to give.
    #[inline]
    pub(crate) fn owes_failure(&self) -> bool {
        self.failure.is_some() && self.stop == Stop::None
    }

    /// Takes what is to fail at the server, once no order to stop can hit anything else any more.
    pub(crate) fn take_failure(&mut self) -> Option<Instead> {
        match self.owes_failure() {
            true => self.failure.take(),
            false => None,
        }
    }

    /// True, once, if the server is to be told to stop what it does. [`Governor::stopped`] has to be called when it has
    /// been.
    #[inline]
    pub fn take_stop(&mut self) -> bool {
        let is_wanted = self.stop == Stop::Wanted;
        if is_wanted {
            self.stop = Stop::Sent;
        }
        is_wanted
    }

    /// The server has been told to stop, or can't be.
    pub fn stopped(&mut self) {
        self.stop = Stop::None;
    }

    /// The server connection is another one from now on.
    pub(crate) fn relink(&mut self) {
        self.lose_changes();
        self.open = None;
        self.stop = Stop::None;
        self.failure = None;
    }
}
