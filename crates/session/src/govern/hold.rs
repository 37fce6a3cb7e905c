//! Owns what a statement goes through before it is sent: delays, one after the other, and its place in the lanes of
//! throttles. Whoever holds it up is asked again when the time has come, or when somebody has called.

use super::open::Bound;
use super::{Denial, Governor, in_force};
use crate::statements::Refusal;
use policy::throttle::{Looked, Pass, Tried, Waiting};
use policy::views::{Doubted, Views};
use policy::{Action, Held, Mode, Rules};
use std::sync::Arc;
use std::task::Waker;

/// How it stands with the statement that comes next.
#[derive(Debug, Default)]
pub(super) enum Hold {
    /// Nothing was asked for it.
    #[default]
    None,
    /// It waits.
    Waiting(Box<Plan>),
    /// It may go, or is refused.
    Over(Box<Over>),
}

/// What is still before a statement.
#[derive(Debug)]
pub(super) struct Plan {
    rules: Arc<Rules>,
    generation: u64,
    held: Vec<Held>,
    /// The one of `held` whose turn it is.
    at: usize,
    wait: Option<Wait>,
    passes: Vec<Pass>,
    /// Of what was asked for before.
    bounds: Vec<Bound>,
    bytes: u64,
    /// It has waited for a look at the catalogs already.
    has_waited: bool,
}

#[derive(Debug)]
enum Wait {
    Until(u64),
    Lane {
        waiting: Waiting,
        until_us: u64,
    },
    /// For a look at the catalogs: names in the statement may mean something else by now.
    Views {
        views: Arc<Views>,
        /// Why.
        by: Vec<Doubted>,
        /// `None`: nobody has told the time yet.
        until_us: Option<u64>,
    },
}

/// How long a statement waits for a look at the catalogs.
const LOOK_MAX_US: u64 = 2_000_000;

/// A statement that has been through all of it.
#[derive(Debug)]
pub(super) struct Over {
    generation: u64,
    rules: Vec<usize>,
    pub passes: Vec<Pass>,
    pub bounds: Vec<Bound>,
    refusal: Option<Refusal>,
    has_waited: bool,
}

/// Whether a statement may go now.
#[derive(Debug)]
pub(crate) enum Admitted {
    /// It may.
    Go,
    /// It waits: see [`Governor::hold_until`].
    Hold,
    /// It may not.
    Refuse(Refusal),
}

impl Governor {
    /// True if a rule of the last look needs to know how time passes, or something under way does.
    #[inline]
    pub fn wants_clock(&self) -> bool {
        let rules = self.rules.as_ref().is_some_and(|it| it.wants_clock());
        rules || self.open.is_some() || !matches!(self.hold, Hold::None) || self.may_be_in_doubt()
    }

    /// The time, in microseconds since whatever all sessions share, and who is to be woken when a wait ends.
    pub fn tell_clock(&mut self, now_us: u64, waker: &Waker) {
        self.now_us = now_us;
        if !self.waker.will_wake(waker) {
            self.waker.clone_from(waker);
        }
    }

    /// True if the client's next statement waits for its turn.
    #[inline]
    pub fn is_holding(&self) -> bool {
        matches!(self.hold, Hold::Waiting(_))
    }

    /// When a statement that waits has to be looked at again, unless the waker rings before.
    pub fn hold_until(&self) -> Option<u64> {
        match &self.hold {
            Hold::Waiting(plan) => match plan.wait {
                Some(
                    Wait::Until(at_us)
                    | Wait::Lane {
                        until_us: at_us, ..
                    },
                ) => Some(at_us),
                Some(Wait::Views { until_us, .. }) => Some(until_us.unwrap_or(self.now_us)),
                None => Some(self.now_us),
            },
            _ => None,
        }
    }

    /// Looks again at what waits; true if it still does.
    pub fn still_holds(&mut self) -> bool {
        match std::mem::take(&mut self.hold) {
            Hold::Waiting(plan) => self.hold = self.advance(plan),
            other => self.hold = other,
        }
        self.is_holding()
    }

    /// The client has cancelled what waits.
    pub fn cancel_hold(&mut self) {
        self.hold = match std::mem::take(&mut self.hold) {
            Hold::Waiting(plan) => {
                let refusal = Refusal::Policy(Arc::new(Denial::cancelled()));
                Hold::Over(Box::new(plan.over(Some(refusal))))
            }
            other => other,
        };
    }

