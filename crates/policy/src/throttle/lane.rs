//! Owns the lane of one key: its accounts, what runs in it, and who waits, first come, first served. Only the first of
//! them looks at the accounts; whoever goes or leaves says who is to be woken next.

use super::bucket::Bucket;
use super::{Measure, Rates};
use std::collections::VecDeque;

/// A lane; `W` wakes whoever waits.
#[derive(Debug)]
pub struct Lane<W> {
    accounts: [Bucket; 5],
    running: u32,
    queue: VecDeque<(Ticket, W)>,
    tickets: u64,
}

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

/// What became of a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// It goes.
    Go,
    /// It waits.
    Wait(Ticket),
    /// Too many wait, or none may.
    Full,
}

/// How it stands with one that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It goes.
    Go,
    /// It is the first, and may go at this time unless something changes.
    At(u64),
    /// Something has to end first; it will be woken.
    Behind,
}

impl<W: Clone> Lane<W> {
    /// An empty lane with full accounts.
    pub fn new(rates: &Rates, now_us: u64) -> Lane<W> {
        Lane {
            accounts: Measure::ALL.map(|it| Bucket::full(rates.of(it), now_us)),
            running: 0,
            queue: VecDeque::new(),
            tickets: 0,
        }
    }

    /// Someone comes, with `wants` of each measure. `queue_max`: how many may wait.
    pub fn enter(
        &mut self,
        (rates, now_us): (&Rates, u64),
        wants: &[u64; 5],
        (queue_max, waker): (usize, &W),
    ) -> Entered {
        if self.queue.is_empty() && self.ready((rates, now_us), wants) == Turn::Go {
            self.go((rates, now_us), wants);
            return Entered::Go;
        }
        if self.queue.len() >= queue_max {
            return Entered::Full;
        }
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.queue.push_back((ticket, waker.clone()));
        Entered::Wait(ticket)
    }

    /// Someone looks who waits.
    pub fn look(
        &mut self,
        (rates, now_us): (&Rates, u64),
        wants: &[u64; 5],
        (ticket, waker): (Ticket, &W),
    ) -> Turn {
        let Some((first, _)) = self.queue.front() else {
            return Turn::Behind;
        };
        if *first != ticket {
            let place = self.queue.iter_mut().find(|(it, _)| *it == ticket);
            if let Some((_, held)) = place {
                held.clone_from(waker);
            }
            return Turn::Behind;
        }
        let turn = self.ready((rates, now_us), wants);
        match turn {
            Turn::Go => {
                self.queue.pop_front();
                self.go((rates, now_us), wants);
            }
            Turn::At(_) | Turn::Behind => {
                if let Some((_, held)) = self.queue.front_mut() {
                    held.clone_from(waker);
                }
            }
        }
        turn
    }

    /// Someone waits no more. True if that was the first.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        let Some(at) = self.queue.iter().position(|(it, _)| *it == ticket) else {
            return false;
        };
        self.queue.remove(at);
        at == 0
    }

    /// Something that went has ended.
    pub fn end(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Charges what turned out later.
    pub fn charge(&mut self, (rates, now_us): (&Rates, u64), measure: Measure, tokens: u64) {
        if let (Some(rate), Some(account)) =
            (rates.of(measure), self.accounts.get_mut(measure as usize))
        {
            account.charge(rate, tokens, now_us);
        }
    }

    /// Counts what comes without holding it up; true if it would have been held up.
    pub fn observe(&mut self, (rates, now_us): (&Rates, u64), wants: &[u64; 5]) -> bool {
        let turn = self.ready((rates, now_us), wants);
        match turn {
            Turn::Go => self.go((rates, now_us), wants),
            Turn::At(_) | Turn::Behind => self.running += 1,
        }
        turn != Turn::Go
    }

    /// Who is first in the queue.
    pub fn first(&self) -> Option<&W> {
        self.queue.front().map(|(_, waker)| waker)
    }

    /// Those who wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// True if nothing would be lost with it.
    pub fn is_fresh(&mut self, rates: &Rates, now_us: u64) -> bool {
        let mut accounts = Measure::ALL.iter().zip(&mut self.accounts);
        self.running == 0
            && self.queue.is_empty()
            && accounts.all(|(measure, account)| {
                rates
                    .of(*measure)
                    .is_none_or(|rate| account.is_full(rate, now_us))
            })
    }

    fn ready(&mut self, (rates, now_us): (&Rates, u64), wants: &[u64; 5]) -> Turn {
        if rates.at_once.is_some_and(|most| self.running >= most) {
            return Turn::Behind;
        }
        let mut at = now_us;
        for measure in Measure::ALL {
            let index = measure as usize;
            let (Some(rate), Some(wanted), Some(account)) = (
                rates.of(measure),
                wants.get(index),
                self.accounts.get_mut(index),
            ) else {
                continue;
            };
            // What is charged later needs an account that isn't in debt, no more.
            let beforehand = matches!(measure, Measure::Statements | Measure::Connections);
            let wanted = if beforehand { *wanted } else { 0 };
            at = at.max(account.ready_at(rate, wanted, now_us));
        }
        match at > now_us {
            true => Turn::At(at),
            false => Turn::Go,
        }
    }

    fn go(&mut self, (rates, now_us): (&Rates, u64), wants: &[u64; 5]) {
        self.running += 1;
        for (measure, wanted) in Measure::ALL.iter().zip(wants) {
            if *wanted > 0 {
                self.charge((rates, now_us), *measure, *wanted);
            }
        }
    }
}