    /// What waits or was let through comes to nothing.
    #[inline]
    pub(crate) fn drop_hold(&mut self) {
        if !matches!(self.hold, Hold::None) {
            self.hold = Hold::None;
            self.judges_again = false;
        }
    }

    /// Takes why the statement that waited is refused.
    pub(crate) fn take_held_refusal(&mut self) -> Option<Refusal> {
        match &mut self.hold {
            Hold::Over(over) => {
                let refusal = over.refusal.take()?;
                self.drop_hold();
                Some(refusal)
            }
            _ => None,
        }
    }

    /// Asks for the statement that was judged last, of so many bytes.
    pub(crate) fn admit(&mut self, bytes: usize) -> Admitted {
        let admitted = self.ask(bytes);
        if matches!(admitted, Admitted::Go) {
            self.goes();
        }
        admitted
    }

    fn ask(&mut self, bytes: usize) -> Admitted {
        if self.held.is_empty() && matches!(self.hold, Hold::None) && !self.is_in_doubt() {
            return Admitted::Go;
        }
        let mut held = std::mem::take(&mut self.held);
        if let Some(refusal) = self.take_held_refusal() {
            return Admitted::Refuse(refusal);
        }
        let mut over_already = None;
        match std::mem::take(&mut self.hold) {
            Hold::Waiting(plan) => {
                self.hold = Hold::Waiting(plan);
                return Admitted::Hold;
            }
            Hold::Over(over) if over.generation == self.generation => {
                held.retain(|it| !over.rules.contains(&it.rule));
                over_already = Some(over);
            }
            Hold::Over(_) | Hold::None => {}
        }
        let has_waited = over_already.as_ref().is_some_and(|it| it.has_waited);
        let look = match has_waited {
            true => None,
            false => self.look_awaited(),
        };
        if look.is_some() {
            // What else holds it up is judged anew afterwards.
            held.clear();
        }
        let is_wanted = look.is_some() || !held.is_empty();
        let Some(rules) = self.rules.clone().filter(|_| is_wanted) else {
            self.hold = over_already.map_or(Hold::None, Hold::Over);
            return Admitted::Go;
        };
        let has_waited = has_waited || look.is_some();
        let (passes, bounds) =
            over_already.map_or_else(Default::default, |it| (it.passes, it.bounds));
        let plan = Plan {
            rules,
            generation: self.generation,
            held,
            at: 0,
            wait: look,
            passes,
            bounds,
            bytes: bytes as u64,
            has_waited,
        };
        self.hold = self.advance(Box::new(plan));
        if let Some(refusal) = self.take_held_refusal() {
            return Admitted::Refuse(refusal);
        }
        match self.is_holding() {
            true => {
                self.judges_again = true;
                Admitted::Hold
            }
            false => Admitted::Go,
        }
    }

    /// The wait for a look, if the statement that was judged last needs one.
    fn look_awaited(&self) -> Option<Wait> {
        let views = self.views.as_ref().filter(|_| self.is_in_doubt())?;
        Some(Wait::Views {
            views: Arc::clone(&views.shared),
            by: views.doubted().to_vec(),
            until_us: None,
        })
    }

    /// The same for one that was [foreseen](Governor::foresee): what comes next was not judged yet.
    pub(crate) fn admit_in_advance(&mut self, bytes: usize) -> Admitted {
        let admitted = self.ask(bytes);
        self.judges_again = false;
        admitted
    }

    fn advance(&mut self, mut plan: Box<Plan>) -> Hold {
        loop {
            match plan.look((self.now_us, &self.waker)) {
                Look::Waits => return Hold::Waiting(plan),
                Look::Late(rule) => return self.refused(*plan, rule),
                Look::Unseen => {
                    let refusal = Refusal::Policy(Arc::new(Denial::unseen()));
                    return Hold::Over(Box::new(plan.over(Some(refusal))));
                }
                Look::Next => {}
            }
            let Some(&held) = plan.held.get(plan.at) else {
                return Hold::Over(Box::new(plan.over(None)));
            };
            if let Err(()) = self.begin(&mut plan, held) {
                return self.refused(*plan, held.rule);
            }
            if plan.wait.is_none() {
                plan.at += 1;
            }
        }
    }

    fn refused(&self, plan: Plan, rule: usize) -> Hold {
        let denial = plan.rules.rule(rule).map(Denial::throttled);
        let refusal = denial.map(|it| Refusal::Policy(Arc::new(it)));
        Hold::Over(Box::new(plan.over(refusal)))
    }

    /// Begins with the next of a plan. An error: there is no place for it.
    fn begin(&mut self, plan: &mut Plan, held: Held) -> Result<(), ()> {
        let rules = Arc::clone(&plan.rules);
        let Some(rule) = rules.rule(held.rule) else {
            return Ok(());
        };
        rules.count(&[held.rule]);
        match rule.action {
            Action::Allow | Action::Deny | Action::Limit(_) | Action::Route(_) => {}
            Action::Delay { ms } => match rule.mode {
                Mode::Enforce => {
                    let until = self.now_us.saturating_add(ms.saturating_mul(1000));
                    plan.wait = Some(Wait::Until(until));
                }
                Mode::Warn => self.notify(in_force::would_wait(rule)),
                Mode::Observe => {}
            },
            Action::Throttle(throttle) => {
                let Some(lanes) = rules.lanes(held.rule) else {
                    return Ok(());
                };
                let key = throttle.per.key(&self.context, held.shape);
                let wants = [u64::from(held.statements), 0, plan.bytes, 0, 0];
                if rule.mode != Mode::Enforce {
                    let (pass, is_excess) = lanes.observe(&key, wants, self.now_us);
                    plan.keep(pass);
                    if is_excess && rule.mode == Mode::Warn {
                        self.notify(in_force::would_wait(rule));
                    }
                    return Ok(());
                }
                match lanes.enter(&key, wants, (self.now_us, &self.waker)) {
                    Tried::Go(pass) => plan.keep(pass),
                    Tried::Wait(waiting) => {
                        let until_us = self.now_us;
                        plan.wait = Some(Wait::Lane { waiting, until_us });
                    }
                    Tried::Refused => return Err(()),
                }
            }
        }
        Ok(())
    }
}

enum Look {
    Waits,
    /// Too long, for this rule.
    Late(usize),
    /// Nobody has looked at the catalogs in time, and that is required.
    Unseen,
    Next,
}

impl Plan {
    fn look(&mut self, (now_us, waker): (u64, &Waker)) -> Look {
        match &mut self.wait {
            None => return Look::Next,
            Some(Wait::Until(at_us)) if *at_us > now_us => return Look::Waits,
            Some(Wait::Until(_)) => {}
            Some(Wait::Views {
                views,
                by,
                until_us,
            }) => {
                let is_over = views.wait(by, waker);
                let until_us = *until_us.get_or_insert(now_us.saturating_add(LOOK_MAX_US));
                match (is_over, until_us <= now_us) {
                    (false, false) => return Look::Waits,
                    (false, true) if views.is_required() => return Look::Unseen,
                    _ => {}
                }
                self.wait = None;
                return Look::Next;
            }
            Some(Wait::Lane { waiting, until_us }) => match waiting.look((now_us, waker)) {
                Looked::Until(at_us) => {
                    *until_us = at_us;
                    return Look::Waits;
                }
                Looked::Late => {
                    let rule = self.held.get(self.at).map_or(usize::MAX, |it| it.rule);
                    return Look::Late(rule);
                }
                Looked::Go(pass) => self.keep(pass),
            },
        }
        self.wait = None;
        self.at += 1;
        Look::Next
    }

    fn keep(&mut self, pass: Pass) {
        if pass.lasts() {
            self.passes.push(pass);
        }
    }

    fn over(self, refusal: Option<Refusal>) -> Over {
        let mut bounds = self.bounds;
        let held = self.held.iter();
        bounds.extend(held.filter_map(|it| Bound::of(&self.rules, it.rule)));
        Over {
            generation: self.generation,
            bounds,
            rules: self.held.iter().map(|it| it.rule).collect(),
            passes: match refusal {
                Some(_) => Vec::new(),
                None => self.passes,
            },
            refusal,
            has_waited: self.has_waited,
        }
    }
}
